"""The recorder's journal on disk: the received messages from which the next process rebuilds what one lost when killed.

A segment begins with the messages that the broker retains at that time, as a new subscriber would receive them, so any
segment can be the first that is read. After them come the messages as received, numbered without a gap.
"""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from gridfleet.broker.storage.segment_log import Position, SegmentLog

_HEAD: Final = struct.Struct("<QBH")
_CONTEXT: Final = 1
_NEVER: Final = 1 << 62


class Entry(NamedTuple):
    """A message as received; `serial` numbers messages from 1, a retained one has that of the message before it."""

    serial: int
    topic: str
    payload: bytes
    received_ms: int
    """Real time, in milliseconds since 1970."""
    is_context: bool
    """Whether it is a retained message at the beginning of its segment."""
    segment: int


class Journal:
    """Append messages and `sync` them; read them; delete segments that are needed no longer."""

    def __init__(self, folder: Path, *, fsync: Callable[[int], None] = os.fsync) -> None:
        self._log = SegmentLog(folder, segment_bytes=_NEVER, fsync=fsync)
        self.serial = 0
        """Serial of the last message."""

    @property
    def segment(self) -> int:
        """The number of the segment being written."""
        return self._log.end.segment

    @property
    def segment_bytes(self) -> int:
        """The size of the segment being written, in bytes."""
        return self._log.end.offset

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._log.size

    def read(self) -> Iterator[Entry]:
        """Yield all entries, oldest first: retained messages of the first segment only, then messages."""
        first: int | None = None
        for record, position in self._log.read(Position()):
            if len(record.data) < _HEAD.size:  # no entry of a journal
                continue
            serial, flags, length = _HEAD.unpack_from(record.data)
            middle = _HEAD.size + length
            is_context = bool(flags & _CONTEXT)
            first = position.segment if first is None else first
            self.serial = max(self.serial, serial)
            if is_context and position.segment != first:
                continue
            yield Entry(
                serial,
                record.data[_HEAD.size : middle].decode(errors="replace"),
                record.data[middle:],
                record.time_ms,
                is_context,
                position.segment,
            )

    def append(self, topic: str, payload: bytes, received_ms: int) -> int:
        """Add a message and return its serial; it is safe after the next `sync`."""
        self.serial += 1
        self._add(topic, payload, received_ms, 0)
        return self.serial

    def begin_segment(self, context: Iterable[tuple[str, bytes]], received_ms: int) -> None:
        """Begin a new segment with the retained messages, as (topic, payload)."""
        self._log.rotate()
        for topic, payload in context:
            self._add(topic, payload, received_ms, _CONTEXT)

    def sync(self) -> None:
        """Make everything survive a crash; raise StoreError, having lost nothing, where that fails."""
        self._log.sync()

    def delete_before(self, segment: int) -> None:
        """Delete the segments before one."""
        self._log.drop_before(segment)

    def abandon(self) -> None:
        """Release the file without another sync."""
        self._log.abandon()

    def _add(self, topic: str, payload: bytes, received_ms: int, flags: int) -> None:
        name = topic.encode()
        self._log.append(_HEAD.pack(self.serial, flags, len(name)) + name + payload, 1, received_ms)
