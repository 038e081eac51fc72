"""Points of samples and incidents: readings of sensors, and switches that acted."""

from collections.abc import Callable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import Incident, Sample
from gridfleet.dashboards.telemetry.points import Point, Value
from gridfleet.dashboards.telemetry.table import INCIDENT, SAMPLE
from gridfleet.dashboards.telemetry.tags import OTHER, PARTS

FIELDS: Final = {
    "wind_m_per_s": "wind_m_per_s",
    "gust_m_per_s": "gust_m_per_s",
    "direction_deg": "direction_deg",
    "brake_applied": "brake_applied",
    "plugged": "plugged",
    "contactor_closed": "contactor_closed",
    "current_a": "current_a",
    "voltage_v": "voltage_v",
    "power_w": "meter_w",
    "energy_wh": "meter_wh",
}
"""Readings that are stored: their name in the message, and their field."""
NORMAL_OPENINGS: Final = frozenset({"started", "unplugged", "no lease", "energy delivered", "shut down"})
"""Reasons in incidents for which a contactor opens in normal operation."""

Clock = Callable[[], int]


def sample_point(tags: Mapping[str, str], sample: Sample, wall_ms: Clock | None) -> Point:
    """Return the point of a device's readings; `wall_ms` gives the time of day for a device without one."""
    readings: dict[str, Value | None] = {
        field: float(sample.readings[name]) for name, field in FIELDS.items() if name in sample.readings
    }
    known: dict[str, Value | None] = {
        "measured": sample.measured,
        "synchronised": sample.synchronised,
        "faults": ", ".join(sample.faults),
    }
    return Point(SAMPLE.name, tags, {**known, **readings}, _time_ms(sample, wall_ms))


def incident_point(tags: Mapping[str, str], incident: Incident, wall_ms: Clock | None) -> Point:
    """Return the point of a switch that acted or a sensor that failed or recovered."""
    opened = incident.part == "contactor" and incident.what == "opened"
    fields: dict[str, Value | None] = {
        "reason": incident.reason,
        "fault": incident.what == "failed" or (opened and incident.reason not in NORMAL_OPENINGS),
        "measured": incident.measured,
        "synchronised": incident.synchronised,
    }
    what = {"part": incident.part if incident.part in PARTS else OTHER, "what": incident.what}
    return Point(INCIDENT.name, {**tags, **what}, fields, _time_ms(incident, wall_ms))


def _time_ms(message: Sample | Incident, wall_ms: Clock | None) -> int:
    """Return the device's own time, unless its clock is not synchronised."""
    return message.at_ms if message.synchronised or wall_ms is None else wall_ms()
