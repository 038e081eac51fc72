"""Points of simulated runs, for tests."""

from functools import cache

from gridfleet.dashboards.recording.recording import Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.points import Point
from tests.dashboards.runs import Logged, message_log


def points_of(log: tuple[Logged, ...] | list[Logged], scenario: str = "normal") -> list[Point]:
    """Return the points that a recording of these messages makes."""
    points: list[Point] = []
    facts = RunFacts(scenario, scenario, 1, "0", 0)
    with Recording(None, facts, site="germany", exact=False, sink=points.append) as recording:
        for each in log:
            recording.receive(*each)
        recording.finish()
    return points


@cache
def points(
    name: str = "normal",
    changes: tuple[str, ...] = (),
    faults: tuple[str, ...] = (),
    ticks: int = 24,
) -> tuple[Point, ...]:
    return tuple(points_of(message_log(name, changes, faults, ticks), name))
