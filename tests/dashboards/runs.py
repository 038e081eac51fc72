"""Short simulated runs as logs of their messages, and what audit and recorder make of them."""

from dataclasses import replace
from functools import cache

from gridfleet.broker.protocol.messages import Message
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.dashboards.recording.recorder import Recorder
from gridfleet.dashboards.store.database import Store
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import parse_faults
from gridfleet.devices.runtime.simulation import Simulation

Logged = tuple[int, str, str, Message]
SMALL = ("area.rows=2", "area.columns=2", "chargers.count=40", "vehicles.count=40", "turbines.count=12")
TABLES = (
    "ticks",
    "trades",
    "reservations",
    "agents",
    "vehicles",
    "storages",
    "figures",
    "figure_meanings",
    "events",
)


@cache
def message_log(
    name: str = "normal",
    changes: tuple[str, ...] = (),
    faults: tuple[str, ...] = (),
    ticks: int = 40,
    seed: int = 1,
) -> tuple[Logged, ...]:
    log: list[Logged] = []
    chosen = parse_faults(faults) if faults else None

    def receive(simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        log.append((simulated_ms, scope, sender, message))

    Simulation(load(name, changes), seed=seed, ticks=ticks, faults=chosen, receivers=(receive,)).run()
    return tuple(log)


def audit(
    log: tuple[Logged, ...] | list[Logged], *, exact: bool = True, skew_s: int = 0
) -> dict[str, Finding]:
    auditor = Auditor(exact=exact, clock_skew_ms=skew_s * 1000)
    for each in log:
        auditor.receive(*each)
    return {finding.name: finding for finding in auditor.finish()}


def change(log: list[Logged], at: int, **fields: object) -> None:
    """Replace fields of a logged message."""
    now, scope, sender, message = log[at]
    log[at] = (now, scope, sender, replace(message, **fields))


def broken(findings: dict[str, Finding]) -> dict[str, tuple[str, ...]]:
    return {name: finding.examples for name, finding in findings.items() if not finding.holds}


def record(log: tuple[Logged, ...] | list[Logged]) -> Store:
    store = Store.create()
    recorder = Recorder(store)
    for each in log:
        recorder.receive(*each)
    recorder.finish()
    return store


def contents(store: Store) -> list[list[object]]:
    return [list(getattr(store, table)()) for table in TABLES]
