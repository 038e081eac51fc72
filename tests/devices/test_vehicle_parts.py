"""The parts of a vehicle, each alone with a stand-in for the vehicle: trip, charger search, reservation."""

import pytest

from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    Close,
    Decline,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Presence,
    Release,
    Role,
)
from gridfleet.broker.protocol.units import MS_PER_HOUR
from gridfleet.devices.agents.base import MAX_ATTEMPTS, NO_TICK, NOTHING, Action, AgentError, Out
from gridfleet.devices.agents.charger_search import ChargerSearch
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.trip import LOW_CHARGE, Trip, VehicleStatus
from gridfleet.devices.agents.vehicle_reservation import (
    MAX_BILL_REQUESTS,
    MAX_SILENT_TICKS,
    VehicleReservation,
)
from gridfleet.devices.charging.offer_ranking import Weights
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.reputation import Reputation
from gridfleet.devices.trust.trust import BELIEVES_ALL
from tests.devices.testbed import HOME, LEAF, PLACE, birth

NEAR = (51.0, 10.1)
FAR = (51.0, 13.0)
PRICE = 400_000


class StandIn:
    """What the parts need of a vehicle: place, timers and counters, all visible."""

    def __init__(self) -> None:
        self.latitude, self.longitude = PLACE
        self.tick = 0
        self.tick_message = NO_TICK
        self.trust = BELIEVES_ALL
        self.balance_neur = 0
        self.planned: tuple[int, Action] | None = None
        self.waits_for: Action | None = None
        self.refused: list[str] = []
        self.events: list[str] = []
        self.reserved: list[str] = []

    def plan(self, at_ms: int, action: Action) -> None:
        self.planned = at_ms, action

    def cancel_plan(self) -> None:
        self.planned = None

    def wait(self, now_ms: int, then: Action) -> None:  # noqa: ARG002 - the test lets time pass
        self.waits_for = then

    def stop_waiting(self) -> None:
        self.waits_for = None

    def error(self, text: str, remedy: str) -> AgentError:
        return AgentError(f"{text}; {remedy}")

    def refuse(self, reason: str) -> Out:
        self.refused.append(reason)
        return NOTHING

    def note_lie(self, liar: str, what: str) -> Out:
        self.trust.note_lie(liar, self.tick)
        return self.refuse(what)

    def on_low_battery(self, now_ms: int) -> Out:  # noqa: ARG002
        self.events.append("low")
        return NOTHING

    def on_stranded(self, now_ms: int) -> Out:  # noqa: ARG002
        self.events.append("stranded")
        return NOTHING

    def on_reserved(
        self,
        charger: str,
        lease: Lease,  # noqa: ARG002
        at: Presence,  # noqa: ARG002
        now_ms: int,  # noqa: ARG002
        fee_neur: int = 0,  # noqa: ARG002
    ) -> None:
        self.reserved.append(charger)

    # --- what a runtime does ----------------------------------------------------------------------------

    def run_plan(self) -> int:
        """Do what is planned, at its time; return that time."""
        assert self.planned is not None
        (at_ms, action), self.planned = self.planned, None
        action(at_ms)
        return at_ms

    def time_out(self, now_ms: int) -> Out:
        """No answer has come in time."""
        assert self.waits_for is not None
        action, self.waits_for = self.waits_for, None
        return action(now_ms)


# --- trip ------------------------------------------------------------------------------------------------


def trip_of(stored_wh: int) -> tuple[Trip, StandIn]:
    vehicle = StandIn()
    return Trip(vehicle, LEAF, stored_wh), vehicle


def at_rest(trip: Trip) -> bool:
    return trip.status is VehicleStatus.PARKED and trip.journey is None and trip.destination is None


def test_a_trip_arrives_with_less_in_the_battery() -> None:
    trip, vehicle = trip_of(50_000)
    trip.destination = NEAR
    trip.set_out(0)
    assert vehicle.planned is not None
    vehicle.run_plan()
    assert (vehicle.latitude, vehicle.longitude) == NEAR
    assert at_rest(trip)
    assert trip.driven_wh == 50_000 - trip.stored_wh > 0
    assert vehicle.events == []


def test_without_a_destination_nothing_happens() -> None:
    trip, vehicle = trip_of(50_000)
    trip.set_out(0)
    trip.resume(0)
    assert (trip.status, vehicle.planned) == (VehicleStatus.PARKED, None)


def test_on_a_long_way_the_battery_runs_low_first_and_then_empty() -> None:
    trip, vehicle = trip_of(20_000)
    trip.destination = FAR
    trip.set_out(0)
    low_ms = vehicle.run_plan()
    assert vehicle.events == ["low"]
    trip.advance(low_ms)
    assert trip.state_of_charge == pytest.approx(LOW_CHARGE, abs=0.001)
    trip.replan_arrival(low_ms)
    vehicle.run_plan()
    assert vehicle.events == ["low", "stranded"]
    assert (trip.status, trip.stored_wh) == (VehicleStatus.STRANDED, 0)
    trip.park()
    assert trip.status is VehicleStatus.STRANDED


def test_on_the_way_to_a_charger_the_destination_is_kept() -> None:
    trip, vehicle = trip_of(50_000)
    trip.destination = FAR
    arrived: list[int] = []

    def on_arrival(now_ms: int) -> Out:
        arrived.append(now_ms)
        return NOTHING

    trip.head_for(NEAR, 0, on_arrival)
    assert trip.status is VehicleStatus.HEADING
    at_ms = vehicle.run_plan()
    trip.leave_road(at_ms)
    assert arrived == [at_ms]
    assert (vehicle.latitude, vehicle.longitude) == NEAR
    trip.resume(at_ms)
    assert (trip.status, trip.destination) == (VehicleStatus.DRIVING, FAR)


def test_with_a_low_battery_it_stays_parked() -> None:
    trip, vehicle = trip_of(10_000)
    trip.destination = NEAR
    trip.resume(0)
    assert (trip.status, vehicle.planned) == (VehicleStatus.PARKED, None)


# --- charger search --------------------------------------------------------------------------------------


def search_of(*chargers: str, stored_wh: int = 14_000) -> tuple[ChargerSearch, StandIn, Trip]:
    trip, vehicle = trip_of(stored_wh)
    home, there = Roster(), Roster()
    for charger in chargers:
        home.apply(charger, birth(HOME, Role.CHARGER, NEAR))
    search = ChargerSearch(
        vehicle,
        trip,
        Reputation(),
        cells=(HOME, "there"),
        rosters=(home, there),
        rng=RandomStream("search"),
        weights=Weights(),
        limit_ueur_per_kwh=1_000_000,
        charge_by_ms=24 * MS_PER_HOUR,
    )
    return search, vehicle, trip


def call_in(out: Out) -> Call:
    ((_, call),) = out
    assert isinstance(call, Call)
    return call


def test_the_best_offer_is_accepted_and_its_lease_confirmed() -> None:
    search, vehicle, _ = search_of("c1", "c2")
    call = call_in(search.call(1_000))
    assert search.on_offer("c1", Offer(call.call, call.energy_wh, PRICE, 9_999), 1_000) == NOTHING
    out = search.on_offer("c2", Offer(call.call, call.energy_wh, PRICE // 2, 9_999), 1_000)
    assert out == [(HOME, Accept(call.call, 1_000, "c2"))]
    lease = Lease(call.call, call.energy_wh, PRICE // 2, 9_999)
    assert search.on_lease("c2", lease, 1_000) == [(HOME, Close(call.call))]
    assert vehicle.reserved == ["c2"]
    assert (search.negotiation, vehicle.waits_for) == (None, None)


def test_a_silent_charger_is_released_and_the_next_is_tried() -> None:
    search, vehicle, _ = search_of("c1", "c2")
    call = call_in(search.call(1_000))
    for charger, price in (("c1", PRICE), ("c2", PRICE // 2)):
        search.on_offer(charger, Offer(call.call, call.energy_wh, price, 9_999), 1_000)
    cancelled = Release(call.call, 2_000, 0, "cancelled")
    assert vehicle.time_out(2_000) == [(HOME, Accept(call.call, 2_000, "c1")), ("c2", cancelled)]


def test_a_lease_that_is_not_what_was_offered_is_cancelled() -> None:
    search, vehicle, _ = search_of("c1")
    call = call_in(search.call(1_000))
    search.on_offer("c1", Offer(call.call, call.energy_wh, PRICE, 9_999), 1_000)
    out = search.on_lease("c1", Lease(call.call, call.energy_wh, PRICE + 1, 9_999), 1_000)
    assert ("c1", Release(call.call, 1_000, 0, "cancelled")) in out
    assert vehicle.refused == ["broken promise"]
    assert vehicle.reserved == []


def test_without_an_offer_it_pauses_longer_each_time() -> None:
    search, vehicle, trip = search_of(stored_wh=12_000)
    pauses = []
    for _ in range(5):
        out = search.call(1_000)
        assert [type(message) for _, message in out] == [Close, Close]
        pauses.append(search.paused_until_tick - vehicle.tick)
    assert pauses == [1, 2, 4, 8, 8]
    assert vehicle.planned is None
    assert trip.status is VehicleStatus.PARKED


def test_a_charger_that_goes_offline_is_not_waited_for() -> None:
    search, vehicle, _ = search_of("c1")
    call_in(search.call(1_000))
    offline = Presence(online=False, role=Role.CHARGER, cell=HOME, latitude=NEAR[0], longitude=NEAR[1])
    out = search.on_presence("c1", offline, 2_000)
    assert [type(message) for _, message in out] == [Close, Close]
    assert search.find("c1") is None
    assert vehicle.waits_for is None


@pytest.mark.parametrize(
    ("stored_wh", "left_h", "needed"),
    [(14_000, 24, True), (15_000, 24, True), (16_000, 24, False), (39_000, 4, True), (41_000, 4, False)],
    ids=["low", "at the limit", "above it", "deadline near", "charged enough for it"],
)
def test_when_a_charger_is_needed(stored_wh: int, left_h: int, needed: bool) -> None:
    search, _, _ = search_of("c1", stored_wh=stored_wh)
    assert search.needs_charge((24 - left_h) * MS_PER_HOUR) is needed


# --- reservation -----------------------------------------------------------------------------------------


def reservation_of(stored_wh: int = 14_000) -> tuple[VehicleReservation, StandIn, Trip]:
    """A vehicle that is plugged in at c1."""
    search, vehicle, trip = search_of("c1", stored_wh=stored_wh)
    reservation = VehicleReservation(vehicle, trip, search, Reputation())
    lease = Lease(7, 20_000, PRICE, 9_999_999)
    reservation.begin("c1", lease, birth(HOME, Role.CHARGER, NEAR), 0)
    vehicle.run_plan()
    assert trip.status is VehicleStatus.CHARGING
    return reservation, vehicle, trip


def only(out: Out) -> Message:
    ((to, message),) = out
    assert to == "c1"
    return message


def test_what_the_heartbeat_reports_is_stored_and_paid_when_confirmed() -> None:
    reservation, vehicle, trip = reservation_of()
    before_wh = trip.stored_wh
    beat = only(reservation.on_import_phase(600_000))
    assert isinstance(beat, Heartbeat)
    assert beat.arrived
    assert reservation.drawn_wh == beat.drawn_wh > 0
    assert trip.stored_wh == before_wh + beat.drawn_wh - reservation.loss_wh
    assert vehicle.balance_neur == 0
    reservation.on_lease(Lease(7, 20_000, PRICE, 9_999_999, beat.drawn_wh), 600_000)
    assert vehicle.balance_neur == -beat.drawn_wh * PRICE == -reservation.paid_neur
    assert vehicle.waits_for is None


def test_the_bill_ends_the_reservation() -> None:
    reservation, vehicle, trip = reservation_of()
    at_ms = vehicle.run_plan()
    session = reservation.session
    assert session is not None
    assert session.releasing
    reservation.on_bill("c1", Bill(7, session.reported_wh, session.reported_wh * PRICE), at_ms)
    assert reservation.session is None
    assert vehicle.balance_neur == -session.reported_wh * PRICE
    assert trip.status is VehicleStatus.PARKED


def test_a_silent_charger_is_left_and_asked_for_its_bill() -> None:
    reservation, vehicle, _ = reservation_of()
    for tick in range(1, MAX_SILENT_TICKS + 1):
        reservation.on_import_phase(tick * 100_000)
        timeouts = 0
        while vehicle.waits_for is not None:
            timeouts += 1
            out = vehicle.time_out(tick * 100_000)
        assert timeouts == MAX_ATTEMPTS
    assert isinstance(only(out), Release)
    assert reservation.session is None
    assert reservation.is_unbilled("c1", 7)
    requests = [reservation.on_import_phase(300_000) for _ in range(MAX_BILL_REQUESTS + 1)]
    assert [len(out) for out in requests] == [1] * MAX_BILL_REQUESTS + [0]
    assert reservation.on_bill("c1", Bill(7, 1, PRICE), 300_000) == NOTHING
    assert vehicle.refused == ["late"]


def test_a_charger_out_of_service_has_broken_no_promise() -> None:
    for reason, trusted in (("offline", True), ("unknown", False)):
        reputation = Reputation()
        reputation.note("c1", 0, kept=False)
        search, vehicle, trip = search_of("c1")
        reservation = VehicleReservation(vehicle, trip, search, reputation)
        reservation.begin("c1", Lease(7, 20_000, PRICE, 9_999_999), birth(HOME, Role.CHARGER, NEAR), 0)
        out = reservation.on_decline(Decline(7, reason), 1_000)  # type: ignore[arg-type]
        assert isinstance(only(out), Release)
        assert reputation.trusts("c1", 0) is trusted


def test_with_the_chargers_own_meter_the_bill_says_what_was_drawn() -> None:
    search, vehicle, trip = search_of("c1")
    reservation = VehicleReservation(vehicle, trip, search, Reputation())
    at = birth(HOME, Role.CHARGER, NEAR)
    reservation.begin("c1", Lease(7, 20_000, PRICE, 9_999_999, metered=True), at, 0)
    vehicle.run_plan()
    assert reservation.drawn_wh == 0
    reservation.on_bill("c1", Bill(7, 3_000, 3_000 * PRICE), 600_000)
    assert (reservation.drawn_wh, reservation.paid_neur) == (3_000, 3_000 * PRICE)

    reservation.begin("c1", Lease(8, 20_000, PRICE, 9_999_999, metered=True), at, 600_000)
    reservation.leave(700_000)
    reservation.on_bill("c1", Bill(8, 2_000, 2_000 * PRICE), 800_000)
    assert (reservation.drawn_wh, reservation.paid_neur) == (5_000, 5_000 * PRICE)


def test_in_a_new_run_there_is_no_reservation() -> None:
    reservation, vehicle, _ = reservation_of()
    reservation.leave(1_000)
    reservation.on_new_run()
    assert not reservation.is_unbilled("c1", 7)
    assert reservation.on_bill("c1", Bill(7, 1, PRICE), 2_000) == NOTHING
    assert vehicle.refused == ["late"]
