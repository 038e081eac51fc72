"""Distances and positions on the Earth, in degrees and km.

[1] R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984) 159.
[2] IUGG mean earth radius R₁ = 6 371.0088 km (H. Moritz, Geodetic Reference System 1980).
[3] D. Shepard, "A two-dimensional interpolation function for irregularly-spaced data", ACM 1968.
"""

from collections.abc import Sequence
from math import asin, cos, pi, sin, sqrt
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0088
_DECIMALS = 6
_DIAMETER_KM = 2 * EARTH_RADIUS_KM
_DEGREE = pi / 180
_HALF_DEGREE = pi / 360


def distance_km(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Return the great-circle distance in km, to the millimetre, by the haversine [1] on a sphere [2].

    >>> distance_km(52.5, 13.4, 48.1, 11.6)  # Berlin, Munich
    505.643725
    """
    north = sin((to_latitude - latitude) * _HALF_DEGREE)
    east = sin((to_longitude - longitude) * _HALF_DEGREE)
    square = north * north + cos(latitude * _DEGREE) * cos(to_latitude * _DEGREE) * east * east
    return round(_DIAMETER_KM * asin(sqrt(square)) if square < 1 else EARTH_RADIUS_KM * pi, _DECIMALS)


def between(
    latitude: float, longitude: float, to_latitude: float, to_longitude: float, fraction: float
) -> tuple[float, float]:
    """Return latitude and longitude at a fraction (0 to 1, clamped) of the way, linear in degrees."""
    if fraction >= 1:
        return to_latitude, to_longitude
    share = max(0.0, fraction)
    return latitude + share * (to_latitude - latitude), longitude + share * (to_longitude - longitude)


def nearest_sites(
    latitude: float, longitude: float, sites: Sequence[tuple[float, float]]
) -> tuple[tuple[float, int], ...]:
    """Return distance in km and index of every site (latitude, longitude), nearest first, ties by index."""
    return tuple(sorted((distance_km(latitude, longitude, *site), index) for index, site in enumerate(sites)))


def inverse_distance_weights(distances_km: Sequence[float]) -> tuple[float, ...]:
    """Return weights 1/d that add up to 1 [3]; a site at distance 0 gets weight 1, the first if there are several."""
    for index, site_km in enumerate(distances_km):
        if site_km == 0:
            return tuple(float(other == index) for other in range(len(distances_km)))
    total = sum(1 / site_km for site_km in distances_km)
    return tuple(1 / site_km / total for site_km in distances_km)


def nearest_weights(
    latitude: float, longitude: float, sites: Sequence[tuple[float, float]], count: int = 3
) -> tuple[tuple[int, float], ...]:
    """Return index and inverse-distance weight of the nearest sites, nearest first; weights add up to 1."""
    nearest = nearest_sites(latitude, longitude, sites)[:count]
    weights = inverse_distance_weights([site_km for site_km, _ in nearest])
    return tuple((index, weight) for (_, index), weight in zip(nearest, weights, strict=True))
