"""The durable recorder: batches, fleet processes that are killed, and a broker that lost the session."""

from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest

from gridfleet.broker.protocol.batch import MAX_MESSAGES, pack
from gridfleet.broker.protocol.codec import TIED_TO_RUN, decode, encode
from gridfleet.broker.protocol.messages import FleetPresence, Message, Mode, Presence, Tick
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, WHOLE_SITE, Scope, batch_topic, topic
from gridfleet.dashboards.recording.durable.recorder import JOURNAL, RUNS, DurableRecorder
from gridfleet.dashboards.recording.durable.run import DurableRun
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


def of_epoch(publications: Publications, epoch: int) -> Publications:
    """Return publications as they are in another run."""
    changed: Publications = []
    for text, payload in publications:
        name = text.split("/")[2]
        if name == Tick.TYPE:
            payload = encode(replace(tick_of(payload), epoch=epoch))  # noqa: PLW2901
        elif name in TIED_TO_RUN:
            payload = b'%b,"epoch":%d}' % (payload[:-1], epoch)  # noqa: PLW2901
        changed.append((text, payload))
    return changed


def tick_of(payload: bytes) -> Tick:
    tick = decode(Tick.TYPE, payload)
    assert isinstance(tick, Tick)
    return tick


EPOCH = 1_700_000_000
"""The epoch of `run()`."""


def test_accounts_of_a_former_run_say_that_devices_go_on_with_what_they_had_leased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[object] = []
    monkeypatch.setattr(DurableRun, "note_former_run", lambda run: noted.append(run.committed_serial))
    record(tmp_path / "alone", of_epoch(on_own_connections(), EPOCH))
    assert noted == []
    former = [
        pair for pair in dict(of_epoch(on_own_connections(), EPOCH - 1)).items() if "/tick/" not in pair[0]
    ]
    record(tmp_path / "again", [*former, *of_epoch(on_own_connections(), EPOCH)])
    assert noted != []


def test_what_a_broker_retains_of_a_former_run_opens_no_recording(tmp_path: Path) -> None:
    former = dict(of_epoch(on_own_connections(), EPOCH - 1))  # the last message of each topic
    retained = {text: payload for text, payload in former.items() if MESSAGE_TYPES[text.split("/")[2]].retain}
    assert any("/tick/" in text for text in retained)
    with recorder(tmp_path) as recording:
        for text, payload in retained.items():
            recording.receive(text, payload, NOW_MS, retained=True)
        assert recording.run == ""
        for index, (text, payload) in enumerate(of_epoch(on_own_connections(), EPOCH)):
            recording.receive(text, payload, NOW_MS + index)
    record(tmp_path / "alone", of_epoch(on_own_connections(), EPOCH))
    assert rows(tmp_path) == rows(tmp_path / "alone")


def test_a_bridge_that_brings_a_former_run_back_neither_ends_nor_colours_the_present_one(
    tmp_path: Path,
) -> None:
    former = [*dict(of_epoch(on_own_connections(), EPOCH - 1)).items()]
    assert any(b'"status":"finished"' in payload for _, payload in former)
    present = of_epoch(on_own_connections(), EPOCH)
    middle = len(present) // 2
    births = [pair for pair in former if "/presence/" in pair[0]]
    record(tmp_path / "bridged", [*present[:middle], *former, *births, *present[middle:]])
    record(tmp_path / "alone", present)
    assert rows(tmp_path / "bridged") == rows(tmp_path / "alone")


def test_a_recorder_that_joins_a_run_records_it_from_its_next_phase(tmp_path: Path) -> None:
    publications = on_own_connections()
    ticks = [index for index, (text, _) in enumerate(publications) if "/tick/" in text]
    joins = ticks[len(ticks) // 2]
    with recorder(tmp_path) as recording:
        for index, (text, payload) in enumerate(publications[joins:]):
            recording.receive(text, payload, NOW_MS + index, retained=index == 0)
            assert bool(recording.run) == (joins + index >= ticks[len(ticks) // 2 + 1])
    with opened(tmp_path) as store:
        ticks_recorded = {row.tick for row in store.ticks()}
    joined = tick_of(publications[joins][1]).tick
    assert ticks_recorded == set(range(joined + 1, TICKS))
