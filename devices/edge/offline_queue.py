"""Messages that a device could not publish while offline: kept on disk in order, within bounds, published later.

The queue is a segment log. A segment is deleted when the broker has acknowledged all of it, so after a crash some
messages are published twice, and none is lost but those of the last seconds before a power failure. When the queue is
full, its oldest segment is dropped.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridfleet.broker.errors import StoreError
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.storage.segment_log import SegmentLog, read_segment

LOG: Final = logging.getLogger(__name__)
SEGMENT_BYTES: Final = 65_536
SYNC_S: Final = 30.0
"""Shortest time between two calls of fsync, in seconds, because every call wears an SD card."""


class QueuedMessage(NamedTuple):
    """A message: its type and payload, and when it was made by the machine's uptime."""

    message_type: str
    payload: dict[str, Any]
    boot_id: str
    up_ms: int
    """Milliseconds since the machine was started."""


class OfflineQueue:
    """A folder of messages. Errors of the disk lose messages, which are counted, and never stop the device."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Open or make a queue; raise StoreError when the folder cannot be used."""
        self._max_bytes = max_bytes
        self._synced_s = 0.0
        self._log = SegmentLog(folder, segment_bytes=SEGMENT_BYTES, fsync=self._fsync)
        self.lost = 0
        """Segments dropped, and messages that could not be written or read."""

    @property
    def empty(self) -> bool:
        """Whether no message waits."""
        return not self._log.segments

    def put(self, message: QueuedMessage) -> None:
        """Append a message."""
        self._log.append(json_text(message, separators=(",", ":")).encode(), 1, message.up_ms)
        try:
            self._log.sync()
        except StoreError as error:
            if not self.lost:
                LOG.warning("messages are lost while the broker is offline: %s", error)
            self.lost += 1
            self._log.abandon()
        while self._log.size > self._max_bytes and len(self._log.segments) > 1:
            self.lost += 1
            self.delete(self._log.segments[0])

    def oldest(self) -> tuple[int, list[QueuedMessage]] | None:
        """Return the oldest segment's number and messages, or None; call `delete` once they are published."""
        if self.empty:
            return None
        number = self._log.segments[0]
        self._log.rotate()  # so that nothing is added to it
        self._log.sync()
        return number, self._read(self._log.path(number))

    def delete(self, number: int) -> None:
        """Delete the oldest segment by its number."""
        self._log.drop_before(number + 1)

    def close(self) -> None:
        """Close the files. Twice is safe."""
        self._log.close()

    def _fsync(self, file: int) -> None:
        """Write a file through to the disk when it is full, and otherwise every SYNC_S seconds at most."""
        now_s = time.monotonic()
        if now_s - self._synced_s > SYNC_S or os.fstat(file).st_size >= SEGMENT_BYTES:
            os.fsync(file)
            self._synced_s = now_s

    def _read(self, path: Path) -> list[QueuedMessage]:
        messages: list[QueuedMessage] = []
        end = 0
        try:
            size = path.stat().st_size
            for record, end in read_segment(path, 0, size):  # noqa: B007 - used after the loop
                message = _message(record.data)
                if message is None:
                    self.lost += 1
                else:
                    messages.append(message)
        except OSError as error:
            LOG.warning("%s cannot be read: %s", path, error)
            self.lost += 1
        else:
            self.lost += end < size  # a power failure cut off the last record
        return messages


def _message(data: bytes) -> QueuedMessage | None:
    """Return the message of a record; None for a record that this program has not written."""
    try:
        found = parse_json(data)
    except ReadError:
        return None
    if not isinstance(found, list) or list(map(type, found)) != [str, dict, str, int]:
        return None
    return QueuedMessage(*found)
