"""Driving over the three speed bands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.devices.physics.driving import (
    consumption_factor,
    drive,
    energy_for,
    range_km,
    speed_kmh,
    time_for,
    time_until,
)

CAPACITY_WH = 60_000
WH_PER_KM = 150.0
stored = st.floats(0, CAPACITY_WH)
charged = st.floats(100, CAPACITY_WH)
seconds = st.floats(0, 100_000)


@pytest.mark.parametrize(
    ("soc", "speed"), [(0.0, 30), (0.19, 30), (0.2, 60), (0.49, 60), (0.5, 90), (1.0, 90)]
)
def test_speed_by_state_of_charge(soc: float, speed: int) -> None:
    assert speed_kmh(soc) == speed


@pytest.mark.parametrize(("speed", "factor"), [(0, 1.0), (30, 1.042), (60, 1.138), (90, 1.288)])
def test_consumption_factor(speed: int, factor: float) -> None:
    assert consumption_factor(speed) == pytest.approx(factor)


def test_one_hour_from_full_by_hand() -> None:
    leg = drive(CAPACITY_WH, CAPACITY_WH, WH_PER_KM, 3600)
    assert leg.distance_km == pytest.approx(90)
    assert leg.stored_wh == pytest.approx(60_000 - 90 * 150 * 1.288)


def test_range_by_hand() -> None:
    by_band = 30_000 / 1.288 + 18_000 / 1.138 + 12_000 / 1.042
    assert range_km(CAPACITY_WH, CAPACITY_WH, WH_PER_KM) == pytest.approx(by_band / 150)
    assert range_km(CAPACITY_WH, CAPACITY_WH, WH_PER_KM, 30_000) == pytest.approx(30_000 / 1.288 / 150)
    assert range_km(20_000, CAPACITY_WH, WH_PER_KM, 20_000) == 0


@given(stored, seconds, seconds)
def test_a_drive_in_two_parts_is_the_same_drive(start_wh: float, first: float, second: float) -> None:
    whole = drive(start_wh, CAPACITY_WH, WH_PER_KM, first + second)
    begin = drive(start_wh, CAPACITY_WH, WH_PER_KM, first)
    rest = drive(begin.stored_wh, CAPACITY_WH, WH_PER_KM, second)
    assert begin.distance_km + rest.distance_km == pytest.approx(whole.distance_km, abs=1e-6)
    assert rest.stored_wh == pytest.approx(whole.stored_wh, abs=1e-4)


@given(charged, st.floats(0, 0.99))
def test_time_and_energy_agree_with_the_drive(start_wh: float, share: float) -> None:
    duration_s = share * time_until(start_wh, CAPACITY_WH, WH_PER_KM, 0)
    leg = drive(start_wh, CAPACITY_WH, WH_PER_KM, duration_s)
    assert 0 < leg.stored_wh <= start_wh
    assert leg.distance_km <= range_km(start_wh, CAPACITY_WH, WH_PER_KM) + 1e-9
    assert time_for(leg.distance_km, start_wh, CAPACITY_WH, WH_PER_KM) == pytest.approx(duration_s, abs=1e-3)
    energy_wh = energy_for(leg.distance_km, start_wh, CAPACITY_WH, WH_PER_KM)
    assert energy_wh == pytest.approx(start_wh - leg.stored_wh, abs=1e-3)
    until_s = time_until(start_wh, CAPACITY_WH, WH_PER_KM, leg.stored_wh)
    assert until_s == pytest.approx(duration_s, abs=1e-3)


@given(stored, st.floats(0, 100_000))
def test_a_drive_ends_when_the_battery_is_empty(start_wh: float, longer_s: float) -> None:
    empty_s = time_until(start_wh, CAPACITY_WH, WH_PER_KM, 0)
    leg = drive(start_wh, CAPACITY_WH, WH_PER_KM, empty_s + longer_s)
    assert leg.stored_wh == pytest.approx(0, abs=1e-3)
    assert leg.distance_km == pytest.approx(range_km(start_wh, CAPACITY_WH, WH_PER_KM), abs=1e-6)


def test_from_60_to_20_kwh_time_and_energy_are_those_of_the_distance() -> None:
    distance_km = range_km(60_000, CAPACITY_WH, WH_PER_KM, 20_000)
    assert time_for(distance_km, 60_000, CAPACITY_WH, WH_PER_KM) == pytest.approx(
        time_until(60_000, CAPACITY_WH, WH_PER_KM, 20_000)
    )
    assert energy_for(distance_km, 60_000, CAPACITY_WH, WH_PER_KM) == pytest.approx(40_000)


@given(stored)
def test_beyond_the_range_there_is_no_time_and_no_energy(start_wh: float) -> None:
    too_far_km = range_km(start_wh, CAPACITY_WH, WH_PER_KM) + 0.001
    assert time_for(too_far_km, start_wh, CAPACITY_WH, WH_PER_KM) is None
    assert energy_for(too_far_km, start_wh, CAPACITY_WH, WH_PER_KM) is None
    assert time_for(0, start_wh, CAPACITY_WH, WH_PER_KM) == 0


def test_the_time_to_a_level_already_passed_is_0() -> None:
    assert time_until(10_000, CAPACITY_WH, WH_PER_KM, 20_000) == 0


def test_no_level_lies_below_an_empty_battery() -> None:
    assert range_km(10_000, CAPACITY_WH, WH_PER_KM, -5_000) == range_km(10_000, CAPACITY_WH, WH_PER_KM)
    assert time_until(10_000, CAPACITY_WH, WH_PER_KM, -5_000) == time_until(10_000, CAPACITY_WH, WH_PER_KM, 0)


def test_the_range_itself_can_be_driven() -> None:
    distance_km = range_km(6_000, CAPACITY_WH, WH_PER_KM)  # within one band
    assert time_for(distance_km, 6_000, CAPACITY_WH, WH_PER_KM) == pytest.approx(distance_km / 30 * 3600)
    assert energy_for(distance_km, 6_000, CAPACITY_WH, WH_PER_KM) == pytest.approx(6_000)
