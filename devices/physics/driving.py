"""Driving an electric vehicle, solved exactly over its three speed bands.

The emptier the battery, the slower the driver: 30 km/h below 20 % state of charge, 60 km/h below 50 %,
90 km/h above that. Air and rolling drag multiply the model's consumption by 1 + 0.0005·v + 0.00003·v²
with v in km/h (the original system's figures). Within a band speed and power are constant, so distance,
time and energy are linear. Energy is Wh taken from the battery, as a float: driving is not settled with a
partner. Every function stops at an empty battery.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

SLOW_BELOW: Final = 0.2
MEDIUM_BELOW: Final = 0.5
SLOW_KMH: Final = 30.0
MEDIUM_KMH: Final = 60.0
FAST_KMH: Final = 90.0

_SECONDS_PER_HOUR = 3600.0


class Leg(NamedTuple):
    """The distance driven in km, and the Wh left in the battery."""

    distance_km: float
    stored_wh: float


class _Band(NamedTuple):
    """A range of stored energy that is driven at one speed, down to `floor_wh`."""

    floor_wh: float
    energy_wh: float
    speed_kmh: float
    wh_per_km: float


def speed_kmh(state_of_charge: float) -> float:
    """Return the speed in km/h at a state of charge from 0 to 1.

    >>> speed_kmh(0.1), speed_kmh(0.4), speed_kmh(0.9)
    (30.0, 60.0, 90.0)
    """
    if state_of_charge < SLOW_BELOW:
        return SLOW_KMH
    return MEDIUM_KMH if state_of_charge < MEDIUM_BELOW else FAST_KMH


def consumption_factor(vehicle_speed_kmh: float) -> float:
    """Return the factor by which a speed in km/h multiplies a model's consumption."""
    return 1 + 0.0005 * vehicle_speed_kmh + 0.00003 * vehicle_speed_kmh * vehicle_speed_kmh


_FLOORS = tuple(
    (share, band_kmh, consumption_factor(band_kmh))
    for share, band_kmh in ((MEDIUM_BELOW, FAST_KMH), (SLOW_BELOW, MEDIUM_KMH), (0.0, SLOW_KMH))
)


def drive(stored_wh: float, capacity_wh: int, consumption_wh_per_km: float, seconds: float) -> Leg:
    """Return the distance driven in this time, and the Wh left; the vehicle stops when the battery is empty."""
    hours = seconds / _SECONDS_PER_HOUR
    distance_km = 0.0
    for band in _bands(stored_wh, capacity_wh, consumption_wh_per_km, 0.0):
        band_km = band.energy_wh / band.wh_per_km
        band_hours = band_km / band.speed_kmh
        if band_hours > hours:
            driven_km = hours * band.speed_kmh
            return Leg(distance_km + driven_km, max(band.floor_wh, stored_wh - driven_km * band.wh_per_km))
        hours -= band_hours
        distance_km += band_km
        stored_wh = band.floor_wh
    return Leg(distance_km, stored_wh)


def range_km(
    stored_wh: float, capacity_wh: int, consumption_wh_per_km: float, down_to_wh: float = 0.0
) -> float:
    """Return the km that can be driven until `down_to_wh` are left."""
    distance_km = 0.0
    for band in _bands(stored_wh, capacity_wh, consumption_wh_per_km, down_to_wh):
        distance_km += band.energy_wh / band.wh_per_km
    return distance_km


def time_for(
    distance_km: float, stored_wh: float, capacity_wh: int, consumption_wh_per_km: float
) -> float | None:
    """Return the seconds that a distance takes, or None if the battery is empty before."""
    cost = _cost(distance_km, stored_wh, capacity_wh, consumption_wh_per_km)
    return None if cost is None else cost[0]


def energy_for(
    distance_km: float, stored_wh: float, capacity_wh: int, consumption_wh_per_km: float
) -> float | None:
    """Return the Wh that a distance takes from the battery, or None if it is empty before."""
    cost = _cost(distance_km, stored_wh, capacity_wh, consumption_wh_per_km)
    return None if cost is None else cost[1]


def time_until(stored_wh: float, capacity_wh: int, consumption_wh_per_km: float, target_wh: float) -> float:
    """Return the seconds of driving until only `target_wh` are left; 0 if no more are stored now."""
    hours = 0.0
    for band in _bands(stored_wh, capacity_wh, consumption_wh_per_km, target_wh):
        hours += band.energy_wh / (band.wh_per_km * band.speed_kmh)
    return hours * _SECONDS_PER_HOUR


def _cost(
    distance_km: float, stored_wh: float, capacity_wh: int, consumption_wh_per_km: float
) -> tuple[float, float] | None:
    """Return seconds and Wh of a distance, or None beyond the range."""
    hours = 0.0
    energy_wh = 0.0
    if distance_km <= 0:
        return hours, energy_wh
    for band in _bands(stored_wh, capacity_wh, consumption_wh_per_km, 0.0):
        band_km = band.energy_wh / band.wh_per_km
        if distance_km <= band_km:
            hours += distance_km / band.speed_kmh
            return hours * _SECONDS_PER_HOUR, energy_wh + distance_km * band.wh_per_km
        hours += band_km / band.speed_kmh
        energy_wh += band.energy_wh
        distance_km -= band_km
    return None


def _bands(
    stored_wh: float, capacity_wh: int, consumption_wh_per_km: float, down_to_wh: float
) -> Iterator[_Band]:
    """Yield the bands between stored energy and `down_to_wh`, fullest first."""
    for share, band_speed_kmh, factor in _FLOORS:
        floor_wh = max(share * capacity_wh, down_to_wh)
        if stored_wh > floor_wh:
            yield _Band(floor_wh, stored_wh - floor_wh, band_speed_kmh, consumption_wh_per_km * factor)
            stored_wh = floor_wh
