"""The reservations of a charger: which vehicle has a port and energy, until when, at what price. Pure rules.

An offer holds a port and energy for a short time; an accepted offer becomes a lease, which heartbeats extend.
There are never more holds and leases than ports, and the reserved energy is always in the battery.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from gridfleet.broker.protocol.messages import Accept, Bill, Call, Decline, Heartbeat, Lease, Offer, Release
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.charging.no_show_fees import NoShowFees
from gridfleet.devices.physics.battery import deliverable, taken_for

K = TypeVar("K")
T = TypeVar("T")
MAX_VEHICLES: Final = 10_000
"""The most vehicles of which a charger remembers that they have accepted another."""
FAR_FUTURE_MS: Final = 2**62

HOLD_MS: Final = 300_000
"""A hold expires after this many simulated milliseconds. At any speed of the clock that is longer than a vehicle waits
for silent chargers and tries the offers that it ranks higher."""
LEASE_MS: Final = 2_250_000
"""A lease without a heartbeat expires after two and a half ticks: heartbeats come once a tick, one may be lost."""
MAX_KEPT: Final = 32
"""The most bills and the most expired leases that a charger keeps, for repeated and late releases."""
MIN_OFFER_WH: Final = 1_000
"""A charger offers no less energy than this."""


Acceptance = tuple[int, int] | tuple[()]
"""Time by the vehicle's clock, and call: of several acceptances the largest is the last, of equal ones the one that is
received last."""


@dataclass(slots=True)
class Reservation:
    """A port and energy for one vehicle's call; a hold until it is `leased`."""

    call: int
    energy_wh: int
    price_ueur_per_kwh: int
    until_ms: int
    leased: bool = False
    drawn_wh: int = 0
    kept: bool = False
    """Whether the vehicle has sent a heartbeat: then it knows of the lease."""
    arrived: bool = False
    arrive_by_ms: int = FAR_FUTURE_MS
    """When the slowest vehicle is there; then it is not on its way any more."""
    accepted: Acceptance = ()
    """When and for which call the vehicle accepted; empty before."""

    @property
    def outstanding_wh(self) -> int:
        """Battery energy that is still reserved for it, Wh."""
        return taken_for(self.energy_wh) - taken_for(self.drawn_wh)


class Delivery(NamedTuple):
    """What was delivered since the last meter reading: at the plug, out of the battery, and its price."""

    delivered_wh: int
    taken_wh: int
    earned_neur: int


NO_DELIVERY: Final = Delivery(0, 0, 0)


class ReservationBook:
    """The reservations of one charger, by vehicle; a vehicle has at most one here."""

    __slots__ = (
        "_bills",
        "_elsewhere",
        "_expired",
        "_no_shows",
        "fees",
        "metered",
        "ports",
        "reservations",
    )

    def __init__(self, ports: int, *, metered: bool = False, no_show_fee_neur: int = 0) -> None:
        """`metered` says whether readings come from the charger's own meter or from the vehicles.

        `no_show_fee_neur` is what its offers ask of a vehicle that does not come.
        """
        self.ports = ports
        self.metered = metered
        self.fees = NoShowFees(no_show_fee_neur)
        """Of vehicles that have kept a lease by heartbeats and have not come."""
        self._bills: dict[tuple[str, int], Bill] = {}
        self._expired: dict[tuple[str, int], Reservation] = {}
        self._elsewhere: dict[str, Acceptance] = {}
        """Vehicle -> its last acceptance of another charger."""
        self._no_shows: list[str] = []
        self.reservations: dict[str, Reservation] = {}

    def take_no_shows(self) -> list[str]:
        """Return the vehicles that let a lease end without coming or cancelling, since the last call."""
        found, self._no_shows = self._no_shows, []
        return found

    @property
    def reserved_wh(self) -> int:
        """Battery energy reserved by holds and leases, Wh."""
        return sum(each.outstanding_wh for each in self.reservations.values())

    def offer(
        self,
        vehicle: str,
        call: Call,
        wanted_wh: int,
        price_ueur_per_kwh: int,
        stored_wh: int,
        now_ms: int,
        arrive_by_ms: int = FAR_FUTURE_MS,
    ) -> Offer | Decline:
        """Hold a port and as much of the wanted energy as is free; decline with the reason if there is none.

        A vehicle that has not arrived by `arrive_by_ms` loses its lease.
        """
        reservation = self.reservations.get(vehicle)
        if reservation is not None and reservation.leased:
            return Decline(call.call, "port")
        self.reservations.pop(vehicle, None)
        if len(self.reservations) >= self.ports:
            return Decline(call.call, "port")
        if price_ueur_per_kwh > call.limit_ueur_per_kwh:
            return Decline(call.call, "price")
        energy_wh = min(wanted_wh, deliverable(stored_wh - self.reserved_wh))
        if energy_wh < MIN_OFFER_WH:
            return Decline(call.call, "energy")
        until_ms = now_ms + HOLD_MS
        self.reservations[vehicle] = Reservation(
            call.call, energy_wh, price_ueur_per_kwh, until_ms, arrive_by_ms=arrive_by_ms
        )
        return Offer(call.call, energy_wh, price_ueur_per_kwh, until_ms, self.fees.amount_neur)

    def accept(self, vehicle: str, accept: Accept, now_ms: int) -> Lease | Decline:
        """Turn the hold into a lease; a repeated acceptance gets the same lease."""
        reservation = self._find(vehicle, accept.call)
        if reservation is None:
            return Decline(accept.call, "unknown")
        accepted = _acceptance(accept)
        if self._elsewhere.get(vehicle, ()) > accepted:
            del self.reservations[vehicle]
            return Decline(accept.call, "refused")
        reservation.leased = True
        reservation.accepted = max(reservation.accepted, accepted)
        return self._extend(reservation, now_ms)

    def end_for_other(self, vehicle: str, accept: Accept) -> None:
        """End the lease of a vehicle that has since accepted the offer of another charger: it has one at a time.

        What it has drawn here is still billed; if it has not come, it owes the fee unless it reports in time.
        """
        accepted = _acceptance(accept)
        if self._elsewhere.get(vehicle, ()) < accepted:
            self._elsewhere.pop(vehicle, None)
            _remember(self._elsewhere, vehicle, accepted, MAX_VEHICLES)
        reservation = self.reservations.get(vehicle)
        if reservation is not None and reservation.leased and reservation.accepted <= accepted:
            del self.reservations[vehicle]
            _remember(self._expired, (vehicle, reservation.call), reservation)
            self._note_fee(vehicle, reservation)

    def close(self, vehicle: str, call: int) -> None:
        """End the hold for a call; a lease stays."""
        reservation = self._find(vehicle, call)
        if reservation is not None and not reservation.leased:
            del self.reservations[vehicle]

    def heartbeat(self, vehicle: str, beat: Heartbeat, now_ms: int) -> tuple[Lease | Decline, Delivery]:
        """Extend the lease; return the answer and what was delivered since the last heartbeat."""
        reservation = self._find(vehicle, beat.call)
        if reservation is None or not reservation.leased:
            return Decline(beat.call, "unknown"), NO_DELIVERY
        delivery = _meter(reservation, beat.drawn_wh)
        reservation.kept = True
        reservation.arrived |= beat.arrived
        if not reservation.arrived and now_ms > reservation.arrive_by_ms:
            del self.reservations[vehicle]
            self._note_expired(vehicle, reservation)
            return Decline(beat.call, "unknown"), delivery
        return self._extend(reservation, now_ms), delivery

    def release(self, vehicle: str, release: Release, stored_wh: int) -> tuple[Bill | Decline, Delivery]:
        """End the lease, also one that has expired; return the bill and what was delivered since the last heartbeat.

        A repeated release gets the same bill. For an expired lease no more is billed than the battery has to spare. Who
        did not come and reports that before the fee is billed owes none.
        """
        key = vehicle, release.call
        reservation = self._find(*key)
        drawn_wh = release.drawn_wh
        waived_neur = 0
        if reservation is None and (fee_bill := self.fees.billed(*key)) is not None:
            if not drawn_wh or key not in self._expired:
                return fee_bill, NO_DELIVERY
            waived_neur = fee_bill.no_show_fee_neur  # it did come, and nothing of that was received
        self.fees.cancel(*key)
        if reservation is not None:
            del self.reservations[vehicle]
        elif key in self._expired:
            reservation = self._expired.pop(key)
            spare_wh = deliverable(max(stored_wh - self.reserved_wh, 0))
            drawn_wh = min(drawn_wh, reservation.drawn_wh + spare_wh)
        else:
            return self._bills.get(key) or Decline(release.call, "unknown"), NO_DELIVERY
        delivery = _meter(reservation, drawn_wh) if reservation.leased else NO_DELIVERY
        bill = Bill(
            reservation.call,
            reservation.drawn_wh,
            cost_neur(reservation.drawn_wh, reservation.price_ueur_per_kwh),
        )
        _remember(self._bills, key, bill)
        return bill, delivery._replace(earned_neur=delivery.earned_neur - waived_neur)

    def expire(self, now_ms: int) -> list[str]:
        """End every hold and lease whose time is over; return their vehicles, sorted."""
        if not self.reservations:
            return []
        expired = sorted(vehicle for vehicle, r in self.reservations.items() if r.until_ms <= now_ms)
        for vehicle in expired:
            reservation = self.reservations.pop(vehicle)
            if reservation.leased:
                self._note_expired(vehicle, reservation)
        return expired

    def _note_expired(self, vehicle: str, reservation: Reservation) -> None:
        """Remember a lease that has run out, for a late release."""
        _remember(self._expired, (vehicle, reservation.call), reservation)
        if not reservation.arrived:
            self._no_shows.append(vehicle)
        self._note_fee(vehicle, reservation)

    def _note_fee(self, vehicle: str, reservation: Reservation) -> None:
        if reservation.kept and not reservation.arrived and not reservation.drawn_wh:
            self.fees.note_no_show(vehicle, reservation.call, reservation.until_ms)

    def drop_holds(self) -> None:
        """End every hold that is not a lease."""
        self.reservations = {vehicle: r for vehicle, r in self.reservations.items() if r.leased}

    def _find(self, vehicle: str, call: int) -> Reservation | None:
        reservation = self.reservations.get(vehicle)
        return reservation if reservation is not None and reservation.call == call else None

    def _extend(self, reservation: Reservation, now_ms: int) -> Lease:
        reservation.until_ms = max(reservation.until_ms, now_ms + LEASE_MS)
        return Lease(
            reservation.call,
            reservation.energy_wh,
            reservation.price_ueur_per_kwh,
            reservation.until_ms,
            reservation.drawn_wh,
            self.metered,
        )


def _acceptance(accept: Accept) -> Acceptance:
    return accept.simulated_ms, accept.call


def _remember(memory: dict[K, T], key: K, value: T, most: int = MAX_KEPT) -> None:
    """Remember a value, and forget the oldest if there are too many."""
    memory[key] = value
    if len(memory) > most:
        del memory[next(iter(memory))]


def _meter(reservation: Reservation, drawn_wh: int) -> Delivery:
    """Advance the meter to a cumulative reading, up to the leased energy; return what was delivered."""
    reading_wh = min(max(drawn_wh, reservation.drawn_wh), reservation.energy_wh)
    delivered_wh = reading_wh - reservation.drawn_wh
    taken_wh = taken_for(reading_wh) - taken_for(reservation.drawn_wh)
    reservation.drawn_wh = reading_wh
    return Delivery(delivered_wh, taken_wh, cost_neur(delivered_wh, reservation.price_ueur_per_kwh))
