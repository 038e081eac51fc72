"""The trace: every message of a run as a JSON line, payload exactly as on the wire, for audits and replays.

A line is {"time": simulated time, ISO 8601 with milliseconds, "topic": …, "payload": …}. A path that ends in
`.gz` is compressed; the same run gives the same bytes either way.

The trace of a whole run has lines of its own with the topic gridfleet/<site>/trace, which is on no wire: the first has
the facts of the run and what the auditor must know, the last says how many messages there are, and others mark gaps.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from gridfleet.broker.errors import GridFleetError, PayloadError, TopicError, printable, shown
from gridfleet.broker.protocol.codec import SCHEMA, decode, encode
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import ROOT, parse_topic, topic
from gridfleet.broker.readers.archives import GzipFile, packed_lines
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.simulated_time import parse_time, time_text
from gridfleet.broker.storage.replacing import named
from gridfleet.dashboards.store.rows import RunFacts

NOTE: Final = "trace"
"""The topic level of the trace's own lines, in place of a message type."""
MOST_LETTERS: Final = 1_000
"""Most characters of a reason that are shown; it may quote the line."""
NO_TRACE: Final = "name a file that `gridfleet run --trace` or `simulate --trace` has written"
CUT: Final = "copy the whole file again, or record the run again"
_KEYS: Final = {"time", "topic", "payload"}
TracedMessage = tuple[int, str, str, Message]
"""Simulated milliseconds, scope, sender and message, as a MessageReceiver gets them."""


class TraceHead(NamedTuple):
    """The facts of a traced run, and what its auditor knew."""

    facts: RunFacts
    exact: bool = True
    clock_skew_ms: int = 0
    schema: str = SCHEMA
    """The schema version of the messages."""


class TraceError(GridFleetError, ValueError):
    """A trace that cannot be read; the text gives file and line."""

    def __init__(self, path: Path | str, line: int, reason: str) -> None:
        quoted = reason if len(reason) <= MOST_LETTERS else f"{reason[:MOST_LETTERS]}…"
        super().__init__(f"{shown(str(path))}, line {line}: {printable(quoted)}")
        self.path = path
        self.line = line
        self.reason = reason


class TraceWriter:
    """Writes every message passed to `receive`; a context manager. Closing twice is safe, use after close raises."""

    def __init__(self, path: Path | str, site: str, head: TraceHead | None = None) -> None:
        """With `head` the trace can be replayed by itself."""
        self.path = Path(path)
        self._site = site
        self._raw: BinaryIO | None = self.path.open("wb")
        self._file: BinaryIO = self._raw
        if self.path.suffix == ".gz":
            self._file = GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)  # type: ignore[assignment]
        self._last: Message | None = None
        self._payload = b""
        self._ms = -1
        self._time = b""
        self._messages = 0
        self._has_head = head is not None
        if head is not None:
            facts = {**head.facts._asdict(), "cells": [cell._asdict() for cell in head.facts.cells]}
            self._ms = head.facts.start_ms
            self._note(begin={**head._asdict(), "facts": facts})
            self._ms = -1

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
        self._write(b'{"time":"%b","topic":"%b","payload":%b}\n' % (self._time, name, self._payload))
        self._messages += 1

    def note_gap(self) -> None:
        """Note that messages may be missing here."""
        if self._has_head:
            self._note(gap=True)

    def finish(self) -> None:
        """Note that the trace is whole, and close."""
        if self._has_head and self._raw is not None:
            self._note(end=self._messages)
        self.close()

    def _note(self, **payload: object) -> None:
        line = {
            "time": time_text(max(self._ms, 0), milliseconds=True),
            "topic": f"{ROOT}/{self._site}/{NOTE}",
        }
        self._write(json_text({**line, "payload": payload}, separators=(",", ":")).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        """Write a line; raise OSError with the name of the file where that fails."""
        try:
            self._file.write(line)
        except OSError as error:
            raise named(error, self.path) from None

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
            try:
                if self._file is not raw:
                    self._file.close()
            finally:
                raw.close()
        except OSError as error:
            raise named(error, self.path) from None


def read_head(path: Path | str) -> tuple[str, TraceHead]:
    """Return the site and the head of a trace that can be replayed by itself.

    Raises TraceError for a file that is no trace, that has no head, or whose messages have another schema version.
    """
    for number, _, name, payload in _lines(path):
        site = _site(path, number, name)
        begin = payload.get("begin") if _is_note(name) and isinstance(payload, dict) else None
        if begin is None:
            reason = "does not begin with the facts of a run: its beginning was cut off, or an older version wrote it"
            raise TraceError(path, number, f"{reason}; {CUT}")
        schema = begin.get("schema") if isinstance(begin, dict) else None
        if schema != SCHEMA:
            facts = begin.get("facts") if isinstance(begin, dict) else None
            writer = f", {facts['version']}" if isinstance(facts, dict) and "version" in facts else ""
            reason = f"schema version {schema!r}: this GridFleet reads {SCHEMA!r}"
            raise TraceError(path, number, f"{reason}; replay it with the version that wrote it{writer}")
        try:
            return site, TypeAdapter(TraceHead).validate_python(begin)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise TraceError(path, number, f"the facts of the run are damaged at {where}; {CUT}") from None
    raise TraceError(path, 1, f"is empty; {NO_TRACE}")


def read_trace(
    path: Path | str, *, whole: bool = False, on_gap: Callable[[], None] = lambda: None
) -> Iterator[TracedMessage]:
    """Yield the messages of a trace, validated; raise TraceError with file and line.

    `on_gap` is called where messages may be missing. With `whole`, a trace that was cut off is an error. To audit a
    trace again:

    >>> def audit_trace(path: str) -> bool:
    ...     from gridfleet.dashboards.audit import Auditor
    ...     auditor = Auditor(exact=False)
    ...     for traced in read_trace(path):
    ...         auditor.receive(*traced)
    ...     return all(finding.holds for finding in auditor.finish())
    """
    site: str | None = None
    number, messages, expected = 0, 0, -1
    for number, simulated_ms, name, payload in _lines(path):
        if site is None:
            site = _site(path, number, name)
        if _is_note(name):
            note = payload if isinstance(payload, dict) else {}
            expected = note.get("end", expected)
            if "gap" in note:
                on_gap()
            continue
        try:
            address = parse_topic(site, name)
            message = decode(address.message_type.name, json_text(payload).encode())
        except (TopicError, PayloadError) as error:
            raise TraceError(path, number, str(error)) from None
        messages += 1
        yield simulated_ms, address.scope, address.sender, message
    if whole and messages != expected:
        reason = (
            "ends here, but the run went on" if expected < 0 else f"has {messages} messages, not {expected}"
        )
        raise TraceError(path, number, f"{reason}: lines are missing; {CUT}")


def _lines(path: Path | str) -> Iterator[tuple[int, int, str, Any]]:
    """Yield number, time in ms, topic and payload of each line."""
    try:
        for number, line in packed_lines(path):
            yield (number, *_fields(path, number, line))
    except ReadError as error:
        remedy = CUT if "compressed" in error.problem else NO_TRACE
        raise TraceError(path, error.line or 1, f"{error.problem}; {remedy}") from error


def _fields(path: Path | str, number: int, line: bytes) -> tuple[int, str, Any]:
    """Return time in ms, topic and payload of a line."""
    try:
        found = parse_json(line)
    except ReadError as error:
        if not line.endswith(b"\n"):
            raise TraceError(path, number, f"is not JSON: the line is cut off; {CUT}") from None
        raise TraceError(path, number, f"{error.problem}; {NO_TRACE}") from None
    if not isinstance(found, dict) or found.keys() != _KEYS or not isinstance(found["topic"], str):
        reason = "is not an object with exactly the keys time, topic and payload"
        raise TraceError(path, number, f"{reason}; {NO_TRACE}")
    try:
        simulated_ms = parse_time(found["time"])
    except (TypeError, ValueError):
        raise TraceError(
            path, number, f"time {shown(str(found['time']))!r} is not an ISO 8601 time without a zone"
        ) from None
    return simulated_ms, found["topic"], found["payload"]


def _is_note(name: str) -> bool:
    """Return whether a line is one of the trace's own."""
    return name.startswith(f"{ROOT}/") and name.split("/")[2:] == [NOTE]


def _site(path: Path | str, number: int, name: str) -> str:
    """Return the site in the first topic; all others must be of the same site."""
    levels = name.split("/")
    if len(levels) < 2 or levels[0] != ROOT:
        raise TraceError(path, number, f"topic {shown(name)!r} does not begin with {ROOT}/<site>/")
    return levels[1]
