"""Batches: many messages of one type from one fleet process to one cell in one publication, as lines of text.

    1                                        the version of the format
    cell-1/charger-07 {"tick":4,…}           the rest of the topic after the message type, a space, the payload
    cell-1/charger-08 {"tick":4,…}

The topic (`topics.batch_topic`) names message type, cell and fleet process. Payloads are compact JSON, which has no
line breaks. No message of a batch is retained; a batch has the QoS of its message type, and expires with its last
message.
"""

from collections.abc import Iterable
from typing import Final

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol.codec import MAX_PAYLOAD
from gridfleet.broker.protocol.topics import BATCH

VERSION: Final = b"1"
MAX_MESSAGES: Final = 500
"""The most messages in one batch."""


class Batch:
    """A batch under construction."""

    __slots__ = ("_lines", "_size", "expiry_s")

    def __init__(self) -> None:
        self._lines = [VERSION]
        self._size = len(VERSION)
        self.expiry_s: float | None = 0.0
        """When the last of its messages expires, in seconds from now; None for never."""

    def add(self, rest: str, payload: bytes, expiry_s: float | None) -> bool:
        """Add a message whose topic ends in `rest`; return False, without adding it, when the batch is full."""
        line = b"%b %b" % (rest.encode(), payload)
        if len(self._lines) > MAX_MESSAGES or self._size + 1 + len(line) > MAX_PAYLOAD:
            return False
        self._lines.append(line)
        self._size += 1 + len(line)
        if expiry_s is None or self.expiry_s is None:
            self.expiry_s = None
        else:
            self.expiry_s = max(self.expiry_s, expiry_s)
        return True

    @property
    def payload(self) -> bytes:
        """The payload of the batch."""
        return b"\n".join(self._lines)


def pack(messages: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the payload of a batch of (rest of the topic, payload); raise ValueError when they do not fit."""
    batch = Batch()
    for rest, payload in messages:
        if not batch.add(rest, payload, None):
            raise ValueError(f"a batch has at most {MAX_MESSAGES} messages and {MAX_PAYLOAD} bytes")
    return batch.payload


def unpack(payload: bytes) -> list[tuple[str, bytes]]:
    """Return the messages of a batch as (rest of the topic, payload); raise PayloadError when it is malformed."""
    if len(payload) > MAX_PAYLOAD:
        raise PayloadError(BATCH, "oversized", f"{len(payload)} bytes; at most {MAX_PAYLOAD} are allowed")
    version, *lines = payload.split(b"\n", MAX_MESSAGES + 1)
    if version != VERSION:
        raise PayloadError(BATCH, "version", f"version {version[:16]!r}; only {VERSION!r} is known")
    if len(lines) > MAX_MESSAGES:
        raise PayloadError(
            BATCH, "oversized", f"more than {MAX_MESSAGES} messages; at most that many are allowed"
        )
    found = []
    for line in lines:
        rest, space, inner = line.partition(b" ")
        if not space or not rest.isascii():
            raise PayloadError(
                BATCH,
                "malformed",
                f"the line {line[:64]!r} is not the rest of a topic, a space and a payload",
            )
        found.append((rest.decode("ascii"), inner))
    return found
