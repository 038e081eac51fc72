"""A charging station: buys energy for its battery, at higher prices the emptier it is, and reserves ports."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Self

from gridfleet.broker.protocol.messages import (
    MAX_AVOIDED,
    NO_SHOW,
    OUT_OF_SERVICE,
    Accept,
    Bill,
    Call,
    ChargerState,
    Close,
    Decline,
    Heartbeat,
    Message,
    Mode,
    Package,
    Phase,
    Release,
    Role,
)
from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS, UEUR_PER_EUR
from gridfleet.devices.agents.base import NOTHING, Handler, Out, mean_power_w
from gridfleet.devices.agents.instruments import Connector, Permit
from gridfleet.devices.agents.roles.buyer import Buyer, BuyingSide
from gridfleet.devices.charging.out_of_service import parse_chargers_out
from gridfleet.devices.charging.pricing import STATE_OF_CHARGE, ChargerPricing, Stock
from gridfleet.devices.charging.reservation import Delivery, ReservationBook
from gridfleet.devices.market.packages import package_size
from gridfleet.devices.physics.battery import deliverable, drawn_to_fill, stored_from
from gridfleet.devices.physics.driving import SLOW_KMH
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.trust.reputation import Reputation

ARRIVAL_MARGIN_MS: Final = MS_PER_HOUR
"""A vehicle may be so much later than the slowest drive."""
ROUTE_FACTOR: Final = 1.1
"""The way may be longer than the distance by this factor."""
_ANSWERS_TO_FEES: Final = (NO_SHOW, "cancelled")
"""A vehicle pays a fee, or denies that it owes one; neither is answered."""
EMPTY_PRICE_UEUR: Final = 1_000_000
"""A charger bids 1 EUR/kWh less its state of charge (0 to 1)."""


class Charger(Buyer):
    """A charging station; storing energy and delivering it to vehicles both have losses."""

    role = Role.CHARGER
    kind = "charger"
    __slots__ = (
        "_capacity_wh",
        "_cells",
        "_charge_loss_wh",
        "_connector",
        "_cost_neur",
        "_delivered_wh",
        "_discharge_loss_wh",
        "_earned_neur",
        "_floor",
        "_margin",
        "_max_wh_per_tick",
        "_package_wh",
        "_paid",
        "_pricing",
        "_reactor_price",
        "_reputation",
        "_waits_for_fees",
        "buying",
        "out_of_service",
        "reservation_book",
        "stored_wh",
    )

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        capacity_wh: int,
        stored_wh: int,
        ports: int,
        max_wh_per_tick: int,
        package_wh: int,
        floor_ueur_per_kwh: int,
        reactor: str | None,
        reactor_price_ueur_per_kwh: int,
        neighbours: Sequence[str] = (),
        label: str = "",
        connector: Connector | None = None,
        no_show_fee_neur: int = 0,
        pricing: ChargerPricing = STATE_OF_CHARGE,
        margin: float = 0.0,
    ) -> None:
        """`max_wh_per_tick` is what it buys at most in a tick, `floor_ueur_per_kwh` its lowest bid.

        `neighbours` are the cells in which a vehicle that it serves may accept other offers.
        `connector` is its plug on real or mocked pins; without one, the vehicles report what is delivered.
        `pricing` says what it asks of vehicles, with `margin` on its costs.
        `no_show_fee_neur` is what a vehicle owes that keeps a lease and does not come.
        """
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.buying = BuyingSide(self, reactor=reactor, reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh)
        self.stored_wh = stored_wh
        self._capacity_wh = capacity_wh
        self._max_wh_per_tick = max_wh_per_tick
        self._package_wh = package_wh
        self._floor = floor_ueur_per_kwh
        self._connector = connector
        self._pricing = pricing
        self._margin = margin
        self._reactor_price = reactor_price_ueur_per_kwh
        self._cost_neur = stored_wh * reactor_price_ueur_per_kwh
        """What the energy in its battery has cost; what it begins with counts at the reactor's price."""
        self._paid = (-1, 0)
        """Tick, and what was paid in it and counted so far."""
        self._cells = (cell, *neighbours)
        self._reputation = Reputation()
        """Of vehicles: whether they come when they have reserved."""
        self._waits_for_fees = False
        self.reservation_book = ReservationBook(
            ports, metered=connector is not None, no_show_fee_neur=no_show_fee_neur
        )
        self.out_of_service = False
        self._begin_account()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        direct = [(message_type, self.id) for message_type in ("heartbeat", "release")]
        accepted = [("accept", cell) for cell in self._cells]
        return [*super().subscriptions(), ("call", self.cell), ("close", self.cell), *accepted, *direct]

    def restore_from(self, previous: Self) -> None:
        """Take over what a restart without memory does not change: also the energy in the battery."""
        super().restore_from(previous)
        self.stored_wh = previous.stored_wh
        self._cost_neur = previous._cost_neur

    def on_new_run(self) -> None:
        """Forget the ticks and reservations of an earlier run of the clock."""
        super().on_new_run()
        self._reputation.clear()
        book = self.reservation_book
        self._waits_for_fees = False
        self.reservation_book = ReservationBook(
            book.ports, metered=book.metered, no_show_fee_neur=book.fees.amount_neur
        )

    def _begin_account(self) -> None:
        self._delivered_wh = self._charge_loss_wh = self._discharge_loss_wh = self._earned_neur = 0

    def on_bid_phase(self, now_ms: int) -> Out:
        """Note whether it is in service in this tick; publish its bid, and bills for vehicles that did not come."""
        chargers_out = self.tick_message.settings.chargers_out
        self.out_of_service = bool(chargers_out) and parse_chargers_out(chargers_out).includes(
            self.id, self.cell
        )
        out = super().on_bid_phase(now_ms)
        bills = self.reservation_book.fees.bills(now_ms)
        if not bills:
            return out
        for _, bill, first in bills:
            if first:
                self._earn(bill.no_show_fee_neur)
        self._waits_for_fees = True
        self.wait(now_ms, self._stop_waiting_for_fees)
        return [*out, *((vehicle, bill) for vehicle, bill, _ in bills)]

    def _stop_waiting_for_fees(self, _now_ms: int) -> Out:
        """Continue without an answer; the bill is repeated in the next tick."""
        self._waits_for_fees = False
        self.stop_waiting()
        return NOTHING

    # --- buying ------------------------------------------------------------------------------------------

    def packages_to_bid(self) -> tuple[Package, ...]:
        """Return packages that fill the battery; each has the price for the state of charge after those before it."""
        if self.out_of_service:
            return ()
        energy_wh = min(self._max_wh_per_tick, drawn_to_fill(self._capacity_wh - self.stored_wh))
        package_wh = package_size(energy_wh, self._package_wh)
        packages: list[Package] = []
        for start_wh in range(0, energy_wh, package_wh):
            discount = (self.stored_wh + start_wh) * UEUR_PER_EUR // self._capacity_wh
            price = max(EMPTY_PRICE_UEUR - discount, self._floor)
            packages.append(Package(len(packages), min(package_wh, energy_wh - start_wh), price))
        return tuple(packages)

    def take_delivery(self, energy_wh: int) -> None:
        """Store what was bought, less the charging loss.

        The loss is that of the tick's total, so that it does not depend on the number of awards.
        """
        total_wh = self.buying.purchases.bought_wh
        gained_wh = stored_from(total_wh) - stored_from(total_wh - energy_wh)
        self.stored_wh += gained_wh
        purchases = self.buying.purchases
        counted_neur = self._paid[1] if self._paid[0] == purchases.tick else 0
        self._cost_neur += purchases.paid_neur - counted_neur
        self._paid = (purchases.tick, purchases.paid_neur)
        self._charge_loss_wh += energy_wh - gained_wh

    # --- the plug ----------------------------------------------------------------------------------------

    def permit(self, now_ms: int) -> Permit | None:
        """Return who may draw at the plug: a vehicle that has arrived and has a lease."""
        if self.out_of_service:
            return None
        for vehicle, reservation in self.reservation_book.reservations.items():
            if reservation.leased and reservation.arrived and reservation.until_ms > now_ms:
                return Permit(vehicle, reservation.call, reservation.energy_wh)
        return None

    @property
    def _has_fault(self) -> bool:
        return self._connector is not None and not self._connector.ready

    # --- reserving ---------------------------------------------------------------------------------------
    # A charger out of service declines every request, also a heartbeat. The vehicle then leaves, and its release ends
    # the lease and is billed as usual.

    def _time_of(self, simulated_ms: int, now_ms: int) -> int:
        """Return the time of a message: in lock-step the vehicle's, limited to the tick; else the charger's own."""
        tick = self.tick_message
        if tick.mode is not Mode.LOCKSTEP:
            return now_ms
        return min(max(simulated_ms, tick.simulated_ms), tick.simulated_ms + TICK_MS)

    def on_call(self, _scope: str, sender: str, call: Call, now_ms: int) -> Out:
        """Answer a call with an offer, or decline it."""
        if self.out_of_service or self._has_fault:
            return [(sender, Decline(call.call, "offline"))]
        if self.trust.enabled and not self._believes(sender, call):
            return [(sender, Decline(call.call, "refused"))]
        now_ms = self._time_of(call.simulated_ms, now_ms)
        if self.tick_message.mode is Mode.LOCKSTEP:
            # The next call is granted only after every earlier one is decided, so remaining holds are void.
            self.reservation_book.drop_holds()
        self.reservation_book.expire(now_ms)
        way_km = distance_km(call.latitude, call.longitude, self.latitude, self.longitude)
        way_wh = drawn_to_fill(round(way_km * call.consumption_wh_per_km))
        price = max(0, self._pricing.price(self._stock))
        arrive_by_ms = now_ms + ARRIVAL_MARGIN_MS + round(way_km * ROUTE_FACTOR / SLOW_KMH * MS_PER_HOUR)
        answer = self.reservation_book.offer(
            sender, call, call.energy_wh + way_wh, price, self.stored_wh, now_ms, arrive_by_ms
        )
        return [(sender, answer)]

    @property
    def _stock(self) -> Stock:
        """What it has to sell, and what that has cost at the plug."""
        sold_wh = deliverable(self.stored_wh)
        cost = -(-self._cost_neur // sold_wh) if sold_wh > 0 else self._reactor_price
        return Stock(self.stored_wh, self._capacity_wh, cost, self._margin)

    def _believes(self, vehicle: str, call: Call) -> bool:
        """Return whether a vehicle can need what it calls for: no more than fills its battery."""
        if self._avoids(vehicle):
            self.refuse("avoided")
            return False
        if call.energy_wh <= drawn_to_fill(self.trust.register.limits(vehicle).capacity_wh):
            return True
        self.note_lie(vehicle, "call beyond battery")
        return False

    def _avoids(self, vehicle: str) -> bool:
        return self.trust.avoids(vehicle, self.tick) or not self._reputation.trusts(vehicle, self.tick)

    def avoided(self) -> tuple[str, ...]:
        """Return the devices that have lied to it, and the vehicles that reserve and do not come."""
        return tuple(sorted({*super().avoided(), *self._reputation.avoided(self.tick)}))[:MAX_AVOIDED]

    def on_accept(self, _scope: str, sender: str, accept: Accept, now_ms: int) -> Out:
        """Confirm an offer that is still held; end the lease of a vehicle that accepts another charger's."""
        if accept.charger != self.id:
            self.reservation_book.end_for_other(sender, accept)
            return NOTHING
        if self.out_of_service:
            return [(sender, Decline(accept.call, "offline"))]
        if self.trust.avoids(sender, self.tick):
            self.refuse("avoided")
            self.reservation_book.close(sender, accept.call)
            return [(sender, Decline(accept.call, "refused"))]
        now_ms = self._time_of(accept.simulated_ms, now_ms)
        self.reservation_book.expire(now_ms)
        if self._has_fault:
            self.reservation_book.close(sender, accept.call)
            return [(sender, Decline(accept.call, "offline"))]
        return [(sender, self.reservation_book.accept(sender, accept, now_ms))]

    def on_close(self, _scope: str, sender: str, close: Close, _now_ms: int) -> Out:
        """End the hold of a call that is decided."""
        self.reservation_book.close(sender, close.call)
        return NOTHING

    def on_heartbeat(self, _scope: str, sender: str, beat: Heartbeat, now_ms: int) -> Out:
        """Extend a lease, and deliver what was drawn since the last heartbeat."""
        if self.out_of_service:
            return [(sender, Decline(beat.call, "offline"))]
        now_ms = self._time_of(beat.simulated_ms, now_ms)
        self.reservation_book.expire(now_ms)
        if self._connector is not None:
            drawn_wh = self._connector.delivered_wh(sender, beat.call)
            beat = Heartbeat(beat.call, beat.simulated_ms, beat.arrived, drawn_wh)
        answer, delivery = self.reservation_book.heartbeat(sender, beat, now_ms)
        self._deliver(delivery)
        if self._has_fault:
            answer = Decline(beat.call, "offline")  # the vehicle leaves, and is billed for its release
        return [(sender, answer)]

    def on_release(self, _scope: str, sender: str, release: Release, now_ms: int) -> Out:
        """End a lease, and send the bill; take the answer to the bill of a fee."""
        fees = self.reservation_book.fees
        if release.outcome in _ANSWERS_TO_FEES and fees.note_answer(sender, release.call):
            if self._waits_for_fees and not fees.unanswered:
                return self._stop_waiting_for_fees(now_ms)
            return NOTHING
        if self._connector is not None:
            drawn_wh = self._connector.delivered_wh(sender, release.call)
            release = Release(release.call, release.simulated_ms, drawn_wh, release.outcome)
        answer, delivery = self.reservation_book.release(sender, release, self.stored_wh)
        if self.trust.enabled and isinstance(answer, Bill) and answer.energy_wh:
            self._reputation.note(sender, self.tick, kept=True)
        self._deliver(delivery)
        return [(sender, answer)]

    def _deliver(self, delivery: Delivery) -> None:
        """Take a delivery out of the battery, and add its losses and its price to the account."""
        self._delivered_wh += delivery.delivered_wh
        self._discharge_loss_wh += delivery.taken_wh - delivery.delivered_wh
        if self.stored_wh > 0:
            self._cost_neur -= self._cost_neur * delivery.taken_wh // self.stored_wh
        self.stored_wh -= delivery.taken_wh
        self._earn(delivery.earned_neur)

    def _earn(self, amount_neur: int) -> None:
        """Book what a vehicle owes from now on."""
        self._earned_neur += amount_neur
        self.balance_neur += amount_neur

    def _status(self) -> str:
        if self.out_of_service:
            return OUT_OF_SERVICE
        if self._has_fault:
            return "faulted"
        return (
            "charging" if self._delivered_wh else "reserved" if self.reservation_book.reservations else "free"
        )

    def on_settle_phase(self, now_ms: int) -> Out:
        """Publish the account of the tick."""
        self.buying.stop_waiting()
        self.reservation_book.expire(now_ms)
        for vehicle in self.reservation_book.take_no_shows():
            if self.trust.enabled:
                self._reputation.note(vehicle, self.tick, kept=False)
        purchases = self.buying.purchases
        if purchases.tick != self.tick:
            return NOTHING
        reservations, connector = self.reservation_book, self._connector
        state = ChargerState(
            *self.account(
                self._status(),
                mean_power_w(self._delivered_wh - purchases.bought_wh),
                measured=connector is not None and connector.measured,
            ),
            demand_wh=purchases.demand_wh,
            bought_wh=purchases.bought_wh,
            paid_neur=purchases.paid_neur,
            stored_wh=self.stored_wh,
            capacity_wh=self._capacity_wh,
            delivered_wh=self._delivered_wh,
            charge_loss_wh=self._charge_loss_wh,
            discharge_loss_wh=self._discharge_loss_wh,
            earned_neur=self._earned_neur,
            ports=reservations.ports,
            ports_reserved=len(reservations.reservations),
            faults=connector.faults if connector is not None else (),
            contactor="none" if connector is None else "closed" if connector.closed else "open",
            opened_because=connector.opened_because if connector is not None else "",
        )
        self._begin_account()
        return [(self.role_name, state)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        **Buyer.handlers,
        Call: on_call,
        Accept: on_accept,
        Close: on_close,
        Heartbeat: on_heartbeat,
        Release: on_release,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Buyer.phases,
        Phase.BID: on_bid_phase,
        Phase.SETTLE: on_settle_phase,
    }
