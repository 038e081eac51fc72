"""The ranking by hand, and in whole runs: no vehicle pays more than the cap, and the nearest offer is taken."""

from typing import Any, NamedTuple

import pytest
from capped_ranking import CAP_UEUR_PER_KWH, CAPPED, capped

import gridfleet

TICKS = 48
CAP_EUR_PER_KWH = CAP_UEUR_PER_KWH / 1_000_000


class Offer(NamedTuple):
    """What the ranking reads of an offer."""

    charger: str
    distance_km: float
    price_ueur_per_kwh: int


def run(algorithm: str) -> list[dict[str, Any]]:
    """The accepted reservations of a run in which prices rise, because the wind fails."""
    scenario = gridfleet.Scenario.load("storm", {"events": [], "settings.turbine_scale": 0.6})
    result = gridfleet.simulate(scenario, ticks=TICKS, algorithm=algorithm)
    assert [finding for finding in result.findings if not finding.holds] == []
    return [row for row in result.reservations if row["accepted"] is not None]


def test_the_package_is_found_by_its_name() -> None:
    assert gridfleet.OFFER_RANKINGS.get("capped") is CAPPED
    assert gridfleet.OFFER_RANKINGS.problems() == []


def test_dearer_offers_are_left_out_and_the_nearest_is_first() -> None:
    near = Offer("near", 2.0, CAP_UEUR_PER_KWH + 1)
    middle = Offer("middle", 10.0, CAP_UEUR_PER_KWH)
    far, twin = Offer("far", 70.0, 10_000), Offer("twin", 70.0, 20_000)
    assert capped([near, twin, far, middle], None, None) == [middle, far, twin]
    assert capped([near], None, None) == []


@pytest.fixture(scope="module")
def accepted() -> list[dict[str, Any]]:
    return run("capped")


def test_no_vehicle_accepts_a_price_above_the_cap(accepted: list[dict[str, Any]]) -> None:
    assert len(accepted) > 20
    assert max(row["price"] for row in accepted) <= CAP_EUR_PER_KWH
    assert max(row["price"] for row in run("closest")) > CAP_EUR_PER_KWH


def test_over_a_broker_in_lock_step_the_reservations_are_the_same() -> None:
    runs = [
        gridfleet.simulate("normal", ticks=8, algorithm="capped"),
        gridfleet.run("normal", ticks=8, algorithm="capped"),
    ]
    assert list(runs[0].reservations) == list(runs[1].reservations)
    assert len(runs[0].reservations) > 0
