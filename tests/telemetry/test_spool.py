"""The spool on a disk that tears writes, fills up and fails, and the sender with a server that fails too."""

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.errors import StoreError
from gridfleet.broker.storage.segment_log import Position, SegmentLog
from gridfleet.dashboards.telemetry.influx.sender import (
    MAX_WAIT_S,
    BatchTooLarge,
    PointsRejected,
    Sender,
    WriteFailed,
)
from gridfleet.dashboards.telemetry.influx.spool import (
    BATCH_POINTS,
    DEAD_LETTERS,
    LOCK,
    MAX_BYTES,
    MAX_DEAD_LETTER_BYTES,
    STATE,
    Spool,
    inspect_spool,
)

ROOT = Path(__file__).parents[2]
RECORD_HEADER_BYTES = 20


def lines(first: int, count: int) -> list[str]:
    return [f"m n={number}i {number}" for number in range(first, first + count)]


def contents(spool: Spool) -> list[str]:
    batch = spool.batch(max_points=10**9)
    return [] if batch is None else batch.lines


class Server:
    """Accepts points unless configured otherwise; a point is stored once, however often it is written."""

    def __init__(self) -> None:
        self.there: dict[str, int] = {}
        self.wrote = 0
        self.refuses: Callable[[str], bool] = lambda _: False
        self.fails: Exception | None = None
        self.most_lines = 10**9

    def __call__(self, text: str) -> None:
        if self.fails is not None:
            raise self.fails
        batch = text.split("\n")
        if len(batch) > self.most_lines:
            raise BatchTooLarge("413: too large")
        good = [each for each in batch if not self.refuses(each)]
        for each in good:
            self.there[each] = self.there.get(each, 0) + 1
        self.wrote += len(good)
        if len(good) < len(batch):  # as InfluxDB: the others are written all the same
            raise PointsRejected("400: partial write")


def test_points_are_read_as_written_and_forgotten_when_acknowledged(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.add([*lines(0, 2_500), ""])
        assert contents(spool) == []  # unsynced points are not sent
        spool.sync()
        assert spool.synced.is_set()
        assert contents(spool) == lines(0, 2_500)
        assert spool.status().backlog == 2_500
        batch = spool.batch(max_points=1_500)
        assert batch is not None
        assert batch.lines == lines(0, 1_000)  # whole records only
        spool.acknowledge(batch)
        assert contents(spool) == lines(1_000, 1_500)
        assert spool.status()[:2] == (1_500, spool.status().backlog_bytes)
        spool.acknowledge(batch)  # twice changes nothing
        assert spool.status().sent == 1_000


def test_a_restarted_spool_continues(tmp_path: Path) -> None:
    for first in range(0, 300, 100):
        with Spool(tmp_path) as spool:
            spool.add(lines(first, 100))
            assert spool.status().backlog == first
    with Spool(tmp_path) as spool:
        assert contents(spool) == lines(0, 300)
        server = Server()
        assert Sender(spool, server, batch_points=250).step() == 0.0
        assert spool.status().backlog == 100
    with Spool(tmp_path) as spool:
        assert contents(spool) == lines(200, 100)
        assert spool.status().sent == 200


@given(st.data())
def test_synced_records_survive_any_torn_tail(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A crash cuts or garbles what was written after the last sync; never what came before."""
    folder = tmp_path_factory.mktemp("torn")
    with SegmentLog(folder) as log:
        for number in range(data.draw(st.integers(1, 5))):
            log.append(b"%d" % number * 20, 1, number)
        log.sync()
        safe = log.end
        log.append(b"later" * 50, 1, 99)
        log.sync()
    (path,) = folder.glob("*.log")
    whole = path.read_bytes()
    cut = data.draw(st.integers(safe.offset, len(whole)))
    garbage = data.draw(st.binary(max_size=60)) if cut < len(whole) else b""
    path.write_bytes(whole[:cut] + garbage)
    with SegmentLog(folder) as log:
        kept = [record.data for record, _ in log.read()]
        assert kept[: safe.offset // len(whole) + 1]
        before = [record for record, after in log.read() if after <= safe]
        assert [record.time_ms for record in before] == list(range(len(before)))
        assert len(kept) - len(before) == (cut == len(whole))
        log.append(b"after the crash", 1, 100)
        log.sync()
        assert [record.data for record, _ in log.read()] == [*kept, b"after the crash"]


def test_a_full_disk_loses_nothing_and_is_reported(tmp_path: Path) -> None:
    full = False

    def fsync(file: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)

    with Spool(tmp_path, fsync=fsync) as spool:
        spool.add(lines(0, 10))
        spool.sync()
        full = True
        spool.add(lines(10, 10))
        for _ in range(3):
            with pytest.raises(StoreError, match=r"no space left on device.*free some space"):
                spool.sync()
        assert contents(spool) == lines(0, 10)
        full = False
        spool.add(lines(20, 10))
        spool.sync()
        assert contents(spool) == lines(0, 30)
        assert spool.status().backlog == 30


LIMITED = """
import resource, signal, sys
from pathlib import Path
from gridfleet.broker.errors import StoreError
from gridfleet.dashboards.telemetry.influx.spool import Spool
from tests.telemetry.test_spool import lines

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
free = resource.getrlimit(resource.RLIMIT_FSIZE)
with Spool(Path(sys.argv[1])) as spool:
    spool.add(lines(0, 100))
    spool.sync()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, free[1]))
    spool.add(lines(100, 1_000))
    try:
        spool.sync()
    except StoreError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, free)
"""


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    """The kernel's own limit: a write is cut short, the next one fails; in a process of its own, whose limit it is."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "file too large" in done.stdout
    with Spool(tmp_path) as spool:
        assert contents(spool) == lines(0, 1_100)


def test_a_full_spool_drops_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    with Spool(tmp_path, max_bytes=20_000, segment_bytes=2_000) as spool:
        for first in range(0, 10_000, 50):
            spool.add(lines(first, 50))
            spool.sync()
            assert sum(path.stat().st_size for path in tmp_path.glob("*.log")) <= 20_000
        figures = spool.status()
        assert figures.dropped > 0
        kept = contents(spool)
        assert kept == lines(10_000 - len(kept), len(kept))  # the newest, without a gap
        assert figures.dropped + figures.backlog == 10_000
        assert figures.backlog == len(kept)
    assert inspect_spool(tmp_path, 0.0).dropped == figures.dropped


@pytest.mark.parametrize(("segment_bytes", "points"), [(None, 200), (4_096, 200), (1_000, 0)])
def test_the_segment_that_is_written_is_not_dropped(
    tmp_path: Path, segment_bytes: int | None, points: int
) -> None:
    """A spool smaller than one segment keeps that segment; a smaller segment makes room."""
    with Spool(tmp_path, max_bytes=500, segment_bytes=segment_bytes) as spool:
        for first in range(0, 200, 10):
            spool.add(lines(first, 10))
            spool.sync()
        kept = contents(spool)
        assert kept == lines(200 - len(kept), len(kept))
        assert len(kept) == points or (points == 0 and 0 < len(kept) < 100)
        assert spool.status().dropped == 200 - len(kept)


@pytest.mark.parametrize(("max_bytes", "segment_bytes"), [(256 * 100_000, 100_000), (1 << 20, 1 << 16)])
@pytest.mark.parametrize(("missing", "segments"), [(0, 2), (1, 1)])
def test_a_segment_is_a_256th_of_the_spool_and_at_least_64_kib(
    tmp_path: Path, max_bytes: int, segment_bytes: int, missing: int, segments: int
) -> None:
    with Spool(tmp_path, max_bytes=max_bytes) as spool:
        for line in ("x" * (segment_bytes - RECORD_HEADER_BYTES - missing), "y"):
            spool.add([line])
            spool.sync()
        assert len([*tmp_path.glob("*.log")]) == segments


def test_a_batch_has_5_000_points_unless_asked_otherwise(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.add(lines(0, 6_000))
        spool.sync()
        for wanted, found in ((BATCH_POINTS, 5_000), (2_000, 2_000), (2_999, 2_000), (1, 1_000)):
            batch = spool.batch() if wanted == BATCH_POINTS else spool.batch(wanted)
            assert batch is not None
            assert batch.lines == lines(0, found)


def test_a_spool_takes_a_gibibyte_and_a_request_what_influxdata_recommends() -> None:
    assert MAX_BYTES == 1024**3
    assert BATCH_POINTS == 5_000


def test_points_are_written_before_the_disk_is_asked_to_keep_them(tmp_path: Path) -> None:
    synced: list[bool] = []

    def fsync(file: int) -> None:
        os.fsync(file)
        synced.append(any(b"m n=0i 0" in path.read_bytes() for path in tmp_path.glob("*.log")))

    with Spool(tmp_path, fsync=fsync) as spool:
        spool.add(lines(0, 1))
        assert synced == []
        spool.sync()
        assert synced == [False, True]  # the folder of a new segment, then the segment
        spool.sync()
        assert len(synced) == 2  # nothing new, so nothing to sync


def test_closing_twice_is_safe_and_frees_the_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add(lines(0, 3))
    spool.close()
    with Spool(tmp_path) as other:
        spool.close()
        spool.abandon()
        with pytest.raises(StoreError, match="another recorder"):
            Spool(tmp_path)
        assert contents(other) == lines(0, 3)


def test_a_drained_spool_has_no_backlog(tmp_path: Path) -> None:
    with Spool(tmp_path, now_s=lambda: 1_000.0) as spool:
        spool.add(lines(0, 30))
        spool.sync()
        assert spool.status()[:3] == (30, (tmp_path / f"{1:012d}.log").stat().st_size, 0.0)
        assert Sender(spool, Server()).step() == 0.0
        assert spool.batch() is None
        assert spool.status() == (0, 0, 0.0, 30, 0, 0, tmp_path / DEAD_LETTERS)
        assert inspect_spool(tmp_path, 2_000.0) == spool.status()


def test_segments_that_were_accepted_and_other_files_are_no_backlog(tmp_path: Path) -> None:
    """A process that ends between the state file and the deletion leaves an old segment."""
    with Spool(tmp_path, segment_bytes=1) as spool:
        for first in (0, 10, 20):
            spool.add(lines(first, 10))
            spool.sync()
        old = (tmp_path / f"{1:012d}.log").read_bytes()
        batch = spool.batch(20)
        assert batch is not None
        spool.acknowledge(batch)
        (tmp_path / f"{1:012d}.log").write_bytes(old)
        (tmp_path / "0-notes.log").write_text("of somebody else")
        assert inspect_spool(tmp_path, 0.0).backlog == spool.status().backlog == 10
        assert inspect_spool(tmp_path, 0.0).backlog_bytes == spool.status().backlog_bytes


def test_only_its_owner_can_read_the_lock_file(tmp_path: Path) -> None:
    with Spool(tmp_path):
        assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600


def test_only_one_process_has_a_spool(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(StoreError, match="another recorder is using it"):
        Spool(tmp_path)


def test_a_lost_state_file_sends_again_but_loses_nothing(tmp_path: Path) -> None:
    server = Server()
    with Spool(tmp_path) as spool:
        spool.add(lines(0, 50))
        spool.sync()
        Sender(spool, server).step()
        spool.add(lines(50, 50))
    (tmp_path / STATE).write_text("{")
    with Spool(tmp_path) as spool:
        Sender(spool, server).step()
    assert sorted(server.there) == sorted(lines(0, 100))


def test_status_is_read_beside_a_running_spool(tmp_path: Path) -> None:
    now_s = 1_000.0
    with Spool(tmp_path, now_s=lambda: now_s) as spool:
        spool.add(lines(0, 30))
        spool.sync()
        now_s = 1_060.0
        assert inspect_spool(tmp_path, now_s) == spool.status()
        assert spool.status().oldest_s == 60.0
    with pytest.raises(StoreError, match="there is no spool"):
        inspect_spool(tmp_path / "nowhere", now_s)


# --- the sender --------------------------------------------------------------------------------------------


def test_bad_points_are_buried_with_the_reason_and_the_others_sent(tmp_path: Path) -> None:
    server = Server()
    server.refuses = lambda each: int(each.split()[2]) % 37 == 5
    with Spool(tmp_path) as spool:
        spool.add(lines(0, 200))
        spool.sync()
        assert Sender(spool, server).step() == 0.0
        bad = [each for each in lines(0, 200) if server.refuses(each)]
        buried = [json.loads(each) for each in (tmp_path / DEAD_LETTERS).read_text().splitlines()]
        assert [each["point"] for each in buried] == bad
        assert {each["reason"] for each in buried} == {"400: partial write"}
        assert sorted(server.there) == sorted(set(lines(0, 200)) - set(bad))
        assert spool.status()[3:5] == (200 - len(bad), len(bad))


def test_a_request_that_is_too_large_is_halved(tmp_path: Path) -> None:
    server = Server()
    server.most_lines = 60
    with Spool(tmp_path) as spool:
        spool.add(lines(0, 200))
        spool.sync()
        assert Sender(spool, server).step() == 0.0
        assert server.wrote == len(server.there) == 200
        assert spool.status().rejected == 0


def test_a_dead_letter_that_cannot_be_written_keeps_its_point(tmp_path: Path) -> None:
    server = Server()
    server.refuses = lambda _: True
    with Spool(tmp_path) as spool:
        spool.add(lines(0, 1))
        spool.sync()
        (tmp_path / DEAD_LETTERS).mkdir()
        sender = Sender(spool, server)
        assert sender.step() > 0
        assert spool.status().backlog == 1
        (tmp_path / DEAD_LETTERS).rmdir()
        assert sender.step() == 0.0
        assert spool.status().rejected == 1


@pytest.mark.parametrize(("size", "is_written"), [((16 << 20) - 1, True), (16 << 20, False)])
def test_dead_letters_take_16_mib_and_are_only_counted_beyond_that(
    tmp_path: Path, size: int, is_written: bool
) -> None:
    assert MAX_DEAD_LETTER_BYTES == 16 << 20
    path = tmp_path / DEAD_LETTERS
    path.touch()
    os.truncate(path, size)  # a file with a hole
    with Spool(tmp_path) as spool:
        spool.dead_letter("m n=1i 1", "400: bad")
    assert (path.stat().st_size > size) is is_written


def test_a_dead_letter_is_on_the_disk_when_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        "gridfleet.dashboards.telemetry.influx.spool.os.fsync",
        lambda _: synced.append((tmp_path / DEAD_LETTERS).read_text(encoding="utf-8")),
    )
    with Spool(tmp_path, now_s=lambda: 12.34567) as spool:
        spool.dead_letter("m,cell=süd n=1i 1", "400: bad")
    (text,) = synced
    assert json.loads(text) == {"time": 12.346, "reason": "400: bad", "point": "m,cell=süd n=1i 1"}
    assert "süd" in text  # as an operator reads it


def test_an_outage_of_ten_minutes_by_the_tests_clock(tmp_path: Path) -> None:
    """Points come in all the time; the sender waits longer and longer, never in step; then everything is sent."""
    server, now_s, added = Server(), 0.0, 0
    with Spool(tmp_path, now_s=lambda: now_s) as spool:
        sender = Sender(spool, server, rng=random.Random(1))
        server.fails = WriteFailed("no answer")
        next_s = next_add_s = 0.0
        waits = []
        while now_s < 600.0:
            now_s = min(next_s, next_add_s)
            if now_s == next_add_s:
                spool.add(lines(added, 20))
                spool.sync()
                added += 20
                next_add_s = now_s + 1.0
            if now_s == next_s:
                waits.append(sender.step())
                next_s = now_s + waits[-1]
        assert spool.status().backlog == added
        assert spool.status().oldest_s == pytest.approx(600.0, abs=1.0)
        waits = [each for each in waits if each != 1.0]
        assert 20 <= len(waits) <= 60
        assert all(MAX_WAIT_S / 2 <= each <= MAX_WAIT_S for each in waits[8:])
        assert len(set(waits)) == len(waits)
        assert waits[0] <= 0.5
        server.fails = None
        while sender.step() == 0.0:
            pass
        assert (sender.failures, sender.last_error) == (0, "")
        assert sorted(server.there.values()) == [1] * added
        assert spool.status().backlog == 0


def test_a_server_that_asks_to_be_left_alone_is(tmp_path: Path) -> None:
    server = Server()
    with Spool(tmp_path) as spool:
        spool.add(lines(0, 1))
        spool.sync()
        server.fails = WriteFailed("429: too many requests", 7.0)
        assert Sender(spool, server).step() == 7.0


def test_a_sender_thread_sends_what_comes_and_ends(tmp_path: Path) -> None:
    server = Server()
    with Spool(tmp_path) as spool:
        sender = Sender(spool, server)
        sender.start()
        assert sender.alive
        for first in range(0, 1_000, 100):
            spool.add(lines(first, 100))
            spool.sync()
        sender.stop()
        ended = not sender.alive
        assert ended
        assert sorted(server.there) == sorted(lines(0, 1_000))
        assert spool.status().backlog == 0


def test_a_log_numbers_on_after_what_was_deleted(tmp_path: Path) -> None:
    with SegmentLog(tmp_path, after=7) as log:
        log.append(b"x", 1, 1)
        log.sync()
        assert log.segments == [8]
        log.rotate()
        log.append(b"y", 1, 2)
        log.sync()
        log.drop_before(9)
        assert [record.data for record, _ in log.read(Position(9, 0))] == [b"y"]
