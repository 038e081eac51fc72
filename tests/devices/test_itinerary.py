"""Vehicles that commute: their days, where they go, and how far the cars of the shipped town drive."""

from datetime import date
from statistics import fmean

import pytest

from gridfleet.broker.protocol.messages import VehicleState
from gridfleet.broker.protocol.units import MS_PER_DAY, MS_PER_HOUR
from gridfleet.devices.charging.itinerary import AFTER_WORK, FREE_DAY, WORK_BEGINS_H, Commute
from gridfleet.devices.config.scenario import load
from gridfleet.devices.physics.demand import is_workday
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.random_streams import RandomStream
from tests.system.message_log import simulate

HOME = (53.6, 10.0)
AREA = (53.3, 53.85, 9.5, 10.5)
MONDAY = date(2025, 6, 2).toordinal() - date(1970, 1, 1).toordinal()
SUNDAY = MONDAY - 1


def commuter(seed: int = 1, **changes: float) -> Commute:
    distances = {"work_km": 14.0, "errand_km": 8.0, **changes}
    return Commute(
        HOME, AREA, RandomStream(seed), legal_ms=lambda at_ms: at_ms, is_workday=is_workday, **distances
    )


def test_a_workday_leads_to_work_and_home() -> None:
    car = commuter()
    stops = car.plan(MONDAY)
    assert [stop.place for stop in stops[:2]] == [car.work, HOME]
    begin_h, end_h = ((stop.clock_ms - MONDAY * MS_PER_DAY) / MS_PER_HOUR for stop in stops[:2])
    assert WORK_BEGINS_H[0] <= begin_h <= WORK_BEGINS_H[1]
    assert 7.4 <= end_h - begin_h <= 9.6
    assert stops == car.plan(MONDAY)
    assert [stop.clock_ms for stop in stops] == sorted(stop.clock_ms for stop in stops)


def test_it_goes_where_its_plan_wants_it_and_stays_there() -> None:
    car = commuter()
    begin = car.plan(MONDAY)[0].clock_ms
    assert car.next_destination(begin - 1, HOME, 1.0) is None
    assert car.next_destination(begin, HOME, 1.0) == car.work
    assert car.next_destination(begin, HOME, 0.0) is None
    assert car.next_destination(begin + MS_PER_HOUR, car.work, 1.0) is None
    assert car.next_destination(car.plan(MONDAY)[1].clock_ms, car.work, 1.0) == HOME


def test_free_days_have_errands_only_and_as_often_as_they_should() -> None:
    cars = [commuter(seed) for seed in range(400)]
    free, work = ([len(car.plan(day)) for car in cars] for day in (SUNDAY, MONDAY))
    assert set(free) == {0, 2}
    assert set(work) == {2, 4}
    assert fmean(stops == 2 for stops in free) == pytest.approx(FREE_DAY.probability, abs=0.05)
    assert fmean(stops == 4 for stops in work) == pytest.approx(AFTER_WORK.probability, abs=0.08)


def test_work_is_as_far_as_the_setting_says_and_within_the_area() -> None:
    ways = [distance_km(*HOME, *commuter(seed, work_km=8.0).work) for seed in range(500)]
    assert fmean(ways) == pytest.approx(8.0, rel=0.1)
    far = [commuter(seed, work_km=150.0).work for seed in range(100)]
    south, north, west, east = AREA
    assert all(south <= latitude <= north and west <= longitude <= east for latitude, longitude in far)
    assert max(distance_km(*HOME, *place) for place in far) > 25


def test_the_cars_of_the_town_drive_and_charge_as_cars_do() -> None:
    """Mobilität in Deutschland 2023: 14 600 km a year are 40 km a day."""
    days = 4
    scenario = load("town", (f"ticks={96 * days}", "vehicles.count=40"))
    log = simulate(scenario, scenario.ticks)
    places: dict[str, tuple[float, float]] = {}
    statuses: dict[str, str] = {}
    driven_km, sessions, stranded = 0.0, 0, 0
    for _, vehicle, state in log.of(VehicleState):
        here = state.latitude, state.longitude
        driven_km += distance_km(*places.get(vehicle, here), *here)
        sessions += state.status == "charging" != statuses.get(vehicle)
        stranded += state.status == "stranded"
        places[vehicle], statuses[vehicle] = here, state.status
    assert len(places) == 40
    assert 30 <= driven_km / 40 / days <= 50
    assert 0.1 <= sessions / 40 / days < 1
    assert stranded == 0
