"""Points of simulated runs, for tests."""

from functools import cache

from gridfleet.broker.protocol.messages import Message
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.points import Point
from gridfleet.devices.runtime.simulation import Simulation
from tests.dashboards.runs import Logged, message_log
from tests.heat_pumps import scenario_with_all_roles


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


@cache
def messages_of_all_roles(ticks: int = 12) -> tuple[Logged, ...]:
    """Return the messages of a run with batteries, and with heat pumps, which report figures of their own."""
    log: list[Logged] = []

    def receive(simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        log.append((simulated_ms, scope, sender, message))

    with scenario_with_all_roles("normal") as scenario:
        Simulation(scenario, ticks=ticks, receivers=(receive,)).run()
    return tuple(log)


@cache
def points_of_all_roles() -> tuple[Point, ...]:
    """Return the points of that run."""
    return tuple(points_of(messages_of_all_roles()))
