"""Prints diagnoses, one after the other as soon as each is known."""

from collections.abc import Iterable
from typing import Final

from gridfleet.provisioning.cli.terminal import coloured
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, Severity

_COLOURS: Final = {Severity.OK: "green", Severity.WARN: "yellow", Severity.FAIL: "red"}


def print_diagnoses(diagnoses: Iterable[Diagnosis]) -> bool:
    """Print each diagnosis; return whether none has failed."""
    succeeded = True
    for diagnosis in diagnoses:
        succeeded = succeeded and diagnosis.severity is not Severity.FAIL
        print(line(diagnosis), flush=True)
    return succeeded


def line(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as text for the terminal."""
    severity = coloured(f"{diagnosis.severity:<5}", _COLOURS[diagnosis.severity])
    text = f"{severity} {diagnosis.subject:<18} {diagnosis.text}"
    return f"{text}\n      {'':<18} → {diagnosis.remedy}" if diagnosis.remedy else text
