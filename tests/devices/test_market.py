"""The rules of the market: one merit order for all, nothing sold twice, nothing rounded away, accounts that balance."""

from collections import Counter
from itertools import pairwise
from random import Random
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import MAX_PACKAGES, Award, Bid, Package, Receipt
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.market.accounts import REMEMBERED_TICKS, Purchases, Sales
from gridfleet.devices.market.cell_market import CellMarket
from gridfleet.devices.market.clearing import (
    Claim,
    allocate,
    merit_order,
    supply_order,
    tie_break,
)
from gridfleet.devices.market.packages import group_by_consumer, split_into_packages, take_up_to
from gridfleet.devices.market.shipped_rules import PAY_AS_BID
from tests.devices.testbed import EUR, package, total

Item = TypeVar("Item")
Bids = dict[str, tuple[Package, ...]]


@st.composite
def bids(draw: st.DrawFn) -> Bids:
    """Packages of a few consumers; few prices, so that many tie."""
    count = draw(st.integers(0, 5))
    return {
        f"c{number}": tuple(
            Package(index, energy_wh, price)
            for index, (energy_wh, price) in enumerate(
                draw(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0, 1, 5, 9])), max_size=4))
            )
        )
        for number in range(count)
    }


supplies = st.dictionaries(st.sampled_from(["t1", "t2", "t3", "t4"]), st.integers(0, 60), max_size=4)
ticks = st.integers(0, 3)
shuffles = st.integers(0, 2**31).map(Random)


def shuffled(items: list[Item], random: Random) -> list[Item]:
    random.shuffle(items)
    return items


def market_of(tick: int, wanted: Bids, offered: dict[str, int]) -> CellMarket:
    market = CellMarket(tick, PAY_AS_BID)
    market.bids.update(wanted)
    market.supplies.update(offered)
    return market


def served(shares: dict[str, list[tuple[Claim, int]]]) -> Counter[tuple[str, int]]:
    """Return the Wh awarded to each (consumer, index)."""
    counted: Counter[tuple[str, int]] = Counter()
    for lots in shares.values():
        for (_, _, consumer, index, *_), energy_wh in lots:
            counted[consumer, index] += energy_wh
    return counted


# --- merit order -----------------------------------------------------------------------------------------


@given(ticks, bids(), shuffles)
def test_merit_order_is_independent_of_arrival(tick: int, wanted: Bids, random: Random) -> None:
    arrived = dict(shuffled(list(wanted.items()), random))
    mixed = {name: shuffled(list(packages), random) for name, packages in arrived.items()}
    assert merit_order(tick, mixed) == merit_order(tick, wanted)


@given(ticks, bids())
def test_merit_order_is_total(tick: int, wanted: Bids) -> None:
    claims = merit_order(tick, wanted)
    assert all(one < other for one, other in pairwise(claims))
    assert len(claims) == sum(map(len, wanted.values()))


@given(ticks, bids())
def test_the_highest_price_is_first(tick: int, wanted: Bids) -> None:
    prices = [-claim[0] for claim in merit_order(tick, wanted)]
    assert prices == sorted(prices, reverse=True)


def test_equal_prices_take_turns() -> None:
    consumers = [f"household-{number}" for number in range(4)]
    first = Counter(min(consumers, key=lambda name: tie_break(name, tick)) for tick in range(400))
    assert set(first) == set(consumers)
    assert all(80 <= times <= 120 for times in first.values()), first


def test_different_ids_get_different_numbers() -> None:
    assert len({tie_break(f"household-{number}", 7) for number in range(1_000)}) == 1_000


@pytest.mark.parametrize(("tick", "number"), [(0, 0), (1, 0x514E28B7), (0xFFFF_FFFF, 0x81F1_6F39)])
def test_the_number_is_finished_as_in_murmurhash3(tick: int, number: int) -> None:
    """Published values of MurmurHash3 (x86, 32 bits) for the empty key; the checksum of an empty id is the tick."""
    assert tie_break("", tick) == number


def test_ids_with_the_same_number_are_ordered_by_the_id() -> None:
    assert tie_break("plumless", 7) == tie_break("buckeroo", 7)  # a known collision of CRC-32
    assert supply_order(7, {"plumless": 1, "buckeroo": 2}) == [("buckeroo", 2), ("plumless", 1)]
    wanted = {"plumless": [package(0, 5)], "buckeroo": [package(0, 5)]}
    assert [claim[2] for claim in merit_order(7, wanted)] == ["buckeroo", "plumless"]
    assert merit_order(0, {"a": [package(1, 5), package(0, 5)]}) == merit_order(
        0, {"a": [package(0, 5), package(1, 5)]}
    )


# --- allocation ------------------------------------------------------------------------------------------


@given(ticks, bids(), st.lists(st.integers(0, 40), max_size=6))
def test_successive_allocations_partition_the_claims(tick: int, wanted: Bids, lengths: list[int]) -> None:
    claims = merit_order(tick, wanted)
    start, pieces = 0, []
    for length in lengths:
        piece = allocate(claims, start, length)
        assert sum(energy_wh for _, energy_wh in piece) <= length
        pieces += piece
        start += length
    energy_wh = sum(energy for _, energy in pieces)
    assert energy_wh == min(start, sum(claim[4] for claim in claims))
    whole = allocate(claims, 0, start)
    merged: Counter[Claim] = Counter()
    for claim, part_wh in pieces:
        merged[claim] += part_wh
    assert merged == Counter({claim: part_wh for claim, part_wh in whole if part_wh})


def test_only_the_first_and_last_lot_of_an_allocation_are_partial() -> None:
    seen: Counter[str] = Counter()

    @example(3, {"a": [package(0, 5), package(1, 6)], "b": [package(0, 7), package(1, 8)]}, 2, 20)
    @given(ticks, bids(), st.integers(0, 100), st.integers(0, 100))
    def check(tick: int, wanted: Bids, start: int, length: int) -> None:
        lots = allocate(merit_order(tick, wanted), start, length)
        assert all(energy_wh == claim[4] for claim, energy_wh in lots[1:-1])
        seen.update(whole=len(lots[1:-1]), partial=sum(energy_wh < claim[4] for claim, energy_wh in lots))

    check()
    assert min(seen["whole"], seen["partial"]) >= 2, seen


def test_a_package_is_cut_where_the_energy_ends() -> None:
    claims = merit_order(0, {"c": [package(0, 10, 9), package(1, 10, 5)]})
    assert allocate(claims, 0, 15) == [(claims[0], 10), (claims[1], 5)]
    assert allocate(claims, 15, 15) == [(claims[1], 5)]
    assert allocate(claims, 20, 5) == []


def test_a_producer_without_energy_serves_nothing() -> None:
    claims = merit_order(0, {"c": [package(0, 10, 9)]})
    assert allocate(claims, 0, 0) == []
    assert allocate(claims, 3, 0) == []


def test_an_empty_package_is_not_awarded() -> None:
    claims = merit_order(0, {"c": [package(0, 0, 9), package(1, 10, 9), package(2, 0, 5)]})
    assert allocate(claims, 0, 20) == [(claims[1], 10)]


# --- clearing --------------------------------------------------------------------------------------------


@given(ticks, bids(), supplies, shuffles)
def test_all_producers_together_sell_each_package_once(
    tick: int, wanted: Bids, offered: dict[str, int], random: Random
) -> None:
    shares = {}
    for name in offered:  # each has received the same, in another order
        own = market_of(
            tick,
            dict(shuffled(list(wanted.items()), random)),
            dict(shuffled(list(offered.items()), random)),
        )
        shares[name] = own.clear(name)
    got = served(shares)
    demand = {(name, p.index): p.energy_wh for name, packages in wanted.items() for p in packages}
    assert all(energy_wh <= demand[key] for key, energy_wh in got.items())
    assert got.total() == min(sum(demand.values()), sum(offered.values()))
    for name, lots in shares.items():
        assert sum(energy_wh for _, energy_wh in lots) <= offered[name]


@given(ticks, bids(), supplies)
def test_unsold_supplies_are_what_was_not_awarded(tick: int, wanted: Bids, offered: dict[str, int]) -> None:
    sold = {name: sum(wh for _, wh in market_of(tick, wanted, offered).clear(name)) for name in offered}
    assert market_of(tick, wanted, offered).unsold_supplies() == {
        name: offered[name] - sold[name] for name in offered
    }


def test_no_bid_is_served_before_a_higher_one() -> None:
    seen: Counter[str] = Counter()

    @example(0, {"a": [package(0, 5, EUR)], "b": [package(0, 7, EUR // 2)]}, {"t1": 6})
    @given(ticks, bids(), supplies)
    def check(tick: int, wanted: Bids, offered: dict[str, int]) -> None:
        got = served({name: market_of(tick, wanted, offered).clear(name) for name in offered})
        prices = [
            (p.price_ueur_per_kwh, got[name, p.index], p.energy_wh)
            for name, packages in wanted.items()
            for p in packages
        ]
        lowest_served = min((price for price, served_wh, _ in prices if served_wh), default=10**9)
        assert all(served_wh == wh for price, served_wh, wh in prices if price > lowest_served)
        seen.update(
            higher=sum(price > lowest_served for price, _, _ in prices),
            unserved=sum(served_wh < wh for _, served_wh, wh in prices),
        )

    check()
    assert min(seen["higher"], seen["unserved"]) >= 1, seen


@pytest.mark.parametrize(("offered_wh", "unserved_wh"), [(4, 1), (5, 0), (6, 0)])
def test_a_single_wh_that_is_not_served_is_served_from_refused_energy(
    offered_wh: int, unserved_wh: int
) -> None:
    market = market_of(0, {"c": (package(0, 5),)}, {"t1": offered_wh})
    market.clear("t1")
    assert [wh for _, wh in market.next_unserved(10)] == [unserved_wh] * (unserved_wh > 0)


def test_a_producer_without_supply_serves_nothing() -> None:
    assert market_of(0, {"c": (package(0, 5),)}, {"t1": 5}).clear("t2") == []


@given(ticks, bids(), supplies, st.lists(st.integers(0, 30), max_size=6))
def test_resold_energy_goes_to_unserved_claims_once(
    tick: int, wanted: Bids, offered: dict[str, int], refused: list[int]
) -> None:
    shares = {name: market_of(tick, wanted, offered).clear(name) for name in offered}
    mine = market_of(tick, wanted, offered)
    mine.clear("t1")
    resold: list[tuple[Claim, int]] = []
    for energy_wh in refused:
        lots = mine.next_unserved(energy_wh)
        assert sum(wh for _, wh in lots) <= energy_wh
        assert all(wh > 0 for _, wh in lots)
        resold += lots
    claims = [claim for claim, _ in resold]
    assert len(set(claims)) == len(claims)
    assert claims == sorted(claims)
    got = served(shares) + served({"again": resold})
    assert all(got[c[2], c[3]] <= c[4] for c in merit_order(tick, wanted))


def test_refused_energy_goes_to_the_next_unserved_claims() -> None:
    mine = market_of(0, {"c": (package(0, 10, 9), package(1, 10, 5), package(2, 10, 1))}, {"t1": 15})
    assert [wh for _, wh in mine.clear("t1")] == [10, 5]
    assert [(claim[3], wh) for claim, wh in mine.next_unserved(12)] == [(1, 5), (2, 7)]
    assert mine.next_unserved(12) == []


def test_lots_are_grouped_by_consumer() -> None:
    claims = merit_order(0, {"a": [package(0, 5, 9), package(1, 5, 3)], "b": [package(0, 5, 5)]})
    assert group_by_consumer([(claim, 4) for claim in claims]) == {
        "a": (package(0, 4, 9), package(1, 4, 3)),
        "b": (package(0, 4, 5),),
    }


def test_packages_are_cut_where_they_exceed_the_energy() -> None:
    lots = (package(0, 10, 9), package(1, 10, 5))
    assert take_up_to(25, lots) == take_up_to(20, lots) == lots
    assert take_up_to(15, lots) == (package(0, 10, 9), package(1, 5, 5))
    assert take_up_to(10, lots) == (package(0, 10, 9),)
    assert take_up_to(3, lots) == (package(0, 3, 9),)
    assert take_up_to(0, lots) == ()


# --- a producer's account --------------------------------------------------------------------------------

LOTS = (package(0, 10, EUR), package(1, 20, EUR // 2))


def test_a_receipt_settles_what_was_taken() -> None:
    sales = Sales(3, 100)
    award = sales.award("c", "here", LOTS)
    assert award == Award(3, 0, LOTS)
    assert (sales.pending_wh, sales.unsold_wh) == (30, 70)
    booked = sales.settle("c", Receipt(3, 0, (package(0, 10, EUR), package(1, 5, EUR // 2))))
    assert booked is not None
    assert booked.energy_wh == 15
    assert (sales.sold_wh, sales.pending_wh, sales.unsold_wh) == (15, 0, 85)
    assert sales.earned_neur == cost_neur(10, EUR) + cost_neur(5, EUR // 2)
    assert sales.open_awards == {}


def test_an_account_begins_with_nothing() -> None:
    sales, purchases = Sales(3), Purchases(3)
    assert (sales.tick, sales.energy_wh, sales.unsold_wh, sales.sold_wh, sales.pending_wh) == (3, 0, 0, 0, 0)
    assert (sales.earned_neur, sales.reminded, sales.open_awards) == (0, 0, {})
    assert (purchases.bought_wh, purchases.paid_neur, purchases.demand_wh, purchases.partial) == (0, 0, 0, ())


def test_receipts_are_remembered_for_a_day() -> None:
    assert REMEMBERED_TICKS * 15 == 24 * 60


def test_awards_are_numbered_for_each_consumer() -> None:
    sales = Sales(3, 200)
    assert [sales.award(name, "here", LOTS).serial for name in "cdccd"] == [0, 0, 1, 2, 1]
    assert sales.settle("d", Receipt(3, 1, LOTS)) is not None
    assert sorted(sales.open_awards) == [("c", 0), ("c", 1), ("c", 2), ("d", 0)]


@pytest.mark.parametrize(
    ("consumer", "receipt"),
    [
        ("d", Receipt(3, 0, LOTS)),
        ("c", Receipt(3, 1, LOTS)),
        ("c", Receipt(3, 0, (package(0, 11, EUR),))),
        ("c", Receipt(3, 0, (package(0, 10, EUR - 1),))),
        ("c", Receipt(3, 0, (package(0, 10, EUR + 1),))),
        ("c", Receipt(3, 0, (package(2, 10, EUR),))),
        ("c", Receipt(3, 0, (package(1, 10, EUR),))),
        ("c", Receipt(3, 0, (package(0, 5, EUR), package(0, 5, EUR)))),
        ("c", Receipt(3, 0, (*LOTS, package(0, 1, EUR)))),
    ],
    ids=[
        "other consumer",
        "serial",
        "more",
        "cheaper",
        "more expensive",
        "index",
        "mixed-up",
        "twice",
        "extra",
    ],
)
def test_a_wrong_receipt_changes_nothing(consumer: str, receipt: Receipt) -> None:
    sales = Sales(3, 100)
    sales.award("c", "here", LOTS)
    assert sales.settle(consumer, receipt) is None
    assert (sales.sold_wh, sales.pending_wh, sales.unsold_wh, sales.earned_neur) == (0, 30, 70, 0)
    assert sales.settle("c", Receipt(3, 0, LOTS)) is not None
    assert sales.settle("c", Receipt(3, 0, LOTS)) is None
    assert sales.sold_wh == 30


small_lots = st.lists(
    st.builds(Package, st.integers(0, 3), st.integers(0, 12), st.sampled_from([1, 2])), max_size=4
).map(tuple)


def test_a_producers_account_always_balances() -> None:
    """Against an account kept here: what was promised, what was taken, at which price."""
    done: Counter[str] = Counter()
    acts = st.tuples(
        st.sampled_from("cd"), st.sampled_from(["award", "receipt", "wrong"]), st.integers(0, 12)
    )

    @given(st.lists(st.tuples(acts, small_lots), min_size=10, max_size=30))
    def run(deeds: list[tuple[tuple[str, str, int], tuple[Package, ...]]]) -> None:
        sales = Sales(0, 60)
        promised: dict[tuple[str, int], tuple[Package, ...]] = {}
        sold_wh = earned_neur = 0
        for (consumer, act, number), lots in deeds:
            if act == "award":
                distinct = tuple({lot.index: lot for lot in lots}.values())
                if total(distinct) <= sales.unsold_wh:
                    award = sales.award(consumer, "here", distinct)
                    promised[consumer, award.serial] = distinct
                    done["awards"] += 1
            elif act == "receipt" and promised:
                key = sorted(promised)[number % len(promised)]
                taken = tuple(
                    Package(lot.index, min(lot.energy_wh, number), lot.price_ueur_per_kwh)
                    for lot in promised.pop(key)
                )
                booked = sales.settle(key[0], Receipt(0, key[1], taken))
                assert booked is not None
                sold_wh += total(taken)
                earned_neur += sum(cost_neur(lot.energy_wh, lot.price_ueur_per_kwh) for lot in taken)
                done["receipts"] += 1
            else:
                assert sales.settle(consumer, Receipt(0, 1_000 + number, lots)) is None
            assert (sales.sold_wh, sales.earned_neur) == (sold_wh, earned_neur)
            assert sales.pending_wh == sum(map(total, promised.values()))
            assert sales.unsold_wh == 60 - sold_wh - sales.pending_wh >= 0
            assert set(sales.open_awards) == set(promised)

    run()
    assert min(done["awards"], done["receipts"]) >= 20, done


# --- a consumer's account --------------------------------------------------------------------------------


def test_the_first_award_wins() -> None:
    purchases = Purchases(3, LOTS)
    assert purchases.accept("t1", Award(3, 0, (package(0, 7, EUR),))) == Receipt(3, 0, (package(0, 7, EUR),))
    assert purchases.accept("t2", Award(3, 0, (package(0, 10, EUR),))) == Receipt(3, 0, (package(0, 3, EUR),))
    assert purchases.accept("t3", Award(3, 0, (package(0, 10, EUR),))) == Receipt(3, 0, ())
    assert purchases.remaining() == (LOTS[1],)
    assert (purchases.bought_wh, purchases.paid_neur) == (10, cost_neur(10, EUR))


def test_the_same_award_gets_the_same_receipt() -> None:
    purchases = Purchases(3, LOTS)
    first = purchases.accept("t1", Award(3, 0, LOTS))
    assert purchases.accept("t1", Award(3, 0, LOTS)) is first
    assert purchases.accept("t1", Award(3, 0, (package(0, 1, EUR),))) is first
    assert purchases.bought_wh == 30


@pytest.mark.parametrize(
    "lot",
    [package(0, 5, EUR + 1), package(0, 5, EUR - 1), package(0, 5, 0), package(7, 5, EUR), package(255, 5)],
)
def test_energy_that_was_not_bid_for_is_not_bought(lot: Package) -> None:
    purchases = Purchases(3, LOTS)
    assert purchases.accept("t1", Award(3, 0, (lot,))) == Receipt(3, 0, ())
    assert (purchases.bought_wh, purchases.paid_neur, purchases.remaining()) == (0, 0, LOTS)


def test_only_packages_at_the_reactors_price_are_left_for_it() -> None:
    assert Purchases(3, LOTS).remaining(EUR) == (LOTS[0],)
    assert Purchases(3, LOTS).remaining(EUR + 1) == ()
    assert Purchases(3).remaining() == ()


@given(st.lists(st.tuples(st.sampled_from(["t1", "t2"]), st.integers(0, 3), small_lots), max_size=20))
def test_a_consumer_never_buys_more_than_it_bid(awards: list[tuple[str, int, tuple[Package, ...]]]) -> None:
    wanted = (package(0, 10, 1), package(1, 15, 2), package(2, 0, 1))
    purchases = Purchases(0, wanted)
    for producer, serial, lots in awards:
        receipt = purchases.accept(producer, Award(0, serial, lots))
        assert purchases.accept(producer, Award(0, serial, lots)) is receipt
        assert Sales(0, 10**6).award("c", "here", lots).lots == lots
    taken = [lot for receipt in purchases.receipts.values() for lot in receipt.lots]
    for bid in wanted:
        assert total(lot for lot in taken if lot.index == bid.index) <= bid.energy_wh
    assert purchases.bought_wh == total(taken) == purchases.demand_wh - total(purchases.remaining())
    assert purchases.paid_neur == sum(cost_neur(lot.energy_wh, lot.price_ueur_per_kwh) for lot in taken)


@given(st.lists(st.tuples(st.sampled_from(["t1", "t2"]), small_lots), max_size=6))
def test_a_producer_accepts_every_receipt_for_what_it_awarded_out_of_a_bid(
    asked: list[tuple[str, tuple[Package, ...]]],
) -> None:
    wanted = (package(0, 10, 1), package(1, 15, 2), package(2, 5, 1), package(3, 5, 2))
    purchases = Purchases(0, wanted)
    sales = {"t1": Sales(0, 1000), "t2": Sales(0, 1000)}
    for producer, lots in asked:
        distinct = tuple(
            {
                lot.index: Package(lot.index, lot.energy_wh, wanted[lot.index].price_ueur_per_kwh)
                for lot in lots
            }.values()
        )
        award = sales[producer].award("c", "here", distinct)
        assert sales[producer].settle("c", purchases.accept(producer, award)) is not None
    assert sum(each.sold_wh for each in sales.values()) == purchases.bought_wh
    assert sum(each.earned_neur for each in sales.values()) == purchases.paid_neur


# --- packages --------------------------------------------------------------------------------------------


@given(st.integers(0, 10**10), st.integers(1, 10**6), st.integers(0, 10**9))
def test_packages_hold_the_whole_energy(energy_wh: int, package_wh: int, price: int) -> None:
    packages = split_into_packages(energy_wh, package_wh, price)
    assert total(packages) == energy_wh
    assert len(packages) <= MAX_PACKAGES
    assert [p.index for p in packages] == list(range(len(packages)))
    assert all(p.energy_wh > 0 and p.price_ueur_per_kwh == price for p in packages)


@given(st.integers(0, MAX_PACKAGES - 1), st.integers(1, 10**6), st.data())
def test_packages_have_the_size_asked_for_where_one_bid_can_hold_them(
    full: int, package_wh: int, data: st.DataObject
) -> None:
    rest_wh = data.draw(st.integers(1, package_wh))
    packages = split_into_packages(full * package_wh + rest_wh, package_wh, EUR)
    assert [p.energy_wh for p in packages] == [package_wh] * full + [rest_wh]


def test_the_last_package_may_be_smaller() -> None:
    assert split_into_packages(25_000, 10_000, EUR) == (
        package(0, 10_000),
        package(1, 10_000),
        package(2, 5_000),
    )
    assert split_into_packages(0, 10_000, EUR) == ()
    assert Bid(0, split_into_packages(10, 20, EUR)).packages == (package(0, 10),)


def test_a_last_package_of_one_wh_is_taken() -> None:
    offered = (package(0, 10, EUR), package(1, 10, EUR))
    assert take_up_to(11, offered) == (package(0, 10, EUR), package(1, 1, EUR))
    assert take_up_to(10, offered) == (package(0, 10, EUR),)
