"""The fee for a reservation that is not used: who owes it, that both sides book it once, and that nobody else pays."""

from typing import Final

import pytest

from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    ChargerState,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Phase,
    Release,
    VehicleState,
)
from gridfleet.broker.protocol.units import NEUR_PER_EUR, TICK_MS, cost_neur
from gridfleet.dashboards.audit import Auditor
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.charging.no_show_fees import GRACE_MS, MAX_BILLS, NoShowFees
from gridfleet.devices.charging.reservation import LEASE_MS, ReservationBook
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from tests.devices.testbed import Testbed, charger, vehicle

FEE: Final = 5 * NEUR_PER_EUR
FAR: Final = (51.0, 10.9)  # 63 km: more than a tick away
NOW: Final = 1_000_000
PRICE: Final = 300_000


# --- the rules ---------------------------------------------------------------------------------------------


def kept_lease(*, arrived: bool = False) -> ReservationBook:
    """A book with a lease of 10 kWh that its vehicle has kept by a heartbeat."""
    book = ReservationBook(2, no_show_fee_neur=FEE)
    call = Call(1, NOW, 20_000, 10**6, 51.0, 10.0, 150.0)
    offer = book.offer("v1", call, 10_000, PRICE, 100_000, NOW)
    assert isinstance(offer, Offer)
    assert offer.no_show_fee_neur == FEE
    book.accept("v1", Accept(1, NOW, "c1"), NOW)
    book.heartbeat("v1", Heartbeat(1, NOW, arrived, 0), NOW)
    return book


def test_a_fee_is_billed_after_the_grace_until_it_is_answered() -> None:
    book = kept_lease()
    book.expire(NOW + LEASE_MS)
    due_ms = NOW + LEASE_MS + GRACE_MS
    bill = Bill(1, 0, 0, FEE)
    assert book.fees.bills(due_ms - 1) == []
    assert book.fees.bills(due_ms) == [("v1", bill, True)]
    assert book.fees.bills(due_ms + TICK_MS) == [("v1", bill, False)]
    assert book.release("v1", Release(1, NOW, 0, "interrupted"), 100_000)[0] == bill
    assert book.fees.unanswered
    assert book.fees.note_answer("v1", 1)
    assert not book.fees.note_answer("v2", 1)
    assert book.fees.bills(due_ms + 2 * TICK_MS) == []
    assert not book.fees.unanswered


def test_a_fee_is_billed_eight_times_at_most() -> None:
    fees = NoShowFees(FEE)
    fees.note_no_show("v1", 1, 0)
    assert [len(fees.bills(GRACE_MS + tick * TICK_MS)) for tick in range(10)] == [1] * MAX_BILLS + [0, 0]


def test_who_owes_no_fee() -> None:
    came = kept_lease(arrived=True)
    came.expire(NOW + LEASE_MS)
    reported = kept_lease()
    reported.expire(NOW + LEASE_MS)
    assert reported.release("v1", Release(1, NOW, 0, "interrupted"), 100_000)[0] == Bill(1, 0, 0)
    cancelled = kept_lease()
    cancelled.release("v1", Release(1, NOW, 0, "interrupted"), 100_000)
    cancelled.expire(NOW + LEASE_MS)
    without_heartbeat = ReservationBook(2, no_show_fee_neur=FEE)
    without_heartbeat.offer("v1", Call(1, NOW, 20_000, 10**6, 51.0, 10.0, 150.0), 9_000, PRICE, 10**5, NOW)
    without_heartbeat.accept("v1", Accept(1, NOW, "c1"), NOW)  # its lease may have been lost
    without_heartbeat.expire(NOW + LEASE_MS)
    for book in (came, reported, cancelled, without_heartbeat):
        assert book.fees.bills(NOW + 10 * TICK_MS) == []


def test_who_keeps_a_lease_and_accepts_elsewhere_owes_the_fee() -> None:
    book = kept_lease()
    book.end_for_other("v1", Accept(2, NOW + 1, "c2"))
    assert book.fees.bills(NOW + LEASE_MS + GRACE_MS) == [("v1", Bill(1, 0, 0, FEE), True)]


def test_a_fee_is_waived_for_who_has_drawn_energy_unheard() -> None:
    book = kept_lease()
    book.expire(NOW + LEASE_MS)
    book.fees.bills(NOW + LEASE_MS + GRACE_MS)
    bill, delivery = book.release("v1", Release(1, NOW, 4_000, "interrupted"), 100_000)
    assert bill == Bill(1, 4_000, cost_neur(4_000, PRICE))
    assert delivery.earned_neur == cost_neur(4_000, PRICE) - FEE
    assert book.fees.bills(NOW + 10 * TICK_MS) == []


# --- vehicle and charger -----------------------------------------------------------------------------------


def heading(fee_neur: int = FEE) -> Testbed:
    """A vehicle on its way to a charger, which has received one heartbeat."""
    bed = Testbed(
        charger("c1", stored_wh=80_000, place=FAR, no_show_fee_neur=fee_neur), vehicle("v1", stored_wh=14_000)
    )
    bed.run_phases(Phase.BID)
    bed.wait_for(Accept)
    bed.run_phases(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    assert bed.published(Heartbeat)
    return bed


def balances(bed: Testbed) -> tuple[int, int]:
    return bed.agents["c1"].balance_neur, bed.agents["v1"].balance_neur


def test_a_vehicle_that_is_cut_off_pays_the_fee_once() -> None:
    bed = heading()
    bed.drop(Heartbeat)
    bed.drop(Release)
    for _ in range(5):
        bed.run_tick()
    assert balances(bed) == (0, 0)
    bed.restore_link()
    bed.hold(Release)  # the answers are lost, so the bill is repeated
    before = len(bed.published(Bill))
    for _ in range(3):
        bed.run_tick()
    bed.restore_link()
    bed.run_tick()
    bed.run_tick()
    bills = [bill for bill in bed.published(Bill)[before:] if bill.no_show_fee_neur]
    assert len(bills) >= 2
    assert {bill.no_show_fee_neur for bill in bills} == {FEE}
    assert balances(bed) == (FEE, -FEE)
    assert [s.earned_neur for s in bed.published(ChargerState) if s.earned_neur] == [FEE]
    assert [s.paid_neur for s in bed.published(VehicleState) if s.paid_neur] == [FEE]
    assert "no-show" in [release.outcome for release in bed.published(Release)]


def test_a_vehicle_that_cancels_owes_nothing() -> None:
    bed = heading()
    car = bed.agents["v1"]
    assert isinstance(car, Vehicle)
    for to, message in car.reservation.leave(bed.now_ms):
        bed.deliver("v1", to, message)
    for _ in range(8):
        bed.run_tick()
    assert not any(bill.no_show_fee_neur for bill in bed.published(Bill))


@pytest.mark.parametrize(
    ("call", "fee_neur", "hours"),
    [(0, FEE + 1, 9), (0, FEE, 0), (1, FEE, 9)],
    ids=["beyond the offer", "before the lease ends", "another call"],
)
def test_a_vehicle_denies_what_it_does_not_owe(call: int, fee_neur: int, hours: int) -> None:
    bed = heading()
    car = bed.agents["v1"]
    assert isinstance(car, Vehicle)
    session = car.reservation.session
    assert session is not None
    answer = car.handle("v1", "c1", Bill(session.call + call, 0, 0, fee_neur), bed.now_ms + hours * 3_600_000)
    assert [message.outcome for _, message in answer if isinstance(message, Release)] == ["cancelled"]
    assert car.balance_neur == 0
    assert car.refused == {"fee": 1}


def test_a_vehicle_that_has_plugged_in_pays_for_energy_and_no_fee() -> None:
    bed = heading()
    for _ in range(8):
        bed.run_tick()
    car, station = bed.agents["v1"], bed.agents["c1"]
    assert isinstance(car, Vehicle)
    assert isinstance(station, Charger)
    session = car.reservation.session
    assert session is not None
    assert session.reported_wh > 0
    paid_neur = car.balance_neur
    bill = Bill(session.call, 0, 0, FEE)
    answer = list(car.handle("v1", "c1", bill, bed.now_ms))
    assert [(m.outcome, m.drawn_wh) for _, m in answer if isinstance(m, Release)] == [
        ("interrupted", session.reported_wh)
    ]
    assert car.handle("v1", "c1", bill, bed.now_ms) == ()  # it says so once
    for to, message in answer:
        bed.deliver("v1", to, message)
    assert car.balance_neur <= paid_neur
    assert station.balance_neur + car.balance_neur == 0


@pytest.mark.parametrize(("fee_eur", "accepts"), [(10, True), (11, False)])
def test_an_offer_with_a_higher_fee_than_its_limit_is_not_accepted(fee_eur: int, accepts: bool) -> None:
    bed = Testbed(
        charger("c1", stored_wh=80_000, place=FAR, no_show_fee_neur=fee_eur * NEUR_PER_EUR),
        vehicle("v1", stored_wh=14_000),
    )
    for _ in range(3):
        bed.run_tick()
    assert bed.published(Offer)
    assert bool(bed.published(Lease)) is accepts


# --- whole sites -------------------------------------------------------------------------------------------


class Run:
    """A simulated site: its bills with fees, and who was named."""

    def __init__(
        self, *liars: str, faults: Faults | None = None, ticks: int = 48, fee_eur: float = 5.0
    ) -> None:
        self.messages: list[tuple[str, str, Message]] = []
        auditor = Auditor(exact=faults is None)
        self.named: set[tuple[str, str]] = set()

        def receive(now_ms: int, scope: str, sender: str, message: Message) -> None:
            auditor.receive(now_ms, scope, sender, message)
            self.messages.append((scope, sender, message))
            self.named.update((each.device, each.lie) for each in auditor.accusations())

        Simulation(
            load(
                "normal",
                ["vehicles.stored_share=[0.25, 0.6]", f"chargers.no_show_fee_eur={fee_eur}"],
            ),
            ticks=ticks,
            faults=faults,
            receivers=(receive,),
            liars=parse_liars(liars),
        ).run()
        self.breached = {each.name for each in auditor.finish() if not each.holds}
        self.named.update((each.device, each.lie) for each in auditor.accusations())

    def billed(self) -> set[tuple[str, str, int]]:
        """Return charger, vehicle and call of each fee."""
        return {
            (sender, scope, bill.call)
            for scope, sender, bill in self.messages
            if isinstance(bill, Bill) and bill.no_show_fee_neur
        }

    def paid(self) -> set[tuple[str, str, int]]:
        """Return charger, vehicle and call of each fee that a vehicle says it pays."""
        return {
            (scope, sender, release.call)
            for scope, sender, release in self.messages
            if isinstance(release, Release) and release.outcome == "no-show"
        }


def test_no_honest_vehicle_owes_a_fee_where_nothing_is_lost() -> None:
    run = Run()
    assert any(isinstance(message, Lease) for _, _, message in run.messages)
    assert run.billed() == set()
    assert run.breached == set()


def test_in_a_partition_both_sides_book_the_same_and_nobody_is_named() -> None:
    run = Run(faults=Faults(partition=0.5, from_tick=3, to_tick=20))
    assert run.paid()
    came = {  # and was heard after the partition: the fee is waived
        (sender, scope, bill.call)
        for scope, sender, bill in run.messages
        if isinstance(bill, Bill) and bill.energy_wh
    }
    assert run.billed() - run.paid() == run.billed() & came
    earned = sum(state.earned_neur for _, _, state in run.messages if isinstance(state, ChargerState))
    paid = sum(state.paid_neur for _, _, state in run.messages if isinstance(state, VehicleState))
    assert earned == paid
    assert run.named == set()
    assert run.breached == set()


@pytest.mark.parametrize("faults", [{"loss": 0.3}, {"loss": 0.1, "crash": 0.03, "keep_state": False}])
def test_a_bad_network_makes_nobody_a_liar(faults: dict[str, float]) -> None:
    run = Run(faults=Faults.model_validate(faults))
    assert run.named == set()
    assert run.breached == set()
    assert run.paid() <= run.billed()


def test_who_reserves_and_does_not_come_is_named_and_owes_every_fee() -> None:
    run = Run("vehicle-01=no-show")
    assert run.named == {("vehicle-01", "fee not paid")}
    assert {vehicle for _, vehicle, _ in run.billed()} == {"vehicle-01"}
    assert run.paid() == set()
    earned = sum(state.earned_neur for _, _, state in run.messages if isinstance(state, ChargerState))
    paid = sum(state.paid_neur for _, _, state in run.messages if isinstance(state, VehicleState))
    assert earned - paid == FEE * len(run.billed())  # what it owes stands in the books of the chargers
    assert Run("vehicle-01=no-show", fee_eur=0).billed() == set()


def test_a_charger_that_bills_fees_to_who_came_is_named_and_earns_none() -> None:
    run = Run("charger-16=false-fee")
    assert run.named == {("charger-16", "fee without no-show")}
    assert run.paid() == set()
