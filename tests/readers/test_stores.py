"""Damaged stores, status files and segments: content is checked when it is read; the error names file and table."""

import json
import random
import sqlite3
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from gridfleet.broker.errors import StoreError
from gridfleet.broker.storage.segment_log import SegmentLog
from gridfleet.dashboards.recording.durable.journal import Journal
from gridfleet.dashboards.recording.durable.status import had_session
from gridfleet.dashboards.reports.export import write_exports
from gridfleet.dashboards.reports.report import report_html
from gridfleet.dashboards.store import schema
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.telemetry.influx.spool import Spool, inspect_spool, read_state
from gridfleet.devices.edge.offline_queue import OfflineQueue
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.processes.heartbeat import health_problem
from gridfleet.provisioning.processes.recorder_status import read_status
from gridfleet.provisioning.runs.key_figures import key_figures
from gridfleet.provisioning.runs.live_run import BROKER_FILE, live_run
from tests.dashboards.synthetic import Fleet, build
from tests.readers.cases import flipped

FLIPS = 60
NAMED = [(table.name, column.split()[0]) for table in schema.TABLES for column in table.columns.split(", ")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("store") / "run.sqlite"
    build(Fleet(ticks=6), Store.create(path)).close()
    return path.read_bytes()


@pytest.fixture
def store(image: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "run.sqlite"
    path.write_bytes(image)
    return path


def use(path: Path, folder: Path) -> str:
    """Do with a store what `report` does with it, but the pictures; return the error, if any."""
    try:
        with Store.open(path) as opened:
            write_exports(opened, folder)
            key_figures(opened)
            report_html(opened, {})
    except StoreError as error:
        return str(error)
    return ""


def test_a_flipped_bit_is_one_line_or_changes_a_value_only(image: bytes, store: Path, tmp_path: Path) -> None:
    rng = random.Random(37)
    refused = 0
    for _ in range(FLIPS):
        store.write_bytes(flipped(image, rng.randrange(len(image)), rng.randrange(8)))
        if problem := use(store, tmp_path / "out"):
            refused += 1
            assert problem.startswith(str(store))
            assert problem.isprintable()
    assert 0 < refused < FLIPS


@pytest.mark.parametrize("value", ["x'ff00'", "'no number'", "9e999", "9223372036854775807", "NULL"])
def test_a_cell_of_another_type_is_named_or_harmless(
    value: str, image: bytes, store: Path, tmp_path: Path
) -> None:
    refused = set()
    for table, column in NAMED:
        store.write_bytes(image)
        with sqlite3.connect(store) as damaged:
            try:
                done = damaged.execute(f"UPDATE OR REPLACE {table} SET {column} = {value}").rowcount  # noqa: S608
            except sqlite3.IntegrityError:  # NULL where the table allows none
                continue
        if not done:
            continue
        if problem := use(store, tmp_path / "out"):
            overflow = "SQLite failed (integer overflow)"  # of a sum, and a device may report such a number
            assert f"the table {table} is damaged in column {column}" in problem or overflow in problem
            refused.add(column)
    least = {"x'ff00'": 40, "'no number'": 30, "9e999": 3, "9223372036854775807": 3, "NULL": 0}
    assert least[value] <= len(refused)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM schema", "the table schema is damaged: it has no version"),
        ("UPDATE schema SET version = 'three'", "a store of version 'three', where this program reads"),
        (
            "UPDATE meta SET value = 'no json' WHERE key = 'facts'",
            "the table meta is damaged under the key facts",
        ),
        ("UPDATE meta SET value = '[]' WHERE key = 'facts'", "under the key facts"),
        ("UPDATE meta SET value = x'00' WHERE key = 'facts'", "under the key facts"),
        ("UPDATE meta SET value = '[[1, 2]]' WHERE key = 'invariants'", "under the key invariants"),
        ("DROP TABLE trades", "not a readable store (no such table: trades)"),
        ("ALTER TABLE ticks DROP COLUMN messages", "no such column: messages"),
    ],
)
def test_a_damaged_table_is_named(statement: str, words: str, store: Path) -> None:
    with sqlite3.connect(store) as damaged:
        assert damaged.execute("SELECT count(*) FROM meta").fetchone() > (1,)
        damaged.execute(statement)
    with pytest.raises(StoreError) as caught:
        Store.open(store)
    assert words in str(caught.value)


def test_an_emptied_meta_is_an_unnamed_run(store: Path, tmp_path: Path) -> None:
    with sqlite3.connect(store) as damaged:
        damaged.execute("DELETE FROM meta")
    assert use(store, tmp_path / "out") == ""


FOREIGN = (
    "",
    "[]",
    "null",
    "7",
    "{}",
    '{"time": "now"}',
    '{"time": true}',
    "[" * 5000,
    "\x00",
    '{"at_s": "x"}',
)


def _status(folder: Path) -> None:
    with pytest.raises(CommandError, match="contains no status of a recorder"):
        read_status(folder, time.time())


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("status.json", _status),
        ("status.json", had_session),
        ("state.json", lambda folder: read_state(folder).sent == 0 or pytest.fail("a state from nothing")),
        (
            "beat",
            lambda folder: health_problem(folder / "beat", 0.0) or pytest.fail("a heartbeat from nothing"),
        ),
        (BROKER_FILE, lambda folder: live_run(folder) is None or pytest.fail("a run from nothing")),
    ],
)
def test_foreign_content_of_our_small_files(
    content: str, name: str, check: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    check(tmp_path)


def test_a_status_with_another_type_below_a_key_is_refused(tmp_path: Path) -> None:
    whole = {
        "time": 1.0, "pid": 2**70, "site": "s", "run": None, "has_spool": False, "connected": True,
        "offline_reason": "", "influx_error": "", "received": 1, "refused": 0, "redelivered": 0, "journal_bytes": 1,
        "rejected": 0, "dropped": 0,
    }  # fmt: skip
    for key in whole:
        (tmp_path / "status.json").write_text(json.dumps({**whole, "pid": 1, key: {"x": []}}))
        _status(tmp_path)
    wrong: tuple[object, ...] = ([], {"a": "b"}, {"a": True})
    for counts in wrong:
        (tmp_path / "status.json").write_text(json.dumps({**whole, "pid": 1, "breaches": counts}))
        _status(tmp_path)
    (tmp_path / "status.json").write_text(json.dumps({**whole, "pid": 2**40}))
    assert not read_status(tmp_path, 2.0)["running"]


def _record(data: bytes) -> bytes:
    """Return a record of a segment with a right checksum, whatever is in it."""
    checksum = zlib.crc32(data, zlib.crc32(struct.pack("<IQ", 1, 0)))
    return struct.pack("<IIIQ", len(data), checksum, 1, 0) + data


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[1]", b'["a", {}, "b"]', b"[" * 5000, b'{"a": 1}', b"\x00" * 11]
)
def test_records_that_another_program_wrote_are_read_past(data: bytes, tmp_path: Path) -> None:
    with SegmentLog(tmp_path) as log:
        log.append(data, 1, 0)
    (segment,) = tmp_path.glob("*.log")
    assert segment.read_bytes() == _record(data)
    list(Journal(tmp_path).read())
    assert inspect_spool(tmp_path, 1.0).backlog == 1
    with Spool(tmp_path) as spool:
        assert spool.batch() is not None
    queue = OfflineQueue(tmp_path, max_bytes=1 << 20)
    number, messages = queue.oldest() or (0, [])
    queue.close()
    assert (number, messages) == (1, [])
    assert queue.lost == 1


def test_any_flipped_bit_of_a_segment_ends_it(tmp_path: Path) -> None:
    with SegmentLog(tmp_path) as log:
        for place in range(5):
            log.append(b"record %d" % place, 1, 0)
    (segment,) = tmp_path.glob("*.log")
    content = segment.read_bytes()
    for place in range(len(content)):
        segment.write_bytes(flipped(content, place, place % 8))
        found = [record.data for record, _ in SegmentLog(tmp_path).read()]
        assert found == [b"record %d" % number for number in range(place // (len(content) // 5))]
