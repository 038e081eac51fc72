"""The market aggregate: repeated messages, invalid receipts, receipts that come late, cells and site totals."""

from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ClockState,
    Package,
    Presence,
    ProducerState,
    Receipt,
    Request,
    Role,
    State,
    Supply,
)
from gridfleet.dashboards.market.aggregate import Lots, LotTotals, MarketAggregate, is_within, lot_totals
from gridfleet.dashboards.market.cell_balances import CellBalances, cell_of, grid_supplies, is_grid_supply
from gridfleet.dashboards.market.site_totals import SiteTotals, site_totals
from gridfleet.dashboards.recording.tick_record import TickRecord
from gridfleet.dashboards.store.rows import TradeRow
from tests.dashboards.runs import SMALL, message_log, record

EUR = 1_000_000
LOTS: Lots = (Package(0, 6_000, EUR), Package(1, 4_000, EUR // 2))
KEY = ("turbine-1", "house-1", 0)


def birth(role: Role, cell: str) -> Presence:
    return Presence(online=True, role=role, cell=cell, latitude=0.0, longitude=0.0)


BIRTHS = {
    "turbine-1": birth(Role.PRODUCER, "north"),
    "house-1": birth(Role.CONSUMER, "north"),
    "house-2": birth(Role.CONSUMER, "south"),
    "reactor": birth(Role.GRID_SUPPLY, ""),
}


def market(
    taken: Lots | None = LOTS, *, consumer: str = "house-1", producer: str = "turbine-1"
) -> MarketAggregate:
    """Return a market of one bid, one supply and one award, with a receipt unless `taken` is None."""
    aggregate = MarketAggregate(7)
    aggregate.add(cell_of(BIRTHS, consumer), consumer, Bid(7, LOTS))
    aggregate.add("north", "turbine-1", Supply(7, 12_000))
    aggregate.add(consumer, producer, Award(7, 0, LOTS))
    if taken is not None:
        aggregate.add(producer, consumer, Receipt(7, 0, taken))
    return aggregate


def test_repeated_messages_count_once_except_as_messages() -> None:
    once, twice = market(), market()
    twice.add("north", "house-1", Bid(7, ()))
    twice.add("north", "turbine-1", Supply(7, 1))
    twice.add("house-1", "turbine-1", Award(7, 0, ()))
    twice.add("turbine-1", "house-1", Receipt(7, 0, ()))
    assert (twice.bids, twice.supplies, twice.awards, twice.receipts) == (
        once.bids,
        once.supplies,
        once.awards,
        once.receipts,
    )
    assert once.message_counts == {"house-1": 2, "turbine-1": 2}
    assert twice.message_counts == {"house-1": 4, "turbine-1": 4}


def test_requests_to_the_reactor_are_counted_by_consumer() -> None:
    aggregate = market()
    for _ in range(2):
        aggregate.add("", "house-1", Request(7, LOTS))
    assert aggregate.requests == {"house-1"}


@pytest.mark.parametrize(
    ("taken", "valid"),
    [
        (LOTS, True),
        (LOTS[:1], True),
        ((), True),
        ((replace(LOTS[0], energy_wh=1),), True),
        ((replace(LOTS[0], energy_wh=6_001),), False),
        ((replace(LOTS[0], price_ueur_per_kwh=EUR - 1),), False),
        ((replace(LOTS[0], index=2),), False),
        ((replace(LOTS[0], energy_wh=1), replace(LOTS[0], energy_wh=1)), False),
    ],
)
def test_a_receipt_beyond_its_award_sells_nothing(taken: Lots, valid: bool) -> None:
    assert is_within(taken, LOTS) == valid
    aggregate = market(taken)
    assert dict(aggregate.sales()) == ({KEY: taken} if valid else {})
    assert aggregate.open_awards() == {}


def test_an_award_without_a_receipt_is_open() -> None:
    assert market(None).open_awards() == {KEY: LOTS}
    assert dict(market(None).sales()) == {}


def test_traded_sums_lots() -> None:
    assert lot_totals(LOTS) == LotTotals(10_000, 6_000 * EUR + 4_000 * EUR // 2, EUR // 2, EUR)
    assert lot_totals(()) == LotTotals() == market(None).receipt_totals()
    assert market().receipt_totals() == lot_totals(LOTS)


def test_a_cell_balances_with_its_own_turbine() -> None:
    balances = CellBalances(market(), BIRTHS, {})
    assert balances.trades == [
        TradeRow(7, "north", "turbine-1", "house-1", lot.index, lot.energy_wh, lot.price_ueur_per_kwh)
        for lot in LOTS
    ]
    (row,) = balances.rows(5)
    assert (row.tick, row.cell, row.simulated_ms, row.messages) == (7, "north", 5, 4)
    assert (row.demand_wh, row.generated_wh, row.sold_wh, row.curtailed_wh) == (10_000, 12_000, 10_000, 2_000)
    assert (row.imported_wh, row.exported_wh, row.reactor_wh) == (0, 0, 0)
    assert (row.lowest_price_ueur, row.mean_price_ueur) == (EUR // 2, 800_000)


def test_energy_from_another_cell_is_imported_and_exported() -> None:
    north, south = CellBalances(market(consumer="house-2"), BIRTHS, {}).rows(0)
    assert (north.exported_wh, north.imported_wh, north.sold_wh, north.curtailed_wh) == (10_000, 0, 0, 2_000)
    assert (south.exported_wh, south.imported_wh, south.sold_wh, south.curtailed_wh) == (0, 10_000, 10_000, 0)


def test_energy_from_the_reactor_is_neither_imported_nor_generated() -> None:
    (row,) = CellBalances(market(producer="reactor"), BIRTHS, {}).rows(0)
    assert (row.reactor_wh, row.sold_wh, row.imported_wh, row.curtailed_wh) == (10_000, 10_000, 0, 12_000)


def test_a_seller_is_a_grid_supply_by_its_birth_else_by_its_account_and_never_by_its_name() -> None:
    states = [message for *_, message in message_log(ticks=2) if isinstance(message, ProducerState)]
    accounts = grid_supplies({f"{state.role}-x": state for state in states})
    assert accounts == {"grid-supply-x"}
    assert is_grid_supply(BIRTHS, (), "reactor")
    assert not is_grid_supply(BIRTHS, {"turbine-1"}, "turbine-1")
    assert is_grid_supply({}, accounts, "grid-supply-x")
    assert not is_grid_supply({}, accounts, "reactor-1")


def test_a_receipt_that_comes_after_the_tick_was_joined_adds_its_trades_once() -> None:
    record = TickRecord(7, BIRTHS, {})
    record.market = market(None)
    record.reconcile()
    assert record.trades == []
    assert record.rows()[0].sold_wh == 0
    record.drop_market()
    assert len(record.settle(KEY, LOTS)) == 2
    assert record.settle(KEY, LOTS) == []
    assert record.rows()[0].sold_wh == 10_000


def test_a_late_receipt_beyond_its_award_is_refused_for_good() -> None:
    record = TickRecord(7, BIRTHS, {})
    record.market = market(None)
    record.reconcile()
    assert record.settle(KEY, (replace(LOTS[0], energy_wh=6_001),)) == []
    assert record.settle(KEY, LOTS) == []


def test_site_totals_are_the_sums_of_the_recorded_cells() -> None:
    log = message_log("normal", SMALL, (), 12)
    markets = {tick: MarketAggregate(tick) for tick in range(12)}
    for _, scope, sender, message in log:
        if isinstance(message, Receipt):
            markets[message.tick].add(scope, sender, message)
        elif isinstance(message, State) and not isinstance(message, ClockState):
            markets[message.tick].add_account(sender, message)
    with record(log) as store:
        for tick in range(12):
            rows = [row for row in store.ticks() if row.tick == tick]
            totals = site_totals(markets[tick])
            assert totals.generated_wh == sum(row.generated_wh for row in rows)
            assert totals.grid_supply_wh == sum(row.reactor_wh for row in rows)
            assert totals.consumers_wh + totals.chargers_wh == sum(row.sold_wh for row in rows)
            assert totals.stored_wh == sum(row.charger_stored_wh for row in rows)
            prices = [row.lowest_price_ueur for row in rows if row.lowest_price_ueur is not None]
            assert totals.lowest_price_eur_per_kwh == (min(prices) / EUR if prices else None)
    assert site_totals(MarketAggregate(0)) == SiteTotals()
