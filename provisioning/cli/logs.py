"""Logs of long-running commands on standard error: for people, or as JSON.

Under systemd each line begins with its syslog priority (see sd-daemon(3)), so that `journalctl --priority warning`
works. Such lines carry no time, because the journal records it.
"""

import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import printable
from gridfleet.broker.readers.json_values import json_text
from gridfleet.provisioning.cli.terminal import print_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

_PRIORITY: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""Syslog priority (RFC 5424, table 2) of each log level and those above it."""
_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def set_up_logs(
    log_format: str = "human",
    level: int = logging.INFO,
    *,
    always: "Mapping[str, object] | None" = None,
    stream: "TextIO | None" = None,
) -> None:
    """Log everything from a level on to a stream, by default standard error; a second call replaces the first.

    `log_format` is human or json. Each JSON object also contains the fields in `always`, such as the device's id.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    in_journal = stream is None and _is_journal(sys.stderr)
    handler.setFormatter(
        JsonFormatter(always, in_journal=in_journal)
        if log_format == "json"
        else HumanFormatter(in_journal=in_journal)
    )
    root = logging.getLogger()
    for previous in [each for each in root.handlers if getattr(each, "of_gridfleet", False)]:
        root.removeHandler(previous)
    handler.of_gridfleet = True  # type: ignore[attr-defined] # found by the next call
    root.addHandler(handler)
    root.setLevel(level)


def status_reporter(log_format: str, command: str) -> "Callable[[str], None]":
    """Set up the log of a command; return the function that reports its status: as text, or in the log if JSON."""
    set_up_logs(log_format)
    if log_format == "json":
        return logging.getLogger(f"gridfleet.{command}").info

    def report(text: str) -> None:
        print_message(f"{command}: {text}")

    return report


class HumanFormatter(logging.Formatter):
    """Formats a record as time, level from warning on, message, and further fields as key=value."""

    def __init__(self, *, in_journal: bool = False) -> None:
        super().__init__()
        self._in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, which may have several lines."""
        words = [_printable(record.getMessage())]
        if record.levelno >= logging.WARNING:
            words.insert(0, f"{record.levelname.lower()}:")
        words += [f"{key}={_printable(str(value))}" for key, value in fields_of(record).items()]
        text = " ".join(words).replace("\n", "\n  ")  # no line of a text of others looks like one of the log
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._in_journal:
            return "\n".join(f"<{priority_of(record.levelno)}>{line}" for line in text.splitlines() or [""])
        return f"{_time(record):%H:%M:%S} {text}"


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object per line: time (UTC), level, logger, message, and further fields."""

    def __init__(self, always: "Mapping[str, object] | None" = None, *, in_journal: bool = False) -> None:
        super().__init__()
        self._always = dict(always or {})
        self._in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON text of a record."""
        fields = {
            "time": _time(record).astimezone(UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
            **{f"{key}_" if key in {"time", "level", "logger", "message"} else key: value
               for key, value in fields_of(record).items()},
        }  # fmt: skip
        if record.exc_info:
            fields["error"] = "".join(traceback.format_exception(*record.exc_info))
        text = json_text(fields, default=str, ensure_ascii=False)
        return f"<{priority_of(record.levelno)}>{text}" if self._in_journal else text


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields that were logged with `extra=`."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}


def priority_of(level: int) -> int:
    """Return the syslog priority of a log level."""
    return next(priority for minimum, priority in _PRIORITY if level >= minimum)


def _printable(text: str) -> str:
    """Return a text without the control characters that a terminal would obey; it may have several lines."""
    return printable(text, keep="\n\t")


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC).astimezone()


def _is_journal(stream: "TextIO") -> bool:
    """Return whether a stream leads to the journal; systemd gives its device and inode (see systemd.exec(5))."""
    journal = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal == f"{status.st_dev}:{status.st_ino}"
