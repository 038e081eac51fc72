"""How a vehicle finds a charger: when it needs one, which chargers it calls, and which offer it accepts.

A call for proposals, the offers, an acceptance and its confirmation all take place at one time of the vehicle.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from gridfleet.broker.protocol.messages import Call, Close, Decline, Lease, Offer, Presence, Release, Tick
from gridfleet.broker.protocol.units import MS_PER_HOUR, MS_PER_MINUTE, NEUR_PER_EUR
from gridfleet.devices.agents.base import NOTHING, Action, AgentError, Out
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.trip import LOW_CHARGE, Trip
from gridfleet.devices.charging.negotiation import Negotiation
from gridfleet.devices.charging.offer_ranking import Candidate, RankingError, Weights
from gridfleet.devices.charging.ranking_registry import DEFAULT_RANKING, OFFER_RANKINGS
from gridfleet.devices.physics.battery import drawn_to_fill
from gridfleet.devices.physics.driving import consumption_factor, energy_for, speed_kmh
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.reputation import Reputation
from gridfleet.devices.trust.trust import Trust

CHECK_RANGE_KM: Final = 300.0
"""Below this range a vehicle compares its range with the distance to the nearest charger."""
MAX_DISTANCE_KM: Final = 20_037.0
"""Half the Earth's circumference."""
MAX_CONSUMPTION_FACTOR: Final = consumption_factor(90.0)
MAX_PAUSE_TICKS: Final = 8
"""After each failed search a vehicle pauses for 1, 2, 4 … ticks, at most this many, unless it is on the road."""
STOP_CHARGE: Final = 0.20
"""State of charge below which it parks where it is when a search fails."""
ROUTE_FACTOR: Final = 1.02
"""The way to a charger is assumed to be longer than the distance by this factor."""
RANGE_MARGIN: Final = 1.25
RANGE_MARGIN_KM: Final = 25.0
"""A vehicle needs a charge when its range is less than RANGE_MARGIN · distance to a charger + RANGE_MARGIN_KM."""
TARGET_CHARGE: Final = 0.95
"""State of charge that it charges to."""
DEADLINE_CHARGE: Final = 0.80
"""State of charge that it wants to have at its daily deadline."""
DEADLINE_NEAR_MS: Final = 5 * MS_PER_HOUR
"""How long before its daily deadline a vehicle with less than DEADLINE_CHARGE looks for a charger."""
WAY_MARGIN_WH: Final = 1_000
"""Charger and vehicle may differ by so much in the energy of the way: a birth message may have rounded the place."""
FEE_LIMIT_NEUR: Final = 10 * NEUR_PER_EUR
"""The highest fee for not coming that a vehicle accepts by default."""
MIN_CALL_WH: Final = 1_000
"""A vehicle that needs less energy makes no call."""


class SearchOwner(Protocol):
    """What a search needs of its vehicle."""

    latitude: float
    longitude: float
    tick: int
    tick_message: Tick
    trust: Trust

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

    def error(self, text: str, remedy: str) -> AgentError:
        """Return an error that names the vehicle and the tick."""
        ...

    def on_reserved(self, charger: str, lease: Lease, at: Presence, now_ms: int, fee_neur: int = 0) -> None:
        """Act on a confirmed reservation; `fee_neur` is the fee for not coming that its offer stated."""


class ChargerSearch:
    """The negotiations of a vehicle, one at a time, and the chargers that it knows."""

    __slots__ = (
        "_failures",
        "_fee_limit_neur",
        "_limit",
        "_nearest_from",
        "_nearest_km",
        "_reputation",
        "_rng",
        "_rosters",
        "_serial",
        "_trip",
        "_vehicle",
        "_weights",
        "cells",
        "charge_by_ms",
        "negotiation",
        "paused_until_tick",
    )

    def __init__(
        self,
        vehicle: SearchOwner,
        trip: Trip,
        reputation: Reputation,
        *,
        cells: Sequence[str],
        rosters: Sequence[Roster],
        rng: RandomStream,
        weights: Weights,
        limit_ueur_per_kwh: int,
        charge_by_ms: int,
        fee_limit_neur: int = FEE_LIMIT_NEUR,
    ) -> None:
        """`cells` are the own cell and its neighbours, `rosters` the chargers of each.

        `limit_ueur_per_kwh` is the highest price that it accepts, `fee_limit_neur` the highest fee for not coming; it
        wants to be charged by `charge_by_ms`.
        """
        self._vehicle = vehicle
        self._trip = trip
        self._reputation = reputation
        self.cells = tuple(cells)
        self._rosters = tuple(rosters)
        self._rng = rng
        self._weights = weights
        self._limit = limit_ueur_per_kwh
        self._fee_limit_neur = fee_limit_neur
        self.charge_by_ms = charge_by_ms
        self.negotiation: Negotiation | None = None
        self._serial = 0
        self._nearest_km = MAX_DISTANCE_KM
        self._nearest_from = (vehicle.latitude, vehicle.longitude)
        self._failures = 0
        self.paused_until_tick = 0

    def on_new_run(self) -> None:
        """Forget the negotiation and the pause of an earlier run."""
        self.negotiation = None
        self.paused_until_tick = 0

    def find(self, charger: str) -> Presence | None:
        """Return the birth message of a charger that is online, or None."""
        return next((roster.members[charger] for roster in self._rosters if charger in roster.members), None)

    # --- whether a charger is needed ----------------------------------------------------------------------

    def needs_charge(self, now_ms: int) -> bool:
        """Whether the battery is low, the deadline is near, or the nearest charger is almost out of reach."""
        trip, vehicle = self._trip, self._vehicle
        fill = trip.state_of_charge
        if fill <= LOW_CHARGE or (fill < DEADLINE_CHARGE and self.charge_by_ms - now_ms < DEADLINE_NEAR_MS):
            return True
        min_range_km = trip.stored_wh / (trip.model.consumption_wh_per_km * MAX_CONSUMPTION_FACTOR)
        if min_range_km >= CHECK_RANGE_KM:
            return False
        nearest_km = self._nearest_km + distance_km(vehicle.latitude, vehicle.longitude, *self._nearest_from)
        if min_range_km >= nearest_km * RANGE_MARGIN + RANGE_MARGIN_KM:
            return False
        self._nearest_from = (vehicle.latitude, vehicle.longitude)
        self._nearest_km = min(
            map(trip.distance_km, self._rosters[0].members.values()), default=MAX_DISTANCE_KM
        )
        return trip.range_km < self._nearest_km * RANGE_MARGIN + RANGE_MARGIN_KM

    # --- call and offers ----------------------------------------------------------------------------------

    def call(self, now_ms: int) -> Out:
        """Call for proposals in the own cell; the neighbouring cells are called when that yields nothing."""
        trip, vehicle = self._trip, self._vehicle
        trip.advance(now_ms)
        trip.replan_arrival(now_ms)
        room_wh = int(TARGET_CHARGE * trip.model.capacity_wh) - trip.stored_wh
        energy_wh = drawn_to_fill(max(room_wh, 0))
        if energy_wh < MIN_CALL_WH:
            return NOTHING
        # by the minute, so that a vehicle that has lost its memory does not repeat a number
        self._serial = max(self._serial + 1, now_ms // MS_PER_MINUTE)
        factor = consumption_factor(speed_kmh(trip.state_of_charge))
        consumption = round(trip.model.consumption_wh_per_km * factor, 3)
        call = Call(
            self._serial, now_ms, energy_wh, self._limit, vehicle.latitude, vehicle.longitude, consumption
        )
        self.negotiation = Negotiation(call)
        return self._ask(self.negotiation, range(1), now_ms)

    def _ask(self, negotiation: Negotiation, cells: range, now_ms: int) -> Out:
        """Send the call to some of the cells; choose at once when none of them has a charger."""
        asked = {charger for number in cells for charger in self._rosters[number].members}
        vehicle = self._vehicle
        asked.difference_update(vehicle.tick_message.absent)
        asked = vehicle.trust.without_avoided(asked, vehicle.tick)
        negotiation.neighbours_called = negotiation.neighbours_called or len(cells) == 0 or cells[-1] > 0
        negotiation.collect_from(asked)
        if not asked:
            return self._choose(now_ms)
        self._vehicle.wait(now_ms, self._choose)
        return [(self.cells[number], negotiation.call) for number in cells]

    def on_offer(self, sender: str, offer: Offer, now_ms: int) -> Out:
        """Collect an offer; choose when it is the last one."""
        negotiation = self.negotiation
        if negotiation is None or offer.call != negotiation.call.call or not negotiation.collecting:
            return self._vehicle.refuse("late")
        call = negotiation.call
        believed = offer if offer.energy_wh <= call.energy_wh or self._believes(sender, offer, call) else None
        return self._choose(now_ms) if negotiation.note_answer(sender, believed) else NOTHING

    def _believes(self, charger: str, offer: Offer, call: Call) -> bool:
        """Return whether an offer is within what was called for, with the energy of the way to the charger."""
        vehicle, at = self._vehicle, self.find(charger)
        if not vehicle.trust.enabled or at is None:
            return True
        way_km = distance_km(call.latitude, call.longitude, at.latitude, at.longitude)
        way_wh = drawn_to_fill(round(way_km * call.consumption_wh_per_km))
        if offer.energy_wh <= call.energy_wh + way_wh + WAY_MARGIN_WH:
            return True
        vehicle.note_lie(charger, "offer beyond call")
        return False

    def on_decline(self, sender: str, decline: Decline, now_ms: int) -> Out:
        """Note that a charger makes no offer, or try the next one when it does not confirm its offer."""
        negotiation = self.negotiation
        if negotiation is None or decline.call != negotiation.call.call:
            return self._vehicle.refuse("late")
        if negotiation.collecting:
            return self._choose(now_ms) if negotiation.note_answer(sender, None) else NOTHING
        if negotiation.is_trying(sender):
            if decline.reason != "offline":
                self._reputation.note(sender, self._vehicle.tick, kept=False)
            return self._try_next(now_ms)
        return NOTHING

    def _choose(self, now_ms: int) -> Out:
        """Rank the offers and try the best."""
        negotiation = self.negotiation
        if negotiation is None:
            return NOTHING
        trip, vehicle = self._trip, self._vehicle
        model = trip.model

        def driving_energy_wh(distance: float) -> float | None:
            return energy_for(
                distance * ROUTE_FACTOR, trip.stored_wh, model.capacity_wh, model.consumption_wh_per_km
            )

        offered = negotiation.candidates(self._distance_km, driving_energy_wh, self._fee_limit_neur)
        candidates = [each for each in offered if self._reputation.trusts(each.charger, vehicle.tick)]
        negotiation.ranked = self._rank(candidates)
        return self._try_next(now_ms)

    def _rank(self, candidates: list[Candidate]) -> list[Candidate]:
        """Rank by the algorithm in force; by the default where that is not installed here.

        Raises AgentError where it fails.
        """
        try:
            ranking = OFFER_RANKINGS.get(self._vehicle.tick_message.settings.algorithm)
            return ranking.ranked(candidates, self._weights, self._rng)
        except RankingError as error:
            raise self._vehicle.error(
                str(error), "correct the ranking, or choose another algorithm"
            ) from error
        except PluginError:
            self._vehicle.refuse("ranking")
            return OFFER_RANKINGS.get(DEFAULT_RANKING).ranked(candidates, self._weights, self._rng)

    def _distance_km(self, charger: str) -> float:
        at = self.find(charger)
        return self._trip.distance_km(at) if at is not None else MAX_DISTANCE_KM

    def _try_next(self, now_ms: int) -> Out:
        """Accept the best offer not yet tried; without one, call the neighbouring cells or give up."""
        negotiation = self.negotiation
        if negotiation is None:
            return NOTHING
        while (attempt := negotiation.accept_next(now_ms)) is not None:
            at = self.find(attempt.charger)
            if at is not None:
                self._vehicle.wait(now_ms, self._on_no_confirmation)
                return [(at.cell, attempt)]
        if not negotiation.neighbours_called:
            return self._ask(negotiation, range(1, len(self.cells)), now_ms)
        return self._give_up(negotiation)

    def _on_no_confirmation(self, now_ms: int) -> Out:
        """Try the next offer; cancel the one that its charger has not confirmed in time."""
        negotiation = self.negotiation
        if negotiation is None:
            return NOTHING
        silent = negotiation.trying
        out = list(self._try_next(now_ms))
        if silent is not None:
            self._reputation.note(silent.charger, self._vehicle.tick, kept=False)
            out.append((silent.charger, Release(negotiation.call.call, now_ms, 0, "cancelled")))
        return out

    def on_lease(self, sender: str, lease: Lease, now_ms: int) -> Out:
        """Take the confirmation of the accepted offer, if it matches the offer; else cancel it."""
        negotiation, vehicle = self.negotiation, self._vehicle
        trying = negotiation.trying if negotiation is not None else None
        at = self.find(sender)
        cancel = (sender, Release(lease.call, now_ms, 0, "cancelled"))
        expected = trying is not None and trying.charger == sender
        if negotiation is None or at is None or not expected or lease.call != negotiation.call.call:
            vehicle.refuse("late")
            return [cancel]
        if trying is not None and not trying.matches(lease):
            vehicle.refuse("broken promise")
            self._reputation.note(sender, vehicle.tick, kept=False)
            return [*self._try_next(now_ms), cancel]
        self._failures = 0
        out = self._end(negotiation)
        vehicle.on_reserved(sender, lease, at, now_ms, negotiation.offers[sender].no_show_fee_neur)
        return out

    def _give_up(self, negotiation: Negotiation) -> Out:
        """Pause the search, longer each time; with a nearly empty battery, park so as not to strand."""
        self._failures += 1
        self.paused_until_tick = self._vehicle.tick + min(2 ** (self._failures - 1), MAX_PAUSE_TICKS)
        if (
            self._trip.stored_wh < STOP_CHARGE * self._trip.model.capacity_wh
            and self._trip.journey is not None
        ):
            self._trip.park()
        return self._end(negotiation)

    def _end(self, negotiation: Negotiation) -> Out:
        """Close the call in every cell that it was sent to."""
        self.negotiation = None
        self._vehicle.stop_waiting()
        called = self.cells if negotiation.neighbours_called else self.cells[:1]
        return [(cell, Close(negotiation.call.call)) for cell in called]

    # --- presence of chargers ------------------------------------------------------------------------------

    def on_presence(self, sender: str, presence: Presence, now_ms: int) -> Out:
        """Update the roster; do not wait for the offer of a charger that is offline, and do not try it."""
        for cell, roster in zip(self.cells, self._rosters, strict=True):
            if cell == presence.cell:
                roster.apply(sender, presence)
            elif presence.online and sender in roster.members:  # it is in one cell at a time
                roster.apply(sender, replace(presence, online=False))
        negotiation = self.negotiation
        if presence.online or negotiation is None:
            return NOTHING
        if negotiation.collecting:
            return self._choose(now_ms) if negotiation.note_answer(sender, None) else NOTHING
        negotiation.forget(sender)
        return self._try_next(now_ms) if negotiation.is_trying(sender) else NOTHING
