"""A live recorder hears batches, hosts that die, and a broker that has forgotten it."""

from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest

from gridfleet.broker.protocol.batch import MAX_MESSAGES, pack
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import FleetPresence, Message, Mode, Presence, Tick
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, WHOLE_SITE, Scope, batch_topic, topic
from gridfleet.dashboards.recording.durable.recorder import JOURNAL, RUNS, DurableRecorder
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import EventRow, RunFacts
from tests.dashboards.runs import Logged, contents, message_log

SITE = "germany"
HOST = "fleet-1"
NOW_MS = 1_750_000_000_000
TICKS = 10
Wired = list[tuple[str, bytes]]


@cache
def run() -> tuple[Logged, ...]:
    """Return a run told by a lock-step clock: no time depends on the test's."""
    return tuple(
        (now_ms, scope, sender, _lockstep(message))
        for now_ms, scope, sender, message in message_log("normal", (), (), TICKS)
    )


def _lockstep(message: Message) -> Message:
    if isinstance(message, Tick):
        return replace(message, mode=Mode.LOCKSTEP, seconds_per_tick=0.0, epoch=1_700_000_000)
    return message


def by_themselves() -> Wired:
    """Return a run as it is on the wire where every device has a connection of its own."""
    return [(topic(SITE, message, scope, sender), encode(message)) for _, scope, sender, message in run()]


def host(*, online: bool) -> tuple[str, bytes]:
    said = FleetPresence(online, 0, {})
    return topic(SITE, said, "", HOST), encode(said)


def behind_a_host() -> Wired:
    """Return the same run where all but the clock speak through one host."""
    log = run()
    cells = {sender: message.cell for _, _, sender, message in log if isinstance(message, Presence)}
    wired: Wired = [host(online=True)]
    told: list[tuple[str | None, str, bytes]] = []
    for _, scope, sender, heard_message in log:
        message = heard_message
        message_type = MESSAGE_TYPES[message.TYPE]
        route = None
        if sender != "clock" and isinstance(message, Presence):
            message = replace(message, via=HOST)
        elif sender != "clock" and not message_type.retain:
            cell = {Scope.SITE: WHOLE_SITE, Scope.CELL: scope}.get(message_type.scope) or cells[scope]
            route = batch_topic(SITE, message_type.name, cell, HOST)
        told.append((route, topic(SITE, message, scope, sender), encode(message)))
    for route, group in groupby(told, key=lambda each: each[0]):
        each = [(text, payload) for _, text, payload in group]
        if route is None:
            wired += each
            continue
        ends = [(text.split("/", 3)[3], payload) for text, payload in each]
        wired += [(route, pack(ends[at : at + MAX_MESSAGES])) for at in range(0, len(ends), MAX_MESSAGES)]
    return wired


def facts(name: str) -> RunFacts:
    return RunFacts("normal", name, 1, "0", 0)


def recorder(folder: Path) -> DurableRecorder:
    return DurableRecorder(folder, SITE, facts, name="normal")


def record(folder: Path, said: Wired) -> None:
    with recorder(folder) as live:
        for index, (text, payload) in enumerate(said):
            live.receive(text, payload, NOW_MS + index)
        assert live.refused == 0


def opened(folder: Path) -> Store:
    (place,) = (folder / RUNS).iterdir()
    return Store.open(place / STORE)


def rows(folder: Path) -> list[list[object]]:
    with opened(folder) as store:
        return contents(store)


def offline(folder: Path) -> list[EventRow]:
    with opened(folder) as store:
        return [event for event in store.events() if event.kind == "offline"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[list[object]]:
    folder = tmp_path_factory.mktemp("reference")
    record(folder, by_themselves())
    return rows(folder)


def test_batches_leave_the_rows_that_single_messages_leave(
    expected: list[list[object]], tmp_path: Path
) -> None:
    said = behind_a_host()
    assert len(said) < len(by_themselves()) / 2
    record(tmp_path, said)
    assert rows(tmp_path) == expected


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_recorder_that_dies_amid_batches_loses_and_doubles_nothing(
    share: float, expected: list[list[object]], tmp_path: Path
) -> None:
    said = behind_a_host()
    safe = round(len(said) * share)
    live = recorder(tmp_path)
    for index, (text, payload) in enumerate(said[: safe + 20]):
        if index == safe:
            live.sync()
        if index == safe - 30:
            live.checkpoint()
        live.receive(text, payload, NOW_MS + index)
    live.abandon()
    with recorder(tmp_path) as again:
        for index, (text, payload) in enumerate(said[safe - 10 :], safe - 10):
            if index < safe:
                assert again.is_known(text, payload)
            else:
                again.receive(text, payload, NOW_MS + index)
    assert rows(tmp_path) == expected


@pytest.mark.parametrize("dies", [False, True])
def test_with_a_host_all_its_devices_are_offline_once(dies: bool, tmp_path: Path) -> None:
    said = behind_a_host()
    devices = {sender for _, _, sender, message in run() if isinstance(message, Presence)}
    gone = host(online=False)
    live = recorder(tmp_path)
    for index, (text, payload) in enumerate(said[: len(said) // 2]):
        live.receive(text, payload, NOW_MS + index)
    live.receive(*gone, NOW_MS + len(said))
    live.sync()
    if dies:
        live.abandon()
        live = recorder(tmp_path)
        live.receive(*gone, NOW_MS + len(said), retained=True)
    live.close()
    assert sorted(event.subject for event in offline(tmp_path)) == sorted(devices - {"clock"})


def gap(said: Wired) -> tuple[int, int]:
    """Return where a stretch of nearly two ticks begins and ends."""
    begins = [
        at
        for at, (text, payload) in enumerate(said)
        if text.split("/")[2] == Tick.TYPE and b'"trade"' in payload
    ]
    return begins[4] + 1, begins[6] - 1


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("told", [True, False])
def test_what_the_broker_has_forgotten_is_not_judged(told: bool, dies: bool, tmp_path: Path) -> None:
    said = by_themselves()
    begin, end = gap(said)
    live = recorder(tmp_path)
    for index, (text, payload) in enumerate(said[:begin]):
        live.receive(text, payload, NOW_MS + index)
    if told:
        live.note_gap(NOW_MS + begin)
    for index, (text, payload) in enumerate(said[end:], end):
        live.receive(text, payload, NOW_MS + index)
        if dies and index == end + 20:
            live.sync()
            live.abandon()
            live = recorder(tmp_path)
    live.close()
    with opened(tmp_path) as store:
        broken = [each.name for each in store.invariants() if each.breaches]
    assert (broken == []) == told
    assert (tmp_path / JOURNAL).is_dir()
