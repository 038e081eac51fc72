"""The agents' market finds what a central planner would: the optimum of a linear programme.

Welfare is the sum of bid · energy over the packages served, whatever the clearing rule asks for. The planner knows all
bids and supplies of a cell and tick; with the reactor it also pays the reactor's price for what that sells.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gridfleet.broker.protocol.messages import Award, Bid, Message, Package, Receipt, Supply, Tick
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.market.cell_market import CellMarket
from gridfleet.devices.market.clearing_rule import ClearingRule
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.market.shipped_rules import PAY_AS_BID, UNIFORM_PRICE
from gridfleet.devices.runtime.simulation import Simulation

REACTOR_PRICE = 900_000
TOLERANCE = 1e-6
Demand = tuple[int, int]
"""(price, energy)."""


def optimum(demands: list[Demand], supply_wh: int, reactor_price: int | None = None) -> float:
    """Return the highest welfare possible with this supply, and with a reactor without limit at its price."""
    if not demands:
        return 0.0
    count = len(demands)
    gains = [-float(price) for price, _ in demands]
    bounds = [(0.0, float(energy_wh)) for _, energy_wh in demands]
    if reactor_price is None:
        solved = linprog(gains, A_ub=[[1.0] * count], b_ub=[float(supply_wh)], bounds=bounds)
    else:
        gains += [-float(price - reactor_price) for price, _ in demands]
        rows = [[1.0] * count + [0.0] * count]
        rows += [[float(i % count == n) for i in range(2 * count)] for n in range(count)]
        limits = [float(supply_wh), *(energy for _, energy in bounds)]
        solved = linprog(gains, A_ub=rows, b_ub=limits, bounds=bounds * 2)
    assert solved.success
    return -float(solved.fun)


def agree(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other), 1.0)


packages = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)), max_size=5).map(
    lambda demands: tuple(Package(index, wh, price) for index, (price, wh) in enumerate(demands))
)


@pytest.mark.parametrize("rule", [PAY_AS_BID, UNIFORM_PRICE], ids=lambda rule: rule.name)
@given(
    st.integers(0, 100),
    st.dictionaries(st.sampled_from([f"c{n}" for n in range(6)]), packages),
    st.dictionaries(st.sampled_from([f"t{n}" for n in range(4)]), st.integers(0, 3 * 10**5)),
)
def test_clearing_a_market_is_optimal(
    rule: ClearingRule, tick: int, bids: dict[str, tuple[Package, ...]], supplies: dict[str, int]
) -> None:
    market = CellMarket(tick, rule)
    market.bids, market.supplies = bids, supplies
    welfare = sum(-claim[0] * energy_wh for name in supplies for claim, energy_wh in market.clear(name))
    demands = [(p.price_ueur_per_kwh, p.energy_wh) for wanted in bids.values() for p in wanted]
    assert agree(welfare, optimum(demands, sum(supplies.values())))


# --- every cell and tick of a recorded run ---------------------------------------------------------------


@dataclass
class Market:
    """The messages of one cell and tick, summed up."""

    demands: list[Demand] = field(default_factory=list)
    supply_wh: int = 0
    from_wind: float = 0.0
    from_reactor: float = 0.0
    reactor_wh: int = 0
    served_wh: Counter[tuple[str, int]] = field(default_factory=Counter)
    wanted_wh: dict[tuple[str, int], int] = field(default_factory=dict)
    bid_prices: dict[tuple[str, int], int] = field(default_factory=dict)


class Record:
    """The markets of a run, by its messages alone."""

    def __init__(self) -> None:
        self.markets: defaultdict[tuple[str, int], Market] = defaultdict(Market)
        self.cell_of: dict[str, str] = {}
        self.awards: dict[tuple[str, str, int, int], Award] = {}
        self.phase = ""

    def receive(self, _now_ms: int, scope: str, sender: str, message: Message) -> None:
        match message:
            case Tick():
                self.phase = message.phase
            case Supply():
                self.markets[scope, message.tick].supply_wh += message.energy_wh
                self.cell_of[sender] = scope
            case Bid():
                self.cell_of[sender] = scope
                market = self.markets[scope, message.tick]
                for p in message.packages:
                    market.demands.append((p.price_ueur_per_kwh, p.energy_wh))
                    market.wanted_wh[sender, p.index] = p.energy_wh
                    market.bid_prices[sender, p.index] = p.price_ueur_per_kwh
            case Award():
                self.awards[sender, scope, message.tick, message.serial] = message
            case Receipt():
                assert (scope, sender, message.tick, message.serial) in self.awards
                self._take(scope, sender, message)

    def _take(self, producer: str, consumer: str, receipt: Receipt) -> None:
        market = self.markets[self.cell_of[consumer], receipt.tick]
        for lot in receipt.lots:
            market.served_wh[consumer, lot.index] += lot.energy_wh
            bid = market.bid_prices[consumer, lot.index]
            if self.phase == "trade" and self.cell_of[producer] == self.cell_of[consumer]:
                market.from_wind += bid * lot.energy_wh
            elif producer.startswith("reactor"):
                market.from_reactor += (bid - REACTOR_PRICE) * lot.energy_wh
                market.reactor_wh += lot.energy_wh


def recorded(scenario: Scenario, ticks: int) -> Record:
    record = Record()
    Simulation(scenario, ticks=ticks, receivers=(record.receive,)).run()
    return record


@pytest.mark.parametrize("rule", CLEARING_RULES.names())
@pytest.mark.parametrize("changes", [(), ("settings.turbine_scale=0.05",)], ids=["normal", "scarce"])
def test_every_tick_of_a_run_is_optimal(changes: tuple[str, ...], rule: str) -> None:
    record = recorded(load("normal", (*changes, f"settings.clearing_rule={rule}")), 24)
    assert len(record.markets) == 24
    for market in record.markets.values():
        assert agree(market.from_wind, optimum(market.demands, market.supply_wh))
        assert agree(
            market.from_wind + market.from_reactor,
            optimum(market.demands, market.supply_wh, REACTOR_PRICE),
        )
        assert all(wh <= market.wanted_wh[key] for key, wh in market.served_wh.items())
    if changes:
        assert any(market.reactor_wh for market in record.markets.values())
        assert all(market.from_wind for market in record.markets.values())


@pytest.mark.parametrize("rule", CLEARING_RULES.names())
def test_every_cell_of_a_run_with_neighbours_is_optimal(rule: str) -> None:
    changes = ("area.rows=2", "area.columns=2", "turbines.count=6", "settings.turbine_scale=0.3")
    record = recorded(load("normal", (*changes, f"settings.clearing_rule={rule}")), 12)
    assert len({cell for cell, _ in record.markets}) == 4
    for market in record.markets.values():
        assert agree(market.from_wind, optimum(market.demands, market.supply_wh))
        assert all(wh <= market.wanted_wh[key] for key, wh in market.served_wh.items())


def test_no_lot_of_a_run_is_empty() -> None:
    record = recorded(load("normal", ("settings.turbine_scale=0.3",)), 24)
    assert [award for award in record.awards.values() if not all(lot.energy_wh for lot in award.lots)] == []
    storm = recorded(load("normal", ("settings.turbine_scale=0.0",)), 4)
    assert {key[0] for key in storm.awards} == {"reactor-1"}
