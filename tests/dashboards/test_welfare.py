"""The optimum that runs are measured by is that of the linear programme; welfare and unserved energy of a tick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gridfleet.broker.protocol.messages import Award, Bid, Package, Receipt, Supply
from gridfleet.dashboards.market.aggregate import MarketAggregate
from gridfleet.dashboards.market.welfare import MAX_CELLS, Claim, TickWelfare, optimum_neur

CELLS = ("a", "b", "c", "d")
LINE = {"a": ("b",), "b": ("a", "c"), "c": ("b", "d"), "d": ("c",)}


def solved(claims: list[Claim], supplies: dict[str, int], price: int | None) -> float:
    """Return the value of the linear programme by HiGHS: own supply by source, and the grid's, for every claim."""
    gains, columns = [], []
    for number, claim in enumerate(claims):
        for source in (claim.cell, *LINE[claim.cell]):
            gains.append(-claim.price)
            columns.append((number, source))
        if price is not None and claim.price >= price:
            gains.append(-(claim.price - price))
            columns.append((number, ""))
    if not gains:
        return 0.0
    rows = [[float(number == n) for number, _ in columns] for n in range(len(claims))]
    rows += [[float(source == cell) for _, source in columns] for cell in CELLS]
    limits = [float(claim.energy_wh) for claim in claims] + [float(supplies[cell]) for cell in CELLS]
    result = linprog(gains, A_ub=rows, b_ub=limits, method="highs")
    assert result.success
    return -float(result.fun)


@given(
    st.lists(
        st.builds(Claim, st.sampled_from(CELLS), st.integers(0, 1000), st.integers(1, 500)), max_size=12
    ),
    st.fixed_dictionaries({cell: st.integers(0, 1500) for cell in CELLS}),
    st.sampled_from([None, 0, 300, 900]),
)
def test_the_optimum_is_that_of_the_linear_programme(
    claims: list[Claim], supplies: dict[str, int], price: int | None
) -> None:
    found = sum(optimum_neur(claims, supplies, LINE, price).values())
    assert found == pytest.approx(solved(claims, supplies, price), rel=1e-9, abs=1e-6)


def test_energy_moves_on_so_that_a_better_bid_is_served() -> None:
    """Cell a can only be reached from b; b's buyer bids more and has to take c's energy, so that a is served too."""
    claims = [Claim("b", 900, 10), Claim("a", 500, 10)]
    assert optimum_neur(claims, {"a": 0, "b": 10, "c": 10, "d": 0}, LINE, None) == {"b": 9000, "a": 5000}


def market(*, sold_wh: int, reactor_wh: int) -> MarketAggregate:
    """Two packages of 10 kWh: the wind has 12 kWh, the reactor sells the rest of the first."""
    found = MarketAggregate(3)
    found.add("a", "house", Bid(3, (Package(0, 10_000, 1_000_000), Package(1, 10_000, 400_000))))
    found.add("a", "wind", Supply(3, 12_000))
    for seller, energy_wh in (("wind", sold_wh), ("plant", reactor_wh)):
        if energy_wh:
            lots = (Package(0, energy_wh, 1_000_000),)
            found.add("house", seller, Award(3, 0, lots))
            found.add(seller, "house", Receipt(3, 0, lots))
    return found


def welfare(found: MarketAggregate) -> TickWelfare:
    return TickWelfare(
        found,
        {"house": "a", "wind": "a"},
        {"house": "consumer"},
        {"plant"},
        neighbours={},
        price=900_000,
    )


def test_welfare_optimum_unserved_energy_and_marginal_price_of_a_tick() -> None:
    tick = welfare(market(sold_wh=6_000, reactor_wh=4_000))
    assert tick.welfare_neur == {"a": 6_000 * 1_000_000 + 4_000 * 100_000}
    assert tick.optimum_neur == {"a": 10_000 * 1_000_000 + 2_000 * 400_000}
    assert tick.demands == {"consumer": (20_000, 10_000)}
    assert tick.marginal_prices() == {"a": 400_000}
    assert welfare(market(sold_wh=0, reactor_wh=0)).marginal_prices() == {"a": 900_000}  # the grid's price


def test_a_late_receipt_is_added() -> None:
    tick = welfare(market(sold_wh=0, reactor_wh=0))
    tick.add_sale(("wind", "house", 0), (Package(0, 10_000, 1_000_000), Package(1, 10_000, 400_000)))
    assert tick.welfare_neur == {"a": 14_000_000_000}
    assert tick.demands == {"consumer": (20_000, 20_000)}
    assert tick.marginal_prices() == {"a": 0}


def test_beyond_the_largest_number_of_cells_there_is_no_optimum() -> None:
    found = market(sold_wh=10_000, reactor_wh=0)
    cells = {f"wind-{n}": f"cell-{n}" for n in range(MAX_CELLS)}
    for name, cell in cells.items():
        found.add(cell, name, Supply(3, 1))
    tick = TickWelfare(found, {"house": "a", **cells}, {}, (), neighbours={}, price=None)
    assert tick.optimum_neur is None
