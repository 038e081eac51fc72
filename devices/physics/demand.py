"""Electricity demand by the BDEW standard load profiles of 2025: household H25, commerce G25, farm L25.

[1] BDEW, "Standardlastprofile Strom", March 2025, as tabulated in demandlib; see devices/physics/data/bdew_2025.json.
[2] VDEW M-05/2000, "Anwendung der Repräsentativen VDEW-Lastprofile step-by-step": day types and dynamisation.

The profiles are made for the legal clock. `LoadProfile` takes that clock's milliseconds since 1970-01-01 00:00;
`LegalTimeLoad` takes simulated time, which is standard time, and reads the legal clock of the site's zone: the day of
the change in spring has 92 quarter hours, that in autumn 100. Without a zone both are standard time, all year.

Sundays and the nine public holidays of the whole country are day type FT, Saturdays SA, other days WT. As in
[2], 24 and 31 December count as Saturdays unless they are Sundays. H25 is dynamic: its table times the
polynomial of [2] in the day of the year; G25 and L25 have no such factor. Nothing is renormalised, so a
year's sum differs a little from the annual demand: by 0.04 % in 2025, 0.4 % in a leap year.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from math import ceil
from typing import Final, Literal

from gridfleet.broker.protocol.units import MS_PER_DAY, QUARTER_HOUR_MS
from gridfleet.broker.readers.json_values import parse_json
from gridfleet.devices.physics.data import read_text
from gridfleet.devices.weather.site_clock import SiteClock

ProfileName = Literal["H25", "G25", "L25"]

QUARTERS_PER_DAY: Final = 96

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_TABLE_PER_ANNUAL_KWH = 1_000_000
_SATURDAY, _SUNDAY_OR_HOLIDAY, _WORKDAY = range(3)
_DAY_TYPES = ("SA", "FT", "WT")
_FRIDAY = 4
_SUNDAY = 6


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """A load profile: Wh per quarter hour at 1 000 000 kWh a year, by month, day type and quarter."""

    name: str
    dynamic: bool
    table_wh: tuple[tuple[tuple[int, ...], ...], ...]

    def energy_wh(self, clock_ms: int, annual_kwh: float) -> int:
        """Return the whole Wh drawn in the quarter hour of this time, at an annual demand in kWh."""
        day_number, day_ms = divmod(clock_ms, MS_PER_DAY)
        month, day_type, factor = _day(day_number)
        share_wh = self.table_wh[month][day_type][day_ms // QUARTER_HOUR_MS]
        scale = annual_kwh * factor if self.dynamic else annual_kwh
        return round(share_wh * scale / _TABLE_PER_ANNUAL_KWH)

    def max_energy_wh(self, annual_kwh: float) -> int:
        """Return the most Wh of any quarter hour at an annual demand in kWh."""
        largest = max(max(day) for month in self.table_wh for day in month)
        factor = max(map(dynamisation, range(1, 367))) if self.dynamic else 1.0
        return ceil(largest * annual_kwh * factor / _TABLE_PER_ANNUAL_KWH)


@dataclass(frozen=True, slots=True)
class LegalTimeLoad:
    """A load profile that follows the legal clock of a site."""

    profile: LoadProfile
    clock: SiteClock

    def energy_wh(self, simulated_ms: int, annual_kwh: float) -> int:
        """Return the whole Wh drawn in the quarter hour of this simulated time, at an annual demand in kWh."""
        return self.profile.energy_wh(self.clock.legal_ms(simulated_ms), annual_kwh)


@cache
def load_profile(name: ProfileName) -> LoadProfile:
    """Return a profile of 2025 by its name; raise KeyError for any other name.

    >>> load_profile("H25").energy_wh(18 * 3_600_000, annual_kwh=3_500)  # 1 January 1970, 18:00
    197
    """
    profile = parse_json(read_text("bdew_2025.json"))["profiles"][name]
    months = tuple(tuple(tuple(month[day]) for day in _DAY_TYPES) for month in profile["months"])
    return LoadProfile(name=name, dynamic=profile["dynamic"], table_wh=months)


def dynamisation(day_of_year: int) -> float:
    """Return the seasonal factor of household demand on a day of the year from 1 to 366 [2]."""
    t = float(day_of_year)
    return (((-3.92e-10 * t + 3.2e-7) * t - 7.02e-5) * t + 2.1e-3) * t + 1.24


@lru_cache(maxsize=8)
def public_holidays(year: int) -> frozenset[date]:
    """Return the public holidays observed in every state of Germany."""
    easter = _easter_sunday(year)
    movable = (easter + timedelta(days=days) for days in (-2, 1, 39, 50))
    fixed = (date(year, month, day) for month, day in ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26)))
    return frozenset((*movable, *fixed))


def is_workday(day_number: int) -> bool:
    """Return whether a day, counted from 1970-01-01, is a workday; 24 and 31 December are none.

    >>> is_workday(0), is_workday(1)  # New Year's Day 1970, and the Friday after it
    (False, True)
    """
    _, day_type, _ = _day(day_number)
    return day_type == _WORKDAY


@lru_cache(maxsize=512)
def _day(day_number: int) -> tuple[int, int, float]:
    """Month index, day type and seasonal factor of a day counted from 1970-01-01."""
    today = date.fromordinal(_EPOCH_ORDINAL + day_number)
    return today.month - 1, _day_type(today), dynamisation(today.timetuple().tm_yday)


def _day_type(today: date) -> int:
    weekday = today.weekday()
    if weekday == _SUNDAY or today in public_holidays(today.year):
        return _SUNDAY_OR_HOLIDAY
    if weekday > _FRIDAY or (today.month, today.day) in ((12, 24), (12, 31)):
        return _SATURDAY
    return _WORKDAY


def _easter_sunday(year: int) -> date:
    """Easter by the anonymous Gregorian algorithm (Nature, 20 April 1876)."""
    century, in_century = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (in_century // 4) - epact - in_century % 4) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)
