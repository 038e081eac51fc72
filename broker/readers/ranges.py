"""Numbers, places and times from text, within bounds: the same bounds in every reader."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final

from gridfleet.broker.errors import shown
from gridfleet.broker.readers.read_error import ReadError

LATITUDE: Final = (-90.0, 90.0)
LONGITUDE: Final = (-180.0, 180.0)
"""Degrees."""
FIRST_YEAR: Final = 1800
LAST_YEAR: Final = 9000
"""Years of measurements and of simulated time; beyond them dates cannot be computed with."""
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_MAX_DIGITS: Final = 40
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def number(text: str, limits: tuple[float, float] = (float("-inf"), float("inf"))) -> float:
    """Return the decimal number of a text within limits, both included; raise ReadError for anything else.

    Digits of other scripts, underscores, NaN and infinity are no numbers.

    >>> number("5.2", (0, 100))
    5.2
    """
    if len(text) > _MAX_DIGITS or not _NUMBER.fullmatch(text):
        raise ReadError(f"{shown(text)!r} is not a number")
    value = float(text)
    low, high = limits
    if not isfinite(value) or not low <= value <= high:
        raise ReadError(f"{shown(text)} is out of range: allowed is {low:g} to {high:g}")
    return value


def whole_number(text: str, limits: tuple[int, int]) -> int:
    """Return the whole number of a text within limits, both included; raise ReadError for anything else.

    >>> whole_number("07", (0, 9))
    7
    """
    low, high = limits
    if len(text) > _MAX_DIGITS or not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise ReadError(f"{shown(text)!r} is not a whole number from {low} to {high}")
    return int(text)


def place(latitude: str, longitude: str) -> tuple[float, float]:
    """Return latitude and longitude in degrees; raise ReadError where they are none on earth."""
    return number(latitude, LATITUDE), number(longitude, LONGITUDE)


def check_place(latitude: float, longitude: float) -> None:
    """Raise ReadError where latitude and longitude, in degrees, are no place on earth."""
    for value, (low, high) in ((latitude, LATITUDE), (longitude, LONGITUDE)):
        if not low <= value <= high:
            raise ReadError(f"{value:g} is out of range: allowed is {low:g} to {high:g} degrees")


def utc_ms(moment: datetime) -> int:
    """Return milliseconds since 1970 in UTC; a moment without a zone is UTC. Raise ReadError for a year out of range.

    >>> utc_ms(datetime(1970, 1, 2))
    86400000
    """
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ReadError(f"the year {moment.year} is out of range: allowed is {FIRST_YEAR} to {LAST_YEAR}")
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def moment_of(text: str) -> datetime:
    """Return the moment of an ISO 8601 text with a year in range; raise ReadError for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ReadError(f"{shown(text)!r} is not an ISO 8601 time") from None
    utc_ms(moment)
    return moment
