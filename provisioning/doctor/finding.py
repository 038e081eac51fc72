"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How well it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how well it is, in words, and what to do unless it is well."""

    what: str
    grade: Grade
    words: str
    remedy: str = ""


def ok(what: str, words: str) -> Finding:
    """Return that all is well."""
    return Finding(what, Grade.OK, words)


def warn(what: str, words: str, remedy: str) -> Finding:
    """Return that it works, and might not for long."""
    return Finding(what, Grade.WARN, words, remedy)


def fail(what: str, words: str, remedy: str) -> Finding:
    """Return that it does not work."""
    return Finding(what, Grade.FAIL, words, remedy)
