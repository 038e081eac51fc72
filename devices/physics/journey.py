"""A vehicle's journey from one place to another: position and battery as a function of time."""

from math import ceil
from typing import NamedTuple

from gridfleet.broker.protocol.units import MS_PER_S
from gridfleet.devices.physics.driving import drive, time_for, time_until
from gridfleet.devices.physics.geo import between, distance_km

Place = tuple[float, float]
"""Latitude and longitude in degrees."""


class Journey(NamedTuple):
    """A drive that began at `start_ms` with `stored_wh` in the battery."""

    start_ms: int
    origin: Place
    target: Place
    distance_km: float
    stored_wh: int
    capacity_wh: int
    consumption_wh_per_km: float

    @classmethod
    def begin(
        cls,
        now_ms: int,
        origin: Place,
        target: Place,
        stored_wh: int,
        capacity_wh: int,
        consumption_wh_per_km: float,
    ) -> "Journey":
        """Return a journey that begins now, from origin to target."""
        whole_km = distance_km(*origin, *target)
        return cls(now_ms, origin, target, whole_km, stored_wh, capacity_wh, consumption_wh_per_km)

    def at(self, now_ms: int) -> tuple[Place, int]:
        """Return position and stored Wh at a time; the vehicle stops at the target, or when the battery is empty."""
        seconds = max(now_ms - self.start_ms, 0) / MS_PER_S
        leg = drive(self.stored_wh, self.capacity_wh, self.consumption_wh_per_km, seconds)
        if leg.distance_km >= self.distance_km:
            return self.target, self._stored_at_target()
        fraction = leg.distance_km / self.distance_km
        return between(*self.origin, *self.target, fraction), round(leg.stored_wh)

    def arrival_ms(self) -> int | None:
        """Return the time of arrival, or None if the battery is empty before."""
        seconds = time_for(self.distance_km, self.stored_wh, self.capacity_wh, self.consumption_wh_per_km)
        return None if seconds is None else self.start_ms + ceil(seconds * MS_PER_S)

    def reaches_ms(self, target_wh: float) -> int:
        """Return the time at which only `target_wh` are left, if the vehicle drives until then."""
        seconds = time_until(self.stored_wh, self.capacity_wh, self.consumption_wh_per_km, target_wh)
        return self.start_ms + ceil(seconds * MS_PER_S)

    def _stored_at_target(self) -> int:
        seconds = (
            time_for(self.distance_km, self.stored_wh, self.capacity_wh, self.consumption_wh_per_km) or 0.0
        )
        return round(drive(self.stored_wh, self.capacity_wh, self.consumption_wh_per_km, seconds).stored_wh)
