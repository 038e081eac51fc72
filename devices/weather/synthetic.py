"""Seeded wind and temperature over Germany, correlated in time and space.

Each of 20 stations has a standard Gaussian variable that follows an AR(1) process in steps of 15 min; the
innovations correlate as exp(−distance/L). A place has the weighted mean of its three nearest stations, scaled
back to unit variance, so the distribution is the same everywhere; the wind speed is the Weibull quantile of its
probability [1, 2]. Temperature is a yearly and a daily cosine plus a second such variable.

[1] B. G. Brown, R. W. Katz, A. H. Murphy, "Time series models to simulate and forecast wind speed and wind
    power", J. Climate Appl. Meteor. 23 (1984) 1184: a transformed Gaussian AR process.
[2] C. G. Justus et al., "Methods for estimating wind speed frequency distributions", J. Appl. Meteor. 17
    (1978) 350: Weibull, shape about 2.
[3] DWD, Germany 1991-2020: mean 9.3 °C, January 0.9 °C, July 18.3 °C.
"""

from collections import deque
from dataclasses import dataclass
from math import cos, erfc, exp, log, pi, sqrt
from random import Random
from statistics import NormalDist
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_HOUR_MS
from gridfleet.devices.physics.geo import distance_km, nearest_weights
from gridfleet.devices.weather import WeatherSpanError, WindReading

# Latitude and longitude of DWD stations: Schleswig, Warnemünde, Emden, Fuhlsbüttel, Bremen, Hannover,
# Magdeburg, Berlin-Dahlem, Münster/Osnabrück, Essen, Köln/Bonn, Erfurt, Leipzig/Halle, Dresden, Frankfurt,
# Saarbrücken, Nürnberg, Stuttgart, Freiburg, München.
STATIONS: Final = (
    (54.5275, 9.5487), (54.1803, 12.0808), (53.3881, 7.2287), (53.6332, 9.9881), (53.0450, 8.7979),
    (52.4644, 9.6779), (52.1029, 11.5827), (52.4537, 13.3017), (52.1344, 7.6969), (51.4041, 6.9677),
    (50.8646, 7.1575), (50.9829, 10.9608), (51.4347, 12.2396), (51.1278, 13.7543), (50.0259, 8.5213),
    (49.2128, 7.1077), (49.5030, 11.0549), (48.6883, 9.2235), (48.0233, 7.8344), (48.3477, 11.8134),
)  # fmt: skip

_STANDARD_NORMAL = NormalDist()
_SQRT_2 = sqrt(2)
_YEAR_MS = 365.2425 * MS_PER_DAY
_COLDEST_DAY_MS = 18 * MS_PER_DAY
_WARMEST_HOUR_MS = 15 * MS_PER_HOUR
_MAX_STEPS_KEPT = 1_024
_MAX_JUMP_STEPS = 20_000
_MAX_PLACES_KEPT = 65_536
_UNIFORM_BITS = 52


@dataclass(frozen=True, slots=True)
class Climate:
    """Parameters of the weather: wind by [2], its correlation in time and space, and temperature by [3]."""

    weibull_scale_mps: float = 8.0
    weibull_shape: float = 2.0
    correlation_time_h: float = 12.0
    correlation_length_km: float = 350.0
    mean_temperature_c: float = 9.3
    seasonal_amplitude_c: float = 8.7
    daily_amplitude_c: float = 3.5
    temperature_deviation_c: float = 3.0

    def __post_init__(self) -> None:
        """Raise ValueError where a scale, shape, time or length is not above 0."""
        for name in ("weibull_scale_mps", "weibull_shape", "correlation_time_h", "correlation_length_km"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be above 0")


class _Step(NamedTuple):
    """One quarter hour: a Gaussian value for each station, and the usual temperature of season and hour in °C."""

    wind: list[float]
    warmth: list[float]
    usual_temperature_c: float


class SyntheticWeather:
    """Weather that depends only on seed, start, climate, time and place; steps are computed when first needed."""

    def __init__(self, seed: int | str, start_ms: int, climate: Climate | None = None) -> None:
        """`start_ms` is the simulated time of the first step; there is no weather before it."""
        self.start_ms = start_ms - start_ms % QUARTER_HOUR_MS
        self.climate = climate or Climate()
        self._seed = f"weather|{seed}"
        self._scale_mps = self.climate.weibull_scale_mps
        self._inverse_shape = 1 / self.climate.weibull_shape
        self._deviation_c = self.climate.temperature_deviation_c
        self._persistence = exp(-QUARTER_HOUR_MS / (self.climate.correlation_time_h * MS_PER_HOUR))
        self._renewal = sqrt(1 - self._persistence * self._persistence)
        self._correlation = _correlation(self.climate.correlation_length_km)
        self._factor = _cholesky(self._correlation)
        self._places: dict[tuple[float, float], tuple[tuple[int, float], ...]] = {}
        self._rewind()

    def at(self, simulated_ms: int, latitude: float, longitude: float) -> WindReading:
        """Return the reading for the quarter hour of this time; raise WeatherSpanError before the start."""
        step = self._step(simulated_ms)
        place = self._places.get((latitude, longitude)) or self._place(latitude, longitude)
        wind = warmth = 0.0
        for station, weight in place:
            wind += weight * step.wind[station]
            warmth += weight * step.warmth[station]
        hazard = -log(0.5 * erfc(wind / _SQRT_2))
        return WindReading(
            round(self._scale_mps * hazard**self._inverse_shape, 3),
            round(step.usual_temperature_c + self._deviation_c * warmth, 2),
        )

    def _place(self, latitude: float, longitude: float) -> tuple[tuple[int, float], ...]:
        """Return stations and weights that give a place unit variance."""
        nearest = nearest_weights(latitude, longitude, STATIONS)
        variance = sum(w * v * self._correlation[i][j] for i, w in nearest for j, v in nearest)
        place = tuple((station, weight / sqrt(variance)) for station, weight in nearest)
        if len(self._places) >= _MAX_PLACES_KEPT:
            self._places.clear()
        self._places[latitude, longitude] = place
        return place

    def _step(self, simulated_ms: int) -> _Step:
        index = (simulated_ms - self.start_ms) // QUARTER_HOUR_MS
        if index < 0:
            reason = f"the synthetic weather begins at {self.start_ms} ms, {simulated_ms} ms is earlier"
            raise WeatherSpanError(simulated_ms, f"{reason}; choose an earlier start_ms")
        if index > self._made + _MAX_JUMP_STEPS:
            reason = f"the synthetic weather is computed step by step, and {simulated_ms} ms is too far ahead"
            raise WeatherSpanError(simulated_ms, f"{reason}; choose a later start_ms")
        if index < self._made - len(self._steps):
            self._rewind()
        while self._made <= index:
            self._make_step()
        return self._steps[index - self._made]

    def _rewind(self) -> None:
        self._random = Random(self._seed)
        self._steps: deque[_Step] = deque(maxlen=_MAX_STEPS_KEPT)
        self._made = 0

    def _make_step(self) -> None:
        wind, warmth = self._innovations(), self._innovations()
        if self._steps:
            old = self._steps[-1]
            wind = self._aged(old.wind, wind)
            warmth = self._aged(old.warmth, warmth)
        now_ms = self.start_ms + self._made * QUARTER_HOUR_MS
        season = cos(2 * pi * (now_ms - _COLDEST_DAY_MS) / _YEAR_MS)
        hour = cos(2 * pi * (now_ms % MS_PER_DAY - _WARMEST_HOUR_MS) / MS_PER_DAY)
        usual_c = self.climate.mean_temperature_c
        usual_c += self.climate.daily_amplitude_c * hour - self.climate.seasonal_amplitude_c * season
        self._steps.append(_Step(wind, warmth, usual_c))
        self._made += 1

    def _aged(self, old: list[float], innovations: list[float]) -> list[float]:
        return [self._persistence * a + self._renewal * b for a, b in zip(old, innovations, strict=True)]

    def _innovations(self) -> list[float]:
        """Return correlated standard Gaussian values, one per station, by inversion of uniform bits."""
        uniform = ((self._random.getrandbits(_UNIFORM_BITS) + 0.5) / 2**_UNIFORM_BITS for _ in STATIONS)
        independent = [_STANDARD_NORMAL.inv_cdf(probability) for probability in uniform]
        return [sum(a * b for a, b in zip(row, independent, strict=False)) for row in self._factor]


def _correlation(length_km: float) -> list[list[float]]:
    return [[exp(-distance_km(*one, *other) / length_km) for other in STATIONS] for one in STATIONS]


def _cholesky(matrix: list[list[float]]) -> list[list[float]]:
    """Return the lower triangle L, rows without their zeros, with L·Lᵀ = matrix."""
    factor: list[list[float]] = []
    for index, row in enumerate(matrix):
        line: list[float] = []
        for column in range(index):
            known = sum(a * b for a, b in zip(line, factor[column], strict=False))
            line.append((row[column] - known) / factor[column][column])
        line.append(sqrt(row[index] - sum(a * a for a in line)))
        factor.append(line)
    return factor
