"""What the recorder has not received accuses nobody: phases, single messages, and what was before the first tick."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gridfleet.broker.protocol.messages import (
    ACCOUNTS,
    Accept,
    Award,
    Bid,
    Bill,
    ConsumerState,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Release,
    StorageState,
    Supply,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.accounts import AccountAudit
from gridfleet.dashboards.audit.leases import BILLED_TICKS
from gridfleet.dashboards.audit.window import TickWindow
from tests.dashboards.runs import SMALL, Logged, audit, broken, change, message_log
from tests.dashboards.test_audit_charging import (
    CALL,
    CAR,
    CHARGER,
    LEASE,
    NOW_MS,
    OFFER,
    PRICE,
    TICK,
    VEHICLE,
    Charging,
)
from tests.dashboards.test_audit_charging_messages import Messages
from tests.dashboards.test_audit_market import (
    AWARD,
    BID,
    CONSUMER,
    EMPTY,
    HOME,
    PRODUCER,
    RECEIPT,
    SUPPLY,
    TURBINE,
    UNSETTLED,
    Market,
    Published,
)

TICKS = 40
REPORTED = sorted(ACCOUNTS - {StorageState}, key=str)
"""The accounts of a run without storages."""


@cache
def run_log() -> tuple[Logged, ...]:
    return message_log("normal", SMALL, (), TICKS)


def breaches(log: Iterable[Logged]) -> dict[str, tuple[str, ...]]:
    return broken(audit([*log], exact=False))


def first(log: Iterable[Logged], holds: Callable[[str, Message], bool]) -> int:
    return next(at for at, (_, _, sender, message) in enumerate(log) if holds(sender, message))


def begins(tick: int, phase: Phase) -> Callable[[str, Message], bool]:
    return lambda _, message: isinstance(message, Tick) and (message.tick, message.phase) == (tick, phase)


# --- several messages at once ---


@pytest.mark.parametrize(("phase", "ticks"), [(Phase.TRADE, 0), (Phase.BID, 1), (Phase.TRADE, 7)])
def test_a_missing_phase_shows_that_messages_may_be_missing(phase: Phase, ticks: int) -> None:
    log = run_log()
    begin = first(log, begins(14, phase)) - 20
    end = first(log, begins(14 + ticks, Phase.TRADE)) + 40
    assert breaches((*log[:begin], *log[end:])) == {}


def test_ticks_after_a_missing_phase_are_judged() -> None:
    log = [each for each in run_log() if not begins(14, Phase.TRADE)(each[2], each[3])]
    assert breaches(log) == {}
    at = first(log, lambda _, message: isinstance(message, ConsumerState) and message.tick == 25)
    account = log[at][3]
    assert isinstance(account, ConsumerState)
    change(log, at, balance_neur=account.balance_neur + 1)
    assert breaches(log).keys() == {"balances"}


def test_a_phase_may_come_after_later_ones_if_it_was_missing_before() -> None:
    log = list(run_log())
    at, later = first(log, begins(14, Phase.BID)), first(log, begins(14, Phase.IMPORT))
    assert breaches((*log[:at], *log[at + 1 : later + 5], log[at], *log[later + 5 :])) == {}
    assert breaches((*log[: later + 5], log[at], *log[later + 5 :])).keys() == {"ticks"}


def test_a_message_for_a_tick_that_has_not_begun_waits_for_it() -> None:
    """A broker that restarts may send newer messages before older ones; what is for no tick of the run is a breach."""
    log = list(run_log())
    at = next(at for at, each in enumerate(log) if isinstance(each[3], Bid) and each[3].tick == 30)
    begin, end = first(log, begins(20, Phase.BID)), first(log, begins(30, Phase.BID))
    assert breaches((*log[:begin], log[at], *log[begin:at], *log[at + 1 :])) == {}
    bid = log[at][3]
    assert isinstance(bid, Bid)
    never = (*log[at][:3], replace(bid, tick=9_999))
    assert breaches((*log[:begin], never, *log[begin:])).keys() == {"fresh"}
    assert breaches((*log[:begin], *log[end + 1 :])) == {}  # bids of tick 30, and then its phase trade


@pytest.mark.parametrize(
    ("exact", "sender", "fewer"),
    [
        (False, CLOCK_ID, True),
        (False, "turbine-01", False),
        (True, CLOCK_ID, False),
    ],
)
def test_when_the_clock_connects_again_a_broker_may_have_lost_messages(
    exact: bool, sender: str, fewer: bool
) -> None:
    log = run_log()
    at = first(log, begins(14, Phase.TRADE)) + 5
    _, scope, _, birth = log[
        first(log, lambda each, message: each == sender and isinstance(message, Presence))
    ]
    again = audit((*log[:at], (log[at][0], scope, sender, birth), *log[at:]), exact=exact)
    assert broken(again) == {}
    assert (again["books"].checked < audit(log, exact=exact)["books"].checked) == fewer


# --- single messages ---


@pytest.mark.parametrize("share", [0.0003, 0.001])
@pytest.mark.parametrize("seed", range(6))
def test_single_messages_other_than_of_an_end_break_nothing_where_they_are_missing(
    share: float, seed: int
) -> None:
    draw = random.Random(seed)
    log = [each for each in run_log() if isinstance(each[3], Presence | Release) or draw.random() >= share]
    assert breaches(log) == {}


@pytest.mark.parametrize(
    "missing",
    [Bid, Supply, Award, Receipt, Offer, Accept, Lease, Heartbeat, Bill, *REPORTED],
    ids=lambda missing: missing.__name__,
)
def test_any_one_message_may_be_missing(missing: type[Message]) -> None:
    log = run_log()
    of_the_type = [at for at, each in enumerate(log) if type(each[3]) is missing]
    assert len(of_the_type) >= 30
    for at in of_the_type[7 :: len(of_the_type) // 4]:
        assert breaches((*log[:at], *log[at + 1 :])) == {}


def test_a_producer_whose_supply_is_missing_is_no_grid_supply() -> None:
    log = message_log("normal", (*SMALL, "settings.clearing_rule=uniform-price"), (), 12)
    supplies = [at for at, each in enumerate(log) if isinstance(each[3], Supply)]
    for at in supplies[:: len(supplies) // 8]:
        assert breaches((*log[:at], *log[at + 1 :])) == {}
    found = audit(log, exact=False)
    assert found["prices"].checked > 100


# --- what both sides account for was traded; what one side accounts for is a lie ---

GENERATED_LESS = replace(PRODUCER, generated_wh=1_499, curtailed_wh=-1)
SOLD_LESS = replace(PRODUCER, sold_wh=1_499, curtailed_wh=501)
SOLD_NOTHING = replace(PRODUCER, sold_wh=0, curtailed_wh=2_000)
MORE_SOLD = replace(PRODUCER, sold_wh=1_501, curtailed_wh=499)


@pytest.mark.parametrize(
    ("published", "producer", "consumer", "found"),
    [
        ((BID, SUPPLY, RECEIPT), PRODUCER, CONSUMER, set()),
        ((BID, SUPPLY, RECEIPT), UNSETTLED, CONSUMER, set()),
        ((BID, SUPPLY, RECEIPT), SOLD_LESS, CONSUMER, {"packages", "books", "cells"}),
        ((BID, SUPPLY, RECEIPT), PRODUCER, replace(CONSUMER, bought_wh=1_499), {"packages", "books", "cells"}),
        ((BID, SUPPLY, AWARD), PRODUCER, CONSUMER, set()),
        ((BID, SUPPLY, AWARD), PRODUCER, EMPTY, {"books", "cells"}),
        ((BID, SUPPLY, AWARD), SOLD_NOTHING, CONSUMER, {"books", "cells", "payments"}),
        ((SUPPLY, AWARD, RECEIPT), PRODUCER, CONSUMER, set()),
        ((SUPPLY, AWARD, RECEIPT), PRODUCER, replace(CONSUMER, demand_wh=0), {"packages", "cells"}),
        ((BID, AWARD, RECEIPT), PRODUCER, CONSUMER, set()),
        ((BID, AWARD, RECEIPT), GENERATED_LESS, CONSUMER, {"supply", "production"}),
        ((BID, SUPPLY, AWARD, RECEIPT), MORE_SOLD, CONSUMER, {"books", "cells"}),
    ],
    ids=[
        "award missing", "award missing, receipt lost", "not sold", "not bought", "receipt missing",
        "receipt never sent", "not booked", "bid missing", "no bid", "supply missing", "supply too small",
        "nothing missing",
    ],
)  # fmt: skip
def test_a_trade_took_place_if_both_sides_account_for_it(
    published: tuple[Published, ...], producer: ProducerState, consumer: ConsumerState, found: set[str]
) -> None:
    market = Market(exact=False)
    market.lifecycle.note(HOME, -1, online=True)  # so its cell is known
    assert market.judge(published, {TURBINE: producer, HOME: consumer}).broken == found
    assert Market().judge(published, {TURBINE: producer, HOME: consumer}).broken != set()


def test_a_lease_without_an_acceptance_is_one_if_its_vehicle_uses_it() -> None:
    for uses, found in ((False, {"reservations"}), (True, set())):
        messages = Messages(exact=False).charger(OFFER)
        if uses:
            messages.vehicle(Heartbeat(CALL, NOW_MS, arrived=False, drawn_wh=0))
        assert messages.charger(LEASE).judge() == found


def test_a_missing_account_of_a_vehicle_explains_what_it_spent_and_drew_but_no_gain() -> None:
    later = replace(CAR, tick=CAR.tick + 2)
    cases: tuple[tuple[int, int, set[str]], ...] = (
        (900, 0, set()),
        (1_001, 0, {"batteries"}),
        (1_001, -1, set()),
        (1_000, 1, {"balances"}),
    )
    for stored_wh, balance_neur, found in cases:
        for exact, tick in ((False, CAR.tick + 2), (False, CAR.tick + 1), (True, CAR.tick + 2)):
            market = Market(exact=exact)
            accounts = AccountAudit(market.tallies, market.lifecycle, market.gaps, exact=exact)
            for state in (
                replace(CAR, stored_wh=1_000),
                replace(later, tick=tick, stored_wh=stored_wh, balance_neur=balance_neur),
            ):
                window = TickWindow()
                window.states[VEHICLE] = state
                accounts.check_tick(state.tick, window)
            if exact or tick == CAR.tick + 1:
                assert market.broken != set()
            else:
                assert market.broken == found


# --- a run that begins while its devices are up ---


def later_run(log: tuple[Logged, ...], from_tick: int) -> list[Logged]:
    """The end of a run as a run of its own: its ticks are counted from 0, and its devices go on."""
    begin = first(log, begins(from_tick, Phase.BID))
    later: list[Logged] = [each for each in log[:begin] if isinstance(each[3], (Presence, *ACCOUNTS))]
    for now_ms, scope, sender, message in log[begin:]:
        changes: dict[str, Any] = {"epoch": 1} if isinstance(message, Tick) else {}
        if hasattr(message, "tick"):
            changes["tick"] = message.tick - from_tick
        later.append((now_ms, scope, sender, replace(message, **changes)))
    return later


@pytest.mark.parametrize("from_tick", [7, 15, 22, 26, 31])
def test_a_second_run_of_devices_that_stay_up_breaks_nothing(from_tick: int) -> None:
    later = later_run(run_log(), from_tick)
    findings = audit(later, exact=False)
    assert broken(findings) == {}
    assert findings["delivery"].checked > 0
    assert findings["books"].checked > 500


@pytest.mark.parametrize("at", range(900, 13_000, 1_700))
def test_a_recorder_may_join_a_run_at_any_message(at: int) -> None:
    log = run_log()
    births = [each for each in log[:at] if isinstance(each[3], Presence)]
    assert breaches((*births, *log[at:])) == {}


def test_one_auditor_follows_a_second_run() -> None:
    first_run = run_log()[: first(run_log(), begins(26, Phase.BID))]
    second = [
        each
        for each in later_run(run_log(), 26)
        if not isinstance(each[3], Presence) or each[0] > first_run[-1][0]
    ]
    auditor = Auditor(exact=False)
    stale = next(each for each in reversed(first_run) if isinstance(each[3], Receipt))
    begun = first(second, begins(0, Phase.BID)) + 1
    for each in (*first_run, *second[:begun], stale, *second[begun:]):
        auditor.receive(*each)
    findings = {each.name: each for each in auditor.finish()}
    assert broken(findings) == {}
    assert findings["ticks"].checked > 250


def test_a_lease_from_before_a_gap_may_be_billed_for_a_day() -> None:
    for tick, found in ((TICK + BILLED_TICKS, set()), (TICK + BILLED_TICKS + 1, {"reservations"})):
        charging = Charging(exact=False)
        charging.leases.on_gap(TICK)
        charging.leases.on_bill(NOW_MS, tick, CHARGER, VEHICLE, Bill(CALL, 1, cost_neur(1, PRICE)))
        assert charging.broken == found
