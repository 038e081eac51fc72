"""The telemetry table: every measurement with its tags and its fields, each with type, unit and meaning.

The only place that defines them. A test compares the points that are made with this table,
`docs/reference/telemetry.md` is written from it, and dashboards may read nothing that is not in it.

Tags are bounded: names of sites, runs, cells and devices, values from closed lists, and a limited
number of kinds, figures and units. Numbers that grow
(ticks, serials, calls) are fields. No field has a name that Grafana's macros replace (`bucket`, `windowPeriod`, …).
"""

from typing import Final

from gridfleet.dashboards.telemetry.table.devices import (
    CHARGING,
    DEVICE,
    FIGURE,
    FLEET,
    INCIDENT,
    OFFER,
    RESERVATION,
    SAMPLE,
    VEHICLES,
)
from gridfleet.dashboards.telemetry.table.market import GRID, MARKET, MERIT
from gridfleet.dashboards.telemetry.table.site import (
    AUDIT,
    CLOCK,
    DECLINES,
    EVENT,
    LIVE_STATUS,
    MESSAGES,
    RECORDER,
    REJECTS,
)

__all__ = [
    "AUDIT",
    "BY_NAME",
    "CHARGING",
    "CLOCK",
    "DECLINES",
    "DEVICE",
    "EVENT",
    "FIGURE",
    "FLEET",
    "GRID",
    "INCIDENT",
    "LIVE_STATUS",
    "MARKET",
    "MEASUREMENTS",
    "MERIT",
    "MESSAGES",
    "OFFER",
    "RECORDER",
    "REJECTS",
    "RESERVATION",
    "SAMPLE",
    "VEHICLES",
]

MEASUREMENTS: Final = (
    GRID, MARKET, MERIT, FLEET, DEVICE, FIGURE, CHARGING, VEHICLES, OFFER, RESERVATION, MESSAGES, DECLINES, REJECTS,
    CLOCK, EVENT, AUDIT, RECORDER, LIVE_STATUS, SAMPLE, INCIDENT,
)  # fmt: skip
BY_NAME: Final = {measurement.name: measurement for measurement in MEASUREMENTS}
