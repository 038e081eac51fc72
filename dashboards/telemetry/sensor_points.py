"""Points of what sensors say and switches do: of samples and incidents."""

from collections.abc import Callable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import Incident, Sample
from gridfleet.dashboards.telemetry.points import Point, Value
from gridfleet.dashboards.telemetry.table import INCIDENT, OTHER, PARTS, SAMPLE

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
"""Readings that are kept, by the name that devices give them, and their fields."""
IN_THE_COURSE_OF_THINGS: Final = frozenset(
    {"started", "unplugged", "no lease", "energy delivered", "shut down"}
)
"""Why a contactor opens when nothing is wrong, in the words of incidents."""

Clock = Callable[[], int]


def sample_point(tags: Mapping[str, str], said: Sample, wall_ms: Clock | None) -> Point:
    """Return the point of a device's readings; `wall_ms` is when it was heard."""
    readings: dict[str, Value | None] = {
        field: float(said.readings[name]) for name, field in FIELDS.items() if name in said.readings
    }
    known: dict[str, Value | None] = {
        "measured": said.measured,
        "synchronised": said.synchronised,
        "faults": ", ".join(said.faults),
    }
    return Point(SAMPLE.name, tags, {**known, **readings}, _time_ms(said, wall_ms))


def incident_point(tags: Mapping[str, str], said: Incident, wall_ms: Clock | None) -> Point:
    """Return the point of a switch that acted or a sensor that failed or recovered."""
    opened = said.part == "contactor" and said.what == "opened"
    fields: dict[str, Value | None] = {
        "reason": said.reason,
        "fault": said.what == "failed" or (opened and said.reason not in IN_THE_COURSE_OF_THINGS),
        "measured": said.measured,
        "synchronised": said.synchronised,
    }
    what = {"part": said.part if said.part in PARTS else OTHER, "what": said.what}
    return Point(INCIDENT.name, {**tags, **what}, fields, _time_ms(said, wall_ms))


def _time_ms(said: Sample | Incident, wall_ms: Clock | None) -> int:
    """Return the device's own time, unless its clock is not to be trusted."""
    return said.at_ms if said.synchronised or wall_ms is None else wall_ms()
