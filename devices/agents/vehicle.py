"""An electric vehicle: drives where it likes, and bargains with charging stations on its own time.

Its life is a sequence of instants of its own (setting out, arriving, running low, being full). At such an instant
it may call for proposals; everything that follows is an exchange of messages, in which each side answers the
other. The tick only tells it the time and asks for its meter reading and its account.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    MAX_AVOIDED,
    Bill,
    Decline,
    Heartbeat,
    Kind,
    Lease,
    Message,
    Phase,
    Presence,
    Release,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import ATTEMPTS, NOTHING, Handler, Out
from gridfleet.devices.agents.charger_search import CALLS_WITHIN_MS, DAY_MS, DONE, ChargerSearch
from gridfleet.devices.agents.driver import Status
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.charging.offer_ranking import Weights
from gridfleet.devices.charging.reputation import Reputation
from gridfleet.devices.charging.session import MeterDelta, Session
from gridfleet.devices.physics.driving import speed_kmh
from gridfleet.devices.physics.vehicle_models import VehicleModel
from gridfleet.devices.random_streams import RandomStream

LEAVES: Final = 1 / 11
"""Probability that a parked vehicle sets out within a tick."""
BILL_TICKS: Final = 96
"""For so many ticks it asks a charger that it left without an answer for the bill."""
MISSES: Final = 2
"""So many ticks without an answer, and the charger is taken for dead."""


class Vehicle(ChargerSearch):
    """One car of a real model, with a will of its own."""

    kind = Kind.VEHICLE
    __slots__ = (
        "_area",
        "_drawn_wh",
        "_left",
        "_loss_wh",
        "_paid_neur",
        "_session",
    )

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        model: VehicleModel,
        stored_wh: int,
        area: tuple[float, float, float, float],
        cells: Sequence[str],
        rosters: Sequence[Roster],
        chance: RandomStream,
        weights: Weights,
        limit_ueur_per_kwh: int,
        due_ms: int,
        label: str = "",
    ) -> None:
        super().__init__(
            agent_id,
            cell,
            latitude,
            longitude,
            model=model,
            stored_wh=stored_wh,
            cells=cells,
            rosters=rosters,
            chance=chance,
            weights=weights,
            limit_ueur_per_kwh=limit_ueur_per_kwh,
            due_ms=due_ms,
            label=label,
        )
        self._area = area
        self._session: Session | None = None
        self._left: dict[tuple[str, int], Session] = {}
        self._begin_accounts()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        direct = [(word, self.id) for word in ("offer", "decline", "lease", "bill")]
        return [*direct, *(("presence", f"{cell}/{Kind.CHARGER}") for cell in self._cells)]

    def _begin_accounts(self) -> None:
        self._drawn_wh = self._loss_wh = self._driven_wh = self._paid_neur = 0

    def _process(self, now_ms: int) -> Out:
        """Decide, once a tick, whether to look for a charger or to go somewhere."""
        if not now_ms < self._due_ms <= now_ms + DAY_MS:
            self._due_ms = now_ms + DAY_MS
        if self._session is not None or self._negotiation is not None or self._status is Status.STRANDED:
            return NOTHING
        if self._needs_charge(now_ms):
            if self.tick < self._again_tick and self._journey is None:
                return NOTHING
            at_ms = now_ms + 1 + self._chance.below(CALLS_WITHIN_MS)
            if self.event_ms is None or at_ms < self.event_ms:
                self._plan(at_ms, self._call)
        elif self._status is not Status.PARKED or self.event_ms is not None:
            return NOTHING
        elif self._destination is not None:
            self._plan(now_ms + 1 + self._chance.below(CALLS_WITHIN_MS), self._set_out)
        elif self._chance.random() < LEAVES * self.ticking.settings.vehicle_scale:
            south, north, west, east = self._area
            latitude = round(self._chance.uniform(south, north), 6)
            longitude = round(self._chance.uniform(west, east), 6)
            self._destination = (latitude, longitude)
            self._plan(now_ms + 1 + self._chance.below(TICK_MS - 1), self._set_out)
        return NOTHING

    # --- the reservation ---------------------------------------------------------------------------------

    def _reserved(self, charger: str, lease: Lease, at: Presence, now_ms: int) -> None:
        self._session = Session(
            charger, lease.call, lease.energy_wh, lease.price_ueur_per_kwh, metered=lease.metered
        )
        self._advance(now_ms)
        self._status = Status.HEADING
        self._journey = self._begin_journey(now_ms, (at.latitude, at.longitude))
        self._plan_arrival(self._journey.arrival_ms(), self._plug_in)

    def on_deadline(self, now_ms: int) -> Out:
        """Go on without whoever did not answer: about an offer, or about the reservation."""
        return self._unanswered(now_ms) if self._negotiation is None else super().on_deadline(now_ms)

    def _on_lease(self, scope: str, sender: str, lease: Lease, now_ms: int) -> Out:
        """Take the answer to a heartbeat, or a confirmation."""
        session = self._session
        if session is not None and session.is_with(sender, lease.call):
            return self._on_heartbeat_answer(session, lease)
        if (sender, lease.call) in self._left:
            return NOTHING
        return super()._on_lease(scope, sender, lease, now_ms)

    def _on_decline(self, scope: str, sender: str, decline: Decline, now_ms: int) -> Out:
        """Leave a charger that has forgotten the reservation; else it is an answer to a call."""
        session = self._session
        if session is not None and session.is_with(sender, decline.call):
            told = decline.reason == "offline"  # out of service, and says so: that is no broken promise
            return self._abandon(now_ms) if told else self._forsaken(session, now_ms)
        if (sender, decline.call) in self._left:
            return NOTHING
        return super()._on_decline(scope, sender, decline, now_ms)

    def _plug_in(self, now_ms: int) -> Out:
        """Arrive at the charger and draw, unless the battery is full already."""
        self._advance(now_ms)
        self._journey = None
        session = self._session
        if session is None:
            return self._drive_on(now_ms)
        self._status = Status.CHARGING
        full_wh = int(DONE * self._model.capacity_wh)
        self._plan(session.plug_in(now_ms, self.stored_wh, full_wh, self._model), self._unplug)
        return self._report(session, now_ms)

    def _unplug(self, now_ms: int) -> Out:
        """Enough: end the reservation; the bill lets it go."""
        if self._session is None:
            return self._drive_on(now_ms)
        self._session.releasing = True
        return self._report(self._session, now_ms)

    def _report(self, session: Session, now_ms: int, *, again: bool = False) -> Out:
        """Say a heartbeat with the meter reading, or the release; and wait for the answer."""
        session.attempts = session.attempts + 1 if again else 1
        self.deadline_ms = now_ms + self.patience_ms
        self._take(session.draw(now_ms, self._model))
        message: Message
        if session.releasing:
            message = Release(session.call, now_ms, session.reported_wh, "charged")
        else:
            message = Heartbeat(session.call, now_ms, session.plugged_ms is not None, session.reported_wh)
        return [(session.charger, message)]

    def _take(self, draught: MeterDelta) -> None:
        """Store what has flowed, as far as there is room: the charger's meter knows nothing of the battery."""
        gained_wh = min(draught.gained_wh, self._model.capacity_wh - self.stored_wh)
        self.stored_wh += gained_wh
        self._loss_wh += draught.drawn_wh - gained_wh
        self._drawn_wh += draught.drawn_wh

    def _import(self, now_ms: int) -> Out:
        out = self._ask_for_bills(now_ms)
        return [*out, *self._report(self._session, now_ms)] if self._session is not None else out

    def _ask_for_bills(self, now_ms: int) -> list[tuple[str, Message]]:
        """Ask chargers that were left without an answer for their bills, as long as they live, for some ticks."""
        out: list[tuple[str, Message]] = []
        for key, left in list(self._left.items()):
            left.misses += 1
            if left.misses > BILL_TICKS:
                del self._left[key]
            elif self._find(left.charger) is not None:
                out.append((left.charger, Release(left.call, now_ms, left.reported_wh, "interrupted")))
        return out

    def _unanswered(self, now_ms: int) -> Out:
        self.deadline_ms = None
        session = self._session
        if session is None:
            return NOTHING
        if session.attempts < ATTEMPTS:
            return self._report(session, now_ms, again=True)
        session.misses += 1
        return self._forsaken(session, now_ms) if session.misses >= MISSES else NOTHING

    def _on_heartbeat_answer(self, session: Session, lease: Lease) -> Out:
        session.misses = 0
        if lease.metered:
            self._take(session.follow(lease.drawn_wh))
        if not session.releasing:
            self.deadline_ms = None
            self._pay(session, session.reported_wh)
        return NOTHING

    def _pay(self, session: Session, energy_wh: int) -> None:
        """Pay what both sides agree was drawn, at the agreed price."""
        due_neur = session.pay(energy_wh)
        self._paid_neur += due_neur
        self.balance_neur -= due_neur

    def _on_bill(self, _scope: str, sender: str, bill: Bill, now_ms: int) -> Out:
        session = self._session
        if session is not None and session.is_with(sender, bill.call):
            if session.metered:
                self._take(session.follow(bill.energy_wh))
            self._reputation.note(sender, self.tick, kept=bill.energy_wh <= session.reported_wh)
            self._pay(session, bill.energy_wh)
            self._session = None
            self.deadline_ms = None
            return self._drive_on(now_ms)
        left = self._left.pop((sender, bill.call), None)
        if left is None:
            return self.refuse("late")
        if left.metered:
            self._take(left.follow(bill.energy_wh))
        self._pay(left, bill.energy_wh)
        return NOTHING

    def _forsaken(self, session: Session, now_ms: int) -> Out:
        """The charger is dead, silent or has forgotten: remember that, and look elsewhere."""
        self._reputation.note(session.charger, self.tick, kept=False)
        return self._abandon(now_ms)

    def _abandon(self, now_ms: int) -> Out:
        """Leave with what was drawn, ask for the bill, look elsewhere."""
        session = self._session
        if session is None:
            return NOTHING
        session.misses = 0
        self._left[session.charger, session.call] = session
        self._advance(now_ms)
        self._journey = None
        self._session = None
        self.deadline_ms = None
        if self._status is not Status.STRANDED:
            self._drive_on(now_ms)
        return [(session.charger, Release(session.call, now_ms, session.reported_wh, "interrupted"))]

    def _strand(self, now_ms: int) -> Out:
        """Stand where the battery is empty, and let go of what is reserved."""
        super()._strand(now_ms)
        return self._abandon(now_ms)

    def _on_presence(self, scope: str, sender: str, presence: Presence, now_ms: int) -> Out:
        """Go elsewhere at once when the charger has died."""
        out = super()._on_presence(scope, sender, presence, now_ms)
        session = self._session
        if session is None or session.charger != sender or self._find(sender) is not None:
            return out
        return self._forsaken(session, now_ms)

    def start_books(self) -> None:
        """Forget plans and bargains of another time; it stays where it is, with what it has."""
        self._left.clear()
        self._session = None
        self._negotiation = None
        self._reputation = Reputation()
        self.deadline_ms = None
        self._journey = None
        self._plan(None, None)
        self._again_tick = 0
        if self._status is not Status.STRANDED:
            self._status = Status.PARKED

    # --- the account of the tick -------------------------------------------------------------------------

    def _settle(self, now_ms: int) -> Out:
        self._advance(now_ms)
        model, session, journey = self._model, self._session, self._journey
        state = VehicleState(
            tick=self.tick,
            latitude=self.latitude,
            longitude=self.longitude,
            measured=False,
            status=self._status,
            power_w=-self._drawn_wh * 3_600_000 // TICK_MS,
            balance_neur=self.balance_neur,
            refused=dict(self.refused),
            kind="vehicle",
            model=model.model,
            consumption_wh_per_km=model.consumption_wh_per_km,
            stored_wh=self.stored_wh,
            capacity_wh=model.capacity_wh,
            drawn_wh=self._drawn_wh,
            charge_loss_wh=self._loss_wh,
            driven_wh=self._driven_wh,
            paid_neur=self._paid_neur,
            speed_km_h=speed_kmh(self.stored_wh / model.capacity_wh) if journey is not None else 0.0,
            deadline_ms=self._due_ms,
            next_stop=journey.target if journey is not None else None,
            destination=self._destination,
            charger=session.charger if session is not None else None,
            avoids=self._reputation.avoided(self.tick)[:MAX_AVOIDED],
        )
        self._begin_accounts()
        return [("", state)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        **ChargerSearch.handlers,
        Presence: _on_presence,
        Decline: _on_decline,
        Lease: _on_lease,
        Bill: _on_bill,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: _process,
        Phase.IMPORT: _import,
        Phase.SETTLE: _settle,
    }
