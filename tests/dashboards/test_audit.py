"""The auditor finds nothing in correct runs, and exactly the broken invariant in others."""

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.protocol.messages import (
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    ConsumerState,
    Lease,
    Message,
    Offer,
    Package,
    Phase,
    ProducerState,
    Receipt,
    Supply,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards import audit as audit_package
from tests.dashboards.runs import SMALL, Logged, audit, broken, change, message_log


@pytest.mark.parametrize(
    ("name", "changes", "ticks"),
    [("normal", (), 120), ("scarce", (), 60), ("storm", (), 80), ("normal", SMALL, 60)],
)
def test_a_run_without_faults_breaks_nothing_and_every_invariant_is_checked(
    name: str, changes: tuple[str, ...], ticks: int
) -> None:
    found = audit(message_log(name, changes, (), ticks))
    assert broken(found) == {}
    assert [each.name for each in found.values() if not each.checked] == []


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("changes", [(), SMALL])
@pytest.mark.parametrize(
    "faults",
    [
        ("loss=0.05",),
        ("loss=0.3",),
        ("duplicate=0.3",),
        ("delay_s=5",),
        ("delay_s=400",),
        ("delay_s=600", "loss=0.1", "duplicate=0.1"),
        ("crash=0.03", "loss=0.2", "delay_s=300", "skew_s=100", "keep_state=false"),
        ("reorder=0.3",),
        ("partition=0.5", "from_tick=5", "to_tick=25"),
        ("crash=0.02",),
        ("crash=0.05", "keep_state=false", "loss=0.1", "down_ticks=1"),
        ("skew_s=300", "loss=0.05"),
    ],
    ids=" ".join,
)
def test_with_faults_the_hard_invariants_hold(
    faults: tuple[str, ...], changes: tuple[str, ...], seed: int
) -> None:
    skew_s = next((int(word.removeprefix("skew_s=")) for word in faults if word.startswith("skew_s=")), 0)
    assert broken(audit(message_log("normal", changes, faults, 40, seed), exact=False, skew_s=skew_s)) == {}


# --- every invariant can fail ---

Wrong = Callable[[list[Logged]], None]


def first(log: list[Logged], kind: type[Message], fits: Callable[[Message], bool] = lambda _: True) -> int:
    """The first such message after the first hours, so that all have a history."""
    return next(at for at, (_, _, _, m) in enumerate(log) if type(m) is kind and m_tick(m) >= 12 and fits(m))


def m_tick(message: Message) -> int:
    return getattr(message, "tick", 1000)


def _lots(message: Message) -> tuple[Package, ...]:
    return message.lots if isinstance(message, Award | Receipt) else ()


def drop_a_receipt(log: list[Logged]) -> None:
    del log[first(log, Receipt, lambda m: bool(_lots(m)))]


def sold_out(log: list[Logged]) -> tuple[int, str]:
    """Return a tick and a turbine that sold all it had."""
    return next(
        (message.tick, sender)
        for _, _, sender, message in log
        if isinstance(message, ProducerState) and message.kind == "turbine"
        if message.sold_wh and not message.curtailed_wh
    )


def double_an_award(log: list[Logged]) -> None:
    tick, seller = sold_out(log)
    at = next(
        place
        for place, (_, _, sender, message) in enumerate(log)
        if isinstance(message, Award) and (message.tick, sender) == (tick, seller)
    )
    now, scope, sender, message = log[at]
    assert isinstance(message, Award)
    log.insert(at + 1, (now, scope, sender, replace(message, serial=message.serial + 1000)))


def repeat_an_award_and_its_receipt(log: list[Logged]) -> None:
    for kind in (Award, Receipt):
        at = first(log, kind)
        log.insert(at + 1, log[at])


def award_too_much(log: list[Logged]) -> None:
    at = first(log, Award)
    lot = _lots(log[at][3])[0]
    change(log, at, lots=(replace(lot, energy_wh=lot.energy_wh + 100_000), *_lots(log[at][3])[1:]))


def take_more_than_awarded(log: list[Logged]) -> None:
    tick, seller = sold_out(log)
    at = next(
        place
        for place, (_, scope, _, message) in enumerate(log)
        if isinstance(message, Receipt) and (message.tick, scope) == (tick, seller) and message.lots
    )
    change(log, at, lots=(*_lots(log[at][3]), replace(_lots(log[at][3])[0], index=77)))


def change_the_price_of_a_receipt(log: list[Logged]) -> None:
    at = first(log, Receipt, lambda m: bool(_lots(m)))
    lot, *others = _lots(log[at][3])
    change(log, at, lots=(replace(lot, price_ueur_per_kwh=lot.price_ueur_per_kwh + 1), *others))


def announce_less(log: list[Logged]) -> None:
    at = first(log, Supply, lambda m: isinstance(m, Supply) and m.energy_wh > 1000)
    change(log, at, energy_wh=1)


def book_more_as_sold(log: list[Logged]) -> None:
    at = first(log, ProducerState, lambda m: isinstance(m, ProducerState) and m.curtailed_wh > 0)
    state = log[at][3]
    assert isinstance(state, ProducerState)
    change(log, at, sold_wh=state.sold_wh + 1, curtailed_wh=state.curtailed_wh - 1)


def leave_unsettled(log: list[Logged]) -> None:
    at = first(log, ProducerState, lambda m: isinstance(m, ProducerState) and m.curtailed_wh > 0)
    state = log[at][3]
    assert isinstance(state, ProducerState)
    change(log, at, unsettled_wh=1, curtailed_wh=state.curtailed_wh - 1)


def earn_more(log: list[Logged]) -> None:
    at = first(log, ProducerState, lambda m: isinstance(m, ProducerState) and m.sold_wh > 0)
    state = log[at][3]
    assert isinstance(state, ProducerState)
    change(log, at, earned_neur=state.earned_neur + 1)


def inflate_a_balance(log: list[Logged]) -> None:
    at = first(log, ConsumerState)
    state = log[at][3]
    assert isinstance(state, ConsumerState)
    change(log, at, balance_neur=state.balance_neur + 1)


def raise_what_is_stored(log: list[Logged]) -> None:
    at = first(log, VehicleState)
    state = log[at][3]
    assert isinstance(state, VehicleState)
    change(log, at, stored_wh=state.stored_wh - 1)


def overfill(log: list[Logged]) -> None:
    at = first(log, ChargerState)
    state = log[at][3]
    assert isinstance(state, ChargerState)
    change(log, at, capacity_wh=state.stored_wh - 1)


def charge_without_loss(log: list[Logged]) -> None:
    at = first(log, ChargerState, lambda m: isinstance(m, ChargerState) and m.bought_wh > 100)
    state = log[at][3]
    assert isinstance(state, ChargerState)
    gained_wh = state.charge_loss_wh
    for later in range(at, len(log)):
        now, scope, sender, message = log[later]
        if sender == log[at][2] and isinstance(message, ChargerState):
            fields = {
                "stored_wh": message.stored_wh + gained_wh,
                "capacity_wh": message.capacity_wh + gained_wh,
            }
            log[later] = (now, scope, sender, replace(message, **fields))  # type: ignore[arg-type]
    change(log, at, charge_loss_wh=0)


def deliver_more_than_was_drawn(log: list[Logged]) -> None:
    at = first(log, ChargerState, lambda m: isinstance(m, ChargerState) and m.delivered_wh > 100)
    state = log[at][3]
    assert isinstance(state, ChargerState)
    change(log, at, delivered_wh=state.delivered_wh + 1, discharge_loss_wh=state.discharge_loss_wh - 1)


def bill_too_much(log: list[Logged]) -> None:
    at = first(log, Bill)
    bill = log[at][3]
    assert isinstance(bill, Bill)
    change(log, at, amount_neur=bill.amount_neur + 1)


def lease_a_port_too_many(log: list[Logged]) -> None:
    """Offers, acceptances and leases, in proper form, to vehicles that nobody knows."""
    at = first(log, ChargerState)
    now, _, charger, state = log[at]
    assert isinstance(state, ChargerState)
    said: list[Logged] = []
    for number in range(state.ports - state.ports_reserved + 1):
        vehicle, until_ms = f"ghost-{number}", now + 60_000
        said += [
            (now, state.status, vehicle, Call(1, now, 1000, 1_000_000, 50.0, 10.0, 150.0)),
            (now, vehicle, charger, Offer(1, 0, 500_000, until_ms)),
            (now, "north", vehicle, Accept(1, now, charger)),
            (now, vehicle, charger, Lease(1, 0, 500_000, until_ms)),
        ]
    log[at + 1 : at + 1] = said


def count_a_reservation_too_many(log: list[Logged]) -> None:
    at = first(log, ChargerState, lambda m: isinstance(m, ChargerState) and m.ports_reserved == 0)
    change(log, at, ports_reserved=1)


def lease_without_an_offer(log: list[Logged]) -> None:
    at = first(log, ChargerState, lambda m: isinstance(m, ChargerState) and m.ports_reserved == 0)
    now, _, charger, _ = log[at]
    log.insert(at + 1, (now, "ghost", charger, Lease(1, 0, 500_000, now + 60_000)))


def reserve_more_than_is_stored(log: list[Logged]) -> None:
    at = first(log, ChargerState, lambda m: isinstance(m, ChargerState) and m.ports_reserved == 0)
    now, _, charger, _ = log[at]
    until_ms = now + 1_000_000
    log[at:at] = [
        (now, "ghost", charger, Offer(1, 10**7, 500_000, until_ms)),
        (now, "north", "ghost", Accept(1, now, charger)),
        (now, "ghost", charger, Lease(1, 10**7, 500_000, until_ms)),
    ]


def leave_out_a_phase(log: list[Logged]) -> None:
    del log[first(log, Tick, lambda m: isinstance(m, Tick) and m.phase is Phase.IMPORT)]


def begin_a_phase_late(log: list[Logged]) -> None:
    at = first(log, Tick, lambda m: isinstance(m, Tick) and m.phase is Phase.IMPORT)
    now, scope, sender, tick = log[at]
    log[at] = (now + 1, scope, sender, tick)


def bid_for_a_finished_tick(log: list[Logged]) -> None:
    at = first(log, Bid)
    now, scope, sender, bid = log[at]
    log.insert(at + 3000, (now, scope, sender, bid))


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (drop_a_receipt, {"honesty", "books"}),
        (double_an_award, {"packages", "supply"}),
        (repeat_an_award_and_its_receipt, set()),
        (award_too_much, {"honesty", "packages"}),
        (take_more_than_awarded, {"packages", "books", "supply"}),
        (change_the_price_of_a_receipt, {"honesty", "prices"}),
        (announce_less, {"honesty", "production", "supply"}),
        (book_more_as_sold, {"honesty", "books", "cells"}),
        (leave_unsettled, {"settled"}),
        (earn_more, {"payments", "balances"}),
        (inflate_a_balance, {"balances"}),
        (raise_what_is_stored, {"batteries"}),
        (overfill, {"honesty", "bounds"}),
        (charge_without_loss, {"honesty", "losses"}),
        (deliver_more_than_was_drawn, {"delivery"}),
        (bill_too_much, {"honesty", "reservations"}),
        (lease_a_port_too_many, {"ports"}),
        (count_a_reservation_too_many, {"leases"}),
        (lease_without_an_offer, {"reservations"}),
        (reserve_more_than_is_stored, {"reserved"}),
        (leave_out_a_phase, {"ticks"}),
        (begin_a_phase_late, {"ticks"}),
        (bid_for_a_finished_tick, {"fresh"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_one_wrong_message_breaks_exactly_its_invariant(wrong: Wrong, names: set[str]) -> None:
    log = list(message_log(ticks=40))
    wrong(log)
    assert set(broken(audit(log))) == names


def test_the_order_between_senders_within_an_instant_changes_nothing() -> None:
    """Accounts may come before their receipts, and corrections at any time: the findings are the same."""
    log = sorted(
        message_log("normal", SMALL, (), 20), key=lambda each: (each[0], not isinstance(each[3], Tick))
    )
    late: list[Logged] = []
    early: list[Logged] = []
    for each in log:
        (late if isinstance(each[3], Receipt) else early).append(each)
    assert broken(audit(_merge(early, late))) == {}


def _merge(early: list[Logged], late: list[Logged]) -> list[Logged]:
    """Put each receipt behind the accounts of its tick, as if it had been delayed."""
    merged: list[Logged] = []
    waiting = list(late)
    for each in early:
        message = each[3]
        if isinstance(message, Tick) and message.phase is Phase.TRADE:
            while waiting and m_tick(waiting[0][3]) < message.tick:
                merged.append(waiting.pop(0))
        merged.append(each)
    return merged + waiting


def test_without_messages_nothing_is_checked() -> None:
    assert {finding.checked for finding in audit([]).values()} == {0}


def test_examples_are_few_and_name_tick_and_device() -> None:
    log = [
        (
            now,
            scope,
            sender,
            replace(m, paid_neur=m.paid_neur + cost_neur(1, 1)) if isinstance(m, ConsumerState) else m,
        )
        for now, scope, sender, m in message_log(ticks=40)
    ]
    finding = audit(log)["payments"]
    assert finding.breaches == 3 * 40
    assert len(finding.examples) == 5
    assert finding.examples[0].startswith("tick 0: household-1 paid ")


def test_the_auditor_shares_no_code_with_agents_and_recorder() -> None:
    """It uses the messages and units of the protocol, and the row in which the store keeps a finding."""
    allowed = ("gridfleet.broker.protocol.", "gridfleet.dashboards.audit.", "gridfleet.dashboards.store.rows")
    imported = {
        node.module
        for file in Path(audit_package.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    ours = {name for name in imported if name.startswith("gridfleet")}
    assert ours
    assert {name for name in ours if not name.startswith(allowed)} == set()
