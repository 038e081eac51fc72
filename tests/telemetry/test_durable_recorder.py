"""The durable recorder: batches, fleet processes that are killed, and a broker that lost the session."""

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
from tests.dashboards.runs import Logged, contents
from tests.telemetry.collected import messages_of_all_roles

SITE = "germany"
FLEET = "fleet-1"
NOW_MS = 1_750_000_000_000
TICKS = 10
Publications = list[tuple[str, bytes]]


@cache
def run() -> tuple[Logged, ...]:
    """Return a run of a lock-step clock, so that no time depends on the test's; with storages and own figures."""
    return tuple(
        (now_ms, scope, sender, _lockstep(message))
        for now_ms, scope, sender, message in messages_of_all_roles(TICKS)
    )


def _lockstep(message: Message) -> Message:
    if isinstance(message, Tick):
        return replace(message, mode=Mode.LOCKSTEP, seconds_per_tick=0.0, epoch=1_700_000_000)
    return message


def on_own_connections() -> Publications:
    """Return a run as it is on the wire where every device has a connection of its own."""
    return [(topic(SITE, message, scope, sender), encode(message)) for _, scope, sender, message in run()]


def fleet_presence(*, online: bool) -> tuple[str, bytes]:
    presence = FleetPresence(online, 0, {})
    return topic(SITE, presence, "", FLEET), encode(presence)


def behind_a_fleet_process() -> Publications:
    """Return the same run where one fleet process publishes for all devices except the clock."""
    log = run()
    cells = {sender: message.cell for _, _, sender, message in log if isinstance(message, Presence)}
    publications: Publications = [fleet_presence(online=True)]
    routed: list[tuple[str | None, str, bytes]] = []
    for _, scope, sender, original in log:
        message = original
        message_type = MESSAGE_TYPES[message.TYPE]
        route = None
        if sender != "clock" and isinstance(message, Presence):
            message = replace(message, via=FLEET)
        elif sender != "clock" and not message_type.retain:
            cell = {Scope.SITE: WHOLE_SITE, Scope.CELL: scope}.get(message_type.scope) or cells[scope]
            route = batch_topic(SITE, message_type.name, cell, FLEET)
        routed.append((route, topic(SITE, message, scope, sender), encode(message)))
    for route, group in groupby(routed, key=lambda each: each[0]):
        each = [(text, payload) for _, text, payload in group]
        if route is None:
            publications += each
            continue
        ends = [(text.split("/", 3)[3], payload) for text, payload in each]
        publications += [
            (route, pack(ends[at : at + MAX_MESSAGES])) for at in range(0, len(ends), MAX_MESSAGES)
        ]
    return publications


def facts(name: str) -> RunFacts:
    return RunFacts("normal", name, 1, "0", 0)


def recorder(folder: Path) -> DurableRecorder:
    return DurableRecorder(folder, SITE, facts, name="normal")


def record(folder: Path, publications: Publications) -> None:
    with recorder(folder) as recording:
        for index, (text, payload) in enumerate(publications):
            recording.receive(text, payload, NOW_MS + index)
        assert recording.refused == 0


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
    record(folder, on_own_connections())
    return rows(folder)


def test_batches_make_the_same_rows_as_single_messages(expected: list[list[object]], tmp_path: Path) -> None:
    publications = behind_a_fleet_process()
    assert len(publications) < len(on_own_connections()) / 2
    record(tmp_path, publications)
    assert rows(tmp_path) == expected


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_recorder_that_is_killed_between_batches_loses_and_doubles_nothing(
    share: float, expected: list[list[object]], tmp_path: Path
) -> None:
    publications = behind_a_fleet_process()
    safe = round(len(publications) * share)
    recording = recorder(tmp_path)
    for index, (text, payload) in enumerate(publications[: safe + 20]):
        if index == safe:
            recording.sync()
        if index == safe - 30:
            recording.checkpoint()
        recording.receive(text, payload, NOW_MS + index)
    recording.abandon()
    with recorder(tmp_path) as again:
        for index, (text, payload) in enumerate(publications[safe - 10 :], safe - 10):
            if index < safe:
                assert again.is_known(text, payload)
            else:
                again.receive(text, payload, NOW_MS + index)
    assert rows(tmp_path) == expected


@pytest.mark.parametrize("is_killed", [False, True])
def test_when_a_fleet_process_dies_its_devices_are_offline_once(is_killed: bool, tmp_path: Path) -> None:
    publications = behind_a_fleet_process()
    devices = {sender for _, _, sender, message in run() if isinstance(message, Presence)}
    last_will = fleet_presence(online=False)
    recording = recorder(tmp_path)
    for index, (text, payload) in enumerate(publications[: len(publications) // 2]):
        recording.receive(text, payload, NOW_MS + index)
    recording.receive(*last_will, NOW_MS + len(publications))
    recording.sync()
    if is_killed:
        recording.abandon()
        recording = recorder(tmp_path)
        recording.receive(*last_will, NOW_MS + len(publications), retained=True)
    recording.close()
    assert sorted(event.subject for event in offline(tmp_path)) == sorted(devices - {"clock"})


def gap(publications: Publications) -> tuple[int, int]:
    """Return where a stretch of nearly two ticks begins and ends."""
    begins = [
        at
        for at, (text, payload) in enumerate(publications)
        if text.split("/")[2] == Tick.TYPE and b'"trade"' in payload
    ]
    return begins[4] + 1, begins[6] - 1


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize(
    ("missing", "reported", "holds"), [("", True, True), ("", False, True), ("award receipt", False, False)]
)
def test_ticks_in_a_gap_that_is_reported_or_shows_by_its_phases_are_not_judged(
    missing: str, reported: bool, holds: bool, is_killed: bool, tmp_path: Path
) -> None:
    publications = on_own_connections()
    begin, end = gap(publications)
    received = [
        not begin <= at < end or (missing != "" and text.split("/")[2] not in missing.split())
        for at, (text, _) in enumerate(publications)
    ]
    recording = recorder(tmp_path)
    for index, (text, payload) in enumerate(publications):
        if index == begin and reported:
            recording.note_gap(NOW_MS + begin)
        if received[index]:
            recording.receive(text, payload, NOW_MS + index)
        if is_killed and index == end + 20:
            recording.sync()
            recording.abandon()
            recording = recorder(tmp_path)
    recording.close()
    with opened(tmp_path) as store:
        broken = [each.name for each in store.invariants() if each.breaches]
    assert (broken == []) == holds
    assert (tmp_path / JOURNAL).is_dir()
