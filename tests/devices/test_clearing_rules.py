"""Clearing rules: uniform-price against its definition, rules that fail, agents without the rule in force."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gridfleet
from gridfleet.broker.protocol.messages import (
    Award,
    Facts,
    Mode,
    Package,
    Phase,
    ProducerState,
    Receipt,
    Request,
    Settings,
)
from gridfleet.devices.agents.base import AgentError
from gridfleet.devices.config.scenario import ScenarioError, load
from gridfleet.devices.market.accounts import Purchases
from gridfleet.devices.market.cell_market import CellMarket
from gridfleet.devices.market.clearing import merit_order
from gridfleet.devices.market.clearing_rule import ClearingRule, MarketLot, RuleError
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.market.shipped_rules import PAY_AS_BID, UNIFORM_PRICE
from gridfleet.devices.runtime.fleet import Fleet
from tests.devices.testbed import EUR, Testbed, household, package, reactor, turbine
from tests.plugins import registered

Bids = dict[str, tuple[Package, ...]]
SETTINGS = Settings(clearing_rule="uniform-price")

packages = st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0, 1, 5, 9])), max_size=4).map(
    lambda pairs: tuple(Package(index, wh, price) for index, (wh, price) in enumerate(pairs))
)
bids = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), packages)
supplies = st.dictionaries(st.sampled_from(["t1", "t2", "t3"]), st.integers(0, 30), min_size=1)


def market_of(rule: ClearingRule, tick: int, wanted: Bids, offered: dict[str, int]) -> CellMarket:
    market = CellMarket(tick, rule)
    market.bids.update(wanted)
    market.supplies.update(offered)
    return market


# --- uniform price ---------------------------------------------------------------------------------------


def price_by_wh(wanted: Bids, offered: dict[str, int]) -> int | None:
    """Of all Wh that are bid for, sorted by price, the price of the last one that is supplied."""
    each_wh = sorted(
        (p.price_ueur_per_kwh for bid in wanted.values() for p in bid for _ in range(p.energy_wh)),
        reverse=True,
    )
    served = each_wh[: sum(offered.values())]
    return served[-1] if served else None


@given(st.integers(0, 3), bids, supplies)
def test_all_who_are_served_pay_the_price_of_the_last_wh(
    tick: int, wanted: Bids, offered: dict[str, int]
) -> None:
    price = price_by_wh(wanted, offered)
    served_wh = 0
    for producer in offered:
        market = market_of(UNIFORM_PRICE, tick, wanted, offered)
        for consumer, lots in market.awards(market.clear(producer)).items():
            for lot in lots:
                served_wh += lot.energy_wh
                assert lot.price_ueur_per_kwh == price
                assert price <= wanted[consumer][lot.index].price_ueur_per_kwh
    demand_wh = sum(p.energy_wh for bid in wanted.values() for p in bid)
    assert served_wh == min(demand_wh, sum(offered.values()))


@given(st.integers(0, 3), bids, supplies)
def test_the_rule_changes_prices_and_not_who_is_served(
    tick: int, wanted: Bids, offered: dict[str, int]
) -> None:
    for producer in offered:
        assert market_of(UNIFORM_PRICE, tick, wanted, offered).clear(producer) == market_of(
            PAY_AS_BID, tick, wanted, offered
        ).clear(producer)


def test_refused_energy_is_sold_at_the_next_bids() -> None:
    wanted: Bids = {"a": (package(0, 10, 9),), "b": (package(0, 10, 5), package(1, 10, 1))}
    market = market_of(UNIFORM_PRICE, 0, wanted, {"t1": 15})
    assert market.awards(market.clear("t1")) == {"a": (package(0, 10, 5),), "b": (package(0, 5, 5),)}
    assert market.awards(market.next_unserved(12)) == {"b": (package(0, 5, 5), package(1, 7, 1))}


def test_an_import_costs_the_price_of_the_supply() -> None:
    assert UNIFORM_PRICE.price_import(1_000_000, 900_000) == 900_000
    assert PAY_AS_BID.price_import(1_000_000, 900_000) == 1_000_000


def test_which_rules_ask_for_exactly_the_bid() -> None:
    assert PAY_AS_BID.pays_bid
    assert not UNIFORM_PRICE.pays_bid
    assert not ClearingRule("mine", import_price=min).pays_bid


def test_a_buyer_accepts_what_the_rule_may_ask_for() -> None:
    bid = (package(0, 10, 9),)
    for price, pays_bid, taken in [
        (9, True, 1),
        (8, True, 0),
        (10, True, 0),
        (9, False, 1),
        (8, False, 1),
        (10, False, 0),
    ]:
        purchases = Purchases(0, bid, pays_bid=pays_bid)
        receipt = purchases.accept("t1", Award(0, 0, (package(0, 4, price),)))
        assert len(receipt.lots) == taken, (price, pays_bid)
        assert purchases.paid_neur == taken * 4 * price


# --- rules that fail ------------------------------------------------------------------------------------------

Prices = Callable[[Sequence[MarketLot], Sequence[MarketLot]], Any]


def int_of(text: str, *_: object) -> int:
    return int(text)


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        (lambda served, _: [lot.bid + 1 for lot in served], "a price of 10 for a bid of 9"),
        (lambda served, _: [-1 for _lot in served], "a price of -1"),
        (lambda served, _: [0.5 for _lot in served], "a price of 0.5"),
        (lambda served, _: [True for _lot in served], "a price of True"),
        (lambda _served, _: [1, 2, 3], "3 prices for 1 lots"),
        (lambda served, _: [served[7].bid], "IndexError"),
        (lambda _served, _: None, "prices of class NoneType, not a list"),
        (lambda served, _: (lot.bid for lot in served), "prices of class generator, not a list"),
        (partial(int_of, "x"), "ValueError: invalid literal"),
        (partial(int_of, "3"), "prices of class int, not a list"),
    ],
)
def test_a_rule_that_asks_for_what_no_rule_may_is_refused(prices: Prices, problem: str) -> None:
    market = market_of(ClearingRule("mine", prices=prices), 0, {"c": (package(0, 5, 9),)}, {"t1": 5})
    place = r"\(test_clearing_rules\.py, line \d+\)"
    with pytest.raises(RuleError, match=f"^clearing rule 'mine': {problem}.* {place}$"):
        market.clear("t1")
    assert market.next_unserved(5) == []


def test_a_rule_is_not_asked_where_nothing_is_served() -> None:
    rule = ClearingRule("mine", prices=lambda served, _: [min(lot.bid for lot in served)] * len(served))
    assert market_of(rule, 0, {"c": (package(0, 5, 9),)}, {"t1": 0}).clear("t1") == []
    assert market_of(rule, 0, {}, {"t1": 5}).clear("t1") == []


def test_an_order_must_hold_every_claim_once() -> None:
    wanted: Bids = {"c": (package(0, 5, 9), package(1, 5, 8))}
    backwards = ClearingRule("backwards", order=lambda tick, bids: merit_order(tick, bids)[::-1])
    assert [
        p.index
        for p in market_of(backwards, 0, wanted, {"t1": 5}).awards(
            market_of(backwards, 0, wanted, {"t1": 5}).clear("t1")
        )["c"]
    ] == [1]
    for wrong in (
        lambda tick, bids: merit_order(tick, bids)[:1],
        lambda tick, bids: merit_order(tick, bids)[:1] * 2,
        lambda _tick, _bids: None,
        lambda _tick, bids: [*bids],
        lambda _tick, _bids: [None, None],
    ):
        rule = ClearingRule("wrong", order=cast("Any", wrong))
        with pytest.raises(RuleError, match="'wrong': the order is not a list of all claims, each once"):
            market_of(rule, 0, wanted, {"t1": 5}).clear("t1")


@pytest.mark.parametrize("price", [1_000_001, -1, 0.5])
def test_an_import_price_above_the_bid_is_refused(price: int) -> None:
    with pytest.raises(RuleError, match="'mine'"):
        ClearingRule("mine", import_price=lambda _bid, _supply: price).price_import(1_000_000, 900_000)


# --- agents ----------------------------------------------------------------------------------------------


def site() -> Testbed:
    """A turbine for the dearer household and a part of the other, and a reactor for the rest."""
    testbed = Testbed(
        turbine("t1", 15_000), household("h1", 10_000), household("h2", 10_000, price=950_000), reactor()
    )
    testbed.settings = SETTINGS
    return testbed


def prices_of(testbed: Testbed, kind: type[Award] | type[Receipt]) -> set[tuple[str, int]]:
    return {
        (name, lot.price_ueur_per_kwh) for name, _, m in testbed.sent if isinstance(m, kind) for lot in m.lots
    }


def test_a_tick_by_the_uniform_price() -> None:
    testbed = site()
    testbed.run_tick()
    assert prices_of(testbed, Award) == {("t1", 950_000), ("reactor", 900_000)}
    assert prices_of(testbed, Receipt) == {("h1", 950_000), ("h2", 950_000), ("h2", 900_000)}
    wind, grid = testbed.published(ProducerState)
    assert (wind.earned_neur, grid.earned_neur) == (15_000 * 950_000, 5_000 * 900_000)
    assert (wind.refused, wind.faults) == ({}, ())


def test_a_change_takes_effect_with_the_next_tick() -> None:
    testbed = site()
    testbed.begin_phase(Phase.BID)
    testbed.settings = Settings()
    testbed.run_phases(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    assert prices_of(testbed, Award) == {("t1", 950_000), ("reactor", 900_000)}
    testbed.sent.clear()
    testbed.run_tick()
    assert prices_of(testbed, Receipt) == {("h1", EUR), ("h2", 950_000)}


def test_a_rule_that_is_not_installed_sells_nothing_and_is_reported() -> None:
    testbed = site()
    testbed.settings = Settings(clearing_rule="x" * 48)
    testbed.run_tick()
    assert testbed.published(Award) == []
    states = testbed.published(ProducerState)
    assert {(state.faults, state.sold_wh) for state in states} == {((f"no clearing rule {'x' * 47}",), 0)}
    assert states[0].refused == {"clearing rule": 1}
    assert states[1].refused == {"clearing rule": 1 + len(testbed.published(Request))}
    testbed.settings = Settings()
    testbed.run_tick()
    assert {(state.faults, state.sold_wh) for state in testbed.published(ProducerState)[2:]} == {
        ((), 15_000),
        ((), 5_000),
    }


def divide(served: Sequence[MarketLot], _unserved: Sequence[MarketLot]) -> list[int]:
    return [served[0].bid // 0]


@pytest.mark.parametrize(
    ("rule", "device", "problem"),
    [
        (ClearingRule("broken", prices=divide), "t1, a turbine", "ZeroDivisionError: integer division"),
        (
            ClearingRule("broken", import_price=lambda bid, supply: bid // (supply - supply)),
            "reactor, a reactor",
            "ZeroDivisionError",
        ),
        (
            ClearingRule("broken", import_price=lambda bid, _supply: bid + 1),
            "reactor, a reactor",
            "a price of 950001 for a bid of 950000",
        ),
        (
            ClearingRule("broken", order=lambda tick, bids: merit_order(tick, bids)[1:]),
            "t1, a turbine",
            "the order is not a list of all claims",
        ),
    ],
)
def test_a_rule_that_fails_ends_the_run_with_one_line(rule: ClearingRule, device: str, problem: str) -> None:
    testbed = site()
    testbed.settings = Settings(clearing_rule="broken")
    line = (
        rf"^{device}: tick 0: clearing rule 'broken': {problem}.* \(test_clearing_rules\.py, line \d+\); "
        "correct the rule, or choose another clearing_rule$"
    )
    with registered(CLEARING_RULES, rule), pytest.raises(AgentError, match=line):
        testbed.run_tick()


def test_a_rule_that_fails_in_the_exchange_ends_the_run() -> None:
    testbed = Testbed(
        turbine("t1", 15_000, neighbours=("there",)),
        household("h1", 10_000, cell="there", reactor_id=None),
    )
    testbed.settings = Settings(clearing_rule="broken")
    broken = ClearingRule("broken", order=lambda tick, bids: merit_order(tick, bids)[1:])
    with (
        registered(CLEARING_RULES, broken),
        pytest.raises(AgentError, match=r"^t1, a turbine: tick 0: clearing rule 'broken': the order"),
    ):
        testbed.run_tick(neighbours=True)


def test_a_simulation_by_a_rule_that_fails_raises() -> None:
    with registered(CLEARING_RULES, ClearingRule("broken", prices=divide)):
        scenario = gridfleet.Scenario.load("normal", {"settings.clearing_rule": "broken"})
        with pytest.raises(gridfleet.GridFleetError, match="tick 0: clearing rule 'broken': ZeroDivision"):
            gridfleet.simulate(scenario, ticks=2)


def test_neighbours_pay_one_price_too() -> None:
    there = "there"
    testbed = Testbed(
        turbine("t1", 15_000, neighbours=(there,)),
        household("h1", 10_000, cell=there, reactor_id=None),
        household("h2", 10_000, cell=there, price=500_000, reactor_id=None),
    )
    testbed.settings = SETTINGS
    testbed.run_tick(neighbours=True)
    assert prices_of(testbed, Receipt) == {("h1", 500_000), ("h2", 500_000)}


def test_a_consumer_without_the_rule_accepts_up_to_its_bid() -> None:
    testbed = Testbed(household("h1", 10_000))
    testbed.settings = Settings(clearing_rule="foreign")
    testbed.begin_phase(Phase.BID)
    testbed.begin_phase(Phase.TRADE)
    for serial, price in enumerate((EUR - 1, EUR + 1)):
        testbed.deliver("t9", "h1", Award(0, serial, (package(0, 4_000, price),)))
    assert [len(receipt.lots) for receipt in testbed.published(Receipt)] == [1, 0]


# --- names -----------------------------------------------------------------------------------------------------


def test_a_setting_takes_only_names_that_are_installed() -> None:
    assert CLEARING_RULES.checked("uniform-price") == "uniform-price"
    with pytest.raises(
        ValueError,
        match="no clearing rule of that name is installed; allowed are pay-as-bid, uniform-price; choose one",
    ):
        CLEARING_RULES.checked("uniform")


def test_a_rule_of_a_notebook_can_be_named_and_is_listed_in_the_facts() -> None:
    with registered(CLEARING_RULES, ClearingRule("mine")):
        scenario = load("normal", ["settings.clearing_rule=mine"])
        facts = [m for _, m in Fleet(scenario).clock(mode=Mode.LOCKSTEP).start(0) if isinstance(m, Facts)]
        assert facts[0].clearing_rules == ("pay-as-bid", "uniform-price", "mine")
        assert facts[0].offer_rankings == ("weighted", "best", "cheapest", "closest", "random")
    with pytest.raises(
        ScenarioError, match=r"settings\.clearing_rule = 'mine': no clearing rule of that name"
    ):
        load("normal", ["settings.clearing_rule=mine"])
