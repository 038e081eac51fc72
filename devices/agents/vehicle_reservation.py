"""A vehicle's confirmed reservation: the way to the charger, heartbeats, meter readings, the bill and its payment.

It begins with a confirmed lease and ends with a bill. A vehicle that has left a charger without a bill requests it
once a tick, for a day.
"""

from typing import Final, Protocol

from gridfleet.broker.protocol.messages import (
    NO_SHOW,
    Bill,
    Decline,
    Heartbeat,
    Lease,
    Message,
    Presence,
    Release,
)
from gridfleet.devices.agents.base import MAX_ATTEMPTS, NOTHING, Action, Out
from gridfleet.devices.agents.charger_search import TARGET_CHARGE, ChargerSearch
from gridfleet.devices.agents.trip import Trip, VehicleStatus
from gridfleet.devices.charging.session import ChargingSession, MeterDelta
from gridfleet.devices.trust.reputation import Reputation
from gridfleet.devices.trust.trust import Trust

MAX_BILL_REQUESTS: Final = 96
"""How often a vehicle requests a missing bill, once a tick."""
MAX_PAID_FEES: Final = 8
"""Of so many fees a vehicle remembers that it has paid them: their bills may be repeated."""
MAX_SILENT_TICKS: Final = 2
"""After this many ticks without an answer a vehicle leaves the charger."""


class ReservationOwner(Protocol):
    """What a reservation needs of its vehicle."""

    tick: int
    balance_neur: int
    trust: Trust

    def plan(self, at_ms: int, action: Action) -> None:
        """Do something at a simulated time."""

    def wait(self, now_ms: int, then: Action) -> None:
        """Wait for answers, and call `then` if they do not come in time."""

    def stop_waiting(self) -> None:
        """Stop waiting for answers."""

    def refuse(self, reason: str) -> Out:
        """Count a message that is ignored."""
        ...

    def note_lie(self, liar: str, what: str) -> Out:
        """Count a lie, and have no more dealings with its sender."""
        ...


class VehicleReservation:
    """The current charging session, former ones without a bill, and the account of the tick."""

    __slots__ = (
        "_paid_fees",
        "_reputation",
        "_search",
        "_trip",
        "_unbilled",
        "_vehicle",
        "drawn_wh",
        "loss_wh",
        "paid_neur",
        "session",
    )

    def __init__(
        self, vehicle: ReservationOwner, trip: Trip, search: ChargerSearch, reputation: Reputation
    ) -> None:
        self._vehicle = vehicle
        self._trip = trip
        self._search = search
        self._reputation = reputation
        self._unbilled: tuple[ChargingSession, ...] = ()
        self._paid_fees: tuple[tuple[str, int], ...] = ()
        """Charger and call of the latest fees."""
        self.session: ChargingSession | None = None
        self.begin_account()

    def begin_account(self) -> None:
        """Begin the account of a tick."""
        self.drawn_wh = self.loss_wh = self.paid_neur = 0

    def on_new_run(self) -> None:
        """Forget the reservations of an earlier run."""
        self._unbilled = ()
        self._paid_fees = ()
        self.session = None

    def is_with(self, charger: str, call: int) -> bool:
        """Whether a charger's message about a call is about the current session."""
        return self.session is not None and self.session.is_with(charger, call)

    def is_unbilled(self, charger: str, call: int) -> bool:
        """Whether a charger's message about a call is about a former session without a bill."""
        return any(left.is_with(charger, call) for left in self._unbilled)

    # --- at the charger -----------------------------------------------------------------------------------

    def begin(self, charger: str, lease: Lease, at: Presence, now_ms: int, fee_neur: int = 0) -> None:
        """Drive to a charger that has confirmed a lease; `fee_neur` is owed if the vehicle does not come."""
        self.session = ChargingSession(
            charger,
            lease.call,
            lease.energy_wh,
            lease.price_ueur_per_kwh,
            fee_neur,
            lease.until_ms,
            metered=lease.metered,
        )
        self._trip.head_for((at.latitude, at.longitude), now_ms, self._plug_in)

    def _plug_in(self, now_ms: int) -> Out:
        """Arrive at the charger and draw until the battery is full or the lease is used up."""
        trip, session = self._trip, self.session
        trip.leave_road(now_ms)
        if session is None:
            trip.resume(now_ms)
            return NOTHING
        trip.status = VehicleStatus.CHARGING
        target_wh = int(TARGET_CHARGE * trip.model.capacity_wh)
        done_ms = session.plug_in(now_ms, trip.stored_wh, target_wh, trip.model)
        self._vehicle.plan(done_ms, self._unplug)
        return self._report(session, now_ms)

    def _unplug(self, now_ms: int) -> Out:
        """Release the reservation; the bill ends it."""
        if self.session is None:
            self._trip.resume(now_ms)
            return NOTHING
        self.session.releasing = True
        return self._report(self.session, now_ms)

    def on_import_phase(self, now_ms: int) -> Out:
        """Send the heartbeat of the tick, and requests for missing bills."""
        out = self._request_bills(now_ms) if self._unbilled else []
        return [*out, *self._report(self.session, now_ms)] if self.session is not None else out

    def _report(self, session: ChargingSession, now_ms: int, *, again: bool = False) -> Out:
        """Send a heartbeat with the meter reading, or the release; wait for the answer."""
        session.attempts = session.attempts + 1 if again else 1
        self._vehicle.wait(now_ms, self._on_no_answer)
        self._store(session.read_meter(now_ms, self._trip.model))
        message: Message
        if session.releasing:
            message = Release(session.call, now_ms, session.reported_wh, "charged")
        else:
            message = Heartbeat(session.call, now_ms, session.plugged_ms is not None, session.reported_wh)
        return [(session.charger, message)]

    def _store(self, delta: MeterDelta) -> None:
        """Store the drawn energy, as far as there is room; the rest counts as loss."""
        trip = self._trip
        gained_wh = min(delta.gained_wh, trip.model.capacity_wh - trip.stored_wh)
        trip.stored_wh += gained_wh
        self.loss_wh += delta.drawn_wh - gained_wh
        self.drawn_wh += delta.drawn_wh

    def _request_bills(self, now_ms: int) -> list[tuple[str, Message]]:
        """Request the missing bills from chargers that are online."""
        for left in self._unbilled:
            left.misses += 1
        self._unbilled = tuple(left for left in self._unbilled if left.misses <= MAX_BILL_REQUESTS)
        return [
            (left.charger, Release(left.call, now_ms, left.reported_wh, "interrupted"))
            for left in self._unbilled
            if self._search.find(left.charger) is not None
        ]

    # --- answers of the charger ---------------------------------------------------------------------------

    def _on_no_answer(self, now_ms: int) -> Out:
        """Report again, a few times; leave a charger that is silent for too long."""
        session = self.session
        if session is None:
            return NOTHING
        if session.attempts < MAX_ATTEMPTS:
            return self._report(session, now_ms, again=True)
        session.misses += 1
        return self.on_broken_promise(now_ms) if session.misses >= MAX_SILENT_TICKS else NOTHING

    def _believes(self, session: ChargingSession, reading_wh: int, now_ms: int) -> bool:
        """Return whether the charger's meter can have counted this: nothing before arrival, no more than can flow."""
        vehicle = self._vehicle
        if not vehicle.trust.enabled or reading_wh <= session.most_drawn_wh(now_ms, self._trip.model):
            return True
        vehicle.note_lie(session.charger, "meter beyond limits")
        return False

    def on_lease(self, lease: Lease, now_ms: int) -> Out:
        """Take the answer to a heartbeat, and pay what the charger confirms; leave a charger whose meter lies."""
        session = self.session
        if session is None:
            return NOTHING
        session.misses = 0
        session.lease_end_ms = max(session.lease_end_ms, lease.until_ms)
        if lease.metered and not self._believes(session, lease.drawn_wh, now_ms):
            return self.on_broken_promise(now_ms)
        if lease.metered:
            self._store(session.adopt_reading(lease.drawn_wh))
        if not session.releasing:
            self._vehicle.stop_waiting()
            self._pay(session, session.reported_wh)
        return NOTHING

    def on_decline(self, decline: Decline, now_ms: int) -> Out:
        """Leave a charger that is out of service or does not know the reservation."""
        if decline.reason == "offline":  # it reports that it is out of service: no broken promise
            return self.leave(now_ms)
        return self.on_broken_promise(now_ms)

    def on_bill(self, sender: str, bill: Bill, now_ms: int) -> Out:
        """Pay the bill of the current session, which ends it, or of an earlier one."""
        if bill.no_show_fee_neur:
            return self._on_fee(sender, bill, now_ms)
        session = self.session
        if session is not None and session.is_with(sender, bill.call):
            if session.metered and self._believes(session, bill.energy_wh, now_ms):
                self._store(session.adopt_reading(bill.energy_wh))
            self._reputation.note(sender, self._vehicle.tick, kept=bill.energy_wh <= session.reported_wh)
            self._pay(session, bill.energy_wh)
            self.session = None
            self._vehicle.stop_waiting()
            self._trip.resume(now_ms)
            return NOTHING
        left = next((left for left in self._unbilled if left.is_with(sender, bill.call)), None)
        if left is None:
            return self._vehicle.refuse("late")
        self._forget(left)
        if left.metered and self._believes(left, bill.energy_wh, left.left_ms):
            self._store(left.adopt_reading(bill.energy_wh))
        self._pay(left, bill.energy_wh)
        return NOTHING

    def _on_fee(self, charger: str, bill: Bill, now_ms: int) -> Out:
        """Pay a fee that is owed, and acknowledge it; a repeated bill is acknowledged again. Deny any other."""
        key = charger, bill.call
        if key in self._paid_fees:
            return ((charger, Release(bill.call, now_ms, 0, NO_SHOW)),)
        session = next((left for left in self._unbilled if left.is_with(*key)), None)
        if self.session is not None and self.session.is_with(*key):
            session = self.session
            self.leave(now_ms)
        if session is None or not session.owes_fee(bill.no_show_fee_neur, now_ms):
            return self._deny_fee(charger, bill.call, session, now_ms)
        self._forget(session)
        self._paid_fees = (*self._paid_fees, key)[-MAX_PAID_FEES:]
        self.paid_neur += bill.no_show_fee_neur
        self._vehicle.balance_neur -= bill.no_show_fee_neur
        return ((charger, Release(bill.call, now_ms, 0, NO_SHOW)),)

    def _deny_fee(self, charger: str, call: int, session: ChargingSession | None, now_ms: int) -> Out:
        """Answer the bill of a fee that is not owed; what was drawn is reported once more, and billed."""
        self._vehicle.refuse("fee")
        drawn = session is not None and session.reported_wh > 0
        if session is not None and not session.denied_fee:
            self._reputation.note(charger, self._vehicle.tick, kept=False)
            if drawn:
                session.denied_fee = True
                return ((charger, Release(call, now_ms, session.reported_wh, "interrupted")),)
            self._forget(session)
        return NOTHING if drawn else ((charger, Release(call, now_ms, 0, "cancelled")),)

    def _forget(self, session: ChargingSession) -> None:
        """Request no bill of a former session."""
        self._unbilled = tuple(left for left in self._unbilled if left is not session)

    def _pay(self, session: ChargingSession, energy_wh: int) -> None:
        """Pay for the energy that both sides agree on, at the agreed price."""
        due_neur = session.settle(energy_wh)
        self.paid_neur += due_neur
        self._vehicle.balance_neur -= due_neur

    # --- leaving without a bill ---------------------------------------------------------------------------

    def on_broken_promise(self, now_ms: int) -> Out:
        """Note that the charger is offline, silent or has forgotten the reservation; leave it."""
        if self.session is not None:
            self._reputation.note(self.session.charger, self._vehicle.tick, kept=False)
        return self.leave(now_ms)

    def leave(self, now_ms: int) -> Out:
        """Leave the charger, request the bill and drive on."""
        session, trip = self.session, self._trip
        if session is None:
            return NOTHING
        session.misses = 0
        session.left_ms = now_ms
        self._unbilled = (*self._unbilled, session)
        trip.leave_road(now_ms)
        self.session = None
        self._vehicle.stop_waiting()
        if trip.status is not VehicleStatus.STRANDED:
            trip.resume(now_ms)
        return [(session.charger, Release(session.call, now_ms, session.reported_wh, "interrupted"))]
