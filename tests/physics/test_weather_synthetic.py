"""Synthetic weather: its marginal, its persistence, its reach, and that it depends on its seed alone."""

from math import exp, gamma, log
from statistics import NormalDist, correlation, fmean, pstdev

import pytest

from gridfleet.broker.protocol.units import QUARTER_HOUR_MS
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.weather import Weather, WeatherSpanError, WindReading
from gridfleet.devices.weather.synthetic import STATIONS, Climate, SyntheticWeather

START_MS = 1_735_689_600_000  # 2025-01-01 00:00
DAY_STEPS = 96
HAMBURG = (53.597, 10.021)
BRANDENBURG = (52.484, 12.229)
ULM = (48.349, 9.885)
KNOWN = [WindReading(1.577, -4.48), WindReading(1.39, -4.32), WindReading(7.383, -1.25)]
# Little persistence gives many independent values in few steps.
RESTLESS = Climate(correlation_time_h=0.5)


def speeds(weather: Weather, place: tuple[float, float], steps: int) -> list[float]:
    return [weather.at(START_MS + step * QUARTER_HOUR_MS, *place).speed_mps for step in range(steps)]


def latent(speed_mps: float, climate: Climate) -> float:
    """The Gaussian behind a wind speed."""
    share = 1 - exp(-((speed_mps / climate.weibull_scale_mps) ** climate.weibull_shape))
    return NormalDist().inv_cdf(min(max(share, 1e-12), 1 - 1e-12))


@pytest.mark.parametrize(
    ("climate", "place"),
    [
        (RESTLESS, HAMBURG),
        (Climate(10.0, 1.7, 0.5), (52.4537, 13.3017)),  # on a station
        (Climate(6.0, 3.0, 0.5), (50.5, 10.0)),
    ],
)
def test_wind_speed_is_weibull_distributed_everywhere(climate: Climate, place: tuple[float, float]) -> None:
    sample = sorted(speeds(SyntheticWeather(3, START_MS, climate), place, 8_000))
    scale, shape = climate.weibull_scale_mps, climate.weibull_shape
    distances = [
        abs(1 - exp(-((speed / scale) ** shape)) - (rank + 0.5) / len(sample))
        for rank, speed in enumerate(sample)
    ]
    effective = len(sample) * (1 - exp(-0.5)) / (1 + exp(-0.5))
    assert (
        max(distances) < 1.63 / effective**0.5
    )  # Kolmogorov-Smirnov at 1 %, for the independent values in it
    assert fmean(sample) == pytest.approx(scale * gamma(1 + 1 / shape), rel=0.05)
    variance = gamma(1 + 2 / shape) - gamma(1 + 1 / shape) ** 2
    assert pstdev(sample) == pytest.approx(scale * variance**0.5, rel=0.08)


def test_the_next_quarter_hour_is_as_correlated_as_the_correlation_time_says() -> None:
    climate = Climate(correlation_time_h=3)
    sample = [
        latent(speed, climate) for speed in speeds(SyntheticWeather(5, START_MS, climate), HAMBURG, 8_000)
    ]
    for lag in (1, 4, 12):
        assert correlation(sample[:-lag], sample[lag:]) == pytest.approx(exp(-lag / 12), abs=0.06)


def test_default_persistence_is_that_of_wind() -> None:
    sample = speeds(SyntheticWeather(5, START_MS), HAMBURG, 4_000)
    assert 0.96 < correlation(sample[:-1], sample[1:]) < 0.995


def test_sites_correlate_and_less_with_distance() -> None:
    weather = SyntheticWeather(7, START_MS, RESTLESS)
    at_stations = [
        [latent(speed, RESTLESS) for speed in speeds(weather, STATIONS[station], 4_000)]
        for station in (3, 0, 7, 19)
    ]
    found = [correlation(at_stations[0], other) for other in at_stations[1:]]
    expected = [exp(-distance_km(*STATIONS[3], *STATIONS[station]) / 350) for station in (0, 7, 19)]
    assert found == pytest.approx(expected, abs=0.06)
    assert found == sorted(found, reverse=True)


def test_same_seed_same_series_and_another_seed_another() -> None:
    one, same, other = (speeds(SyntheticWeather(seed, START_MS), ULM, 50) for seed in ("a", "a", "b"))
    assert one == same
    assert one != other


def test_the_order_of_questions_does_not_matter() -> None:
    asked_late, asked_in_order = SyntheticWeather(1, START_MS), SyntheticWeather(1, START_MS)
    late = asked_late.at(START_MS + 3_000 * QUARTER_HOUR_MS, *ULM)
    begin = asked_late.at(START_MS, *BRANDENBURG)  # long out of the cache
    assert begin == asked_in_order.at(START_MS, *BRANDENBURG)
    assert late == [asked_in_order.at(START_MS + step * QUARTER_HOUR_MS, *ULM) for step in range(3_001)][-1]


def test_known_values_hold_on_every_machine() -> None:
    weather = SyntheticWeather("gridfleet", START_MS)
    readings = [weather.at(START_MS + step * QUARTER_HOUR_MS, *HAMBURG) for step in (0, 1, 1_000)]
    assert readings == KNOWN


def test_within_a_quarter_hour_nothing_changes_and_before_the_start_there_is_none() -> None:
    weather = SyntheticWeather(1, START_MS + 5)
    assert weather.at(START_MS, *ULM) == weather.at(START_MS + QUARTER_HOUR_MS - 1, *ULM)
    with pytest.raises(WeatherSpanError, match="choose an earlier start_ms"):
        weather.at(START_MS - 1, *ULM)


def test_temperature_follows_season_and_hour() -> None:
    calm = SyntheticWeather(1, START_MS, Climate(temperature_deviation_c=0))

    def monthly_mean_c(month: int) -> float:
        first = round(month * 30.44) * DAY_STEPS
        steps = range(first, first + 30 * DAY_STEPS, 4)
        return fmean(calm.at(START_MS + step * QUARTER_HOUR_MS, *ULM).temperature_c for step in steps)

    assert monthly_mean_c(0) == pytest.approx(0.9, abs=0.6)  # DWD, Germany 1991-2020: January 0.9 °C
    assert monthly_mean_c(6) == pytest.approx(18.3, abs=0.6)  # July 18.3 °C
    day = [calm.at(START_MS + step * QUARTER_HOUR_MS, *ULM).temperature_c for step in range(DAY_STEPS)]
    assert day.index(max(day)) == pytest.approx(15 * 4, abs=1)


def test_temperature_has_the_deviation_of_the_climate() -> None:
    weather = SyntheticWeather(
        2, START_MS, Climate(correlation_time_h=0.5, seasonal_amplitude_c=0, daily_amplitude_c=0)
    )
    sample = [weather.at(START_MS + step * QUARTER_HOUR_MS, *HAMBURG).temperature_c for step in range(4_000)]
    assert fmean(sample) == pytest.approx(9.3, abs=0.3)
    assert pstdev(sample) == pytest.approx(3.0, rel=0.07)


@pytest.mark.parametrize(
    "name", ["weibull_scale_mps", "weibull_shape", "correlation_time_h", "correlation_length_km"]
)
def test_an_invalid_climate_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Climate(**{name: 0.0})


def test_gales_occur_as_often_as_weibull_says() -> None:
    sample = speeds(SyntheticWeather(11, START_MS, RESTLESS), HAMBURG, 8_000)
    above = 8.0 * log(20) ** 0.5  # exceeded by 5 %
    assert sum(speed > above for speed in sample) / len(sample) == pytest.approx(0.05, abs=0.012)
