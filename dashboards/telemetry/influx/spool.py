"""The spool: points on disk until the server has accepted them.

Points are appended, and safe once synced; `batch` reads the oldest, `acknowledge` deletes them once the server has
accepted them. When the spool is full its oldest segment is dropped, counted and logged: an operator needs the newest
points, and the local store has all that was dropped.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple, Self

from gridfleet.broker.errors import StoreError, error_reason
from gridfleet.broker.readers.json_values import checked_object, json_text, read_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.storage.segment_log import Position, SegmentLog, read_segment

LOG: Final = logging.getLogger(__name__)
MAX_BYTES: Final = 1 << 30
BATCH_POINTS: Final = 5_000
"""Points per request: the batch size that InfluxData recommends."""
_RECORD_POINTS: Final = 1_000
STATE: Final = "state.json"
LOCK: Final = "lock"
DEAD_LETTERS: Final = "dead-letters.jsonl"
MAX_DEAD_LETTER_BYTES: Final = 16 << 20
"""Size of the dead-letter file beyond which rejected points are only counted."""


class Batch(NamedTuple):
    """Points read from the spool, in line protocol, and where the next ones are."""

    lines: list[str]
    after: Position


class SpoolStatus(NamedTuple):
    """Backlog and counts of a spool."""

    backlog: int
    """Points that the server has not accepted yet."""
    backlog_bytes: int
    oldest_s: float
    """Age of the oldest of them in seconds; 0 for none."""
    sent: int
    rejected: int
    dropped: int
    dead_letters: Path


class Spool:
    """A folder of points for one process: `add` and `sync` in one thread, `batch` and `acknowledge` in another."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = MAX_BYTES,
        segment_bytes: int | None = None,
        now_s: Callable[[], float] = time.time,
        fsync: Callable[[int], None] = os.fsync,
    ) -> None:
        """Open or create a spool; raise StoreError where it cannot be used or another process uses it."""
        self.folder = folder
        self._max_bytes = max_bytes
        self._now_s = now_s
        self._lock = threading.RLock()
        state = read_state(folder)
        self._position = state.position
        segment_bytes = segment_bytes or max(max_bytes // 256, 1 << 16)
        self._log = SegmentLog(folder, segment_bytes=segment_bytes, after=state.position.segment, fsync=fsync)
        self._lock_file = _lock_file(folder / LOCK)
        self._sent, self._rejected, self._dropped = state.sent, state.rejected, state.dropped
        self._lines: list[str] = []
        self._unsynced = 0
        self._backlog = self._count(self._position)
        self.synced = threading.Event()
        """Set whenever points were synced."""

    # --- the writer --------------------------------------------------------------------------------------

    def add(self, lines: Iterable[str]) -> None:
        """Add points in line protocol."""
        for line in lines:
            if line:
                self._lines.append(line)
                if len(self._lines) >= _RECORD_POINTS:
                    self._append()

    def sync(self) -> None:
        """Make all points added survive a crash; raise StoreError, having lost none, where that fails."""
        if self._lines:
            self._append()
        with self._lock:
            if not self._log.unwritten:
                return
            self._log.sync()
            self._backlog += self._unsynced
            self._unsynced = 0
            self._make_room()
        self.synced.set()

    # --- the reader --------------------------------------------------------------------------------------

    def batch(self, max_points: int = BATCH_POINTS) -> Batch | None:
        """Return the oldest points, at least one record of them; None where there are none."""
        lines: list[str] = []
        after = self._position
        for record, position in self._log.read(self._position):
            if lines and len(lines) + record.items > max_points:
                break
            lines += record.data.decode(errors="replace").split("\n")
            after = position
        return Batch(lines, after) if lines else None

    def acknowledge(self, batch: Batch, rejected: int = 0) -> None:
        """Delete a batch; `rejected` of its points are in the dead-letter file."""
        with self._lock:
            if batch.after <= self._position:  # dropped meanwhile, and counted there
                return
            passed = min(len(batch.lines), self._backlog)
            self._sent += passed - rejected
            self._rejected += rejected
            self._advance(batch.after, passed)

    def dead_letter(self, line: str, reason: str) -> None:
        """Write a point that the server rejected to the dead-letter file; raise StoreError where that fails."""
        entry = json_text(
            {"time": round(self._now_s(), 3), "reason": reason, "point": line}, ensure_ascii=False
        )
        path = self.folder / DEAD_LETTERS
        LOG.warning("InfluxDB rejects a point (%s): %s", reason, line)
        try:
            with path.open("a", encoding="utf-8") as file:
                if file.tell() < MAX_DEAD_LETTER_BYTES:
                    file.write(entry + "\n")
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(path, f"cannot be written ({error_reason(error)})", "free some space") from error

    # --- both --------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Points that the server has not accepted yet."""
        return self._backlog

    def status(self) -> SpoolStatus:
        """Return backlog and counts."""
        with self._lock:
            oldest = next(self._log.read(self._position), None) if self._backlog else None
            oldest_s = 0.0 if oldest is None else max(self._now_s() - oldest[0].time_ms / 1000, 0.0)
            size = 0 if oldest is None else self._log.size
            return SpoolStatus(
                self._backlog,
                size,
                oldest_s,
                self._sent,
                self._rejected,
                self._dropped,
                self.folder / DEAD_LETTERS,
            )

    def close(self) -> None:
        """Sync and release the files. Twice is safe."""
        try:
            self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Release the files as they are, as if killed."""
        with self._lock:
            self._lines.clear()
            self._log.abandon()
            if self._lock_file >= 0:
                os.close(self._lock_file)
                self._lock_file = -1

    def __enter__(self) -> Self:
        """Return the spool itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # --- inside ------------------------------------------------------------------------------------------

    def _append(self) -> None:
        lines, self._lines = self._lines, []
        self._log.append("\n".join(lines).encode(), len(lines), int(self._now_s() * 1000))
        self._unsynced += len(lines)

    def _count(self, start: Position, end: Position | None = None) -> int:
        """Return how many points there are between two positions."""
        found = 0
        for record, after in self._log.read(start):
            if end is not None and after > end:
                break
            found += record.items
        return found

    def _advance(self, position: Position, points: int) -> None:
        """Move to a position with so many points before it."""
        self._backlog -= points
        self._position = position
        self._log.drop_before(position.segment)
        self._keep_state()

    def _make_room(self) -> None:
        """Drop the oldest segments while there are too many bytes."""
        while self._log.size > self._max_bytes and len(self._log.segments) > 1:
            second = Position(self._log.segments[1], 0)
            dropped = self._count(self._position, second)
            self._dropped += dropped
            self._advance(max(self._position, second), dropped)
            LOG.error("the spool %s is full: %d points dropped, the oldest first", self.folder, dropped)

    def _keep_state(self) -> None:
        state = {
            "segment": self._position.segment,
            "offset": self._position.offset,
            "sent": self._sent,
            "rejected": self._rejected,
            "dropped": self._dropped,
        }
        draft = self.folder / f".{STATE}"
        try:
            draft.write_text(json_text(state), encoding="ascii")
            draft.replace(self.folder / STATE)
        except OSError as error:  # the points are safe; at worst some are sent again
            LOG.warning("%s cannot be written (%s)", self.folder / STATE, error_reason(error))


class SpoolState(NamedTuple):
    """Position and counts of a spool, from its state file."""

    position: Position
    sent: int
    rejected: int
    dropped: int


def read_state(folder: Path) -> SpoolState:
    """Return the state of a spool; the beginning where it cannot be read: points may be sent twice."""
    try:
        keys = dict.fromkeys(("segment", "offset", "sent", "rejected", "dropped"), int)
        found = checked_object(read_json(folder / STATE), keys, ReadError)
    except ReadError:
        return SpoolState(Position(), 0, 0, 0)
    numbers = [max(found[key], 0) for key in keys]
    return SpoolState(Position(numbers[0], numbers[1]), *numbers[2:])


def inspect_spool(folder: Path, now_s: float) -> SpoolStatus:
    """Return backlog and counts of a spool that another process may use; raise StoreError where there is none."""
    if not folder.is_dir():
        raise StoreError(folder, "there is no spool", "name the folder of a recorder")
    state = read_state(folder)
    backlog = size = 0
    oldest_s = 0.0
    for path in sorted(folder.glob("*.log")):
        number = int(path.stem) if path.stem.isdecimal() else -1
        if number < state.position.segment:
            continue
        offset = state.position.offset if number == state.position.segment else 0
        length = path.stat().st_size
        size += length
        for record, _ in read_segment(path, offset, length):
            if not backlog:
                oldest_s = max(now_s - record.time_ms / 1000, 0.0)
            backlog += record.items
    return SpoolStatus(
        backlog,
        size if backlog else 0,
        oldest_s,
        state.sent,
        state.rejected,
        state.dropped,
        folder / DEAD_LETTERS,
    )


def _lock_file(path: Path) -> int:
    """Return the locked lock file of a spool; raise StoreError where another process holds the lock."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        remedy = "stop it, or choose another folder"
        raise StoreError(path.parent, "another recorder is using it", remedy) from error
    return file
