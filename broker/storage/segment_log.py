"""A crash-safe log: records in segment files, each record with its checksum, durable when `sync` has returned.

A record is a header (length, CRC-32, number of items, time) and its bytes. A crash may leave the last record of a
segment incomplete; reading ends there, and a reopened log begins a new segment, so nothing is written after such bytes.
What `sync` could not write stays in memory and is written by the next `sync`: a full disk loses nothing.
"""

import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from gridfleet.broker.errors import StoreError, error_reason

SEGMENT_BYTES: Final = 4 << 20
SUFFIX: Final = ".log"
_HEADER: Final = struct.Struct("<IIIQ")
_MAX_RECORD_BYTES: Final = 64 << 20


class Record(NamedTuple):
    """An appended record: its bytes, the number of items in them, and its real time in milliseconds."""

    data: bytes
    items: int
    time_ms: int


class Position(NamedTuple):
    """A place in the log: a segment's number and an offset in bytes."""

    segment: int = 0
    offset: int = 0


class SegmentLog:
    """A log in a folder of segment files; one thread writes, others may read."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        after: int = 0,
        fsync: Callable[[int], None] = os.fsync,
    ) -> None:
        """Open or make a log whose next segments have numbers above `after`.

        `fsync` is called after every write; one that does less trades durability for the wear of an SD card.
        Raises StoreError when the folder cannot be used.
        """
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._lock = threading.RLock()
        self._file: int | None = None
        self._parts = deque([bytearray()])
        """What is not written yet; each part but the first begins a segment."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._sizes = {number: self.path(number).stat().st_size for number in _numbers(folder)}
        except OSError as error:
            remedy = "make sure that it is writable and the disk has free space"
            raise StoreError(folder, f"cannot be used ({error_reason(error)})", remedy) from error
        self._current = max([*self._sizes, after])

    # --- writing -----------------------------------------------------------------------------------------

    def append(self, data: bytes, items: int, time_ms: int) -> None:
        """Add a record, to be written by the next `sync`."""
        head = _HEADER.pack(len(data), _checksum(data, items, time_ms), items, time_ms)
        with self._lock:
            part = self._parts[-1]
            part += head
            part += data

    @property
    def unwritten(self) -> int:
        """Bytes appended and not yet synced."""
        return sum(map(len, self._parts))

    def sync(self) -> None:
        """Write everything appended, so that it survives a crash; raise StoreError where that fails, without loss."""
        with self._lock:
            try:
                while True:
                    self._write(self._parts[0])
                    if len(self._parts) == 1:
                        return
                    self._parts.popleft()
                    self._close_file()
            except OSError as error:
                self._abandon()
                remedy = "free some space; it is tried again"
                raise StoreError(self.folder, f"cannot be written ({error_reason(error)})", remedy) from error

    def rotate(self) -> None:
        """Begin a new segment with the next record."""
        with self._lock:
            if self._parts[-1] or len(self._parts) == 1:
                self._parts.append(bytearray())

    def close(self) -> None:
        """Sync, and close the file. Twice is safe."""
        with self._lock:
            try:
                self.sync()
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Close the file without another sync; what is not written is lost."""
        with self._lock:
            self._parts = deque([bytearray()])
            self._close_file()

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # --- reading -----------------------------------------------------------------------------------------

    @property
    def end(self) -> Position:
        """Where the next record goes, as far as synced."""
        with self._lock:
            return Position(self._current, self._sizes.get(self._current, 0))

    @property
    def segments(self) -> list[int]:
        """The numbers of the existing segments, oldest first."""
        with self._lock:
            return sorted(self._sizes)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return sum(self._sizes.values())

    def path(self, number: int) -> Path:
        """Return the file of a segment."""
        return self.folder / f"{number:012d}{SUFFIX}"

    def read(self, start: Position = Position()) -> Iterator[tuple[Record, Position]]:  # noqa: B008 - immutable
        """Yield the synced records from a position on, each with the position after it."""
        for number in self.segments:
            if number < start.segment:
                continue
            offset = start.offset if number == start.segment else 0
            with self._lock:
                limit = self._sizes.get(number, 0)
            for record, after in read_segment(self.path(number), offset, limit):
                yield record, Position(number, after)

    def drop_before(self, segment: int) -> None:
        """Delete the segments before this one; the one that is being written is kept."""
        with self._lock:
            for number in [each for each in self._sizes if each < segment]:
                if number == self._current and self._file is not None:
                    continue
                self.path(number).unlink(missing_ok=True)
                del self._sizes[number]

    # --- inside ------------------------------------------------------------------------------------------

    def _begin_segment(self) -> int:
        self._close_file()
        number = self._current + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        file = self._file = os.open(self.path(number), flags, 0o600)
        self._current = number
        self._sizes[number] = 0
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            self._fsync(folder)
        finally:
            os.close(folder)
        return file

    def _write(self, part: bytearray) -> None:
        if not part:
            return
        if self._file is None or self._sizes[self._current] >= self._segment_bytes:
            self._file = self._begin_segment()
        with memoryview(part) as view:
            done = 0
            while done < len(view):
                done += os.write(self._file, view[done:])
        self._fsync(self._file)
        self._sizes[self._current] += done
        part.clear()

    def _abandon(self) -> None:
        """After a write error, cut the segment off after the last sync, and continue in a new one."""
        if self._file is None:
            return
        kept = self._sizes[self._current]
        with suppress(OSError):  # a torn tail is never read
            os.ftruncate(self._file, kept)
        self._close_file()
        if not kept:
            self.path(self._current).unlink(missing_ok=True)
            del self._sizes[self._current]

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def read_segment(path: Path, offset: int, limit: int) -> Iterator[tuple[Record, int]]:
    """Yield the whole records of a segment between two offsets, each with the offset after it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # dropped meanwhile
        return
    with file:
        file.seek(offset)
        while offset + _HEADER.size <= limit:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                return
            length, checksum, items, time_ms = _HEADER.unpack(head)
            if length > _MAX_RECORD_BYTES or offset + _HEADER.size + length > limit:
                return
            data = file.read(length)
            if len(data) < length or _checksum(data, items, time_ms) != checksum:
                return
            offset += _HEADER.size + length
            yield Record(data, items, time_ms), offset


def _checksum(data: bytes, items: int, time_ms: int) -> int:
    return zlib.crc32(data, zlib.crc32(struct.pack("<IQ", items, time_ms)))


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())
