"""An electric vehicle: drives to random destinations, and negotiates with charging stations on its own time.

A vehicle acts when it sets out, arrives, has a low battery or has finished charging. On each tick it may decide to set
out or to charge, sends its meter reading, and reports its account. It has three parts: `Trip` drives, `ChargerSearch`
negotiates until a charger confirms a lease, `VehicleReservation` charges and pays.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Protocol, Self

from gridfleet.broker.protocol.messages import (
    MAX_AVOIDED,
    Bill,
    Decline,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    Role,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.units import MS_PER_DAY, TICK_MS
from gridfleet.devices.agents.base import NOTHING, Agent, Handler, Out, mean_power_w
from gridfleet.devices.agents.charger_search import FEE_LIMIT_NEUR, ChargerSearch
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.trip import Trip, VehicleStatus
from gridfleet.devices.agents.vehicle_reservation import VehicleReservation
from gridfleet.devices.charging.itinerary import Wander
from gridfleet.devices.charging.offer_ranking import Weights
from gridfleet.devices.physics.driving import speed_kmh
from gridfleet.devices.physics.journey import Place
from gridfleet.devices.physics.vehicle_models import VehicleModel
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.reputation import Reputation

MAX_DELAY_MS: Final = 240_000
"""A vehicle acts on a decision of a tick at a random time within this many milliseconds."""


class Itinerary(Protocol):
    """Where a vehicle goes, and when."""

    def next_destination(self, simulated_ms: int, here: Place, scale: float) -> Place | None:
        """Return where a parked vehicle goes in this tick; None where it stays."""
        ...


class Vehicle(Agent):
    """One car of a real model."""

    role = Role.VEHICLE
    kind = "vehicle"
    __slots__ = ("_itinerary", "_reputation", "_rng", "reservation", "search", "trip")

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
        rng: RandomStream,
        weights: Weights,
        limit_ueur_per_kwh: int,
        charge_by_ms: int,
        fee_limit_neur: int = FEE_LIMIT_NEUR,
        itinerary: Itinerary | None = None,
        label: str = "",
    ) -> None:
        """`area` holds its destinations: (south, north, west, east) in degrees.

        `itinerary` says where it goes and when; without one it wanders in its area.

        `cells` are the own cell and its neighbours, `rosters` the chargers of each. `limit_ueur_per_kwh` is the
        highest price it pays, `fee_limit_neur` the highest fee for not coming that it accepts; it wants to be charged
        by `charge_by_ms`, and at that time every day.
        """
        super().__init__(agent_id, cell, latitude, longitude, label)
        self._itinerary = itinerary or Wander(area, rng)
        self._rng = rng
        self._reputation = Reputation()
        self.trip = Trip(self, model, stored_wh)
        self.search = ChargerSearch(
            self,
            self.trip,
            self._reputation,
            cells=cells,
            rosters=rosters,
            rng=rng.derived("ranking"),
            weights=weights,
            limit_ueur_per_kwh=limit_ueur_per_kwh,
            fee_limit_neur=fee_limit_neur,
            charge_by_ms=charge_by_ms,
        )
        self.reservation = VehicleReservation(self, self.trip, self.search, self._reputation)

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        direct = [(message_type, self.id) for message_type in ("offer", "decline", "lease", "bill")]
        return [*direct, *(("presence", f"{cell}/{Role.CHARGER}") for cell in self.search.cells)]

    def restore_from(self, previous: Self) -> None:
        """Take over what a restart without memory does not change: also the energy in the battery."""
        super().restore_from(previous)
        self.trip.stored_wh = previous.trip.stored_wh

    def on_new_run(self) -> None:
        """Forget plans, reservations and reputations of an earlier run; place, battery and money stay."""
        super().on_new_run()
        self._reputation.clear()
        self.search.on_new_run()
        self.reservation.on_new_run()
        self.stop_waiting()
        self.trip.park()

    def avoided(self) -> tuple[str, ...]:
        """Return the chargers that it avoids: those that lied to it, or broke too many promises."""
        distrusted = self._reputation.avoided(self.tick)
        liars = self.trust.liars(self.tick) if self.trust.lied else ()
        return (tuple(sorted({*distrusted, *liars})) if liars else distrusted)[:MAX_AVOIDED]

    # --- what the parts call ------------------------------------------------------------------------------

    def on_low_battery(self, now_ms: int) -> Out:
        """Call chargers, on the road."""
        return self.search.call(now_ms)

    def on_stranded(self, now_ms: int) -> Out:
        """Give up the reservation."""
        return self.reservation.leave(now_ms)

    def on_reserved(self, charger: str, lease: Lease, at: Presence, now_ms: int, fee_neur: int = 0) -> None:
        """Drive to the charger that has confirmed a lease."""
        self.reservation.begin(charger, lease, at, now_ms, fee_neur)

    # --- messages: each goes to the part that it is about -------------------------------------------------

    def on_presence(self, scope: str, sender: str, presence: Presence, now_ms: int) -> Out:
        """Update the roster; leave a charger that has gone offline."""
        if scope != presence.scope or presence.role is not Role.CHARGER:
            return self.refuse("presence")
        out = self.search.on_presence(sender, presence, now_ms)
        session = self.reservation.session
        if session is None or session.charger != sender or self.search.find(sender) is not None:
            return out
        return self.reservation.on_broken_promise(now_ms)

    def on_offer(self, _scope: str, sender: str, offer: Offer, now_ms: int) -> Out:
        """Collect an offer."""
        return self.search.on_offer(sender, offer, now_ms)

    def on_decline(self, _scope: str, sender: str, decline: Decline, now_ms: int) -> Out:
        """Take a refusal of the charger where it has a reservation, or of one that it has called."""
        if self.reservation.is_with(sender, decline.call):
            return self.reservation.on_decline(decline, now_ms)
        if self.reservation.is_unbilled(sender, decline.call):
            return NOTHING
        return self.search.on_decline(sender, decline, now_ms)

    def on_lease(self, _scope: str, sender: str, lease: Lease, now_ms: int) -> Out:
        """Take the answer to a heartbeat, or the confirmation of an offer."""
        if self.reservation.is_with(sender, lease.call):
            return self.reservation.on_lease(lease, now_ms)
        if self.reservation.is_unbilled(sender, lease.call):
            return NOTHING
        return self.search.on_lease(sender, lease, now_ms)

    def on_bill(self, _scope: str, sender: str, bill: Bill, now_ms: int) -> Out:
        """Pay a bill."""
        return self.reservation.on_bill(sender, bill, now_ms)

    # --- phases -------------------------------------------------------------------------------------------

    def on_bid_phase(self, now_ms: int) -> Out:
        """Decide, once a tick, whether to look for a charger or to go somewhere."""
        trip, search = self.trip, self.search
        if not now_ms < search.charge_by_ms <= now_ms + MS_PER_DAY:
            search.charge_by_ms = now_ms + MS_PER_DAY
        busy = self.reservation.session is not None or search.negotiation is not None
        if busy or trip.status is VehicleStatus.STRANDED:
            return NOTHING
        if search.needs_charge(now_ms):
            if self.tick < search.paused_until_tick and trip.journey is None:
                return NOTHING
            at_ms = now_ms + 1 + self._rng.below(MAX_DELAY_MS)
            if self.event_ms is None or at_ms < self.event_ms:
                self.plan(at_ms, search.call)
        elif trip.status is not VehicleStatus.PARKED or self.event_ms is not None:
            return NOTHING
        elif trip.destination is not None:
            self.plan(now_ms + 1 + self._rng.below(MAX_DELAY_MS), trip.set_out)
        else:
            scale = self.tick_message.settings.vehicle_scale
            destination = self._itinerary.next_destination(
                self.tick_ms, (self.latitude, self.longitude), scale
            )
            if destination is not None:
                trip.destination = destination
                self.plan(now_ms + 1 + self._rng.below(TICK_MS - 1), trip.set_out)
        return NOTHING

    def on_import_phase(self, now_ms: int) -> Out:
        """Send the heartbeat of the tick."""
        return self.reservation.on_import_phase(now_ms)

    def on_settle_phase(self, now_ms: int) -> Out:
        """Publish the account of the tick."""
        trip, reservation = self.trip, self.reservation
        trip.advance(now_ms)
        model, session, journey = trip.model, reservation.session, trip.journey
        state = VehicleState(
            *self.account(trip.status, mean_power_w(-reservation.drawn_wh)),
            model=model.model,
            consumption_wh_per_km=model.consumption_wh_per_km,
            stored_wh=trip.stored_wh,
            capacity_wh=model.capacity_wh,
            drawn_wh=reservation.drawn_wh,
            charge_loss_wh=reservation.loss_wh,
            driven_wh=trip.driven_wh,
            paid_neur=reservation.paid_neur,
            speed_km_h=speed_kmh(trip.state_of_charge) if journey is not None else 0.0,
            deadline_ms=self.search.charge_by_ms,
            next_stop=journey.target if journey is not None else None,
            destination=trip.destination,
            charger=session.charger if session is not None else None,
        )
        trip.driven_wh = 0
        reservation.begin_account()
        return [(self.role_name, state)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Tick: Agent.on_tick,
        Presence: on_presence,
        Offer: on_offer,
        Decline: on_decline,
        Lease: on_lease,
        Bill: on_bill,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: on_bid_phase,
        Phase.IMPORT: on_import_phase,
        Phase.SETTLE: on_settle_phase,
    }
