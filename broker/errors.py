"""The base class of all errors, and the errors of topics, payloads, stores and brokers, with data as attributes."""

import unicodedata
from pathlib import Path
from typing import Final


class GridFleetError(Exception):
    """Base of all errors of GridFleet; the text says what is wrong and gives a remedy."""


def error_reason(error: Exception) -> str:
    """Return why a file or socket cannot be used: the system's text, in lower case and without the file's name.

    >>> error_reason(FileNotFoundError(2, "No such file or directory", "run.sqlite"))
    'no such file or directory'
    """
    return ((isinstance(error, OSError) and error.strerror) or str(error)).lower()


class StoreError(GridFleetError, OSError):
    """A store that cannot be created, read or written."""

    def __init__(self, path: Path | str, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: {reason}; {remedy}")
        self.path = path
        self.reason = reason
        self.remedy = remedy


_MOST_SHOWN: Final = 200
_MOST_DETAIL: Final = 1_000
"""Most characters that are shown of what is wrong with a payload."""
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_NOT_SHOWN: Final = _CONTROL | {"Cf", "Cn", "Co"}
"""Categories of Unicode: control characters, half pairs, ends of lines; and what has no look of its own."""


def shown(text: str) -> str:
    r"""Return a text of others for logs and errors: control characters as `?`, shortened to 200 characters.

    >>> shown("\x1b[2Jfull")
    '?[2Jfull'
    """
    beginning = printable(text[:_MOST_SHOWN])
    return beginning if len(text) <= _MOST_SHOWN else f"{beginning}… ({len(text)} characters)"


def has_control_characters(text: str, allowed: str = "") -> bool:
    """Return whether a text has characters that a terminal would obey, other than those that are allowed."""
    return any(unicodedata.category(letter) in _CONTROL and letter not in allowed for letter in text)


def printable(text: str, keep: str = "") -> str:
    r"""Return a text without the characters that a terminal would obey, but those of `keep`.

    >>> printable("\x1b[2Ja\nb", keep="\n")
    '?[2Ja\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        "?" if unicodedata.category(letter) in _NOT_SHOWN and letter not in keep else letter
        for letter in text
    )


class TopicError(GridFleetError, ValueError):
    """A topic that is not one of the site's."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"topic {shown(topic)!r}: {reason}")
        self.topic = topic
        self.reason = reason


class PayloadError(GridFleetError, ValueError):
    """A payload that is no valid message of its message type, or is not allowed; `reason` is a word for counters."""

    def __init__(self, message_type: str, reason: str, detail: str) -> None:
        if len(detail) > _MOST_DETAIL:
            detail = f"{detail[:_MOST_DETAIL]}… ({len(detail)} characters)"
        detail = printable(detail)  # it quotes the payload, its unknown keys too
        super().__init__(f"{shown(message_type)}: {detail}")
        self.message_type = message_type
        self.reason = reason
        self.detail = detail


class OutdatedError(PayloadError):
    """A message that is overtaken by what was received before it: not false, and of no concern any more."""


class FormerRunError(OutdatedError):
    """A message of a run that is over."""

    def __init__(self, message_type: str, epoch: int, present: int) -> None:
        super().__init__(message_type, "former run", f"of run {epoch}, while run {present} is in progress")
        self.epoch = epoch


class BrokerError(GridFleetError, ConnectionError):
    """The broker cannot be started or reached, or refuses a client."""
