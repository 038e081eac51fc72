"""Many messages in one publication, as lines of text; what a host says of one word to one cell in one turn.

    1                                        the version of this form
    cell-1/charger-07 {"tick":4,…}           the rest of the topic below the word, a space, the payload
    cell-1/charger-08 {"tick":4,…}

The publication's topic (`topics.batch_topic`) tells word, cell and host. Payloads are compact JSON, which
has no line breaks. Nothing in a batch is retained; its QoS is the word's, and it expires with its last message.
"""

from collections.abc import Iterable
from typing import Final

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol.codec import MAX_PAYLOAD
from gridfleet.broker.protocol.topics import BATCH

VERSION: Final = b"1"
MAX_MESSAGES: Final = 500
"""Most messages in one batch."""


class Batch:
    """A batch under construction."""

    __slots__ = ("_lines", "_size", "expiry_s")

    def __init__(self) -> None:
        self._lines = [VERSION]
        self._size = len(VERSION)
        self.expiry_s: float | None = 0.0
        """When the last of its messages is worthless, in seconds from now; None for never."""

    def add(self, rest: str, payload: bytes, expiry_s: float | None) -> bool:
        """Take a message whose topic ends in `rest`; return False, and do not, when the batch is full."""
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
        """The batch on the wire."""
        return b"\n".join(self._lines)


def pack(messages: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a batch of (rest of the topic, payload); raise ValueError for more than fit."""
    batch = Batch()
    for rest, payload in messages:
        if not batch.add(rest, payload, None):
            raise ValueError(f"more than {MAX_MESSAGES} messages, or than {MAX_PAYLOAD} bytes")
    return batch.payload


def unpack(payload: bytes) -> list[tuple[str, bytes]]:
    """Return the messages of a batch as (rest of the topic, payload); raise PayloadError when it is none."""
    if len(payload) > MAX_PAYLOAD:
        raise PayloadError(BATCH, "oversized", f"{len(payload)} bytes, at most {MAX_PAYLOAD} are read")
    version, *lines = payload.split(b"\n", MAX_MESSAGES + 1)
    if version != VERSION:
        raise PayloadError(BATCH, "version", f"begins with {version[:16]!r}, not with {VERSION!r}")
    if len(lines) > MAX_MESSAGES:
        raise PayloadError(BATCH, "oversized", f"more than {MAX_MESSAGES} messages")
    found = []
    for line in lines:
        rest, space, inner = line.partition(b" ")
        if not space or not rest.isascii():
            raise PayloadError(BATCH, "malformed", f"{line[:64]!r} is no end of a topic and a payload")
        found.append((rest.decode("ascii"), inner))
    return found
