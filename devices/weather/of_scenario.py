"""The weather of a scenario: generated from its seed, or read from its files and checked for the whole run."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS
from gridfleet.devices.weather import Weather
from gridfleet.devices.weather.coverage import (
    SeriesCoverage,
    check_coverage,
    coverage_lines,
    coverage_of,
    filled_texts,
)
from gridfleet.devices.weather.dwd import read_dwd
from gridfleet.devices.weather.recorded import read_weather_csv
from gridfleet.devices.weather.site_clock import SiteClock
from gridfleet.devices.weather.stations import Gaps, SiteWeather
from gridfleet.devices.weather.synthetic import Climate, SyntheticWeather

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario
    from gridfleet.devices.config.scenario_tables import WeatherTable


class RecordedWeather(NamedTuple):
    """Weather that was read from files, and how much of the run it covers."""

    weather: SiteWeather
    coverage: tuple[SeriesCoverage, ...]


class FilledGap(NamedTuple):
    """A gap of a station within a run, and what is done about it."""

    tick: int
    subject: str
    """Station and quantity."""
    text: str


def weather_of(scenario: "Scenario", seed: int) -> Weather:
    """Return the scenario's weather.

    Raises WeatherFileError for a file that cannot be used, and WeatherSpanError when the files do not cover the run.
    """
    table = scenario.weather
    if table.source == "synthetic":
        climate = Climate(
            weibull_scale_mps=table.weibull_scale_mps,
            weibull_shape=table.weibull_shape,
            correlation_time_h=table.correlation_time_h,
            correlation_length_km=table.correlation_length_km,
            mean_temperature_c=table.mean_temperature_c,
        )
        return SyntheticWeather(seed, scenario.start_ms, climate)
    return recorded_weather(scenario).weather


def recorded_weather(scenario: "Scenario") -> RecordedWeather:
    """Return the weather in a scenario's files, with its coverage; raise as `weather_of` does."""
    area = scenario.area
    middle = (area.south + area.north) / 2, (area.west + area.east) / 2
    folder, table = Path(scenario.folder), scenario.weather
    names = (*table.files, *((table.station_list,) if table.station_list else ()))
    return _recorded(
        table, folder, file_stamps(folder, names), scenario.clock, scenario.start_ms, scenario.ticks, middle
    )


def coverage_texts(scenario: "Scenario") -> list[str]:
    """Return a line on each station and quantity of recorded weather; nothing for synthetic weather."""
    if scenario.weather.source == "synthetic":
        return []
    return coverage_lines(recorded_weather(scenario).coverage, scenario.start_ms)


def filled_gaps(scenario: "Scenario") -> list[FilledGap]:
    """Return the gaps of recorded weather within the run, and what is done about each."""
    if scenario.weather.source == "synthetic":
        return []
    covered, rule = recorded_weather(scenario).coverage, scenario.weather.gaps
    return [FilledGap(*each) for each in filled_texts(covered, rule, scenario.start_ms)]


@lru_cache(maxsize=2)
def _recorded(
    table: "WeatherTable",
    folder: Path,
    _stamps: tuple[object, ...],
    clock: SiteClock,
    start_ms: int,
    ticks: int,
    middle: tuple[float, float],
) -> RecordedWeather:
    """Read and check; a fleet and the record of its run so read the files once."""
    paths = [folder / name for name in table.files]
    gaps = Gaps(table.gaps, round(table.most_gap_h * MS_PER_HOUR))
    assumed_c = table.assumed_temperature_c
    if table.source == "csv":
        weather = read_weather_csv(paths[0], assumed_c, clock, gaps)
    else:
        station_list = folder / table.station_list if table.station_list else None
        weather = read_dwd(paths, station_list, None, assumed_c, clock=clock, gaps=gaps)
    for tick in (0, ticks - 1):
        weather.check_span(start_ms + tick * TICK_MS)
    coverage = tuple(coverage_of(weather, start_ms, ticks))
    check_coverage(weather, coverage, start_ms, ", ".join(map(str, paths)))
    for tick in (0, ticks - 1):
        weather.at(start_ms + tick * TICK_MS, *middle)
    return RecordedWeather(weather, coverage)


def file_stamps(folder: Path, names: tuple[str, ...]) -> tuple[object, ...]:
    """Return when files were written and how long they are, so that a changed file is read again."""
    stamps: list[object] = []
    for name in names:
        try:
            status = (folder / name).stat()
            stamps.append((status.st_mtime_ns, status.st_size))
        except (OSError, ValueError):
            stamps.append(None)
    return tuple(stamps)
