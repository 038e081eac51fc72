"""What a recorder has heard and not yet done with, on disk: from it the next process goes on where one was killed.

A segment begins with what the site's broker retains at that time – as a newcomer to the site would be told – so any
segment can be the first that is read. Behind that come messages as they were heard, numbered without a gap.
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
    """A message as heard; `serial` numbers all messages from 1, and context bears that of the message before."""

    serial: int
    topic: str
    payload: bytes
    heard_ms: int
    """Real time, in milliseconds since 1970."""
    is_context: bool
    segment: int


class Journal:
    """Append, `sync`; read what there is; forget what is not needed any more."""

    def __init__(self, folder: Path, *, fsync: Callable[[int], None] = os.fsync) -> None:
        self._log = SegmentLog(folder, segment_bytes=_NEVER, fsync=fsync)
        self.serial = 0
        """Of the last message."""

    @property
    def segment(self) -> int:
        """The number of the segment that is written."""
        return self._log.end.segment

    @property
    def segment_bytes(self) -> int:
        """How large the segment that is written has grown."""
        return self._log.end.offset

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._log.size

    def read(self) -> Iterator[Entry]:
        """Yield all that is there, oldest first: context of the first segment only, then messages."""
        first: int | None = None
        for record, position in self._log.read(Position()):
            serial, flags, length = _HEAD.unpack_from(record.data)
            middle = _HEAD.size + length
            is_context = bool(flags & _CONTEXT)
            first = position.segment if first is None else first
            self.serial = max(self.serial, serial)
            if is_context and position.segment != first:
                continue
            yield Entry(
                serial,
                record.data[_HEAD.size : middle].decode(),
                record.data[middle:],
                record.time_ms,
                is_context,
                position.segment,
            )

    def append(self, topic: str, payload: bytes, heard_ms: int) -> int:
        """Add a message, and return its serial; it is safe after the next `sync`."""
        self.serial += 1
        self._add(topic, payload, heard_ms, 0)
        return self.serial

    def begin_segment(self, context: Iterable[tuple[str, bytes]], heard_ms: int) -> None:
        """Go on in a new segment that begins with what the broker retains."""
        self._log.rotate()
        for topic, payload in context:
            self._add(topic, payload, heard_ms, _CONTEXT)

    def sync(self) -> None:
        """Make everything survive a crash; raise StoreError, having lost nothing, where that fails."""
        self._log.sync()

    def forget_before(self, segment: int) -> None:
        """Delete the segments before one."""
        self._log.drop_before(segment)

    def abandon(self) -> None:
        """Let go without another sync."""
        self._log.abandon()

    def _add(self, topic: str, payload: bytes, heard_ms: int, flags: int) -> None:
        name = topic.encode()
        self._log.append(_HEAD.pack(self.serial, flags, len(name)) + name + payload, 1, heard_ms)
