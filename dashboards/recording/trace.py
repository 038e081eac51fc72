"""The trace: every message of a run as a JSON line, payload exactly as on the wire, for audits and replays.

A line is {"time": simulated time, ISO 8601 with milliseconds, "topic": …, "payload": …}. A path that ends in
`.gz` is compressed; the same run gives the same bytes either way.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from gridfleet.broker.errors import GridFleetError, PayloadError, TopicError, error_reason
from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import ROOT, parse_topic, topic
from gridfleet.broker.simulated_time import parse_time, time_text

_KEYS: Final = {"time", "topic", "payload"}
TracedMessage = tuple[int, str, str, Message]
"""Simulated milliseconds, scope, sender and message, as a MessageReceiver gets them."""


class TraceError(GridFleetError, ValueError):
    """A trace that cannot be read; the text gives file and line."""

    def __init__(self, path: Path | str, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


class TraceWriter:
    """Writes every message passed to `receive`; a context manager. Closing twice is safe, use after close raises."""

    def __init__(self, path: Path | str, site: str) -> None:
        self.path = Path(path)
        self._site = site
        self._raw: BinaryIO | None = self.path.open("wb")
        self._file: BinaryIO = self._raw
        if self.path.suffix == ".gz":
            self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)  # type: ignore[assignment]
        self._last: Message | None = None
        self._payload = b""
        self._ms = -1
        self._time = b""

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Write a message: simulated time in ms, scope and sender of its topic."""
        if self._raw is None:
            raise ValueError(f"{self.path}: the trace is closed")
        if simulated_ms != self._ms:
            self._ms = simulated_ms
            self._time = time_text(simulated_ms, milliseconds=True).encode()
        if message is not self._last:  # the same message often goes to several receivers
            self._last = message
            self._payload = encode(message)
        name = topic(self._site, message, scope, sender).encode()
        self._file.write(b'{"time":"%b","topic":"%b","payload":%b}\n' % (self._time, name, self._payload))

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Flush and close the file; a second call does nothing."""
        if self._raw is None:
            return
        raw, self._raw = self._raw, None
        try:
            if self._file is not raw:
                self._file.close()
        finally:
            raw.close()


def read_trace(path: Path | str) -> Iterator[TracedMessage]:
    """Yield the messages of a trace, validated; raise TraceError with file and line.

    To audit a trace again:

    >>> def audit_trace(path: str) -> bool:
    ...     from gridfleet.dashboards.audit import Auditor
    ...     auditor = Auditor(exact=False)
    ...     for traced in read_trace(path):
    ...         auditor.receive(*traced)
    ...     return all(finding.holds for finding in auditor.finish())
    """
    number = 0
    site: str | None = None
    try:
        with gzip.open(path, "rb") if Path(path).suffix == ".gz" else Path(path).open("rb") as file:
            for number, line in enumerate(file, 1):
                simulated_ms, name, payload = _fields(path, number, line)
                if site is None:
                    site = _site(path, number, name)
                try:
                    address = parse_topic(site, name)
                    message = decode(address.message_type.name, payload)
                except (TopicError, PayloadError) as error:
                    raise TraceError(path, number, str(error)) from None
                yield simulated_ms, address.scope, address.sender, message
    except (OSError, EOFError) as error:
        raise TraceError(path, number + 1, f"cannot be read ({error_reason(error)})") from error


def _fields(path: Path | str, number: int, line: bytes) -> tuple[int, str, bytes]:
    """Return time in ms, topic and payload of a line."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise TraceError(path, number, f"is not JSON: {error}") from None
    if not isinstance(found, dict) or found.keys() != _KEYS or not isinstance(found["topic"], str):
        raise TraceError(path, number, "is not an object with exactly the keys time, topic and payload")
    try:
        simulated_ms = parse_time(found["time"])
    except (TypeError, ValueError):
        raise TraceError(
            path, number, f"time {found['time']!r} is not an ISO 8601 time without a zone"
        ) from None
    return simulated_ms, found["topic"], json.dumps(found["payload"]).encode()


def _site(path: Path | str, number: int, name: str) -> str:
    """Return the site in the first topic; all others must be of the same site."""
    levels = name.split("/")
    if len(levels) < 2 or levels[0] != ROOT:
        raise TraceError(path, number, f"topic {name!r} does not begin with {ROOT}/<site>/")
    return levels[1]
