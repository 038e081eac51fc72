"""Distances and weights on the map."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.devices.physics.geo import EARTH_RADIUS_KM, between, distance_km, nearest_weights

latitudes = st.floats(-89, 89)
longitudes = st.floats(-180, 180)
germany = st.tuples(st.floats(47, 55), st.floats(6, 15))


def test_a_quarter_of_the_meridian() -> None:
    assert distance_km(0, 10, 90, 10) == pytest.approx(EARTH_RADIUS_KM * 3.141592653589793 / 2)


def test_a_published_example() -> None:
    # Movable Type Scripts, "Calculate distance between points", its default example: 968.9 km.
    assert distance_km(50.066389, -5.714722, 58.643889, -3.07) == pytest.approx(968.9, abs=0.1)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_symmetric_and_bounded(lat: float, lon: float, lat2: float, lon2: float) -> None:
    there = distance_km(lat, lon, lat2, lon2)
    assert there == distance_km(lat2, lon2, lat, lon)
    assert 0 <= there <= EARTH_RADIUS_KM * 3.1416
    assert distance_km(lat, lon, lat, lon) == 0


@given(germany, germany, st.floats(0, 1))
def test_between_lies_on_the_line_and_splits_the_way(
    start: tuple[float, float], end: tuple[float, float], fraction: float
) -> None:
    place = between(*start, *end, fraction)
    whole = distance_km(*start, *end)
    assert distance_km(*start, *place) + distance_km(*place, *end) == pytest.approx(whole, rel=0.01, abs=1e-5)
    assert between(*start, *end, 0) == start
    assert between(*start, *end, 1) == end
    assert between(*start, *end, 1.5) == end


@given(germany, st.lists(germany, min_size=1, max_size=8))
def test_weights_add_up_and_favour_the_nearest(
    place: tuple[float, float], sites: list[tuple[float, float]]
) -> None:
    weights = nearest_weights(*place, sites)
    assert len(weights) == min(3, len(sites))
    assert sum(weight for _, weight in weights) == pytest.approx(1)
    distances = [distance_km(*place, *sites[index]) for index, _ in weights]
    assert distances == sorted(distances)
    assert max(distances) <= max(distance_km(*place, *site) for site in sites)


def test_at_a_site_only_that_site_counts() -> None:
    sites = [(50.0, 9.0), (50.0, 9.0), (51.0, 9.0)]
    assert nearest_weights(50.0, 9.0, sites) == ((0, 1.0), (1, 0.0), (2, 0.0))


def test_weights_are_inverse_to_distance() -> None:
    weights = nearest_weights(50.0, 9.0, [(51.0, 9.0), (52.0, 9.0)])
    assert [weight for _, weight in weights] == pytest.approx([2 / 3, 1 / 3])
