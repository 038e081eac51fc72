"""Gaps of recorded weather: refused with span, count, step and station, or filled as the scenario asks; legal time."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gridfleet.devices.config.scenario import ScenarioError, load
from gridfleet.devices.physics.demand import LegalTimeLoad, load_profile
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.weather import WeatherSpanError
from gridfleet.devices.weather.coverage import WeatherGapError, coverage_of, filled_texts
from gridfleet.devices.weather.of_scenario import coverage_texts, filled_gaps, weather_of
from gridfleet.devices.weather.site_clock import STANDARD_CLOCK, SiteClock
from gridfleet.devices.weather.stations import Gaps, Series, SiteSeries, SiteWeather
from tests.provisioning.shell import gridfleet

QUARTER = 900_000
HOUR = 3_600_000
HEADER = "time,latitude,longitude,wind_speed_mps,temperature_c\n"
SPEEDS = (8.0, 11.0, 14.0, 8.0)


def three_hourly(folder: Path, more: str = "", ticks: int = 36) -> Path:
    """A scenario on a file with a value every three hours."""
    rows = [f"2025-03-01T{3 * index:02}:00,53.6,10,{speed},5" for index, speed in enumerate(SPEEDS)]
    (folder / "wind.csv").write_text(HEADER + "\n".join(rows) + "\n")
    file = folder / "mine.toml"
    file.write_text(
        f'start = 2025-03-01\nticks = {ticks}\n[weather]\nsource = "csv"\nfiles = ["wind.csv"]\n{more}\n'
    )
    return file


def speeds(file: Path, quarters: int) -> list[float]:
    scenario = load(str(file))
    weather = weather_of(scenario, 1)
    return [
        weather.at(scenario.start_ms + quarter * QUARTER, 53.6, 10).speed_mps for quarter in range(quarters)
    ]


def test_a_gap_is_refused_with_span_count_step_and_station(tmp_path: Path) -> None:
    with pytest.raises(WeatherGapError) as caught:
        Fleet(load(str(three_hourly(tmp_path))))
    text = str(caught.value)
    for part in (
        str(tmp_path / "wind.csv"),
        "no wind speed in 21 of 36 ticks, in 3 gaps",
        "2025-03-01 01:15 to 2025-03-01 03:00 (1 h 45 min)",
        "53.6,10.0 (a value every 3 h, 15 of 36 ticks)",
        'weather.gaps = "interpolate" or "hold", with weather.most_gap_h = 3',
    ):
        assert part in text


def test_held_and_interpolated_values(tmp_path: Path) -> None:
    held = speeds(three_hourly(tmp_path, 'gaps = "hold"'), 13)
    assert held == [8.0] * 12 + [11.0]
    joined = speeds(three_hourly(tmp_path, 'gaps = "interpolate"'), 13)
    assert joined == [8 + 0.25 * quarter for quarter in range(13)]


def test_a_gap_longer_than_is_allowed_is_refused(tmp_path: Path) -> None:
    file = three_hourly(tmp_path, 'gaps = "interpolate"\nmost_gap_h = 2.5')
    with pytest.raises(WeatherGapError, match="most_gap_h = 3"):
        weather_of(load(str(file)), 1)


def test_a_run_outside_the_record_is_told_its_span_and_not_a_gap(tmp_path: Path) -> None:
    with pytest.raises(WeatherSpanError, match="covers 2025-03-01 00:00 to 2025-03-01 09:00"):
        weather_of(load(str(three_hourly(tmp_path, ticks=60))), 1)


def test_the_remedy_that_a_refusal_names_works(tmp_path: Path) -> None:
    """A hole of 2 h 45 min between two values, which the rule fills when it may fill as much as the message says."""
    times = [0, QUARTER, 12 * QUARTER, 13 * QUARTER]

    def weather(gaps: Gaps) -> SiteWeather:
        series = Series(dict.fromkeys(times, 5.0), gaps)
        return SiteWeather([SiteSeries("mast", 53.6, 10.0, series, series)])

    covered = coverage_of(weather(Gaps()), 0, 14)
    (hole,) = covered[0].holes
    assert (hole.first, hole.end) == (6, 12)
    filled = coverage_of(weather(Gaps("interpolate", 11 * QUARTER)), 0, 14)
    assert filled[0].filled == (hole,)
    assert coverage_of(weather(Gaps("interpolate", 11 * QUARTER - 1)), 0, 14)[0].filled == ()


def test_check_prints_step_coverage_and_longest_hole(tmp_path: Path) -> None:
    file = three_hourly(tmp_path, 'gaps = "hold"')
    ended = gridfleet("scenario", "check", str(file), cwd=tmp_path)
    assert ended.code == 0
    line = (
        "  53.6,10.0 wind speed: a value every 3 h · 15 of 36 ticks · longest hole 2025-03-01 01:15 to "
        "2025-03-01 03:00 (1 h 45 min) · 21 ticks filled"
    )
    assert line in ended.out.splitlines()
    assert coverage_texts(load("normal")) == []


def test_what_was_filled_is_in_the_events_and_in_the_report(tmp_path: Path) -> None:
    file = three_hourly(tmp_path, 'gaps = "interpolate"')
    file.write_text(file.read_text() + "[vehicles]\ncount = 0\n[chargers]\ncount = 1\n")
    assert len(filled_gaps(load(str(file)))) == 6  # three of the wind, three of the temperature
    ended = gridfleet("simulate", str(file), "--out", "out", cwd=tmp_path)
    assert ended.code == 0, ended.err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "weather-gap" in page
    assert "53.6,10.0 temperature" in page
    assert "2025-03-01 01:15 to 2025-03-01 03:00 (1 h 45 min): interpolated" in page


def test_many_gaps_become_one_line_and_other_stations_are_named() -> None:
    sparse = Series({index * 3 * HOUR: 5.0 for index in range(20)}, Gaps())
    dense = Series({index * HOUR: 5.0 for index in range(60)}, Gaps())
    weather = SiteWeather([SiteSeries("a", 50, 9, sparse, dense), SiteSeries("b", 51, 9, dense, dense)])
    texts = list(filled_texts(coverage_of(weather, 0, 228), "refuse", 0))
    assert texts == [(5, "a wind speed", "19 gaps, 133 of 228 ticks in all: other stations serve")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_zone": "Europe/Berln"}, "'Europe/Berln' is no time zone; write a name of the tz database"),
        (
            {"turbines.sites": [[48.349, 9.885]]},
            "48.349, 9.885 lies outside the area, which is 49.11 to 54.24 °N",
        ),
        ({"weather.gaps": "guess"}, "weather.gaps"),
    ],
)
def test_wrong_keys_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load("normal").with_changes(changes)


# --- legal time ------------------------------------------------------------------------------------------


def clock_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def test_legal_time_is_an_hour_ahead_in_summer_only() -> None:
    berlin = SiteClock("Europe/Berlin")
    assert berlin.legal_ms(clock_ms("2025-03-30T01:45")) == clock_ms("2025-03-30T01:45")
    assert berlin.legal_ms(clock_ms("2025-03-30T02:00")) == clock_ms("2025-03-30T03:00")
    assert berlin.legal_ms(clock_ms("2025-10-26T01:45")) == clock_ms("2025-10-26T02:45")
    assert berlin.legal_ms(clock_ms("2025-10-26T02:00")) == clock_ms("2025-10-26T02:00")
    assert STANDARD_CLOCK.legal_ms(clock_ms("2025-07-01T12:00")) == clock_ms("2025-07-01T12:00")


def test_standard_time_of_other_zones() -> None:
    assert SiteClock("America/New_York").ahead_of_utc_ms == -5 * HOUR
    assert SiteClock("Australia/Sydney").ahead_of_utc_ms == 10 * HOUR
    assert SiteClock("Asia/Kolkata").name == "Asia/Kolkata standard time (UTC+05:30)"
    assert SiteClock("Europe/Dublin").ahead_of_utc_ms == 0


def test_a_profile_follows_the_legal_clock_and_its_days_of_92_and_100_quarters() -> None:
    profile = load_profile("G25")
    load_of = LegalTimeLoad(profile, SiteClock("Europe/Berlin"))
    summer = clock_ms("2025-07-01T09:00")
    assert load_of.energy_wh(summer, 1e6) == profile.energy_wh(summer + HOUR, 1e6)
    assert load_of.energy_wh(summer, 1e6) != profile.energy_wh(summer, 1e6)
    spring = [profile.energy_wh(clock_ms("2025-03-30T00:00") + q * QUARTER, 1e6) for q in range(96)]
    followed = [load_of.energy_wh(clock_ms("2025-03-30T00:00") + q * QUARTER, 1e6) for q in range(92)]
    assert followed == spring[:8] + spring[12:]
    autumn = [profile.energy_wh(clock_ms("2025-10-26T00:00") + q * QUARTER, 1e6) for q in range(96)]
    begin = clock_ms("2025-10-25T23:00")
    followed = [load_of.energy_wh(begin + q * QUARTER, 1e6) for q in range(100)]
    assert followed == autumn[:12] + autumn[8:]
