"""The spool: points on disk until the server has taken them.

Points are appended and synced before anybody relies on them; `batch` reads the oldest, `taken` forgets them once the
server has answered. When the spool is full its oldest segment is dropped, counted and logged: the newest points are
what an operator needs, and the local store has all that was dropped.
"""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple, Self

from gridfleet.broker.errors import StoreError, error_reason
from gridfleet.broker.storage.segment_log import Position, SegmentLog, read_segment

LOG: Final = logging.getLogger(__name__)
MOST_BYTES: Final = 1 << 30
BATCH_POINTS: Final = 5_000
"""Points per request: what InfluxData recommends as the best batch size."""
_RECORD_POINTS: Final = 1_000
STATE: Final = "state.json"
LOCK: Final = "lock"
DEAD_LETTERS: Final = "dead-letters.jsonl"
MOST_DEAD_LETTERS: Final = 16 << 20
"""Bytes of the dead-letter file after which refused points are only counted."""


class Batch(NamedTuple):
    """Points read from the spool, in line protocol, and where the next ones are."""

    lines: list[str]
    after: Position


class SpoolFigures(NamedTuple):
    """How a spool is doing."""

    backlog: int
    """Points that wait for the server."""
    backlog_bytes: int
    oldest_s: float
    """How long the oldest of them has waited; 0 for none."""
    sent: int
    rejected: int
    dropped: int
    dead_letters: Path


class Spool:
    """A folder of points; one process at a time, `add` and `sync` in one thread, the rest in another."""

    def __init__(
        self,
        folder: Path,
        *,
        most_bytes: int = MOST_BYTES,
        segment_bytes: int | None = None,
        now_s: Callable[[], float] = time.time,
        fsync: Callable[[int], None] = os.fsync,
    ) -> None:
        """Open or make a spool; raise StoreError where it cannot be used, or another process has it."""
        self.folder = folder
        self._most_bytes = most_bytes
        self._now_s = now_s
        self._lock = threading.RLock()
        state = read_state(folder)
        self._position = state.position
        segment_bytes = segment_bytes or max(most_bytes // 256, 1 << 16)
        self._log = SegmentLog(folder, segment_bytes=segment_bytes, after=state.position.segment, fsync=fsync)
        self._held = _hold(folder / LOCK)
        self._sent, self._rejected, self._dropped = state.sent, state.rejected, state.dropped
        self._lines: list[str] = []
        self._unsynced = 0
        self._backlog = self._count(self._position)
        self.news = threading.Event()
        """Set whenever something was synced."""

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
        self.news.set()

    # --- the reader --------------------------------------------------------------------------------------

    def batch(self, most: int = BATCH_POINTS) -> Batch | None:
        """Return the oldest points, at least one record of them; None where there are none."""
        lines: list[str] = []
        after = self._position
        for record, position in self._log.read(self._position):
            if lines and len(lines) + record.items > most:
                break
            lines += record.data.decode().split("\n")
            after = position
        return Batch(lines, after) if lines else None

    def taken(self, batch: Batch, rejected: int = 0) -> None:
        """Forget a batch; `rejected` of its points are in the dead-letter file."""
        with self._lock:
            if batch.after <= self._position:  # dropped meanwhile, and counted there
                return
            passed = min(len(batch.lines), self._backlog)
            self._sent += passed - rejected
            self._rejected += rejected
            self._advance(batch.after, passed)

    def dead_letter(self, line: str, reason: str) -> None:
        """Put a point that the server will never take into the dead-letter file; raise StoreError where that fails."""
        entry = json.dumps(
            {"time": round(self._now_s(), 3), "reason": reason, "point": line}, ensure_ascii=False
        )
        path = self.folder / DEAD_LETTERS
        LOG.warning("InfluxDB refuses a point (%s): %s", reason, line)
        try:
            with path.open("a", encoding="utf-8") as file:
                if file.tell() < MOST_DEAD_LETTERS:
                    file.write(entry + "\n")
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(path, f"cannot be written ({error_reason(error)})", "make room") from error

    # --- both --------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Points that wait for the server."""
        return self._backlog

    def figures(self) -> SpoolFigures:
        """Return how the spool is doing."""
        with self._lock:
            oldest = next(self._log.read(self._position), None) if self._backlog else None
            oldest_s = 0.0 if oldest is None else max(self._now_s() - oldest[0].time_ms / 1000, 0.0)
            size = 0 if oldest is None else self._log.size
            return SpoolFigures(
                self._backlog,
                size,
                oldest_s,
                self._sent,
                self._rejected,
                self._dropped,
                self.folder / DEAD_LETTERS,
            )

    def close(self) -> None:
        """Sync and let go. Twice is safe."""
        try:
            self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go as it is, as if killed."""
        with self._lock:
            self._lines.clear()
            self._log.abandon()
            if self._held >= 0:
                os.close(self._held)
                self._held = -1

    def __enter__(self) -> Self:
        """Hand out the spool itself."""
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
        """Go on to a position that so many points lie before."""
        self._backlog -= points
        self._position = position
        self._log.drop_before(position.segment)
        self._keep_state()

    def _make_room(self) -> None:
        """Drop the oldest segments while there are too many bytes."""
        while self._log.size > self._most_bytes and len(self._log.segments) > 1:
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
            draft.write_text(json.dumps(state), encoding="ascii")
            draft.replace(self.folder / STATE)
        except OSError as error:  # the points are safe; at worst some are sent again
            LOG.warning("%s cannot be written (%s)", self.folder / STATE, error_reason(error))


class SpoolState(NamedTuple):
    """What a spool remembers besides its points."""

    position: Position
    sent: int
    rejected: int
    dropped: int


def read_state(folder: Path) -> SpoolState:
    """Return what a spool remembers; the beginning where nothing can be read, for points may be sent again."""
    try:
        found = json.loads((folder / STATE).read_text(encoding="ascii"))
        position = Position(int(found["segment"]), int(found["offset"]))
        return SpoolState(position, int(found["sent"]), int(found["rejected"]), int(found["dropped"]))
    except (OSError, ValueError, KeyError, TypeError):
        return SpoolState(Position(), 0, 0, 0)


def look(folder: Path, now_s: float) -> SpoolFigures:
    """Return how a spool is doing that another process may have open; raise StoreError where there is none."""
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
    return SpoolFigures(
        backlog,
        size if backlog else 0,
        oldest_s,
        state.sent,
        state.rejected,
        state.dropped,
        folder / DEAD_LETTERS,
    )


def _hold(path: Path) -> int:
    """Take the lock of a spool; raise StoreError where another process has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        remedy = "stop it, or name another folder"
        raise StoreError(path.parent, "another recorder is using it", remedy) from error
    return file
