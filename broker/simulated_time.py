"""Simulated time as text: in files, on pages and on a terminal.

Simulated time is whole milliseconds since 1970-01-01 of the scenario's local standard time. It has no time zone.
"""

from datetime import datetime, timedelta
from typing import Final

from gridfleet.broker.readers.ranges import utc_ms

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  simulated local standard time has no zone
_MS: Final = timedelta(milliseconds=1)
_MAX_MS: Final = 253_402_300_799_000
"""9999-12-31T23:59:59, the last second that ISO 8601 spells with four digits."""
_MIN_MS: Final = -62_135_596_800_000
"""0001-01-01T00:00:00, the first."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def time_text(simulated_ms: int | None, *, milliseconds: bool = False) -> str:
    """Return simulated time as ISO 8601 to the second or millisecond, at most the year 9999; empty for None.

    >>> time_text(1_748_822_400_000)
    '2025-06-02T00:00:00'
    """
    if simulated_ms is None:
        return ""
    return _datetime(simulated_ms).isoformat(timespec="milliseconds" if milliseconds else "seconds")


def minute_text(simulated_ms: int) -> str:
    """Return simulated time to the minute, for pages.

    >>> minute_text(1_748_822_400_000)
    '2025-06-02 00:00'
    """
    return _datetime(simulated_ms).isoformat(" ", timespec="minutes")


def short_time_text(simulated_ms: int) -> str:
    """Return simulated time to the minute without the year, for a terminal.

    >>> short_time_text(1_748_822_400_000)
    '02 Jun 00:00'
    """
    time = _datetime(simulated_ms)
    return f"{time.day:02d} {_MONTHS[time.month - 1]} {time:%H:%M}"


def parse_time(text: str) -> int:
    """Return the milliseconds of an ISO 8601 time without a zone; raise ValueError for any other text.

    >>> parse_time("2025-06-02T00:00:00.500")
    1748822400500
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is not None:
        raise ValueError(f"{text!r} has a time zone, simulated time has none")
    utc_ms(time)
    return (time - _EPOCH) // _MS


def simulated_datetime(simulated_ms: int) -> datetime:
    """Return simulated time to the second as a datetime without a zone, at most the year 9999.

    >>> simulated_datetime(1_748_822_400_999)
    datetime.datetime(2025, 6, 2, 0, 0)
    """
    return _datetime(simulated_ms).replace(microsecond=0)


def _datetime(simulated_ms: int) -> datetime:
    return _EPOCH + max(_MIN_MS, min(simulated_ms, _MAX_MS)) * _MS
