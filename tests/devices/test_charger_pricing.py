"""What chargers ask: the original's price, and one that covers what the energy has cost."""

from collections import defaultdict

import pytest

from gridfleet.broker.protocol.messages import ChargerState
from gridfleet.devices.charging.pricing import CHARGER_PRICINGS, ChargerPricing, Stock
from gridfleet.devices.config.scenario import ScenarioError, load
from tests.system.message_log import simulate

STOCK = Stock(150_000, 300_000, 290_001, 0.1)


def profits_neur(*changes: str, ticks: int) -> dict[str, float]:
    """What each charger earned less what the energy that it sold had cost, by its accounts alone."""
    log = simulate(load("normal", changes), ticks)
    cost: defaultdict[str, float] = defaultdict(float)
    profit: defaultdict[str, float] = defaultdict(float)
    for _, charger, state in log.of(ChargerState):
        cost[charger] += state.paid_neur
        taken_wh = state.delivered_wh + state.discharge_loss_wh
        if taken_wh:
            sold_neur = cost[charger] * taken_wh / (state.stored_wh + taken_wh)
            cost[charger] -= sold_neur
            profit[charger] += state.earned_neur - sold_neur
    return dict(profit)


@pytest.mark.parametrize(
    ("name", "stock", "price"),
    [
        ("state-of-charge", STOCK, 510_000),
        ("state-of-charge", STOCK._replace(stored_wh=300_000), 10_000),
        ("cost-plus", STOCK, 319_002),
        ("cost-plus", STOCK._replace(margin=0.0), 290_001),
    ],
)
def test_the_shipped_strategies(name: str, stock: Stock, price: int) -> None:
    assert CHARGER_PRICINGS.get(name).price(stock) == price


def test_no_charger_loses_money_with_cost_plus_and_all_do_with_the_originals_price() -> None:
    covered = profits_neur("chargers.pricing=cost-plus", "chargers.margin=0.1", ticks=96)
    assert len(covered) >= 15
    assert min(covered.values()) >= 0
    original = profits_neur(ticks=96)
    assert len(original) >= 15
    assert sum(original.values()) < 0


def test_a_strategy_of_ones_own() -> None:
    CHARGER_PRICINGS.register(ChargerPricing("flat", lambda _stock: 400_000))
    try:
        chosen = load("normal", ("chargers.pricing=flat", "ticks=24"))
        assert chosen.chargers.pricing == "flat"
    finally:
        CHARGER_PRICINGS.forget("flat")
    with pytest.raises(ScenarioError, match=r"chargers\.pricing.*cost-plus"):
        load("normal", ("chargers.pricing=flat",))
