"""Weather measured at sites: a time series for each site, and the interpolation between sites.

A value holds until the site's next one, for at most an hour. The weather of a place is that of the three nearest
sites that have a value at that time, weighted by inverse distance. Wind and temperature are looked up separately,
because a site may measure only one of them.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gridfleet.broker.protocol.units import QUARTER_HOUR_MS
from gridfleet.broker.simulated_time import minute_text
from gridfleet.devices.physics.geo import inverse_distance_weights, nearest_sites
from gridfleet.devices.weather import WeatherSpanError, WindReading

MAX_HOLD_MS: Final = 3_600_000
_SITES_USED = 3


class Series:
    """Values at ascending times on the simulated clock."""

    def __init__(self, values: Mapping[int, float]) -> None:
        """Take values by time in ms, in any order."""
        self.times_ms: Sequence[int] = sorted(values)
        self._values: Sequence[float] = [values[time_ms] for time_ms in self.times_ms]

    def held_at(self, simulated_ms: int) -> float | None:
        """Return the latest value that is not older than an hour, or None."""
        index = bisect_right(self.times_ms, simulated_ms) - 1
        if index < 0 or simulated_ms - self.times_ms[index] > MAX_HOLD_MS:
            return None
        return self._values[index]


@dataclass(frozen=True, slots=True)
class SiteSeries:
    """A site: wind speed in m/s and temperature in °C over time."""

    name: str
    latitude: float
    longitude: float
    wind_mps: Series
    temperature_c: Series


class SiteWeather:
    """Weather between measuring sites."""

    def __init__(self, sites: Sequence[SiteSeries], assumed_temperature_c: float | None = None) -> None:
        """`sites` holds at least one; `assumed_temperature_c` is used where no site has a temperature."""
        if not sites:
            raise ValueError("recorded weather needs at least one site")
        self.sites = tuple(sites)
        self._positions = tuple((site.latitude, site.longitude) for site in sites)
        self._winds = tuple(site.wind_mps for site in sites)
        self._temperatures = tuple(site.temperature_c for site in sites)
        self._assumed_temperature_c = assumed_temperature_c
        self._places: dict[tuple[float, float], tuple[tuple[float, int], ...]] = {}

    def at(self, simulated_ms: int, latitude: float, longitude: float) -> WindReading:
        """Return the reading for the quarter hour of this time; raise WeatherSpanError if no site has one."""
        quarter_ms = simulated_ms - simulated_ms % QUARTER_HOUR_MS
        place = self._places.get((latitude, longitude))
        if place is None:
            place = self._places[latitude, longitude] = nearest_sites(latitude, longitude, self._positions)
        speed_mps = _interpolated(place, self._winds, quarter_ms)
        temperature_c = _interpolated(place, self._temperatures, quarter_ms)
        if temperature_c is None:
            temperature_c = self._assumed_temperature_c
        if speed_mps is None:
            raise self._outside(simulated_ms, "wind speed", self._winds)
        if temperature_c is None:
            raise self._outside(simulated_ms, "temperature", self._temperatures)
        return WindReading(round(speed_mps, 3), round(temperature_c, 2))

    def _outside(self, simulated_ms: int, quantity: str, series: Sequence[Series]) -> WeatherSpanError:
        when = minute_text(simulated_ms)
        edges = [time_ms for one in series if one.times_ms for time_ms in (one.times_ms[0], one.times_ms[-1])]
        if not edges:
            reason = f"no site has any {quantity}; add a file that has it, or set an assumed temperature"
        else:
            span = f"{minute_text(min(edges))} to {minute_text(max(edges))}"
            reason = (
                f"no {quantity} at {when}: the record covers {span} German standard time, and a value holds"
                " for an hour at most; start and end the run within it and outside its gaps"
            )
        return WeatherSpanError(simulated_ms, reason)


def _interpolated(place: Sequence[tuple[float, int]], series: Sequence[Series], time_ms: int) -> float | None:
    """Return the inverse-distance mean of the three nearest sites that have a value; None if none has."""
    distances_km: list[float] = []
    values: list[float] = []
    for site_km, index in place:
        value = series[index].held_at(time_ms)
        if value is not None:
            distances_km.append(site_km)
            values.append(value)
            if len(values) == _SITES_USED:
                break
    if not values:
        return None
    weights = inverse_distance_weights(distances_km)
    return sum(weight * value for weight, value in zip(weights, values, strict=True))
