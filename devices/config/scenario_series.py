"""The measured loads and day-ahead prices that a scenario names, read once and checked for the whole run."""

from functools import lru_cache
from pathlib import Path

from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.config.scenario_tables import ConsumersTable
from gridfleet.devices.physics.time_series import LoadSeries, PriceSeries, Quantity, TimeSeries, read_series
from gridfleet.devices.weather.of_scenario import file_stamps
from gridfleet.devices.weather.site_clock import SiteClock


def loads_of(scenario: Scenario) -> dict[str, LoadSeries]:
    """Return the measured loads by the prefix of a group's ids.

    Raises WeatherFileError for a file that cannot be used, and WeatherSpanError where it does not cover the run.
    """
    loads = {}
    for group in scenario.groups:
        settings = group.settings
        if isinstance(settings, ConsumersTable) and settings.load_file:
            series = _series(scenario, settings.load_file, "load")
            loads[group.prefix] = LoadSeries(series, settings.load_factor)
    return loads


def reactor_prices_of(scenario: Scenario) -> PriceSeries | None:
    """Return the reactors' prices over time, None where the market's price counts; raise as `loads_of` does."""
    table = scenario.reactors
    if not table.price_file:
        return None
    return PriceSeries(_series(scenario, table.price_file, "price"), table.price_added_eur_per_kwh)


def _series(scenario: Scenario, name: str, quantity: Quantity) -> TimeSeries:
    folder = Path(scenario.folder)
    stamps = file_stamps(folder, (name,))
    return _read(folder / name, stamps, quantity, scenario.clock, scenario.start_ms, scenario.ticks)


@lru_cache(maxsize=8)
def _read(
    file: Path, _stamps: tuple[object, ...], quantity: Quantity, clock: SiteClock, start_ms: int, ticks: int
) -> TimeSeries:
    series = read_series(file, quantity, clock)
    series.check(start_ms, ticks)
    return series
