"""A charger's desk: who holds a port and energy, until when, at what price. Pure rules, no clock of its own.

An offer holds a port and energy for a short while; an accepted offer becomes a lease, which lives on heartbeats.
There are never more holds and leases than ports, and the energy promised is always in the battery.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from gridfleet.broker.protocol.messages import Accept, Bill, Call, Decline, Heartbeat, Lease, Offer, Release
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.physics.battery import deliverable, taken_for

T = TypeVar("T")

HOLD_MS: Final = 300_000
"""An offer that is neither accepted nor closed lapses after so many (simulated) milliseconds: longer than a vehicle
may wait for silent chargers and try those before, at any speed of the clock."""
LEASE_MS: Final = 2_250_000
"""A lease without heartbeat lapses after two and a half ticks: heartbeats come once a tick, one may be lost."""
BILLS_KEPT: Final = 32
LEAST_OFFER_WH: Final = 1_000
"""Less than this is not worth a port."""


@dataclass(slots=True)
class Reservation:
    """A port and energy kept for one vehicle's call; a hold until it is `leased`."""

    call: int
    energy_wh: int
    price_ueur_per_kwh: int
    until_ms: int
    leased: bool = False
    drawn_wh: int = 0
    arrived: bool = False

    @property
    def outstanding_wh(self) -> int:
        """Battery energy still set aside for it, Wh."""
        return taken_for(self.energy_wh) - taken_for(self.drawn_wh)


class Movement(NamedTuple):
    """What a meter reading moved: energy at the plug, energy out of the battery, and its price."""

    delivered_wh: int
    taken_wh: int
    earned_neur: int


STILL: Final = Movement(0, 0, 0)


class ReservationBook:
    """The reservations of one charger, by vehicle; a vehicle has at most one here."""

    __slots__ = ("_bills", "_lapsed", "metered", "ports", "reservations")

    def __init__(self, ports: int, *, metered: bool = False) -> None:
        """`metered` says whose readings it is told: those of the charger's own meter, or the vehicles'."""
        self.ports = ports
        self.metered = metered
        self._bills: dict[tuple[str, int], Bill] = {}
        self._lapsed: dict[tuple[str, int], Reservation] = {}
        self.reservations: dict[str, Reservation] = {}

    @property
    def set_aside_wh(self) -> int:
        """Battery energy promised to others, Wh."""
        return sum(reservation.outstanding_wh for reservation in self.reservations.values())

    def offer(
        self, vehicle: str, call: Call, wanted_wh: int, price_ueur_per_kwh: int, stored_wh: int, now_ms: int
    ) -> Offer | Decline:
        """Hold a port and as much of the wanted energy as is free, or say why not."""
        mine = self.reservations.get(vehicle)
        if mine is not None and mine.leased:
            return Decline(call.call, "port")
        self.reservations.pop(vehicle, None)
        if len(self.reservations) >= self.ports:
            return Decline(call.call, "port")
        if price_ueur_per_kwh > call.limit_ueur_per_kwh:
            return Decline(call.call, "price")
        energy_wh = min(wanted_wh, deliverable(stored_wh - self.set_aside_wh))
        if energy_wh < LEAST_OFFER_WH:
            return Decline(call.call, "energy")
        until_ms = now_ms + HOLD_MS
        self.reservations[vehicle] = Reservation(call.call, energy_wh, price_ueur_per_kwh, until_ms)
        return Offer(call.call, energy_wh, price_ueur_per_kwh, until_ms)

    def accept(self, vehicle: str, accept: Accept, now_ms: int) -> Lease | Decline:
        """Turn the hold into a lease; a repeated acceptance gets the same lease."""
        mine = self._mine(vehicle, accept.call)
        if mine is None:
            return Decline(accept.call, "unknown")
        mine.leased = True
        return self._extend(mine, now_ms)

    def close(self, vehicle: str, call: int) -> None:
        """Let go of what is held, but not leased, for the call."""
        mine = self._mine(vehicle, call)
        if mine is not None and not mine.leased:
            del self.reservations[vehicle]

    def heartbeat(self, vehicle: str, beat: Heartbeat, now_ms: int) -> tuple[Lease | Decline, Movement]:
        """Extend the lease; return the answer and what the meter moved since the last heartbeat."""
        mine = self._mine(vehicle, beat.call)
        if mine is None or not mine.leased:
            return Decline(beat.call, "unknown"), STILL
        movement = _meter(mine, beat.drawn_wh)
        mine.arrived |= beat.arrived
        return self._extend(mine, now_ms), movement

    def release(self, vehicle: str, release: Release, stored_wh: int) -> tuple[Bill | Decline, Movement]:
        """End the lease, even one that has lapsed meanwhile; return the bill and what the meter moved.

        A repeated release gets the same bill. After a lapse no more is billed than the battery can spare.
        """
        key = vehicle, release.call
        mine = self._mine(*key)
        drawn_wh = release.drawn_wh
        if mine is not None:
            del self.reservations[vehicle]
        elif key in self._lapsed:
            mine = self._lapsed.pop(key)
            spare_wh = deliverable(max(stored_wh - self.set_aside_wh, 0))
            drawn_wh = min(drawn_wh, mine.drawn_wh + spare_wh)
        else:
            return self._bills.get(key) or Decline(release.call, "unknown"), STILL
        movement = _meter(mine, drawn_wh) if mine.leased else STILL
        bill = Bill(mine.call, mine.drawn_wh, cost_neur(mine.drawn_wh, mine.price_ueur_per_kwh))
        _keep(self._bills, key, bill)
        return bill, movement

    def expire(self, now_ms: int) -> list[str]:
        """End every hold and lease that has lapsed; return their vehicles, sorted."""
        if not self.reservations:
            return []
        lapsed = sorted(vehicle for vehicle, r in self.reservations.items() if r.until_ms <= now_ms)
        for vehicle in lapsed:
            mine = self.reservations.pop(vehicle)
            if mine.leased:
                _keep(self._lapsed, (vehicle, mine.call), mine)
        return lapsed

    def drop_holds(self) -> None:
        """End every hold that is not a lease."""
        self.reservations = {vehicle: r for vehicle, r in self.reservations.items() if r.leased}

    def _mine(self, vehicle: str, call: int) -> Reservation | None:
        mine = self.reservations.get(vehicle)
        return mine if mine is not None and mine.call == call else None

    def _extend(self, mine: Reservation, now_ms: int) -> Lease:
        mine.until_ms = max(mine.until_ms, now_ms + LEASE_MS)
        return Lease(
            mine.call, mine.energy_wh, mine.price_ueur_per_kwh, mine.until_ms, mine.drawn_wh, self.metered
        )


def _keep(memory: dict[tuple[str, int], T], key: tuple[str, int], what: T) -> None:
    """Remember, and forget the oldest where it becomes too much."""
    memory[key] = what
    if len(memory) > BILLS_KEPT:
        del memory[next(iter(memory))]


def _meter(mine: Reservation, drawn_wh: int) -> Movement:
    """Advance the meter to a cumulative reading, within what was leased; return what it moved."""
    reading_wh = min(max(drawn_wh, mine.drawn_wh), mine.energy_wh)
    moved_wh = reading_wh - mine.drawn_wh
    taken_wh = taken_for(reading_wh) - taken_for(mine.drawn_wh)
    mine.drawn_wh = reading_wh
    return Movement(moved_wh, taken_wh, cost_neur(moved_wh, mine.price_ueur_per_kwh))
