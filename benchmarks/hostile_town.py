"""The small town of the benchmark `hostile-payloads`: its scenario, its valid messages, and what receivers make of it.

A simulated run in lock-step gives the ledger, the points and the lines that a site over a broker must give too.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.hostile_messages import Example
from gridfleet.broker.protocol.messages import (
    Control,
    Correction,
    FleetPresence,
    Grant,
    Incident,
    Message,
    Phase,
    Presence,
    Ready,
    Role,
    Sample,
    State,
    Surplus,
    Suspension,
)
from gridfleet.broker.protocol.topics import CLOCK_ID, RECORDER_ID, TOPIC_TABLE
from gridfleet.dashboards.console.site_view import SiteView
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.points import Point
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.runtime.simulation import Simulation

SITE: Final = "town"
TEXT: Final = """\
site = "town"
[area]
rows = 2
columns = 1
[turbines]
count = 4
rotor_diameter_m = 20
[battery]
count = 2
[chargers]
count = 6
[households]
count = 6
[vehicles]
count = 30
"""
FLEET: Final = "fleet-1"
LIAR: Final = "vehicle-liar"
"""Enrolled as a vehicle of the first cell."""
TABLES: Final = ("ticks", "trades", "reservations", "agents", "vehicles", "storages", "figures", "events")
"""The tables of a store that hold what devices did."""
EXAMPLE_TICKS: Final = 12


class Expected(NamedTuple):
    """What a run of the town gives where nobody interferes."""

    rows: Mapping[str, list[tuple[object, ...]]]
    """Table of the store -> its rows."""
    points: list[Point]
    lines: list[str]
    """What `gridfleet watch` writes for each finished tick."""
    holds: bool
    """The auditor's verdict."""


def scenario(ticks: int) -> Scenario:
    """Return the town's scenario."""
    return parse(TEXT, f"{SITE}.toml", "", [f"ticks={ticks}"])


def birth() -> Presence:
    """Return the birth of the hostile client, which is a valid message."""
    return Presence(
        online=True, role=Role.VEHICLE, cell="cell-1-1", latitude=51.0, longitude=8.0, kind="vehicle"
    )


def expected(ticks: int) -> Expected:
    """Simulate the town for so many ticks, beside the hostile client's birth; return what its receivers make of it."""
    points: list[Point] = []
    view = SiteView()
    facts = RunFacts(SITE, SITE, 1, "0", scenario(ticks).start_ms)
    with Recording(
        None, facts, site=SITE, exact=False, sink=points.append, run=SITE, now_s=lambda: 0.0
    ) as run:

        def receive(now_ms: int, scope: str, sender: str, message: Message) -> None:
            run.receive(now_ms, scope, sender, message)
            view.receive(scope, sender, message, retained=False)

        receive(scenario(ticks).start_ms, birth().scope, LIAR, birth())
        Simulation(scenario(ticks), receivers=(receive,)).run()
        holds = run.finish().holds
        rows = {table: rows_of(run.store, table) for table in TABLES}
    return Expected(rows, points, [line for line in view.new_lines if line.startswith("tick")], holds)


def rows_of(store: object, table: str) -> list[tuple[object, ...]]:
    """Return all rows of a table."""
    return [tuple(row) for row in store.select(f"SELECT * FROM {table}")]  # type: ignore[attr-defined] # noqa: S608


@cache
def examples() -> tuple[Example, ...]:
    """Return valid messages of every message type: of a simulated run, and of what only real sites publish."""
    found: dict[tuple[str, str, str], Example] = {}
    now_ms = scenario(EXAMPLE_TICKS).start_ms

    def receive(_now_ms: int, scope: str, sender: str, message: Message) -> None:
        role = message.scope if isinstance(message, Presence | State) else ""
        size = "full" if getattr(message, "packages", ()) or getattr(message, "lots", ()) else ""
        found[message.TYPE, role, size] = Example(scope, sender, message)

    Simulation(scenario(EXAMPLE_TICKS), receivers=(receive,)).run()
    names = {each.message.role: each.sender for each in found.values() if isinstance(each.message, Presence)}
    turbine = names[Role.PRODUCER]
    made: list[tuple[str, str, Message]] = [
        ("", turbine, Ready(1, Phase.BID)),
        ("", turbine, Correction(1, 500, 0, 0, 10**9)),
        ("", turbine, Sample(now_ms, synchronised=True, measured=True, readings={"wind_m_per_s": 5.0})),
        (
            "",
            turbine,
            Incident(now_ms, synchronised=True, measured=True, part="brake", what="applied", reason=""),
        ),
        ("cell-2-1", turbine, Surplus(1, 500)),
        (names[Role.CHARGER], CLOCK_ID, Grant(1, now_ms)),
        (turbine, RECORDER_ID, Suspension("oversell", "award 3 of tick 1", 2, 10)),
        ("paused", "operator", Control(value=True, revision=99)),
        ("", FLEET, FleetPresence(online=True, devices=50, refused={})),
    ]
    for each in made:
        found.setdefault((each[2].TYPE, "", ""), Example(*each))
    missing = {each.name for each in TOPIC_TABLE} - {name for name, _, _ in found}
    if missing:
        raise LookupError(
            f"the benchmark has no example of {', '.join(sorted(missing))}: add one to examples()"
        )
    return tuple(found.values())


def roles(*, secure: bool) -> dict[str, str]:
    """Return the role of a device of each role by its id, the clock's and the hostile client's.

    Without access rules only those whose births a fleet process receives: it believes others to have the right role.
    """
    births = {each.sender: each.message.role for each in examples() if isinstance(each.message, Presence)}
    found = {**births, LIAR: Role.VEHICLE}
    unknown = frozenset[Role]() if secure else frozenset({Role.GRID_SUPPLY, Role.VEHICLE})
    return {name: str(role) for name, role in found.items() if role not in unknown}


def write_scenario(folder: Path) -> Path:
    """Write the scenario into a folder; return its path."""
    path = folder / f"{SITE}.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path
