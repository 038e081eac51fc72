"""Where a vehicle goes: anywhere at any time, or between home, work and errands by the legal clock.

`Wander` is the original system's rule: a parked vehicle sets out with a probability per tick, to a random place of its
area. That is far more than people drive.

`Commute` follows a plan for each day, drawn from the seed, the vehicle and the day. On workdays the vehicle is at work
for about nine hours; after work on some days, and in the daytime of the other days, it runs an errand near home. The
defaults give about 40 km a day, as cars in Germany drive (Mobilität in Deutschland 2023: 14 600 km a year). Distances
are great circles, so that a way by road is longer than it is here.
"""

from collections.abc import Callable
from math import cos, log, pi, radians, sin
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_DAY, MS_PER_HOUR
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.physics.journey import Place
from gridfleet.devices.random_streams import RandomStream

DEPARTURE_PROBABILITY: Final = 1 / 11
"""Probability that a parked vehicle that wanders sets out within a tick."""
KM_PER_DEGREE: Final = 111.2
"""Of latitude."""
_THERE_KM: Final = 0.05
_TRIES: Final = 20
_LEAST_KM: Final = 1.0
_MOST_MEANS: Final = 4.0
"""A way is at most so many times the mean: beyond that a household would move."""

Area = tuple[float, float, float, float]
"""South, north, west, east in degrees."""


class Errands(NamedTuple):
    """How often and when a vehicle runs an errand on a day; hours of the legal clock, and how long it stays."""

    probability: float
    from_h: float
    to_h: float
    stay_h: tuple[float, float] = (0.5, 2.0)


WORK_BEGINS_H: Final = (6.0, 9.0)
WORK_H: Final = (7.5, 9.5)
AFTER_WORK: Final = Errands(0.6, 17.5, 20.0)
FREE_DAY: Final = Errands(0.9, 9.5, 16.0)


class Stop(NamedTuple):
    """From a time of the legal clock on, where the vehicle wants to be."""

    clock_ms: int
    place: Place


class Wander:
    """Sets out at random, to a random place of an area."""

    def __init__(self, area: Area, rng: RandomStream) -> None:
        self._area = area
        self._rng = rng

    def next_destination(self, _simulated_ms: int, _here: Place, scale: float) -> Place | None:
        """Return where a parked vehicle goes in this tick; None where it stays. `scale` multiplies the probability."""
        if not self._rng.random() < DEPARTURE_PROBABILITY * scale:
            return None
        south, north, west, east = self._area
        latitude = round(self._rng.uniform(south, north), 6)
        return latitude, round(self._rng.uniform(west, east), 6)


class Commute:
    """Follows the plan of each day: work on workdays, errands, and home."""

    def __init__(
        self,
        home: Place,
        area: Area,
        rng: RandomStream,
        *,
        work_km: float,
        errand_km: float,
        legal_ms: Callable[[int], int],
        is_workday: Callable[[int], bool],
    ) -> None:
        """`work_km` and `errand_km` are the mean distances from home.

        `legal_ms` is the legal clock of a simulated time; `is_workday` says of a day, counted from 1970-01-01, whether
        it is one.
        """
        self.home = home
        self._area = area
        self._rng = rng
        self._errand_km = errand_km
        self._legal_ms = legal_ms
        self._is_workday = is_workday
        self.work = self._place(work_km, rng.derived("work"))
        self._day = -1
        self._stops: list[Stop] = []

    def next_destination(self, simulated_ms: int, here: Place, scale: float) -> Place | None:
        """Return where a parked vehicle goes in this tick; None where it is already there. At scale 0 it stays."""
        clock_ms = self._legal_ms(simulated_ms)
        day = clock_ms // MS_PER_DAY
        if day != self._day:
            self._day, self._stops = day, self.plan(day)
        wanted = self.home
        for stop in self._stops:
            if stop.clock_ms <= clock_ms:
                wanted = stop.place
        if not scale or distance_km(*here, *wanted) < _THERE_KM:
            return None
        return wanted

    def plan(self, day: int) -> list[Stop]:
        """Return the stops of a day, counted from 1970-01-01, in the order of time."""
        random = self._rng.derived(f"day {day}")
        stops = []
        errands = FREE_DAY
        if self._is_workday(day):
            begin_h = random.uniform(*WORK_BEGINS_H)
            end_h = begin_h + random.uniform(*WORK_H)
            stops += [self._stop(day, begin_h, self.work), self._stop(day, end_h, self.home)]
            errands = AFTER_WORK._replace(from_h=max(AFTER_WORK.from_h, end_h + 0.5))
        if random.random() < errands.probability:
            begin_h = random.uniform(errands.from_h, max(errands.from_h, errands.to_h))
            end_h = begin_h + random.uniform(*errands.stay_h)
            place = self._place(self._errand_km, random)
            stops += [self._stop(day, begin_h, place), self._stop(day, end_h, self.home)]
        return stops

    def _stop(self, day: int, hour: float, place: Place) -> Stop:
        return Stop(day * MS_PER_DAY + round(hour * MS_PER_HOUR), place)

    def _place(self, mean_km: float, random: RandomStream) -> Place:
        """Return a place of the area at an exponentially distributed distance from home, at its edge if need be."""
        latitude, longitude = self.home
        south, north, west, east = self._area
        for _ in range(_TRIES):
            drawn_km = -mean_km * log(1 - random.random())
            way_km = min(max(drawn_km, _LEAST_KM), _MOST_MEANS * mean_km)
            bearing = random.uniform(0, 2 * pi)
            there = (
                round(latitude + way_km * cos(bearing) / KM_PER_DEGREE, 6),
                round(longitude + way_km * sin(bearing) / (KM_PER_DEGREE * cos(radians(latitude))), 6),
            )
            if south <= there[0] <= north and west <= there[1] <= east:
                return there
        return min(max(there[0], south), north), min(max(there[1], west), east)
