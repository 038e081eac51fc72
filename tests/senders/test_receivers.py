"""What a sender may not publish changes nothing at any receiver: ledger, audit, telemetry, views, agents, clock."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.client import topic_matches_sub

from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Message, Mode, Presence, Role, State
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, Address
from gridfleet.dashboards.console.site_view import SiteView
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.points import Point
from gridfleet.devices.agents.base import Agent, Out
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.runtime.agent_runner import filters_of
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.clients.retained import decoded, presences
from tests.dashboards.runs import TABLES
from tests.senders.publications import (
    SITE,
    Publication,
    devices,
    honest,
    hostile,
    scenario,
    senders,
    with_hostile,
)

Received = tuple[int, Address, Message]


def received(publications: Iterable[Publication]) -> Iterator[Received]:
    """Yield what a receiver of everything believes: simulated time, address and message."""
    decoder = SiteDecoder(SITE)
    for each in publications:
        for address, message in decoder.decode(each.topic, each.payload, lambda *_: None):
            yield each.simulated_ms, address, message


def everything() -> Iterator[Publication]:
    for each, _ in with_hostile():
        yield each


def test_hostile_messages_come_between_the_honest_ones() -> None:
    wrong = [each for each, honestly in with_hostile() if not honestly]
    assert len(wrong) > 10 * len(hostile())
    assert [each for each, honestly in with_hostile() if honestly] == list(honest())


def recorded(publications: Iterable[Publication], folder: Path) -> dict[str, object]:
    """Return the rows, findings and telemetry points of a recording."""
    points: list[Point] = []
    facts = RunFacts("town", "Town", 3, "0", scenario().start_ms)
    with Recording(
        folder, facts, site=SITE, exact=False, sink=points.append, run="town", now_s=lambda: 0.0
    ) as run:
        for simulated_ms, address, message in received(publications):
            run.receive(simulated_ms, address.scope, address.sender, message)
        result = run.finish()
        rows = {table: [*map(tuple, run.store.select(f"SELECT * FROM {table}"))] for table in TABLES}  # noqa: S608 - our own names
    return {"rows": rows, "findings": result.findings, "points": points}


def test_ledger_audit_and_telemetry_hold_what_the_honest_said(tmp_path: Path) -> None:
    without, beside = recorded(honest(), tmp_path / "a"), recorded(everything(), tmp_path / "b")
    assert without["rows"]["trades"]  # type: ignore[index] # a dictionary of tables
    assert without["points"]
    for part, value in without.items():
        assert beside[part] == value, part


def viewed(publications: Iterable[Publication]) -> SiteView:
    view = SiteView()
    for _, address, message in received(publications):
        view.receive(address.scope, address.sender, message, retained=False)
    return view


def test_the_terminal_view_shows_what_the_honest_said() -> None:
    without, beside = viewed(honest()), viewed(everything())
    assert without.new_lines
    assert without.ended
    assert without.devices == beside.devices
    assert without.accounts == beside.accounts
    assert without.new_lines == beside.new_lines
    assert without.clock == beside.clock
    assert [each.totals for each in without.finished] == [each.totals for each in beside.finished]
    assert without.facts == beside.facts


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.CLOCK])
def test_an_agent_acts_on_what_the_honest_said(role: Role) -> None:
    """In a process that knows the births, as one with a shared connection does."""

    def run(publications: Iterable[Publication]) -> tuple[list[Out], Agent]:
        agent = Fleet(scenario(), 3).build_agent(devices()[role])
        filters = [text for text, _ in filters_of(SITE, agent)]
        decoder = SiteDecoder(SITE)
        out: list[Out] = []
        for each in publications:
            believed = decoder.decode(each.topic, each.payload, lambda *_: None)
            for address, message in believed:
                if address.sender == agent.id or not any(topic_matches_sub(f, each.topic) for f in filters):
                    continue
                out += act(agent, address, message, each.simulated_ms)
        return out, agent

    (without, quiet), (beside, tried) = run(honest()), run(everything())
    assert any(without), "it acts at all"
    assert beside == without
    assert tried.refused == quiet.refused
    assert tried.balance_neur == quiet.balance_neur


def act(agent: Agent, address: Address, message: Message, now_ms: int) -> Iterator[Out]:
    """Yield what an agent publishes on a message, after what was due before it."""
    for due_ms in (agent.deadline_ms, agent.event_ms):
        if due_ms is not None and due_ms <= now_ms:
            yield agent.wake(now_ms)
    yield agent.handle(address.scope, address.sender, message, now_ms)


@pytest.mark.parametrize("mode", [Mode.LOCKSTEP, Mode.SCALED])
def test_the_clock_hears_devices_and_operators_alone(mode: Mode) -> None:
    def run(publications: Iterable[Publication]) -> tuple[list[Out], Clock]:
        clock = Fleet(scenario(), 3).clock(mode)
        out: list[Out] = [clock.start(0), clock.begin(0)]
        for _, address, message in received(publications):
            if type(message) in clock.handlers:
                out.append(clock.handle(address.scope, address.sender, message, 1))
        return out, clock

    def heard(publications: Iterable[Publication]) -> Iterator[Publication]:
        """Without the honest clock's own messages, which this clock would have published."""
        return (each for each in publications if each.sender != "clock")

    (without, quiet), (beside, tried) = run(heard(honest())), run(heard(everything()))
    assert beside == without
    assert quiet.online_devices == tried.online_devices
    assert len(quiet.online_devices) == len(Fleet(scenario(), 3).ids)
    assert (quiet.settings, quiet.pace.mode, quiet.pace.paused) == (
        tried.settings,
        tried.pace.mode,
        tried.pace.paused,
    )


def test_the_retained_messages_say_the_same_in_any_order() -> None:
    """What `gridfleet site status` and `purge` read."""
    good = {each.topic: each.payload for each in honest() if MESSAGE_TYPES[each.message.TYPE].retain}
    bad = {
        each.publication.topic: each.publication.payload
        for each in hostile()
        if each.message_type.retain and not isinstance(each.publication.message, Presence)
    }
    assert len(bad) > 10
    assert not good.keys() & bad.keys()
    expected = presences(decoded(SITE, good))
    assert set(expected) == set(Fleet(scenario(), 3).ids) | {"clock", *senders().values()}
    states = [message for _, message in decoded(SITE, good) if isinstance(message, State)]
    for mixed in ({**good, **bad}, {**bad, **good}, dict(reversed({**good, **bad}.items()))):
        found = decoded(SITE, mixed)
        assert presences(found) == expected
        assert sorted(map(repr, (m for _, m in found if isinstance(m, State)))) == sorted(map(repr, states))


def test_a_vehicle_finds_a_charger_in_one_cell_at_a_time() -> None:
    agent = Fleet(scenario(), 3).build_agent(devices()[Role.VEHICLE])
    cells = [cell.name for cell in Fleet(scenario(), 3).cells]
    birth = Presence(True, Role.CHARGER, cells[0], 51.0, 9.0)
    for cell in (*cells, *reversed(cells)):
        moved = replace(birth, cell=cell)
        assert agent.handle(moved.scope, "c", moved, 0) == ()
        rosters = [roster.members.get("c") for roster in agent.search._rosters]  # type: ignore[attr-defined] # noqa: SLF001
        assert [each.cell for each in rosters if each is not None] == [cell]
    assert agent.handle(f"{cells[0]}/vehicle", "c", replace(birth, role=Role.VEHICLE), 0) == ()
    assert agent.refused == {"presence": 1}
