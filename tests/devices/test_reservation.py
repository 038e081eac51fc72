"""The reservations of a charger: ports and energy are never promised twice, every promise ends, bills are exact."""

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gridfleet.broker.protocol.messages import Accept, Bill, Call, Decline, Heartbeat, Lease, Offer, Release
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.charging.reservation import (
    HOLD_MS,
    LEASE_MS,
    MIN_OFFER_WH,
    NO_DELIVERY,
    Delivery,
    ReservationBook,
)
from gridfleet.devices.physics.battery import deliverable, taken_for

PORTS = 2
PRICE = 300_000
NOW = 1_000_000


def call(number: int, limit: int = 10**6) -> Call:
    return Call(number, NOW, 20_000, limit, 51.0, 10.0, 150.0)


def beat(number: int, drawn_wh: int = 0) -> Heartbeat:
    return Heartbeat(number, NOW, arrived=drawn_wh > 0, drawn_wh=drawn_wh)


def release(number: int, drawn_wh: int = 0) -> Release:
    return Release(number, NOW, drawn_wh, "charged")


def leased(book: ReservationBook, vehicle: str = "v1", number: int = 1, wanted_wh: int = 10_000) -> None:
    """Let a vehicle have a lease."""
    assert isinstance(book.offer(vehicle, call(number), wanted_wh, PRICE, 100_000, NOW), Offer)
    assert isinstance(book.accept(vehicle, Accept(number, NOW, "c1"), NOW), Lease)


# --- a reservation from call to bill ---------------------------------------------------------------------


def test_from_call_to_bill() -> None:
    book = ReservationBook(PORTS)
    assert book.offer("v1", call(1), 10_000, PRICE, 100_000, NOW) == Offer(1, 10_000, PRICE, NOW + HOLD_MS)
    assert book.accept("v1", Accept(1, NOW, "c1"), NOW) == Lease(1, 10_000, PRICE, NOW + LEASE_MS)
    later = NOW + 900_000
    answer, moved = book.heartbeat("v1", beat(1), later)
    assert (answer, moved) == (Lease(1, 10_000, PRICE, later + LEASE_MS), NO_DELIVERY)
    _, moved = book.heartbeat("v1", beat(1, 4_000), later)
    assert moved == Delivery(4_000, taken_for(4_000), cost_neur(4_000, PRICE))
    bill, moved = book.release("v1", release(1, 9_000), 100_000)
    assert bill == Bill(1, 9_000, cost_neur(9_000, PRICE))
    assert moved == Delivery(5_000, taken_for(9_000) - taken_for(4_000), cost_neur(5_000, PRICE))
    assert book.reservations == {}
    assert book.reserved_wh == 0


def test_no_more_is_offered_than_is_free() -> None:
    book = ReservationBook(PORTS)
    leased(book, "v1", wanted_wh=60_000)
    free_wh = deliverable(100_000 - taken_for(60_000))
    assert book.offer("v2", call(1), 60_000, PRICE, 100_000, NOW) == Offer(1, free_wh, PRICE, NOW + HOLD_MS)
    assert book.reserved_wh <= 100_000


def test_why_a_call_is_declined() -> None:
    book = ReservationBook(PORTS)
    assert book.offer("v1", call(1, PRICE - 1), 5_000, PRICE, 9_000, NOW) == Decline(1, "price")
    assert book.offer("v1", call(1), 5_000, PRICE, MIN_OFFER_WH, NOW) == Decline(1, "energy")
    assert book.offer("v1", call(1), 5_000, PRICE, 0, NOW) == Decline(1, "energy")
    leased(book, "v1", 1)
    leased(book, "v2", 1)
    assert book.offer("v3", call(1), 5_000, PRICE, 100_000, NOW) == Decline(1, "port")
    assert book.offer("v1", call(2), 5_000, PRICE, 100_000, NOW) == Decline(2, "port")


def test_a_second_call_replaces_the_first_hold() -> None:
    book = ReservationBook(1)
    book.offer("v1", call(1), 5_000, PRICE, 100_000, NOW)
    assert book.offer("v1", call(2), 5_000, PRICE, 100_000, NOW) == Offer(2, 5_000, PRICE, NOW + HOLD_MS)
    assert book.accept("v1", Accept(1, NOW, "c1"), NOW) == Decline(1, "unknown")
    assert book.accept("v1", Accept(2, NOW, "c1"), NOW) == Lease(2, 5_000, PRICE, NOW + LEASE_MS)


def test_a_repeated_acceptance_gets_the_same_lease() -> None:
    book = ReservationBook(PORTS)
    leased(book)
    assert book.accept("v1", Accept(1, NOW, "c1"), NOW) == Lease(1, 10_000, PRICE, NOW + LEASE_MS)
    assert len(book.reservations) == 1


def test_a_repeated_release_gets_the_same_bill() -> None:
    book = ReservationBook(PORTS)
    leased(book)
    bill, _ = book.release("v1", release(1, 9_000), 100_000)
    again, moved = book.release("v1", release(1, 9_000), 100_000)
    assert moved == NO_DELIVERY
    assert again == bill


def test_closing_ends_a_hold_and_not_a_lease() -> None:
    book = ReservationBook(PORTS)
    leased(book, "v1", 1)
    book.offer("v2", call(1), 5_000, PRICE, 100_000, NOW)
    book.close("v1", 1)
    book.close("v2", 7)
    assert sorted(book.reservations) == ["v1", "v2"]
    book.close("v2", 1)
    book.close("v9", 1)
    assert sorted(book.reservations) == ["v1"]


def test_a_hold_lapses_after_seconds_and_a_lease_after_ticks() -> None:
    book = ReservationBook(PORTS)
    leased(book, "v1", 1)
    book.offer("v2", call(1), 5_000, PRICE, 100_000, NOW)
    assert book.expire(NOW + HOLD_MS - 1) == []
    assert book.expire(NOW + HOLD_MS) == ["v2"]
    assert book.expire(NOW + LEASE_MS - 1) == []
    assert book.expire(NOW + LEASE_MS) == ["v1"]
    assert book.heartbeat("v1", beat(1), NOW) == (Decline(1, "unknown"), NO_DELIVERY)
    bill, moved = book.release("v1", release(1, 5_000), 100_000)  # the vehicle reports late what it drew
    assert (bill, moved) == (Bill(1, 5_000, 5_000 * PRICE), Delivery(5_000, taken_for(5_000), 5_000 * PRICE))
    assert book.release("v1", release(1, 9_000), 100_000) == (bill, NO_DELIVERY)
    assert book.release("v2", release(1), 100_000) == (Decline(1, "unknown"), NO_DELIVERY)


def test_how_long_holds_and_leases_last_and_how_little_is_offered() -> None:
    book = ReservationBook(PORTS)
    assert book.offer("v1", call(1), 999, PRICE, 100_000, NOW) == Decline(1, "energy")
    offer = book.offer("v1", call(1), 1_000, PRICE, 100_000, NOW)
    assert offer == Offer(1, 1_000, PRICE, NOW + 300_000)  # 5 minutes
    lease = book.accept("v1", Accept(1, NOW, "c1"), NOW)
    assert lease == Lease(1, 1_000, PRICE, NOW + 2_250_000)  # two and a half ticks


def test_energy_is_reserved_until_it_is_drawn_and_a_vehicle_arrives_once() -> None:
    book = ReservationBook(PORTS)
    leased(book, "v1", 1)
    assert book.reserved_wh == taken_for(10_000)
    arrived = [book.reservations["v1"].arrived]
    for drawn_wh in (0, 2_000, 0):
        book.heartbeat("v1", beat(1, drawn_wh), NOW)
        arrived.append(book.reservations["v1"].arrived)
    assert book.reserved_wh == taken_for(10_000) - taken_for(2_000)
    assert arrived == [False, False, True, True]


def test_an_expired_lease_is_billed_for_nothing_more_where_the_battery_has_nothing_to_spare() -> None:
    book = ReservationBook(PORTS)
    leased(book, "v1", 1)
    book.heartbeat("v1", beat(1, 2_000), NOW)
    book.expire(NOW + LEASE_MS)
    assert book.release("v1", release(1, 9_000), 0) == (Bill(1, 2_000, 2_000 * PRICE), NO_DELIVERY)


def test_a_heartbeat_does_not_turn_a_hold_into_a_lease() -> None:
    book = ReservationBook(PORTS)
    book.offer("v1", call(1), 5_000, PRICE, 100_000, NOW)
    assert book.heartbeat("v1", beat(1, 5_000), NOW) == (Decline(1, "unknown"), NO_DELIVERY)


def test_a_hold_cannot_be_drawn_from() -> None:
    book = ReservationBook(PORTS)
    book.offer("v1", call(1), 5_000, PRICE, 100_000, NOW)
    _, moved = book.release("v1", release(1, 5_000), 100_000)
    assert moved == NO_DELIVERY
    assert book.reservations == {}


def test_dropping_holds_keeps_leases() -> None:
    book = ReservationBook(3)
    leased(book, "v1", 1)
    book.offer("v2", call(1), 5_000, PRICE, 100_000, NOW)
    book.drop_holds()
    assert sorted(book.reservations) == ["v1"]


def test_the_bills_of_the_last_32_reservations_are_remembered() -> None:
    book = ReservationBook(1)
    bills = []
    for number in range(33):
        leased(book, "v1", number, wanted_wh=2_000)
        bills.append(book.release("v1", release(number, 1_000), 100_000)[0])
    assert book.release("v1", release(0, 1_000), 100_000) == (Decline(0, "unknown"), NO_DELIVERY)
    assert book.release("v1", release(1, 1_000), 100_000) == (bills[1], NO_DELIVERY)
    assert book.release("v1", release(32, 1_000), 100_000) == (bills[32], NO_DELIVERY)


def test_the_least_offer_is_offered_and_nothing_below() -> None:
    stored_wh = next(wh for wh in range(MIN_OFFER_WH, 2 * MIN_OFFER_WH) if deliverable(wh) == MIN_OFFER_WH)
    assert isinstance(ReservationBook(1).offer("v", call(1), 5_000, PRICE, stored_wh, NOW), Offer)
    assert ReservationBook(1).offer("v", call(1), 5_000, PRICE, stored_wh - 2, NOW) == Decline(1, "energy")
    assert isinstance(ReservationBook(1).offer("v", call(1, PRICE), 5_000, PRICE, 90_000, NOW), Offer)


def test_after_a_lapse_no_more_is_billed_than_the_battery_can_spare() -> None:
    book = ReservationBook(2)
    leased(book, "v1", 1, wanted_wh=10_000)
    book.heartbeat("v1", beat(1, 2_000), NOW)
    book.expire(NOW + LEASE_MS)
    leased(book, "v2", 1, wanted_wh=20_000)
    spare_wh = taken_for(20_000) + taken_for(3_000)
    bill, moved = book.release("v1", release(1, 9_000), spare_wh)
    assert bill == Bill(1, 2_000 + deliverable(taken_for(3_000)), 5_000 * PRICE)
    assert moved.delivered_wh == 3_000


def test_a_meter_never_runs_backwards_or_beyond_the_lease() -> None:
    book = ReservationBook(1)
    leased(book, "v1", 1, wanted_wh=10_000)
    assert book.heartbeat("v1", beat(1, 4_000), NOW)[1].delivered_wh == 4_000
    assert book.heartbeat("v1", beat(1, 3_999), NOW)[1] == NO_DELIVERY
    assert book.heartbeat("v1", beat(1, 10_001), NOW)[1].delivered_wh == 6_000


# --- any sequence of right and wrong deeds ---------------------------------------------------------------

vehicles = st.sampled_from(["v1", "v2", "v3", "v4"])
numbers = st.integers(0, 3)
readings = st.sampled_from([0, 1, 999, 5_000, 5_001, 40_000, 10**12]) | st.integers(0, 60_000)


class DeskMachine(RuleBasedStateMachine):
    """Vehicles do to a charger what they like, in any order; the battery is what the meter leaves of it."""

    seen: ClassVar[Counter[str]] = Counter()
    """How often in all runs there was what the rules are about."""

    def __init__(self) -> None:
        super().__init__()
        self.book = ReservationBook(PORTS)
        self.now_ms = NOW
        self.stored_wh = 50_000
        self.meters: dict[str, int] = {}
        self.prices: dict[str, int] = {}
        self.energies: dict[str, int] = {}
        self.bills: list[Bill] = []
        self.expired: dict[tuple[str, int], tuple[int, int, int]] = {}

    def _open(self, data: st.DataObject) -> tuple[str, int]:
        """Return vehicle and call, mostly of a reservation that is open."""
        known = [(vehicle, mine.call) for vehicle, mine in sorted(self.book.reservations.items())]
        pairs = st.tuples(vehicles, numbers)
        return data.draw(st.one_of([st.sampled_from(known)] * 3 + [pairs]) if known else pairs)

    def _lapse(self, names: Iterable[str]) -> None:
        """Note the leases that end now: their vehicles may still report what they have drawn."""
        for name in names:
            mine = self.book.reservations[name]
            if mine.leased:
                self.expired[name, mine.call] = self.meters[name], self.energies[name], self.prices[name]

    def _moved(self, movement: Delivery) -> None:
        self.seen["energy moved"] += movement.delivered_wh > 0
        assert min(movement) >= 0
        assert movement.taken_wh >= movement.delivered_wh
        self.stored_wh -= movement.taken_wh

    @rule(vehicle=vehicles, number=numbers, wanted_wh=st.integers(1, 60_000), price=st.integers(0, 2 * PRICE))
    def calls_for_proposals(self, vehicle: str, number: int, wanted_wh: int, price: int) -> None:
        self._call(vehicle, number, wanted_wh, price)

    def _call(self, vehicle: str, number: int, wanted_wh: int, price: int) -> None:
        was_leased = vehicle in self.book.reservations and self.book.reservations[vehicle].leased
        answer = self.book.offer(vehicle, call(number, PRICE), wanted_wh, price, self.stored_wh, self.now_ms)
        assert answer.call == number
        if isinstance(answer, Offer):
            self.seen["offers"] += 1
            assert not was_leased
            assert MIN_OFFER_WH <= answer.energy_wh <= wanted_wh
            assert answer.price_ueur_per_kwh == price <= PRICE
            self.meters[vehicle], self.prices[vehicle] = 0, price
            self.energies[vehicle] = answer.energy_wh

    @rule(data=st.data())
    def accepts(self, data: st.DataObject) -> None:
        self._accept(*self._open(data))

    @rule(
        vehicle=vehicles,
        number=numbers,
        wanted_wh=st.integers(1_000, 9_000),
        reading=readings,
        leaves=st.booleans(),
    )
    def calls_and_charges(
        self, vehicle: str, number: int, wanted_wh: int, reading: int, *, leaves: bool
    ) -> None:
        """Go the whole way at once, which single steps seldom do."""
        self._call(vehicle, number, wanted_wh, PRICE // 2)
        self._accept(vehicle, number)
        self._beat(vehicle, number, reading)
        if leaves:
            self._release(vehicle, number, reading)

    def _accept(self, vehicle: str, number: int) -> None:
        answer = self.book.accept(vehicle, Accept(number, self.now_ms, "c1"), self.now_ms)
        known = vehicle in self.book.reservations and self.book.reservations[vehicle].call == number
        assert isinstance(answer, Lease if known else Decline)
        if isinstance(answer, Lease):
            self.seen["leases"] += 1
            assert (answer.energy_wh, answer.price_ueur_per_kwh) == (
                self.energies[vehicle],
                self.prices[vehicle],
            )
            assert answer.until_ms >= self.now_ms + LEASE_MS

    @rule(data=st.data())
    def closes(self, data: st.DataObject) -> None:
        vehicle, number = self._open(data)
        leases = [name for name, r in self.book.reservations.items() if r.leased]
        self.book.close(vehicle, number)
        assert set(leases) <= set(self.book.reservations)

    @rule(data=st.data(), reading=readings)
    def beats(self, data: st.DataObject, reading: int) -> None:
        self._beat(*self._open(data), reading)

    def _beat(self, vehicle: str, number: int, reading: int) -> None:
        answer, movement = self.book.heartbeat(vehicle, beat(number, reading), self.now_ms)
        self._moved(movement)
        if isinstance(answer, Decline):
            assert movement == NO_DELIVERY
            return
        assert self.book.reservations[vehicle].leased
        assert movement.delivered_wh == max(min(reading, self.energies[vehicle]) - self.meters[vehicle], 0)
        self.meters[vehicle] += movement.delivered_wh
        assert answer.until_ms >= self.now_ms + LEASE_MS

    @rule(data=st.data(), reading=readings)
    def releases(self, data: st.DataObject, reading: int) -> None:
        self._release(*self._open(data), reading)

    def _release(self, vehicle: str, number: int, reading: int) -> None:
        before = self.book.reservations.get(vehicle)
        answer, movement = self.book.release(vehicle, release(number, reading), self.stored_wh)
        self._moved(movement)
        if (vehicle, number) in self.expired and (before is None or before.call != number):
            meter_wh, energy_wh, price = self.expired.pop((vehicle, number))
            drawn_wh = meter_wh + movement.delivered_wh
            assert drawn_wh <= energy_wh
            assert answer == Bill(number, drawn_wh, cost_neur(drawn_wh, price))
            self.bills.append(answer)
            self.seen["late bills"] += 1
            return
        if before is None or before.call != number:
            assert isinstance(answer, Decline) or answer in self.bills
            assert movement == NO_DELIVERY
            return
        assert isinstance(answer, Bill)
        self.bills.append(answer)
        self.seen["bills"] += 1
        assert vehicle not in self.book.reservations
        self.meters[vehicle] += movement.delivered_wh
        assert answer == Bill(
            number, self.meters[vehicle], cost_neur(self.meters[vehicle], self.prices[vehicle])
        )
        assert answer.energy_wh <= self.energies[vehicle]

    @rule(
        milliseconds=st.integers(0, HOLD_MS // 2)
        | st.integers(0, 2 * HOLD_MS)
        | st.integers(0, 2 * LEASE_MS)
        | st.sampled_from([HOLD_MS, LEASE_MS])
    )
    def time_passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        before = {name for name, r in self.book.reservations.items() if r.until_ms <= self.now_ms}
        self._lapse(before)
        assert self.book.expire(self.now_ms) == sorted(before)

    @rule()
    def drops_holds(self) -> None:
        self.book.drop_holds()
        assert all(r.leased for r in self.book.reservations.values())

    @rule(bought_wh=st.integers(0, 30_000))
    def buys(self, bought_wh: int) -> None:
        self.stored_wh += bought_wh

    @precondition(lambda self: bool(self.book.reservations))
    @rule()
    def everybody_falls_silent(self) -> None:
        self.now_ms += LEASE_MS
        self._lapse(self.book.reservations)
        self.book.expire(self.now_ms)
        assert self.book.reservations == {}
        assert self.book.reserved_wh == 0

    @invariant()
    def ports_are_never_promised_twice(self) -> None:
        assert len(self.book.reservations) <= PORTS

    @invariant()
    def what_is_promised_is_stored(self) -> None:
        assert 0 <= self.book.reserved_wh <= self.stored_wh

    @invariant()
    def every_promise_ends(self) -> None:
        for r in self.book.reservations.values():
            assert self.now_ms < r.until_ms <= self.now_ms + (LEASE_MS if r.leased else HOLD_MS)

    @invariant()
    def meters_stay_within_what_was_promised(self) -> None:
        for name, r in self.book.reservations.items():
            assert r.drawn_wh == self.meters[name] <= r.energy_wh


def test_any_sequence_of_calls_and_answers() -> None:
    DeskMachine.seen.clear()
    run_state_machine_as_test(DeskMachine, settings=settings(stateful_step_count=40))
    assert min(DeskMachine.seen[what] for what in ("offers", "leases", "energy moved", "bills")) >= 10, (
        DeskMachine.seen
    )


@pytest.mark.parametrize("later_ms", [0, 1])
def test_a_vehicle_that_accepts_another_charger_loses_its_lease(later_ms: int) -> None:
    book = ReservationBook(PORTS)
    leased(book)
    book.end_for_other("v1", Accept(1, NOW - 1, "c2"))
    assert set(book.reservations) == {"v1"}
    book.end_for_other("v1", Accept(1, NOW + later_ms, "c2"))
    assert not book.reservations


def test_an_acceptance_that_is_older_than_one_of_another_charger_gets_no_lease() -> None:
    book = ReservationBook(PORTS)
    book.offer("v1", call(1), 10_000, PRICE, 100_000, NOW)
    book.end_for_other("v1", Accept(1, NOW + 1, "c2"))
    assert book.accept("v1", Accept(1, NOW, "c1"), NOW) == Decline(1, "refused")
    assert not book.reservations


def test_a_vehicle_that_neither_comes_nor_cancels_is_noted_once() -> None:
    book = ReservationBook(PORTS)
    leased(book)
    assert book.take_no_shows() == []
    book.expire(NOW + LEASE_MS)
    assert book.take_no_shows() == ["v1"]
    assert book.take_no_shows() == []
