"""The audit of the power market at the value of each limit: one trade, late messages, and unsettled energy."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ConsumerState,
    Correction,
    Message,
    Package,
    ProducerState,
    Receipt,
    State,
    Supply,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.market import REMINDED_TICKS, SETTLED_TICKS, MarketAudit
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, ReportingHistory, TickWindow

TICK = 200
TURBINE, OTHER, REACTOR, HOME, SHOP = "turbine-1", "turbine-2", "reactor-1", "household-1", "commerce-1"
NORTH, SOUTH = "north", "south"
HIGH, LOW = 900_000, 700_000
LOTS = (Package(0, 1_000, HIGH), Package(1, 500, LOW))
COST = cost_neur(1_000, HIGH) + cost_neur(500, LOW)
Published = tuple[str, str, Message]
"""Scope, sender and message."""

BID: Published = (NORTH, HOME, Bid(TICK, LOTS))
SUPPLY: Published = (NORTH, TURBINE, Supply(TICK, 2_000))
AWARD: Published = (HOME, TURBINE, Award(TICK, 0, LOTS))
RECEIPT: Published = (TURBINE, HOME, Receipt(TICK, 0, LOTS))
TRADE = (BID, SUPPLY, AWARD, RECEIPT)
PRODUCER = ProducerState(
    tick=TICK,
    latitude=0.0,
    longitude=0.0,
    measured=False,
    status="running",
    power_w=0,
    balance_neur=0,
    refused={},
    kind="turbine",
    figures={},
    avoids=(),
    role="producer",
    generated_wh=2_000,
    sold_wh=1_500,
    curtailed_wh=500,
    unsettled_wh=0,
    earned_neur=COST,
)
CONSUMER = ConsumerState(
    tick=TICK,
    latitude=0.0,
    longitude=0.0,
    measured=False,
    status="supplied",
    power_w=0,
    balance_neur=0,
    refused={},
    kind="consumer",
    figures={},
    avoids=(),
    role="consumer",
    demand_wh=1_500,
    bought_wh=1_500,
    paid_neur=COST,
)
ACCOUNTS: dict[str, State] = {TURBINE: PRODUCER, HOME: CONSUMER}
UNSETTLED = replace(PRODUCER, sold_wh=0, unsettled_wh=1_500, earned_neur=0)
EMPTY = replace(CONSUMER, bought_wh=0, paid_neur=0)
SETTLED = Correction(TICK, 1_500, 500, 0, COST)


class Market:
    """The audit of one site's market."""

    def __init__(self, *, exact: bool = True) -> None:
        self.tallies = Tallies(exact=exact)
        self.lifecycle = LifecycleLog()
        self.reporting = ReportingHistory()
        self.gaps = GapLog()
        self.audit = MarketAudit(self.tallies, self.lifecycle, self.reporting, self.gaps, exact=exact)

    @property
    def broken(self) -> set[str]:
        return {finding.name for finding in self.tallies.findings() if finding.breaches}

    @property
    def checked(self) -> dict[str, int]:
        return {finding.name: finding.checked for finding in self.tallies.findings() if finding.checked}

    def judge(
        self,
        messages: Iterable[Published] = TRADE,
        accounts: dict[str, State] = ACCOUNTS,
        corrections: dict[str, Correction] | None = None,
        *,
        tick: int = TICK,
    ) -> "Market":
        window = TickWindow()
        window.rule = "pay-as-bid"
        window.market += messages
        window.states |= accounts
        window.corrections |= corrections or {}
        self.audit.check_tick(tick, window)
        return self

    def online(self, first: int, last: int, *devices: str) -> "Market":
        """Devices report every tick from the first to the last."""
        for device in devices:
            for tick in range(first, last + 1):
                self.reporting.note(device, tick)
        return self

    def late(self, published: Published, *, site_tick: int = TICK + 3) -> "Market":
        self.audit.on_late_message(site_tick, *published)
        return self

    def asks(self, tick: int) -> "Market":
        """The producer has repeated its award two ticks before one that is judged."""
        return self.late(AWARD, site_tick=tick - 2)

    def correct(self, correction: Correction = SETTLED, *, site_tick: int = TICK + 3) -> "Market":
        self.audit.on_correction(TURBINE, correction, site_tick)
        return self


def lots(*changes: dict[str, int]) -> tuple[Package, ...]:
    """The lots of the trade with other fields."""
    return tuple(replace(lot, **change) for lot, change in zip(LOTS, changes, strict=True))


# --- one trade ---


def test_a_correct_trade_breaks_nothing_and_each_invariant_is_checked_as_often_as_it_applies() -> None:
    market = Market().judge()
    assert market.broken == set()
    assert market.checked == {
        "packages": 2, "prices": 2, "supply": 1, "production": 1, "settled": 1, "books": 2, "payments": 2, "cells": 1,
    }  # fmt: skip
    late = Market(exact=False).judge()
    assert late.broken == set()
    assert late.checked == market.checked


@pytest.mark.parametrize(
    ("device", "change", "broken"),
    [
        (HOME, {"bought_wh": 1_501}, {"books", "cells"}),
        (HOME, {"bought_wh": 1_499}, {"books", "cells"}),
        (HOME, {"demand_wh": 1_501}, {"books"}),
        (HOME, {"paid_neur": COST + 1}, {"payments"}),
        (TURBINE, {"earned_neur": COST - 1}, {"payments"}),
        (TURBINE, {"sold_wh": 1_501, "curtailed_wh": 499}, {"books", "cells"}),
        (TURBINE, {"generated_wh": 2_001}, {"production", "cells"}),
        (TURBINE, {"generated_wh": 2_001, "curtailed_wh": 501}, {"production"}),
        (TURBINE, {"sold_wh": 1_501}, {"production", "books"}),
        (TURBINE, {"unsettled_wh": 1, "curtailed_wh": 499}, {"settled"}),
    ],
)
def test_one_wrong_figure_in_an_account(device: str, change: dict[str, Any], broken: set[str]) -> None:
    accounts = {**ACCOUNTS, device: replace(ACCOUNTS[device], **change)}
    assert Market().judge(accounts=accounts).broken == broken


def test_a_device_that_restarts_in_the_tick_is_not_judged_by_its_account() -> None:
    wrong = {TURBINE: replace(PRODUCER, generated_wh=1), HOME: replace(CONSUMER, demand_wh=1)}
    market = Market()
    for device in wrong:
        market.lifecycle.note(device, TICK, online=True)
    assert market.judge(accounts=wrong).broken == set()
    assert Market().judge(accounts=wrong).broken == {"production", "books", "cells"}


@pytest.mark.parametrize(
    ("award", "broken"),
    [
        (lots({"energy_wh": 1_001}, {}), {"packages"}),
        (lots({"price_ueur_per_kwh": HIGH + 1}, {}), {"prices"}),
        (lots({"price_ueur_per_kwh": HIGH - 1}, {}), {"prices"}),
        (lots({"energy_wh": 1_001}, {"price_ueur_per_kwh": LOW - 1}), {"packages", "prices"}),
        (lots({}, {"index": 2}), {"packages"}),
        (lots({"energy_wh": 999}, {}), set()),
    ],
)
def test_an_award_is_within_the_packages_at_their_price(award: tuple[Package, ...], broken: set[str]) -> None:
    energy_wh = sum(lot.energy_wh for lot in award)
    prices = {0: HIGH, 1: LOW, 2: LOW}
    cost = sum(cost_neur(lot.energy_wh, prices[lot.index]) for lot in award)
    market = Market().judge(
        (BID, SUPPLY, (HOME, TURBINE, Award(TICK, 0, award)), (TURBINE, HOME, Receipt(TICK, 0, award))),
        {
            TURBINE: replace(PRODUCER, sold_wh=energy_wh, curtailed_wh=2_000 - energy_wh, earned_neur=cost),
            HOME: replace(CONSUMER, bought_wh=energy_wh, paid_neur=cost),
        },
    )
    assert market.broken == broken


@pytest.mark.parametrize(("first", "second"), [(4, 1), (1, 0), (0, 1), (7, 3)])
def test_packages_are_found_by_their_index_and_not_by_their_place(first: int, second: int) -> None:
    packages = lots({"index": first}, {"index": second})
    messages = (
        (NORTH, HOME, Bid(TICK, packages)),
        SUPPLY,
        (HOME, TURBINE, Award(TICK, 0, packages)),
        (TURBINE, HOME, Receipt(TICK, 0, packages)),
    )
    assert Market().judge(messages).broken == set()


@pytest.mark.parametrize(
    ("taken", "broken"),
    [
        (lots({"energy_wh": 800}, {}), set()),
        (lots({"energy_wh": 799}, {}), set()),
        (LOTS[1:], set()),
        ((), set()),
        (lots({"energy_wh": 801}, {}), {"packages"}),
        (lots({"energy_wh": 501, "index": 1}, {"index": 0, "price_ueur_per_kwh": HIGH}), {"packages"}),
        (lots({"energy_wh": 800, "price_ueur_per_kwh": HIGH - 1}, {}), {"prices"}),
        ((*lots({"energy_wh": 800}, {}), Package(2, 1, LOW)), {"packages"}),
    ],
)
def test_a_receipt_is_within_its_award_at_its_price(taken: tuple[Package, ...], broken: set[str]) -> None:
    awarded = lots({"energy_wh": 800}, {})
    market = Market(exact=False).judge(
        (BID, SUPPLY, (HOME, TURBINE, Award(TICK, 0, awarded)), (TURBINE, HOME, Receipt(TICK, 0, taken))), {}
    )
    assert market.broken == broken


def test_a_receipt_needs_an_award_unless_it_takes_nothing_or_the_producer_restarts() -> None:
    assert Market().judge((BID, RECEIPT), {}).broken == {"packages"}
    assert Market().judge((BID, (TURBINE, HOME, Receipt(TICK, 0, ()))), {}).broken == set()
    restarted = Market()
    restarted.lifecycle.note(TURBINE, TICK, online=True)
    assert restarted.judge((BID, RECEIPT), {}).broken == set()


def test_every_account_is_judged_whatever_stands_before_it() -> None:
    accounts = {
        TURBINE: replace(PRODUCER, earned_neur=COST + 1),
        HOME: replace(CONSUMER, paid_neur=COST + 1),
        SHOP: replace(CONSUMER, demand_wh=1),
        "restarted-turbine": replace(PRODUCER, generated_wh=1),
        "restarted-shop": replace(CONSUMER, demand_wh=1),
        "without-a-bid": replace(CONSUMER, demand_wh=1),
    }
    bids = [(SOUTH, name, Bid(TICK, LOTS)) for name in (SHOP, "restarted-shop")]
    for order in permutations(accounts):
        market = Market()
        market.lifecycle.note("restarted-turbine", TICK, online=True)
        market.lifecycle.note("restarted-shop", TICK, online=True)
        market.judge((*TRADE, *bids), {name: accounts[name] for name in order})
        tallies = market.tallies
        assert (tallies.payments.breaches, tallies.books.breaches, tallies.production.breaches) == (2, 1, 0)


def test_a_purchase_without_a_bid_and_a_birth_is_in_an_unknown_cell() -> None:
    assert Market().judge((SUPPLY, AWARD, RECEIPT), {}).broken == {"packages", "cells"}


def test_receipts_are_waited_for_two_hours_and_asked_for_a_day() -> None:
    assert SETTLED_TICKS * 15 == 2 * 60
    assert REMINDED_TICKS * 15 == 24 * 60


def two_sellers(first_wh: int, second_wh: int, *, exact: bool, received: bool) -> set[str]:
    """Two producers sell the same package of 1 000 Wh; return what is broken."""
    messages: list[Published] = [(NORTH, HOME, Bid(TICK, LOTS[:1]))]
    for producer, energy_wh in ((TURBINE, first_wh), (OTHER, second_wh)):
        lot = (replace(LOTS[0], energy_wh=energy_wh),)
        messages += [(NORTH, producer, Supply(TICK, 1_000)), (HOME, producer, Award(TICK, 0, lot))]
        if received:
            messages.append((producer, HOME, Receipt(TICK, 0, lot)))
    return Market(exact=exact).judge(messages, {}).broken


@pytest.mark.parametrize("received", [True, False])
def test_a_package_is_sold_once(received: bool) -> None:
    assert two_sellers(400, 600, exact=True, received=received) == set()
    assert two_sellers(400, 601, exact=True, received=received) == {"packages"}
    assert two_sellers(400, 600, exact=False, received=received) == set()
    assert two_sellers(400, 601, exact=False, received=received) == ({"packages"} if received else set())


@pytest.mark.parametrize("messages", [TRADE, (BID, SUPPLY, AWARD)], ids=["received", "without a receipt"])
def test_a_supply_is_not_sold_twice(messages: tuple[Published, ...]) -> None:
    for announced_wh, broken in ((1_500, set()), (1_499, {"supply"})):
        changed = [
            (NORTH, TURBINE, Supply(TICK, announced_wh)) if each is SUPPLY else each for each in messages
        ]
        assert Market().judge(changed, {}).broken == broken
    restarted = Market()
    restarted.lifecycle.note(TURBINE, TICK, online=True)
    assert restarted.judge([BID, (NORTH, TURBINE, Supply(TICK, 1)), AWARD, RECEIPT], {}).broken == set()


def test_a_turbine_announces_what_it_sells_and_a_reactor_does_not() -> None:
    assert Market().judge((BID, AWARD, RECEIPT)).broken == {"supply"}
    messages = (BID, (HOME, REACTOR, Award(TICK, 0, LOTS)), (REACTOR, HOME, Receipt(TICK, 0, LOTS)))
    reactor = replace(PRODUCER, kind="reactor", role="grid-supply", generated_wh=1_500, curtailed_wh=0)
    market = Market().judge(messages, {REACTOR: reactor, HOME: CONSUMER})
    assert market.broken == set()
    assert market.checked["cells"] == 1  # what a reactor sells comes from outside of the cell


@pytest.mark.parametrize(
    "second",
    [
        (NORTH, HOME, Bid(TICK, LOTS[:1])),
        (NORTH, TURBINE, Supply(TICK, 2_001)),
        (HOME, TURBINE, Award(TICK, 0, LOTS[:1])),
        (TURBINE, HOME, Receipt(TICK, 0, LOTS[:1])),
    ],
    ids=lambda each: each[2].TYPE,
)
def test_two_different_messages_where_one_is_allowed(second: Published) -> None:
    assert Market().judge((*TRADE, *TRADE)).broken == set()
    assert Market().judge((*TRADE, second)).broken == {"packages"}
    for tick, broken in ((TICK - 1, {"packages"}), (TICK + 1, set()), (TICK + 2, {"packages"})):
        market = Market()
        market.lifecycle.note(second[1], tick, online=True)
        assert market.judge((*TRADE, second)).broken == broken


def test_energy_between_cells_is_added_to_one_and_taken_from_the_other() -> None:
    lot = (Package(0, 300, LOW),)
    shop = replace(CONSUMER, demand_wh=300, bought_wh=300, paid_neur=cost_neur(300, LOW))
    turbine = replace(PRODUCER, sold_wh=1_800, curtailed_wh=200, earned_neur=COST + cost_neur(300, LOW))
    messages = [
        *TRADE,
        (SOUTH, SHOP, Bid(TICK, lot)),
        (SHOP, TURBINE, Award(TICK, 0, lot)),
        (TURBINE, SHOP, Receipt(TICK, 0, lot)),
    ]
    market = Market().judge(messages, {**ACCOUNTS, TURBINE: turbine, SHOP: shop})
    assert market.broken == set()
    assert market.checked["cells"] == 2
    without_its_account = Market().judge(messages, {**ACCOUNTS, TURBINE: turbine})
    assert without_its_account.checked["cells"] == 1


def test_a_tick_with_a_gap_is_not_judged() -> None:
    for tick, checked in ((TICK, {}), (TICK - 1, Market().judge().checked)):
        market = Market()
        market.gaps.add(tick, tick)
        assert market.judge().checked == checked


# --- unsettled energy and corrections ---


def unsettled(*, exact: bool = False) -> Market:
    """A trade whose receipt has not arrived."""
    return Market(exact=exact).judge((BID, SUPPLY, AWARD), {TURBINE: UNSETTLED, HOME: EMPTY})


def test_a_correction_in_the_tick_counts_in_place_of_the_account() -> None:
    wrong = Correction(TICK, 1_501, 499, 0, COST)
    accounts = {TURBINE: UNSETTLED, HOME: CONSUMER}
    assert Market().judge(accounts=accounts, corrections={TURBINE: SETTLED}).broken == set()
    assert Market().judge(accounts=accounts, corrections={TURBINE: wrong}).broken == {"books", "cells"}
    late = Market(exact=False).judge(accounts=accounts, corrections={TURBINE: wrong})
    assert late.broken == {"books"}
    assert "cells" not in late.checked  # other corrections may follow


@pytest.mark.parametrize(
    ("correction", "broken"),
    [
        (SETTLED, set()),
        (replace(SETTLED, sold_wh=1_501), {"books"}),
        (replace(SETTLED, earned_neur=COST + 1), {"payments"}),
        (replace(SETTLED, sold_wh=0, unsettled_wh=1), set()),  # not settled yet
    ],
)
def test_a_correction_after_the_late_receipt_agrees_with_it(correction: Correction, broken: set[str]) -> None:
    market = unsettled().late(RECEIPT).correct(correction)
    assert market.broken == broken
    assert market.checked.get("settled", 0) == (0 if correction.unsettled_wh else 1)
    assert market.correct(correction).broken == broken  # a repeated correction is not judged again


def test_after_a_day_only_a_correction_that_agrees_is_judged() -> None:
    wrong = replace(SETTLED, sold_wh=1_501)
    for ticks, broken in ((REMINDED_TICKS, {"books"}), (REMINDED_TICKS + 1, set())):
        assert unsettled().late(RECEIPT).correct(wrong, site_tick=TICK + ticks).broken == broken
    dearer = replace(SETTLED, earned_neur=COST + 1)
    late = unsettled().late(RECEIPT).correct(dearer, site_tick=TICK + REMINDED_TICKS + 1)
    assert late.broken == {"payments"}


def test_a_consumer_that_lost_its_memory_may_refuse_what_it_had_taken() -> None:
    wrong = replace(SETTLED, sold_wh=1_499)
    for tick, broken in (
        (TICK - 1, {"books"}),
        (TICK, set()),
        (TICK + REMINDED_TICKS, set()),
        (TICK + REMINDED_TICKS + 1, {"books"}),
    ):
        market = unsettled().late(RECEIPT)
        market.lifecycle.note(HOME, tick, online=True)
        assert market.correct(wrong).broken == broken


def test_energy_that_online_devices_do_not_settle_is_a_breach() -> None:
    begin, end = TICK - SETTLED_TICKS, TICK + 20
    for ticks, broken in ((SETTLED_TICKS, set()), (SETTLED_TICKS + 1, {"settled"})):
        market = unsettled().online(begin, end, TURBINE, HOME).asks(TICK + ticks)
        assert market.judge((), {}, tick=TICK + ticks).broken == broken
    judged = TICK + SETTLED_TICKS + 1
    for changed, broken in (
        (TICK - 1, {"settled"}),
        (TICK, set()),
        (judged + 2, set()),
        (judged + 3, {"settled"}),
    ):
        market = unsettled().online(begin, end, TURBINE, HOME).asks(judged)
        market.lifecycle.note(TURBINE, changed, online=True)
        assert market.judge((), {}, tick=judged).broken == broken


@pytest.mark.parametrize("device", [TURBINE, HOME])
def test_a_device_that_was_offline_has_time_to_settle(device: str) -> None:
    (other,) = {TURBINE, HOME} - {device}
    judged = TICK + SETTLED_TICKS + 1
    for first, last, broken in (
        (judged - SETTLED_TICKS - 1, judged, {"settled"}),
        (judged - SETTLED_TICKS, judged, set()),
        (TICK - 20, judged - 1, set()),
    ):
        market = unsettled().online(TICK - 20, judged, other).online(first, last, device)
        assert market.asks(judged).judge((), {}, tick=judged).broken == broken
        market.online(last + 1, judged + 30, device).online(judged + 1, judged + 30, other).asks(judged + 20)
        assert market.judge((), {}, tick=judged + 20).broken == {"settled"}  # it is not forgotten


def test_a_receipt_that_was_sent_may_reach_the_producer_late() -> None:
    judged = TICK + SETTLED_TICKS + 1
    for sent, broken in ((False, {"settled"}), (True, set())):
        market = unsettled().late(RECEIPT) if sent else unsettled()
        market.online(TICK - 20, judged, TURBINE, HOME)
        assert market.asks(judged).judge((), {}, tick=judged).broken == broken


def test_unsettled_energy_is_a_breach_while_its_producer_asks_for_the_receipt() -> None:
    last = TICK + REMINDED_TICKS + 3  # the last reminder is two ticks before
    for judged, broken in ((TICK + 20, {"settled"}), (last, {"settled"})):
        for later, found in ((0, broken), (1, set())):
            market = unsettled().online(judged - 20, judged + 1, TURBINE, HOME).asks(judged)
            assert market.judge((), {}, tick=judged + later).broken == found


def test_the_award_of_a_producer_without_an_account_is_followed() -> None:
    market = Market(exact=False).judge((BID, SUPPLY, AWARD), {HOME: EMPTY}).late(RECEIPT)
    assert market.correct(replace(SETTLED, sold_wh=1_501)).broken == {"books"}
    exact = Market().judge((BID, SUPPLY, AWARD), {HOME: EMPTY})
    assert (
        exact.correct(replace(SETTLED, sold_wh=1_501)).broken == set()
    )  # no account comes late in an exact run


# --- late messages ---


def test_a_late_receipt_takes_no_more_than_was_awarded_and_is_unsold() -> None:
    more = lots({"energy_wh": 1_001}, {})
    assert unsettled().late(RECEIPT).broken == set()
    assert unsettled().late((TURBINE, HOME, Receipt(TICK, 0, more))).broken == {"packages"}
    assert unsettled().late((TURBINE, HOME, Receipt(TICK, 0, (Package(2, 1, LOW),)))).broken == {"packages"}
    assert unsettled().late(RECEIPT).checked["packages"] == 4  # two of the award, two of the receipt


def test_two_late_receipts_share_one_package() -> None:
    """Two producers award the same package; together the receipts take no more than its energy."""
    for second_wh, broken in ((0, set()), (1, {"packages"}), (1_000, {"packages"})):
        market = Market(exact=False).judge(
            [
                (NORTH, HOME, Bid(TICK, LOTS[:1])),
                (HOME, TURBINE, Award(TICK, 0, LOTS[:1])),
                (HOME, OTHER, Award(TICK, 0, LOTS[:1])),
            ],
            {},
        )
        market.late((TURBINE, HOME, Receipt(TICK, 0, LOTS[:1])))
        assert market.broken == set()
        market.late((OTHER, HOME, Receipt(TICK, 0, (replace(LOTS[0], energy_wh=second_wh),))))
        assert market.broken == broken


def test_a_late_receipt_for_energy_that_was_sold_meanwhile() -> None:
    """Of a package of 1 000 Wh, 400 were sold in the tick: a late receipt of another award takes 600 at most."""
    for taken_wh, broken in ((600, set()), (601, {"packages"})):
        first, second = ((replace(LOTS[0], energy_wh=energy_wh),) for energy_wh in (400, 700))
        market = Market(exact=False).judge(
            [
                (NORTH, HOME, Bid(TICK, LOTS[:1])),
                (HOME, TURBINE, Award(TICK, 0, first)),
                (TURBINE, HOME, Receipt(TICK, 0, first)),
                (HOME, OTHER, Award(TICK, 0, second)),
            ],
            {},
        )
        market.late((OTHER, HOME, Receipt(TICK, 0, (replace(LOTS[0], energy_wh=taken_wh),))))
        assert market.broken == broken


def test_an_award_for_a_past_tick_from_a_producer_that_has_not_reported_since_is_followed() -> None:
    """It was cut off: its award arrives late, and then the receipt, which takes no more than the award."""
    for energy_wh, broken in ((1_000, set()), (1_001, {"packages"})):
        market = Market(exact=False).judge((BID,), {}).late(AWARD)
        assert market.broken == set()
        assert (
            market.late((TURBINE, HOME, Receipt(TICK, 0, lots({"energy_wh": energy_wh}, {})))).broken
            == broken
        )
    for last, broken in ((TICK, set()), (TICK + 1, {"fresh"})):
        market = Market(exact=False).judge((BID,), {}).online(TICK - 3, last, TURBINE)
        assert market.late(AWARD).broken == broken


def test_an_award_is_repeated_for_a_day_at_most() -> None:
    for ticks, broken in ((REMINDED_TICKS + 1, set()), (REMINDED_TICKS + 2, {"fresh"})):
        market = unsettled().online(TICK - 20, TICK + 4, TURBINE)
        assert market.late(AWARD, site_tick=TICK + ticks).broken == broken
        assert market.checked["fresh"] == 1
    new = (HOME, TURBINE, Award(TICK, 1, LOTS))  # no reminder: its number was not used in the tick
    assert unsettled().online(TICK - 20, TICK + 4, TURBINE).late(new).broken == {"fresh"}


def test_a_reminder_is_known_while_its_energy_is_unsettled_and_forgotten_then() -> None:
    later = TICK + SETTLED_TICKS + 1
    waiting = unsettled().online(TICK - 20, TICK + 4, TURBINE).judge((), {}, tick=later)
    assert waiting.late(AWARD, site_tick=later).broken == set()
    settled = unsettled().online(TICK - 20, TICK + 4, TURBINE).late(RECEIPT).correct()
    assert settled.late(AWARD, site_tick=later - 1).broken == set()
    assert settled.judge((), {}, tick=later).late(AWARD, site_tick=later).broken == {"fresh"}


@pytest.mark.parametrize("published", [BID, SUPPLY], ids=["bid", "supply"])
def test_bids_and_supplies_for_a_finished_tick_are_late_once_the_sender_has_reported_later(
    published: Published,
) -> None:
    for last, broken in ((TICK, set()), (TICK + 1, {"fresh"})):
        market = Market(exact=False).online(TICK - 3, last, published[1]).late(published)
        assert market.broken == broken
        assert market.checked == {"fresh": 1}


def test_a_consumer_that_has_reported_later_buys_nothing_for_a_finished_tick() -> None:
    for taken, last, broken in (
        (LOTS, TICK, set()),
        (LOTS, TICK + 1, {"fresh"}),
        ((), TICK + 1, set()),
    ):
        market = unsettled().online(TICK - 3, last, HOME)
        assert market.late((TURBINE, HOME, Receipt(TICK, 0, taken))).broken == broken


def test_late_messages_for_a_tick_with_a_gap_are_not_judged() -> None:
    market = Market(exact=False).online(TICK - 3, TICK + 1, HOME)
    market.gaps.add(TICK, TICK)
    assert market.late(BID).checked == {}
