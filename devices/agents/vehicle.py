"""An electric vehicle: drives where it likes, and bargains with charging stations on its own time.

Its life is a sequence of instants of its own (setting out, arriving, running low, being full). At such an instant
it may call for proposals; everything that follows is an exchange of messages, in which each side answers the
other. The tick only tells it the time and asks for its meter reading and its account.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from broker.messages import (
    Bill,
    Call,
    Close,
    Decline,
    Heartbeat,
    Kind,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    Release,
    Tick,
    VehicleState,
)
from broker.units import MS_PER_HOUR
from devices.agents.driver import LOW, Driver, Status
from devices.chance import Chance
from devices.choice import Weights, rank
from devices.negotiation import Negotiation
from devices.physics.battery import drawn_to_fill
from devices.physics.driving import consumption_factor, energy_for, speed_kmh
from devices.physics.geo import distance_km
from devices.roster import Roster
from devices.session import Session
from devices.vehicles import VehicleModel

from .base import ATTEMPTS, NOTHING, TICK_MS, Agent, Handler, Out

LEAVES: Final = 1 / 11
"""Probability that a parked vehicle sets out within a tick."""
WATCHFUL_KM: Final = 300.0
"""Range below which it compares it with the way to the nearest charger."""
FAR_KM: Final = 20_037.0
"""Half the Earth's girth: nothing is further away."""
FASTEST_FACTOR: Final = consumption_factor(90.0)
LONGEST_WAIT_TICKS: Final = 8
"""After a call that led to nothing it waits 1, 2, 4 … up to so many ticks, unless it is on the road."""
GIVE_UP: Final = 0.20
"""State of charge below which it stops where it is when nobody has an offer within reach."""
MARGIN: Final = 1.25
MARGIN_KM: Final = 25.0
MS_PER_MINUTE: Final = 60_000
"""Calls are numbered by the minute, so that a vehicle that has lost its memory does not repeat a number."""
DONE: Final = 0.95
DUE: Final = 0.80
DAY_MS: Final = 24 * MS_PER_HOUR
DUE_SOON_MS: Final = 5 * MS_PER_HOUR
LEAST_CALL_WH: Final = 1_000
CALLS_WITHIN_MS: Final = 240_000
"""A need noticed at a tick is acted on at a random instant within so many milliseconds."""
BILL_TICKS: Final = 8
"""For so many ticks it asks a charger that it left without an answer for the bill."""
MISSES: Final = 2
"""So many ticks without an answer, and the charger is taken for dead."""


class Vehicle(Driver):
    """One car of a real model, with a will of its own."""

    kind = Kind.VEHICLE
    __slots__ = (
        "_again_tick",
        "_area",
        "_cells",
        "_chance",
        "_due_ms",
        "_failures",
        "_left",
        "_limit",
        "_loss_wh",
        "_metered_wh",
        "_near_at",
        "_near_km",
        "_negotiation",
        "_paid_neur",
        "_rosters",
        "_serial",
        "_session",
        "_weights",
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
        chance: Chance,
        weights: Weights,
        limit_ueur_per_kwh: int,
        due_ms: int,
        label: str = "",
    ) -> None:
        super().__init__(agent_id, cell, latitude, longitude, model=model, stored_wh=stored_wh, label=label)
        self._area = area
        self._cells = tuple(cells)
        self._rosters = tuple(rosters)
        self._chance = chance
        self._weights = weights
        self._limit = limit_ueur_per_kwh
        self._due_ms = due_ms
        self._session: Session | None = None
        self._left: Session | None = None
        self._negotiation: Negotiation | None = None
        self._serial = 0
        self._near_km = FAR_KM
        self._near_at = (latitude, longitude)
        self._failures = 0
        self._again_tick = 0
        self._begin_accounts()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        direct = [(word, self.id) for word in ("offer", "decline", "lease", "bill")]
        return [*direct, *(("presence", f"{cell}/{Kind.CHARGER}") for cell in self._cells)]

    def _begin_accounts(self) -> None:
        self._metered_wh = self._loss_wh = self._driven_wh = self._paid_neur = 0

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

    def _needs_charge(self, now_ms: int) -> bool:
        fill = self.stored_wh / self._model.capacity_wh
        if fill <= LOW or (fill < DUE and self._due_ms - now_ms < DUE_SOON_MS):
            return True
        at_least_km = self.stored_wh / (self._model.consumption_wh_per_km * FASTEST_FACTOR)
        if at_least_km >= WATCHFUL_KM:
            return False
        nearest_km = self._near_km + distance_km(self.latitude, self.longitude, *self._near_at)
        if at_least_km >= nearest_km * MARGIN + MARGIN_KM:
            return False
        self._near_at = (self.latitude, self.longitude)
        self._near_km = min(map(self._distance_to, self._rosters[0].members.values()), default=FAR_KM)
        return self._range_km() < self._near_km * MARGIN + MARGIN_KM

    def _runs_low(self, now_ms: int) -> Out:
        return self._call(now_ms)

    # --- finding a charger -------------------------------------------------------------------------------

    def _find(self, charger: str) -> Presence | None:
        return next((roster.members[charger] for roster in self._rosters if charger in roster.members), None)

    def _call(self, now_ms: int) -> Out:
        """Call for proposals in its own cell; the neighbours are asked when that yields nothing."""
        self._advance(now_ms)
        self._plan_rest(now_ms)
        room_wh = int(DONE * self._model.capacity_wh) - self.stored_wh
        energy_wh = drawn_to_fill(max(room_wh, 0))
        if energy_wh < LEAST_CALL_WH:
            return NOTHING
        self._serial = max(self._serial + 1, now_ms // MS_PER_MINUTE)
        fill = self.stored_wh / self._model.capacity_wh
        consumption = round(self._model.consumption_wh_per_km * consumption_factor(speed_kmh(fill)), 3)
        call = Call(self._serial, now_ms, energy_wh, self._limit, self.latitude, self.longitude, consumption)
        self._negotiation = Negotiation(call)
        return self._ask(self._negotiation, range(1), now_ms)

    def _ask(self, negotiation: Negotiation, cells: range, now_ms: int) -> Out:
        """Send the call to some of the cells within earshot, or go on where nobody is there to answer."""
        asked = {charger for number in cells for charger in self._rosters[number].members}
        negotiation.widened = negotiation.widened or len(cells) == 0 or cells[-1] > 0
        negotiation.reopen(asked)
        if not asked:
            return self._choose(now_ms)
        self.deadline_ms = now_ms + self.patience_ms
        return [(self._cells[number], negotiation.call) for number in cells]

    def _on_offer(self, _scope: str, sender: str, offer: Offer, now_ms: int) -> Out:
        negotiation = self._negotiation
        if negotiation is None or offer.call != negotiation.call.call or not negotiation.collecting:
            return self.refuse("late")
        return self._choose(now_ms) if negotiation.answered(sender, offer) else NOTHING

    def _on_decline(self, _scope: str, sender: str, decline: Decline, now_ms: int) -> Out:
        negotiation, session = self._negotiation, self._session
        if session is not None and session.is_with(sender, decline.call):
            self._leave(now_ms)
            return [(sender, Release(session.call, now_ms, session.metered_wh, "interrupted"))]
        if self._left is not None and self._left.is_with(sender, decline.call):
            self._left = None
            return NOTHING
        if negotiation is None or decline.call != negotiation.call.call:
            return self.refuse("late")
        if negotiation.collecting:
            return self._choose(now_ms) if negotiation.answered(sender, None) else NOTHING
        if negotiation.trying is not None and negotiation.trying.charger == sender:
            return self._try_next(now_ms)
        return NOTHING

    def _choose(self, now_ms: int) -> Out:
        """Rank what has been offered and try the best."""
        negotiation = self._negotiation
        if negotiation is None:
            return NOTHING
        model = self._model

        def way_wh(away_km: float) -> float | None:
            return energy_for(away_km * 1.02, self.stored_wh, model.capacity_wh, model.consumption_wh_per_km)

        candidates = negotiation.candidates(self._distance_to_known, way_wh)
        negotiation.queue = rank(candidates, self.ticking.settings.algorithm, self._weights, self._chance)
        return self._try_next(now_ms)

    def _distance_to_known(self, charger: str) -> float:
        at = self._find(charger)
        return self._distance_to(at) if at is not None else FAR_KM

    def _try_next(self, now_ms: int) -> Out:
        negotiation = self._negotiation
        if negotiation is None:
            return NOTHING
        attempt = negotiation.next(now_ms)
        if attempt is not None:
            self.deadline_ms = now_ms + self.patience_ms
            return [attempt]
        if not negotiation.widened:
            return self._ask(negotiation, range(1, len(self._cells)), now_ms)
        return self._close(negotiation)

    def _close(self, negotiation: Negotiation) -> Out:
        self._negotiation = None
        self.deadline_ms = None
        if self._session is None:
            self._failures += 1
            self._again_tick = self.tick + min(2 ** (self._failures - 1), LONGEST_WAIT_TICKS)
            if self.stored_wh < GIVE_UP * self._model.capacity_wh:
                self._stop()
        else:
            self._failures = 0
        called = self._cells if negotiation.widened else self._cells[:1]
        return [(cell, Close(negotiation.call.call)) for cell in called]

    def _stop(self) -> None:
        """Nobody can help, and the battery is nearly empty: wait here rather than strand."""
        if self._journey is not None:
            self._journey = None
            self._status = Status.PARKED
            self._plan(None, None)

    def _on_lease(self, _scope: str, sender: str, lease: Lease, now_ms: int) -> Out:
        """A confirmation, or the answer to a heartbeat."""
        negotiation, session = self._negotiation, self._session
        if session is not None and session.is_with(sender, lease.call):
            return self._on_heartbeat_answer(session)
        trying = negotiation.trying if negotiation is not None else None
        at = self._find(sender)
        mine = trying is not None and trying.charger == sender
        if negotiation is None or at is None or not mine or lease.call != negotiation.call.call:
            self.refuse("late")
            return [(sender, Release(lease.call, now_ms, 0, "cancelled"))]
        if trying is not None and not trying.is_kept_by(lease):
            self.refuse("broken promise")
            return [*self._try_next(now_ms), (sender, Release(lease.call, now_ms, 0, "cancelled"))]
        self._session = Session(sender, lease.call, lease.energy_wh, lease.price_ueur_per_kwh)
        out = self._close(negotiation)
        self._head_for(at, now_ms)
        return out

    def on_deadline(self, now_ms: int) -> Out:
        """Go on without whoever did not answer."""
        negotiation = self._negotiation
        if negotiation is None:
            return self._unanswered(now_ms)
        if negotiation.collecting:
            return self._choose(now_ms)
        silent = negotiation.trying
        out = list(self._try_next(now_ms))
        if silent is not None:
            out.append((silent.charger, Release(negotiation.call.call, now_ms, 0, "cancelled")))
        return out

    # --- the reservation ---------------------------------------------------------------------------------

    def _head_for(self, at: Presence, now_ms: int) -> None:
        self._advance(now_ms)
        self._status = Status.HEADING
        self._journey = self._begin_journey(now_ms, (at.latitude, at.longitude))
        self._plan_arrival(self._journey.arrival_ms(), self._plug_in)

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
        session.reported_wh = session.reading(now_ms, self._model)
        message: Message
        if session.releasing:
            message = Release(session.call, now_ms, session.reported_wh, "charged")
        else:
            message = Heartbeat(session.call, now_ms, session.plugged_ms is not None, session.reported_wh)
        return [(session.charger, message)]

    def _import(self, now_ms: int) -> Out:
        out = self._ask_for_bill(now_ms)
        return [*out, *self._report(self._session, now_ms)] if self._session is not None else out

    def _ask_for_bill(self, now_ms: int) -> list[tuple[str, Message]]:
        """Ask a charger that was left without an answer for its bill, for some ticks."""
        left = self._left
        if left is None:
            return []
        left.misses += 1
        if left.misses > BILL_TICKS:
            self._left = None
        return [(left.charger, Release(left.call, now_ms, left.reported_wh, "interrupted"))]

    def _unanswered(self, now_ms: int) -> Out:
        self.deadline_ms = None
        session = self._session
        if session is None:
            return NOTHING
        if session.attempts < ATTEMPTS:
            return self._report(session, now_ms, again=True)
        session.misses += 1
        return self._abandon(now_ms) if session.misses >= MISSES else NOTHING

    def _on_heartbeat_answer(self, session: Session) -> Out:
        session.misses = 0
        if not session.releasing:
            self.deadline_ms = None
            self._book(session, session.reported_wh)
        return NOTHING

    def _book(self, session: Session, drawn_wh: int) -> None:
        """Book what both sides agree was drawn: stored with loss, paid at the agreed price."""
        booking = session.book(drawn_wh)
        self.stored_wh += booking.gained_wh
        self._loss_wh += booking.drawn_wh - booking.gained_wh
        self._metered_wh += booking.drawn_wh
        self._paid_neur += booking.cost_neur
        self.balance_neur -= booking.cost_neur

    def _on_bill(self, _scope: str, sender: str, bill: Bill, now_ms: int) -> Out:
        session, left = self._session, self._left
        if session is not None and session.is_with(sender, bill.call):
            self._book(session, min(bill.energy_wh, session.target_wh))
            self._session = None
            self.deadline_ms = None
            return self._drive_on(now_ms)
        if left is None or not left.is_with(sender, bill.call) or self._status is Status.CHARGING:
            return self.refuse("late")
        self._left = None
        self._advance(now_ms)
        self._book(left, min(bill.energy_wh, left.reported_wh))
        self._rebase(now_ms)
        return NOTHING

    def _rebase(self, now_ms: int) -> None:
        """Go on from here with what is in the battery now."""
        if self._status is Status.HEADING and self._journey is not None:
            self._journey = self._begin_journey(now_ms, self._journey.target)
            self._plan_arrival(self._journey.arrival_ms(), self._plug_in)
        elif self._status is Status.DRIVING:
            self._set_out(now_ms)

    def _abandon(self, now_ms: int) -> Out:
        """The charger does not answer: leave with what was booked, ask for the bill later, look elsewhere."""
        self._left = self._session
        if self._left is not None:
            self._left.misses = 0
        self._leave(now_ms)
        return self._ask_for_bill(now_ms)

    def _leave(self, now_ms: int) -> None:
        self._advance(now_ms)
        self._journey = None
        self._session = None
        self.deadline_ms = None
        if self._status is not Status.STRANDED:
            self._drive_on(now_ms)

    def _strand(self, now_ms: int) -> Out:
        """Stand where the battery is empty, and let go of what is reserved."""
        super()._strand(now_ms)
        return self._abandon(now_ms) if self._session is not None else NOTHING

    def start_books(self) -> None:
        """Forget plans and bargains of another time; it stays where it is, with what it has."""
        self._left = None
        self._session = None
        self._negotiation = None
        self.deadline_ms = None
        self._journey = None
        self._plan(None, None)
        self._again_tick = 0
        if self._status is not Status.STRANDED:
            self._status = Status.PARKED

    # --- the account of the tick -------------------------------------------------------------------------

    def _on_presence(self, scope: str, sender: str, presence: Presence, _now_ms: int) -> Out:
        cell = scope.partition("/")[0]
        if cell in self._cells:
            self._rosters[self._cells.index(cell)].apply(sender, presence)
        return NOTHING

    def _settle(self, now_ms: int) -> Out:
        self._advance(now_ms)
        model, session, journey = self._model, self._session, self._journey
        state = VehicleState(
            tick=self.tick,
            latitude=self.latitude,
            longitude=self.longitude,
            measured=False,
            status=self._status,
            power_w=-self._metered_wh * 3_600_000 // TICK_MS,
            balance_neur=self.balance_neur,
            refused=dict(self.refused),
            kind="vehicle",
            model=model.model,
            consumption_wh_per_km=model.consumption_wh_per_km,
            stored_wh=self.stored_wh,
            capacity_wh=model.capacity_wh,
            drawn_wh=self._metered_wh,
            charge_loss_wh=self._loss_wh,
            driven_wh=self._driven_wh,
            paid_neur=self._paid_neur,
            speed_km_h=speed_kmh(self.stored_wh / model.capacity_wh) if journey is not None else 0.0,
            deadline_ms=self._due_ms,
            next_stop=journey.target if journey is not None else None,
            destination=self._destination,
            charger=session.charger if session is not None else None,
        )
        self._begin_accounts()
        return [("", state)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Tick: Agent.on_tick,
        Presence: _on_presence,
        Offer: _on_offer,
        Decline: _on_decline,
        Lease: _on_lease,
        Bill: _on_bill,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.PROCESS: _process,
        Phase.IMPORT: _import,
        Phase.SETTLE: _settle,
    }
