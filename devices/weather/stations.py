"""Weather measured at sites: a time series for each site, and the interpolation between sites.

A value holds until the site's next one, for at most an hour. What happens in a longer gap is the scenario's choice
(`Gaps`). The weather of a place is that of the three nearest sites that have a value at that time, weighted by inverse
distance. Wind and temperature are looked up separately, because a site may measure only one of them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from gridfleet.broker.protocol.units import MS_PER_HOUR, QUARTER_HOUR_MS
from gridfleet.broker.simulated_time import minute_text
from gridfleet.devices.physics.geo import inverse_distance_weights, nearest_sites
from gridfleet.devices.weather import WeatherSpanError, WindReading
from gridfleet.devices.weather.site_clock import STANDARD_CLOCK, SiteClock

MAX_HOLD_MS: Final = MS_PER_HOUR
"""How long a value counts without being called a gap."""
GapRule: TypeAlias = Literal["refuse", "hold", "interpolate"]
_SITES_USED = 3


class Gaps(NamedTuple):
    """What happens between two values of a site that are more than an hour apart."""

    rule: GapRule = "refuse"
    """Other sites serve, else the run is refused; or the last value holds; or a straight line joins the two."""
    most_ms: int = MAX_HOLD_MS
    """Longest gap that is filled: the time from one value to the next."""


REFUSED: Final = Gaps()


class Series:
    """Values at ascending times on the simulated clock."""

    def __init__(self, values: Mapping[int, float], gaps: Gaps = REFUSED) -> None:
        """Take values by time in ms, in any order."""
        self.times_ms: Sequence[int] = sorted(values)
        self._values: Sequence[float] = [values[time_ms] for time_ms in self.times_ms]
        self._gaps = gaps

    def held_at(self, simulated_ms: int) -> float | None:
        """Return the value at a time: the latest that is not older than an hour, else what fills the gap, or None."""
        index = bisect_right(self.times_ms, simulated_ms) - 1
        if index < 0:
            return None
        if simulated_ms - self.times_ms[index] <= MAX_HOLD_MS and not self._joined(index):
            return self._values[index]
        return self._filled(index, simulated_ms)

    def value_at(self, time_ms: int) -> float | None:
        """Return the value of exactly this time, or None."""
        index = bisect_right(self.times_ms, time_ms) - 1
        return self._values[index] if index >= 0 and self.times_ms[index] == time_ms else None

    def spans(self) -> Iterator[tuple[int, int, bool]]:
        """Yield the spans of time that have a value, as begin, end and whether the value fills a gap."""
        for index, begin_ms in enumerate(self.times_ms):
            held_ms = begin_ms + MAX_HOLD_MS + 1
            if index + 1 == len(self.times_ms):
                yield begin_ms, held_ms, False
                continue
            next_ms = self.times_ms[index + 1]
            yield begin_ms, min(held_ms, next_ms), False
            if next_ms > held_ms and self._filled(index, held_ms) is not None:
                yield held_ms, next_ms, True

    def gap_at(self, simulated_ms: int) -> int | None:
        """Return the time from the value before to the value after a time; None where one is missing."""
        index = bisect_right(self.times_ms, simulated_ms)
        return self.times_ms[index] - self.times_ms[index - 1] if 0 < index < len(self.times_ms) else None

    def _joined(self, index: int) -> bool:
        """Return whether a straight line leads from this value to the next one."""
        if self._gaps.rule != "interpolate" or index + 1 == len(self.times_ms):
            return False
        return MAX_HOLD_MS < self.times_ms[index + 1] - self.times_ms[index] <= self._gaps.most_ms

    def _filled(self, index: int, simulated_ms: int) -> float | None:
        """Return what fills the gap after a value, or None."""
        if self._gaps.rule == "refuse" or index + 1 == len(self.times_ms):
            return None
        begin_ms, end_ms = self.times_ms[index], self.times_ms[index + 1]
        if end_ms - begin_ms > self._gaps.most_ms:
            return None
        before, after = self._values[index], self._values[index + 1]
        if self._gaps.rule == "hold":
            return before
        return before + (after - before) * (simulated_ms - begin_ms) / (end_ms - begin_ms)


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

    def __init__(
        self,
        sites: Sequence[SiteSeries],
        assumed_temperature_c: float | None = None,
        clock: SiteClock = STANDARD_CLOCK,
    ) -> None:
        """`sites` holds at least one; `assumed_temperature_c` is used where no site has a temperature."""
        if not sites:
            raise ValueError("recorded weather needs at least one site")
        self.sites = tuple(sites)
        self.assumed_temperature_c = assumed_temperature_c
        self._clock = clock
        self._positions = tuple((site.latitude, site.longitude) for site in sites)
        self._winds = tuple(site.wind_mps for site in sites)
        self._temperatures = tuple(site.temperature_c for site in sites)
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
            temperature_c = self.assumed_temperature_c
        if speed_mps is None:
            raise self._outside(simulated_ms, "wind speed", self._winds)
        if temperature_c is None:
            raise self._outside(simulated_ms, "temperature", self._temperatures)
        return WindReading(round(speed_mps, 3), round(temperature_c, 2))

    def check_span(self, simulated_ms: int) -> None:
        """Raise WeatherSpanError for a time before the first wind speed on record, or an hour after the last."""
        edges = [
            edge
            for series in self._winds
            if series.times_ms
            for edge in (series.times_ms[0], series.times_ms[-1])
        ]
        if not edges or not min(edges) <= simulated_ms <= max(edges) + MAX_HOLD_MS:
            raise self._outside(simulated_ms, "wind speed", self._winds)

    def _outside(self, simulated_ms: int, quantity: str, series: Sequence[Series]) -> WeatherSpanError:
        when = minute_text(simulated_ms)
        edges = [time_ms for one in series if one.times_ms for time_ms in (one.times_ms[0], one.times_ms[-1])]
        if not edges:
            reason = f"no site has any {quantity}; add a file that has it, or set an assumed temperature"
        else:
            span = f"{minute_text(min(edges))} to {minute_text(max(edges))}"
            reason = (
                f"no {quantity} at {when}: the record covers {span} {self._clock.name}, and a value holds"
                " for an hour at most; start and end the run within it and outside its gaps, or have gaps filled"
                ' with weather.gaps = "interpolate"'
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
