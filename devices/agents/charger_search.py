"""How a vehicle finds a charger: when it needs one, whom it calls, which offer it takes, and what if none will do.

A call, the offers, an acceptance and its confirmation are an exchange of messages at one instant of its life.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from gridfleet.broker.protocol.messages import (
    Call,
    Close,
    Decline,
    Lease,
    Message,
    Offer,
    Presence,
    Release,
    Tick,
)
from gridfleet.broker.protocol.units import MS_PER_HOUR
from gridfleet.devices.agents.base import NOTHING, Agent, Handler, Out
from gridfleet.devices.agents.driver import LOW, Driver, Status
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.charging.negotiation import Negotiation
from gridfleet.devices.charging.offer_ranking import Weights, rank
from gridfleet.devices.charging.reputation import Reputation
from gridfleet.devices.physics.battery import drawn_to_fill
from gridfleet.devices.physics.driving import consumption_factor, energy_for, speed_kmh
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.physics.vehicle_models import VehicleModel
from gridfleet.devices.random_streams import RandomStream

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


class ChargerSearch(Driver):
    """A driver who looks for a charger when the battery, the deadline or the way demand it."""

    __slots__ = (
        "_again_tick",
        "_cells",
        "_chance",
        "_due_ms",
        "_failures",
        "_limit",
        "_near_at",
        "_near_km",
        "_negotiation",
        "_reputation",
        "_rosters",
        "_serial",
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
        cells: Sequence[str],
        rosters: Sequence[Roster],
        chance: RandomStream,
        weights: Weights,
        limit_ueur_per_kwh: int,
        due_ms: int,
        label: str = "",
    ) -> None:
        super().__init__(agent_id, cell, latitude, longitude, model=model, stored_wh=stored_wh, label=label)
        self._cells = tuple(cells)
        self._rosters = tuple(rosters)
        self._chance = chance
        self._weights = weights
        self._limit = limit_ueur_per_kwh
        self._due_ms = due_ms
        self._negotiation: Negotiation | None = None
        self._reputation = Reputation()
        self._serial = 0
        self._near_km = FAR_KM
        self._near_at = (latitude, longitude)
        self._failures = 0
        self._again_tick = 0

    def _reserved(self, charger: str, lease: Lease, at: Presence, now_ms: int) -> None:
        """Act on a confirmed reservation."""
        raise NotImplementedError

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
        asked.difference_update(self.ticking.absent)
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
        negotiation = self._negotiation
        if negotiation is None or decline.call != negotiation.call.call:
            return self.refuse("late")
        if negotiation.collecting:
            return self._choose(now_ms) if negotiation.answered(sender, None) else NOTHING
        if negotiation.trying is not None and negotiation.trying.charger == sender:
            if decline.reason != "offline":
                self._reputation.note(sender, self.tick, kept=False)
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

        offered = negotiation.candidates(self._distance_to_known, way_wh)
        candidates = [each for each in offered if self._reputation.trusts(each.charger, self.tick)]
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
        return self._give_up(negotiation)

    def _give_up(self, negotiation: Negotiation) -> Out:
        """Nobody has an offer that is worth it: try again later, each time later."""
        self._failures += 1
        self._again_tick = self.tick + min(2 ** (self._failures - 1), LONGEST_WAIT_TICKS)
        if self.stored_wh < GIVE_UP * self._model.capacity_wh:
            self._stop()
        return self._end(negotiation)

    def _end(self, negotiation: Negotiation) -> Out:
        """Tell everybody who was called that it is decided."""
        self._negotiation = None
        self.deadline_ms = None
        called = self._cells if negotiation.widened else self._cells[:1]
        return [(cell, Close(negotiation.call.call)) for cell in called]

    def _stop(self) -> None:
        """Nobody can help, and the battery is nearly empty: wait here rather than strand."""
        if self._journey is not None:
            self._journey = None
            self._status = Status.PARKED
            self._plan(None, None)

    def _on_lease(self, _scope: str, sender: str, lease: Lease, now_ms: int) -> Out:
        """Take the confirmation of the charger being tried, if it is what was offered."""
        negotiation = self._negotiation
        trying = negotiation.trying if negotiation is not None else None
        at = self._find(sender)
        cancel = (sender, Release(lease.call, now_ms, 0, "cancelled"))
        mine = trying is not None and trying.charger == sender
        if negotiation is None or at is None or not mine or lease.call != negotiation.call.call:
            self.refuse("late")
            return [cancel]
        if trying is not None and not trying.is_kept_by(lease):
            self.refuse("broken promise")
            self._reputation.note(sender, self.tick, kept=False)
            return [*self._try_next(now_ms), cancel]
        self._failures = 0
        out = self._end(negotiation)
        self._reserved(sender, lease, at, now_ms)
        return out

    def on_deadline(self, now_ms: int) -> Out:
        """Go on without whoever did not answer."""
        negotiation = self._negotiation
        if negotiation is None:
            return super().on_deadline(now_ms)
        if negotiation.collecting:
            return self._choose(now_ms)
        silent = negotiation.trying
        out = list(self._try_next(now_ms))
        if silent is not None:
            self._reputation.note(silent.charger, self.tick, kept=False)
            out.append((silent.charger, Release(negotiation.call.call, now_ms, 0, "cancelled")))
        return out

    def _on_presence(self, scope: str, sender: str, presence: Presence, now_ms: int) -> Out:
        if scope != f"{presence.cell}/{presence.kind}":
            return self.refuse("presence")
        if presence.cell in self._cells:
            self._rosters[self._cells.index(presence.cell)].apply(sender, presence)
        return NOTHING if presence.online else self._without(sender, now_ms)

    def _without(self, charger: str, now_ms: int) -> Out:
        """Wait no longer for the answer of a charger that has died, and do not try it."""
        negotiation = self._negotiation
        if negotiation is None:
            return NOTHING
        if negotiation.collecting:
            return self._choose(now_ms) if negotiation.answered(charger, None) else NOTHING
        negotiation.forget(charger)
        mine = negotiation.trying is not None and negotiation.trying.charger == charger
        return self._try_next(now_ms) if mine else NOTHING

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Tick: Agent.on_tick,
        Presence: _on_presence,
        Offer: _on_offer,
    }
