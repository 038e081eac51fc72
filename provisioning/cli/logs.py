"""What long-running commands log: for people, or as JSON, on standard error.

Under systemd each line begins with its priority, as sd-daemon(3) has it, so that `journalctl --priority warning`
finds what it should; the journal keeps the time itself.
"""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.terminal import tell

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
"""Of syslog (RFC 5424, table 2), for each level and those above it."""
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def set_up_logs(
    form: str = "human",
    level: int = logging.INFO,
    *,
    always: "Mapping[str, object] | None" = None,
    stream: "TextIO | None" = None,
) -> None:
    """Have everything from a level on logged to a stream, standard error unless another is given.

    Each line of JSON carries `always` as well, such as which device it is. Called again, it takes the place of what
    was set up before.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    in_journal = stream is None and _is_journal(sys.stderr)
    handler.setFormatter(
        JsonFormatter(always, in_journal=in_journal)
        if form == "json"
        else HumanFormatter(in_journal=in_journal)
    )
    root = logging.getLogger()
    for before in [each for each in root.handlers if getattr(each, "of_gridfleet", False)]:
        root.removeHandler(before)
    handler.of_gridfleet = True  # type: ignore[attr-defined] # to find it again
    root.addHandler(handler)
    root.setLevel(level)


def teller(form: str, command: str) -> "Callable[[str], None]":
    """Set up the logs of a command; return how it says where it is: in words, or in the log where that is JSON."""
    set_up_logs(form)
    if form == "json":
        return logging.getLogger(f"gridfleet.{command}").info

    def say(text: str) -> None:
        tell(f"{command}: {text}")

    return say


class HumanFormatter(logging.Formatter):
    """Time, level where it matters, message; further fields as key=value."""

    def __init__(self, *, in_journal: bool = False) -> None:
        super().__init__()
        self._in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        words = [record.getMessage()]
        if record.levelno >= logging.WARNING:
            words.insert(0, f"{record.levelname.lower()}:")
        words += [f"{key}={value}" for key, value in fields_of(record).items()]
        text = " ".join(words)
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._in_journal:
            return "\n".join(f"<{priority_of(record.levelno)}>{line}" for line in text.splitlines() or [""])
        return f"{_time(record):%H:%M:%S} {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, message, and the record's further fields."""

    def __init__(self, always: "Mapping[str, object] | None" = None, *, in_journal: bool = False) -> None:
        super().__init__()
        self._always = dict(always or {})
        self._in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        told = {
            "time": _time(record).astimezone(UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
            **{f"{key}_" if key in {"time", "level", "logger", "message"} else key: value
               for key, value in fields_of(record).items()},
        }  # fmt: skip
        if record.exc_info:
            told["error"] = "".join(traceback.format_exception(*record.exc_info))
        text = json.dumps(told, default=str, ensure_ascii=False)
        return f"<{priority_of(record.levelno)}>{text}" if self._in_journal else text


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what was logged beside the message, with `extra=`."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def priority_of(level: int) -> int:
    """Return the priority of syslog for a level of logging."""
    return next(priority for least, priority in _PRIORITY if level >= least)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC).astimezone()


def _is_journal(stream: "TextIO") -> bool:
    """Tell whether a stream leads to the journal: systemd says so by device and inode (systemd.exec(5))."""
    said = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return said == f"{status.st_dev}:{status.st_ino}"
