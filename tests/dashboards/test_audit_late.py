"""Slow is not false: a device, a network or a recorder that is late breaches nothing, and the lie beside it does."""

from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    Bill,
    Heartbeat,
    Message,
    Package,
    Release,
    State,
    Supply,
)
from gridfleet.broker.protocol.units import TICK_MS, cost_neur
from gridfleet.dashboards.audit.accounts import AccountAudit
from gridfleet.dashboards.audit.market import REMINDED_TICKS, SETTLED_TICKS
from gridfleet.dashboards.audit.window import TickWindow
from tests.dashboards.test_audit_charging import (
    CALL,
    CHARGER,
    ENERGY_WH,
    LEASE,
    NOW_MS,
    OFFER,
    PRICE,
    STATE,
    TICK,
    UNTIL_MS,
    VEHICLE,
    Charging,
)
from tests.dashboards.test_audit_charging_messages import Messages
from tests.dashboards.test_audit_market import (
    ACCOUNTS,
    AWARD,
    BID,
    COST,
    EMPTY,
    HOME,
    LOTS,
    PRODUCER,
    RECEIPT,
    SETTLED,
    SUPPLY,
    TURBINE,
    UNSETTLED,
    Market,
    Published,
)
from tests.dashboards.test_audit_market import TICK as TRADED

LATE_MS = UNTIL_MS + 2 * TICK_MS
"""Two ticks after the end of the lease and of the offer."""
LATE = TRADED + 3
"""A tick in which the traded one has been judged already."""


def judge_account(messages: Messages, settle_ms: int, received_ms: int) -> set[str]:
    """Judge an account with one reservation, of a tick whose last phase began at a time."""
    messages.audit.on_settle(TICK, settle_ms)
    messages.audit.on_account(received_ms, CHARGER, STATE)
    return messages.judge(end_ms=received_ms + 1)


# --- leases: an account speaks of the time at which it was made ---


@pytest.mark.parametrize("leased", [True, False], ids=["lease", "offer"])
def test_an_account_that_is_received_late_counts_what_lasted_when_it_was_made(leased: bool) -> None:
    for settle_ms, broken in ((UNTIL_MS - 1, set()), (UNTIL_MS, {"leases"})):
        messages = Messages(exact=False)
        messages = messages.reserve(VEHICLE) if leased else messages.charger(OFFER)
        assert judge_account(messages, settle_ms, LATE_MS) == broken


def test_an_offer_is_remembered_for_an_account_that_is_judged_ticks_later() -> None:
    messages = Messages(exact=False).charger(OFFER)
    messages.judge(end_ms=UNTIL_MS + TICK_MS, tick=TICK - 1)
    assert judge_account(messages, UNTIL_MS - 1, LATE_MS) == set()
    forgotten = Messages(exact=False).charger(OFFER)
    forgotten.judge(end_ms=UNTIL_MS + 4 * TICK_MS, tick=TICK - 1)
    assert judge_account(forgotten, UNTIL_MS - 1, UNTIL_MS + 5 * TICK_MS) == {"leases"}


def test_without_the_last_phase_of_its_tick_an_account_counts_what_it_likes() -> None:
    messages = Messages(exact=False)
    messages.audit.on_account(NOW_MS, CHARGER, STATE)
    assert messages.judge() == set()
    assert messages.tallies.leases.checked == 0


def test_where_every_message_arrives_at_once_the_time_of_arrival_counts() -> None:
    assert judge_account(Messages().reserve(VEHICLE), UNTIL_MS - 1, LATE_MS) == {"leases"}


# --- ports and reserved: a charger may be ahead of the recorder's time by a tick ---


def test_a_lease_takes_its_port_and_energy_until_a_tick_before_its_end() -> None:
    for now_ms, broken in ((UNTIL_MS - TICK_MS - 1, {"ports", "reserved"}), (UNTIL_MS - TICK_MS, set())):
        charging = Charging(exact=False).lease().account(now_ms=now_ms, reserved=0, ports=0, stored_wh=0)
        charging.leases.on_ports(CHARGER, 0)
        charging.leases.check_ports(CHARGER, now_ms, TICK)
        assert charging.broken == broken


def test_energy_that_the_charger_has_given_out_is_not_set_aside() -> None:
    """The vehicle's heartbeat is on its way to the recorder; the charger's answer to it is not."""
    needed_wh = (ENERGY_WH - 4_700) * 100 // 94
    long = replace(LEASE, until_ms=UNTIL_MS + 2 * TICK_MS)
    for stored_wh, broken in ((needed_wh, set()), (needed_wh - 1, {"reserved"})):
        charging = Charging(exact=False).lease(long).lease(replace(long, drawn_wh=4_700))
        assert charging.account(stored_wh=stored_wh).broken == broken


# --- reservations: copies and restarts ---


def test_a_copy_of_an_earlier_reading_may_come_after_a_later_one() -> None:
    """A connection is lost, and the next one sends again what was not acknowledged."""
    for sent_ms, broken in ((NOW_MS - 1, set()), (NOW_MS, {"reservations"})):
        messages = Messages(exact=False).reserve(VEHICLE)
        messages.vehicle(Heartbeat(CALL, NOW_MS, arrived=True, drawn_wh=5_000))
        messages.vehicle(Heartbeat(CALL, sent_ms, arrived=True, drawn_wh=4_000))
        assert messages.broken == broken


def test_a_bill_is_for_what_the_vehicle_stated_before_the_lease_was_received() -> None:
    for billed_wh, broken in ((5_000, set()), (5_001, {"reservations"})):
        charging = Charging(exact=False).draw(5_000).lease()
        assert charging.bill(billed_wh).broken == broken


def test_a_bill_is_for_what_the_vehicle_stated_before_it_restarted() -> None:
    for billed_wh, broken in ((5_000, set()), (5_001, {"reservations"})):
        messages = Messages(exact=False).vehicle(Heartbeat(CALL, NOW_MS, arrived=True, drawn_wh=5_000))
        messages.audit.on_restart(NOW_MS, VEHICLE)
        messages.reserve(VEHICLE).vehicle(Release(CALL, NOW_MS, 0, "charged"))
        messages.charger(Bill(CALL, billed_wh, cost_neur(billed_wh, PRICE)), now_ms=NOW_MS + 1)
        assert messages.judge() == broken


# --- fresh: what is sent after an outage ---


def after_an_outage(unsettled_wh: int = 1_500, *, late_account: bool = False) -> Market:
    """The award of a producer expired before it could be sent; the accounts of this tick and the next are known."""
    account = replace(UNSETTLED, unsettled_wh=unsettled_wh, curtailed_wh=2_000 - unsettled_wh)
    states: dict[str, State] = {HOME: EMPTY} if late_account else {HOME: EMPTY, TURBINE: account}
    market = Market(exact=False).judge((BID, SUPPLY), states)
    if late_account:
        market.audit.on_correction(TURBINE, account, LATE)
    return market.online(TRADED - 3, TRADED + 1, TURBINE)


@pytest.mark.parametrize("late_account", [False, True])
def test_an_award_may_be_received_after_an_account_that_leaves_its_energy_unsettled(
    late_account: bool,
) -> None:
    for unsettled_wh, broken in ((1_500, set()), (1_499, {"fresh"})):
        assert after_an_outage(unsettled_wh, late_account=late_account).late(AWARD).broken == broken
    market = after_an_outage(late_account=late_account).late(AWARD)
    assert market.late(RECEIPT).correct().broken == set()


def test_unsettled_energy_is_awarded_once() -> None:
    market = after_an_outage().late(AWARD).late(AWARD)
    assert market.broken == set()  # a reminder
    assert market.late(
        (HOME, TURBINE, Award(TRADED, 1, (Package(0, 1, LOTS[0].price_ueur_per_kwh),)))
    ).broken == {"fresh"}


def test_the_books_of_an_award_that_was_received_late_are_compared() -> None:
    market = after_an_outage().late(AWARD).late(RECEIPT)
    assert market.correct(replace(SETTLED, sold_wh=1_499)).broken == {"books"}


@pytest.mark.parametrize(
    ("published", "other"), [(BID, Bid(TRADED, LOTS[:1])), (SUPPLY, Supply(TRADED, 1))], ids=["bid", "supply"]
)
def test_a_bid_or_supply_may_be_received_twice(published: Published, other: Message) -> None:
    scope, sender, _ = published
    market = Market(exact=False).judge((BID, SUPPLY, AWARD, RECEIPT), ACCOUNTS)
    market.online(TRADED - 3, TRADED + 1, sender)
    assert market.late(published).broken == set()
    assert market.late((scope, sender, other)).broken == {"fresh"}


def test_a_producer_that_restarted_reminds_of_its_awards_for_a_day() -> None:
    for ticks, broken in ((SETTLED_TICKS + 4, set()), (REMINDED_TICKS + 2, {"fresh"})):
        market = Market(exact=False).judge((BID, SUPPLY, AWARD), {TURBINE: UNSETTLED, HOME: EMPTY})
        market.lifecycle.note(TURBINE, TRADED + 1, online=True)
        market.online(TRADED - 3, TRADED + 2, TURBINE).judge((), {}, tick=TRADED + SETTLED_TICKS + 1)
        assert market.late(AWARD, site_tick=TRADED + ticks).broken == broken


# --- balances: a correction may be received before the account that it is in ---


def test_a_late_account_has_the_corrections_of_the_ticks_before_it() -> None:
    earned = replace(PRODUCER, balance_neur=COST)
    more = replace(SETTLED, earned_neur=COST + 7)
    for balance_neur, broken in ((2 * COST + 7, set()), (2 * COST + 8, {"balances"})):
        market = Market(exact=False)
        accounts = AccountAudit(market.tallies, market.lifecycle, market.gaps, exact=False)
        window = TickWindow()
        window.states[TURBINE] = earned
        accounts.check_tick(TRADED, window)
        accounts.on_correction(TURBINE, more, LATE)
        late = replace(earned, tick=TRADED + 1, balance_neur=balance_neur)
        accounts.on_late_account(TURBINE, late, LATE)
        assert market.broken == broken
