"""The rule by hand, against its specification, and in whole runs that the auditor checks to the last price."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from midpoint_price import MIDPOINT_PRICE, import_price, specification

import gridfleet
from gridfleet import Package

SCARCE: dict[str, Any] = {"settings.clearing_rule": "midpoint-price", "settings.turbine_scale": 0.2}
CELLS: dict[str, Any] = {
    **SCARCE,
    "area.rows": 2,
    "area.columns": 2,
    "turbines.count": 8,
    "settings.turbine_scale": 0.4,
}
"""Four cells that exchange energy."""
TICKS = 16
Bids = dict[str, tuple[Package, ...]]


def prices(bids: Bids, supply_wh: int) -> dict[tuple[str, int], int]:
    """The prices of what is served, as every producer computes them."""
    return MIDPOINT_PRICE.price_served(MIDPOINT_PRICE.ordered(0, bids), supply_wh)


def test_the_package_is_found_by_its_name() -> None:
    assert gridfleet.CLEARING_RULES.get("midpoint-price") is MIDPOINT_PRICE
    assert gridfleet.CLEARING_RULES.problems() == []


@pytest.mark.parametrize(
    ("supply_wh", "price"),
    [
        (10, 7),  # the bid of 9 is served, that of 5 is not
        (15, 5),  # a part of the bid of 5 is served, the rest is not
        (20, 3),  # the bid of 5 is served, that of 1 is not
        (40, 0),  # all are served: half of 1, rounded down
    ],
)
def test_prices_worked_out_by_hand(supply_wh: int, price: int) -> None:
    bids = {"a": (Package(0, 10, 9), Package(1, 10, 1)), "b": (Package(0, 10, 5),)}
    assert set(prices(bids, supply_wh).values()) == {price}


def test_an_import_costs_the_middle_between_bid_and_supply_price() -> None:
    assert import_price(1_000_000, 900_000) == 950_000


def test_rule_and_specification_agree_in_every_market() -> None:
    random = Random(1)
    for _ in range(500):
        bids: Bids = {
            name: tuple(
                Package(index, random.randint(0, 20), random.choice([0, 1, 4, 5, 9, 12]))
                for index in range(random.randint(0, 4))
            )
            for name in "abc"
        }
        supply_wh = random.randint(0, 120)
        specified = specification(0, bids, {"t1": supply_wh}, None)
        for key, price in prices(bids, supply_wh).items():
            assert price == specified[key], (bids, supply_wh)
        bid, supply_price = random.randint(50, 99), random.randint(0, 50)
        imported = specification(0, {"a": (Package(0, 1, bid),)}, {}, supply_price)
        assert imported == {("a", 0): import_price(bid, supply_price)}


@pytest.mark.parametrize("changes", [SCARCE, CELLS], ids=["one cell", "four cells"])
def test_a_run_is_audited_by_the_specification(changes: dict[str, Any]) -> None:
    result = gridfleet.simulate(gridfleet.Scenario.load("normal", changes), ticks=TICKS)
    found = {finding.name: finding for finding in result.findings}
    assert [finding for finding in result.findings if not finding.holds] == []
    assert found["prices"].checked > 100
    assert "no specification" not in found["prices"].what


def test_the_auditor_finds_prices_that_are_not_those_of_the_specification() -> None:
    wrong = replace(MIDPOINT_PRICE, prices=lambda served, _unserved: [lot.bid for lot in served])
    gridfleet.CLEARING_RULES.register(wrong, replace=True)
    try:
        result = gridfleet.simulate(gridfleet.Scenario.load("normal", SCARCE), ticks=TICKS)
    finally:
        gridfleet.CLEARING_RULES.forget("midpoint-price")
    found = {finding.name: finding for finding in result.findings}
    assert "by midpoint-price it is" in found["prices"].examples[0]


def test_buyers_pay_less_than_their_bids_for_the_same_energy() -> None:
    as_bid = gridfleet.Scenario.load("normal", {**SCARCE, "settings.clearing_rule": "pay-as-bid"})
    midpoint = gridfleet.Scenario.load("normal", SCARCE)
    (dear, cheap) = (gridfleet.simulate(each, ticks=1) for each in (as_bid, midpoint))
    assert list(dear.trades["energy_kwh"]) == list(cheap.trades["energy_kwh"])
    assert sum(cheap.trades["price_eur_per_kwh"]) < sum(dear.trades["price_eur_per_kwh"])


def test_over_a_broker_in_lock_step_the_ledger_is_the_same() -> None:
    scenario = gridfleet.Scenario.load("normal", CELLS)
    over_a_broker = gridfleet.run(scenario, ticks=TICKS)
    assert list(over_a_broker.trades) == list(gridfleet.simulate(scenario, ticks=TICKS).trades)
    assert [finding for finding in over_a_broker.findings if not finding.holds] == []
