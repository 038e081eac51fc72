"""One line of the doctor's output: what was checked, the result, and the remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was checked, the result, an explanation, and a remedy unless the result is ok."""

    subject: str
    severity: Severity
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Diagnosis:
    """Return that the check passed."""
    return Diagnosis(subject, Severity.OK, text)


def warn(subject: str, text: str, remedy: str) -> Diagnosis:
    """Return that it works now but may fail, or that a feature is missing."""
    return Diagnosis(subject, Severity.WARN, text, remedy)


def fail(subject: str, text: str, remedy: str) -> Diagnosis:
    """Return that it does not work."""
    return Diagnosis(subject, Severity.FAIL, text, remedy)
