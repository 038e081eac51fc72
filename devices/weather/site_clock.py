"""The site's clock: standard time all year, and what the legal clock of its time zone shows.

Simulated time is milliseconds since 1970-01-01 00:00 of the site's *standard* time, so every day has 96 quarter hours.
Load profiles are made for the legal clock, which is an hour ahead in summer: on the day of the change in spring a
profile's day has 92 quarter hours, in autumn 100.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridfleet.broker.protocol.units import MS_PER_HOUR, QUARTER_HOUR_MS
from gridfleet.broker.readers.ranges import utc_ms

GERMAN_STANDARD_TIME_MS: Final = MS_PER_HOUR
"""Standard time ahead of UTC where no time zone is given: that of Germany."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MONTHS: Final = (1, 7)


class SiteClock:
    """Converts between UTC, standard time and legal time of one time zone."""

    def __init__(self, zone: str = "", year: int = 2025) -> None:
        """`zone` is a name of the tz database, such as Europe/Berlin; without it German standard time all year.

        The standard time is that of `year`. Raises ValueError for a name that the database does not have.
        """
        self.zone = zone
        self.ahead_of_utc_ms = GERMAN_STANDARD_TIME_MS
        self._ahead_of_standard_ms: Callable[[int], int] | None = None
        if not zone:
            return
        legal = time_zone(zone)
        self.ahead_of_utc_ms = min(
            _offset_ms(datetime(year, month, 1, 12, tzinfo=UTC), legal) for month in _MONTHS
        )

        @lru_cache(maxsize=4096)
        def ahead_of_standard_ms(simulated_ms: int) -> int:
            return _offset_ms(self.utc(simulated_ms), legal) - self.ahead_of_utc_ms

        self._ahead_of_standard_ms = ahead_of_standard_ms

    def legal_ms(self, simulated_ms: int) -> int:
        """Return what the legal clock shows at a simulated time, in ms since 1970-01-01 00:00 of that clock.

        >>> june = SiteClock("Europe/Berlin")
        >>> midnight_ms = 1_748_822_400_000  # 2 June 2025, 00:00 standard time
        >>> (june.legal_ms(midnight_ms) - midnight_ms) // 3_600_000
        1
        """
        if self._ahead_of_standard_ms is None:
            return simulated_ms
        quarter_ms = simulated_ms - simulated_ms % QUARTER_HOUR_MS
        return simulated_ms + self._ahead_of_standard_ms(quarter_ms)

    def simulated_ms(self, moment: datetime) -> int:
        """Return the simulated time of a moment; one without an offset is in standard time.

        Raises ReadError for a year out of range.
        """
        if moment.tzinfo is None:
            return utc_ms(moment)
        return utc_ms(moment) + self.ahead_of_utc_ms

    def utc(self, simulated_ms: int) -> datetime:
        """Return the moment in UTC of a simulated time."""
        return _EPOCH + timedelta(milliseconds=simulated_ms - self.ahead_of_utc_ms)

    @property
    def name(self) -> str:
        """How texts call the site's standard time."""
        if not self.zone:
            return "German standard time"
        standard = timezone(timedelta(milliseconds=self.ahead_of_utc_ms))
        return f"{self.zone} standard time ({standard})"


@lru_cache(maxsize=64)
def site_clock(zone: str, year: int) -> SiteClock:
    """Return the clock of a zone and year, the same object for the same ones."""
    return SiteClock(zone, year)


def validated_zone(name: str) -> str:
    """Return the name of a time zone, or an empty one; raise ValueError for what the tz database does not have."""
    if name:
        time_zone(name)
    return name


def time_zone(name: str) -> tzinfo:
    """Return a time zone of the tz database; raise ValueError with a remedy for a name that it does not have."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no time zone; write a name of the tz database, such as Europe/Berlin"
        ) from error


def _offset_ms(moment: datetime, zone: tzinfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return (offset or timedelta()) // _MILLISECOND


STANDARD_CLOCK: Final = SiteClock()
"""German standard time all year."""
