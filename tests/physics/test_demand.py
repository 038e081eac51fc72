"""The load profiles against demandlib's own calculation."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import pandas as pd
import pytest
from demandlib import bdew

from gridfleet.broker.protocol.units import QUARTER_HOUR_MS
from gridfleet.devices.physics.demand import (
    LegalTimeLoad,
    ProfileName,
    dynamisation,
    load_profile,
    public_holidays,
)
from gridfleet.devices.weather.site_clock import SiteClock

# demandlib still uses what pandas 3.1 deprecates; its results are the same.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")

NAMES: tuple[ProfileName, ...] = ("H25", "G25", "L25")
REFERENCE_KWH = 1_000_000


def year_ms(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000


@cache
def reference_wh(name: str, year: int) -> list[float]:
    """demandlib's profile in Wh per quarter hour at 1 000 000 kWh a year."""
    index = pd.date_range(f"{year}-01-01", f"{year + 1}-01-01", freq="15min", inclusive="left")
    power_kw = getattr(bdew, name)(index, holidays=sorted(public_holidays(year)))
    return [float(power) * 1000 / 4 for power in power_kw]


@pytest.mark.parametrize("year", [2024, 2025])
@pytest.mark.parametrize("name", NAMES)
def test_demandlib_gives_the_same_energy_in_every_quarter_hour(name: ProfileName, year: int) -> None:
    profile = load_profile(name)
    expected = reference_wh(name, year)
    # demandlib knows no Saturday rule for 24 and 31 December (VDEW M-05/2000), we do.
    eves = {(date(year, 12, day) - date(year, 1, 1)).days for day in (24, 31)}
    quarters = [quarter for quarter in range(len(expected)) if quarter // 96 not in eves]
    ours = [
        profile.energy_wh(year_ms(year) + quarter * QUARTER_HOUR_MS, REFERENCE_KWH) for quarter in quarters
    ]
    assert max(abs(our - expected[quarter]) for our, quarter in zip(ours, quarters, strict=True)) <= 0.5001


@pytest.mark.parametrize("name", NAMES)
def test_a_year_of_the_legal_clock_is_demandlibs_in_every_quarter_hour(name: ProfileName) -> None:
    """All 35 040 quarter hours of 2025 in Germany, those of the days with 92 and 100 quarters among them."""
    index = pd.date_range("2025-01-01", "2026-01-01", freq="15min", inclusive="left", tz="Europe/Berlin")
    wall = index.tz_localize(None)
    days = sorted(set(wall.date))
    whole = pd.date_range("2025-01-01", "2026-01-01", freq="15min", inclusive="left")
    by_clock = dict(zip(whole, reference_wh(name, 2025), strict=True))
    load = LegalTimeLoad(load_profile(name), SiteClock("Europe/Berlin"))
    eves = {date(2025, 12, day) for day in (24, 31)}
    counts, differing = dict.fromkeys(days, 0), []
    for quarter, clock in enumerate(wall):
        counts[clock.date()] += 1
        ours, expected = (
            load.energy_wh(year_ms(2025) + quarter * QUARTER_HOUR_MS, REFERENCE_KWH),
            by_clock[clock],
        )
        if clock.date() not in eves and abs(ours - expected) > max(0.005 * expected, 0.5001):
            differing.append((clock, ours, expected))
    assert len(index) == 4 * 8760
    assert differing == []
    assert (counts[date(2025, 3, 30)], counts[date(2025, 10, 26)], counts[date(2025, 7, 1)]) == (92, 100, 96)


@pytest.mark.parametrize("name", NAMES)
def test_a_year_adds_up_to_the_annual_demand(name: ProfileName) -> None:
    profile = load_profile(name)
    total_wh = sum(
        profile.energy_wh(year_ms(2025) + quarter * QUARTER_HOUR_MS, 3_500) for quarter in range(35_040)
    )
    assert total_wh == pytest.approx(3_500_000, rel=0.001)


def test_christmas_eve_is_a_saturday_and_christmas_a_sunday() -> None:
    commerce = load_profile("G25")
    noon = [commerce.energy_wh(year_ms(2025) + day * 86_400_000 + 43_200_000, 10**6) for day in range(365)]
    first_of_december = (date(2025, 12, 1) - date(2025, 1, 1)).days
    monday, saturday, sunday = (
        noon[first_of_december],
        noon[first_of_december + 5],
        noon[first_of_december + 6],
    )
    assert noon[-8] == noon[-1] == saturday != monday
    assert noon[-7] == noon[-6] == sunday != monday


def test_any_time_within_a_quarter_hour_means_that_quarter_hour() -> None:
    profile = load_profile("L25")
    start_ms = year_ms(2025) + 40 * QUARTER_HOUR_MS
    values = {
        profile.energy_wh(start_ms + offset_ms, 10**6) for offset_ms in (0, 1, 450_000, QUARTER_HOUR_MS - 1)
    }
    assert len(values) == 1


def test_the_day_of_the_original_system_has_its_shape() -> None:
    commerce = load_profile("G25")
    workday = year_ms(2025) + 7 * 86_400_000
    night, morning = (commerce.energy_wh(workday + hour * 3_600_000, 10**6) for hour in (0, 10))
    assert morning > 2.5 * night


def test_the_holidays_of_2025() -> None:
    published = ["01-01", "04-18", "04-21", "05-01", "05-29", "06-09", "10-03", "12-25", "12-26"]
    assert sorted(public_holidays(2025)) == [date.fromisoformat(f"2025-{day}") for day in published]


@pytest.mark.parametrize(
    "easter", ["1999-04-04", "2000-04-23", "2008-03-23", "2011-04-24", "2024-03-31", "2038-04-25"]
)
def test_easter_monday(easter: str) -> None:
    sunday = date.fromisoformat(easter)  # Physikalisch-Technische Bundesanstalt, dates of Easter
    assert sunday + timedelta(days=1) in public_holidays(sunday.year)


def test_the_dynamisation_is_high_in_winter_and_about_one_on_average() -> None:
    factors = [dynamisation(day) for day in range(1, 366)]
    assert factors[0] > 1.2
    assert min(factors) < 0.8
    assert sum(factors) / 365 == pytest.approx(1, abs=0.01)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(KeyError):
        load_profile("H0")
