"""Follows each charging reservation from the vehicle's call to its end, for one row of the store."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from math import asin, cos, radians, sin, sqrt
from typing import Final

from gridfleet.broker.protocol.messages import (
    NO_SHOW,
    Bill,
    Call,
    Close,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Presence,
    Release,
)
from gridfleet.dashboards.store.rows import ReservationRow

EARTH_RADIUS_KM: Final = 6371.0088
"""IUGG mean radius; the haversine is Sinnott's, Sky and Telescope 68 (1984) 159."""
_KEPT_TICKS: Final = 2
"""Ticks for which an ended reservation is kept: messages may still be under way."""
_CALLS_PER_START: Final = 1 << 20
"""A vehicle that restarts without memory counts its calls from 0 again; each start gets its own range of numbers."""


def distance_km(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Return the great-circle distance in km by the haversine, to the millimetre."""
    north = sin(radians(to_latitude - latitude) / 2)
    east = sin(radians(to_longitude - longitude) / 2)
    square = north * north + cos(radians(latitude)) * cos(radians(to_latitude)) * east * east
    return round(2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, square))), 6)


class _Reservation:
    """One charger's answer to a call, from its offer to its bill."""

    __slots__ = (
        "accepted_ms",
        "arrived_ms",
        "billed_wh",
        "drawn_wh",
        "ended_tick",
        "leased_wh",
        "offered_ms",
        "outcome",
        "price",
        "released_ms",
        "until_ms",
    )

    def __init__(self) -> None:
        self.offered_ms: int | None = None
        self.accepted_ms: int | None = None
        self.arrived_ms: int | None = None
        self.released_ms: int | None = None
        self.price: int | None = None
        self.drawn_wh = self.leased_wh = 0
        self.billed_wh: int | None = None
        self.until_ms = 0
        self.outcome = "open"
        self.ended_tick: int | None = None

    def from_charger(self, message: Offer | Lease | Bill, now_ms: int) -> None:
        """Take a message of the charger."""
        if isinstance(message, Offer):
            if self.offered_ms is None:
                self.offered_ms = now_ms
        elif isinstance(message, Lease):
            self.until_ms = max(self.until_ms, message.until_ms)
            if self.accepted_ms is None:
                self.accepted_ms, self.price = now_ms, message.price_ueur_per_kwh
                self.leased_wh = message.energy_wh
        elif self.billed_wh is None:
            self.billed_wh = message.energy_wh

    def from_vehicle(self, message: Heartbeat | Release, tick: int) -> None:
        """Take a message of the vehicle; the first release counts."""
        if self.ended_tick is not None:
            return
        self.drawn_wh = max(self.drawn_wh, message.drawn_wh)
        if isinstance(message, Release):
            self.released_ms = message.simulated_ms
            self.outcome = "expired" if message.outcome == NO_SHOW else message.outcome
            self.ended_tick = tick
        elif message.arrived and self.arrived_ms is None:
            self.arrived_ms = message.simulated_ms


class _Call:
    """A vehicle's call, and the chargers that have answered."""

    __slots__ = ("chargers", "closed_tick", "first", "served", "tick")

    def __init__(self, call: Call, tick: int) -> None:
        self.first = call
        self.tick = tick
        self.closed_tick: int | None = None
        self.served = False
        self.chargers: dict[str, _Reservation] = {}


class ReservationLog:
    """Call `receive` with messages of reservations, `rows` once a tick and `finish` at the end."""

    def __init__(self, births: Mapping[str, Presence], measured: AbstractSet[str] = frozenset()) -> None:
        """`births` by device and `measured`, the devices with real sensors, are kept up to date by their owner."""
        self._births = births
        self._measured = measured
        self._calls: dict[tuple[str, int], _Call] = {}
        self._restarts: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def receive(
        self, now_ms: int, tick: int, scope: str, sender: str, message: Message
    ) -> ReservationRow | None:
        """Take a message; a message that carries a time is counted at that time.

        Returns the row of a reservation that this message confirms, with the energy reserved; else None.
        """
        if isinstance(message, Call):
            self._call(sender, message, tick)
        elif isinstance(message, Close):
            called = self._calls.get((sender, message.call))
            if called is not None and called.closed_tick is None:
                called.closed_tick = tick
        elif isinstance(message, Heartbeat | Release):
            reservation = self._reservation(sender, message.call, scope)
            if reservation is not None:
                reservation.from_vehicle(message, tick)
        elif isinstance(message, Offer | Lease | Bill):
            reservation = self._reservation(scope, message.call, sender)
            if reservation is not None:
                called = self._calls[scope, message.call]
                is_new = reservation.accepted_ms is None
                reservation.from_charger(message, now_ms)
                if isinstance(message, Lease):
                    called.served = True
                    if is_new:
                        return self._row(scope, sender, called, reservation)._replace(
                            energy_wh=reservation.leased_wh
                        )
        return None

    def rows(self, tick: int, begins_ms: int) -> list[ReservationRow]:
        """Return the rows of reservations that ended at least a tick ago, and drop these.

        `begins_ms` is the simulated time at which the tick began.
        """
        rows: list[ReservationRow] = []
        for key, called in [*self._calls.items()]:
            for charger, reservation in [*called.chargers.items()]:
                if reservation.accepted_ms is None:
                    continue
                if reservation.ended_tick is None and reservation.until_ms < begins_ms:
                    reservation.outcome, reservation.ended_tick = "expired", tick
                elif reservation.ended_tick is not None and reservation.ended_tick <= tick - _KEPT_TICKS:
                    rows.append(self._row(key[0], charger, called, reservation))
                    del called.chargers[charger]
            waited = called.closed_tick if called.closed_tick is not None else called.tick + _KEPT_TICKS
            if waited > tick - _KEPT_TICKS:
                continue
            if not called.served:
                rows.append(self._row(key[0], "", called, None))
            called.chargers = {
                name: reservation
                for name, reservation in called.chargers.items()
                if reservation.accepted_ms is not None
            }
            if not called.chargers:
                del self._calls[key]
            else:
                called.served = True
        return rows

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return each vehicle's last call, and how often it has counted from 0 again."""
        return {"last": dict(self._last), "restarts": dict(self._restarts)}

    def restore(self, snapshot: dict[str, dict[str, int]]) -> None:
        """Take over what `snapshot` returned."""
        self._last.update(snapshot.get("last", {}))
        self._restarts.update(snapshot.get("restarts", {}))

    def finish(self) -> list[ReservationRow]:
        """Return the rows of reservations that have ended or are open when the run ends."""
        rows: list[ReservationRow] = []
        for (vehicle, _), called in self._calls.items():
            leased = [
                (name, reservation)
                for name, reservation in called.chargers.items()
                if reservation.accepted_ms is not None
            ]
            rows += [self._row(vehicle, charger, called, reservation) for charger, reservation in leased]
            if not called.served:
                rows.append(self._row(vehicle, "", called, None))
        self._calls.clear()
        return rows

    def _call(self, vehicle: str, call: Call, tick: int) -> None:
        key = (vehicle, call.call)
        known = self._calls.get(key)
        if known is not None and known.first.simulated_ms == call.simulated_ms:
            return  # the same call, to another cell
        if call.call <= self._last.get(vehicle, -1) and known is None:
            self._restarts[vehicle] = self._restarts.get(vehicle, 0) + 1  # it restarted without memory
        self._last[vehicle] = call.call
        if known is None:
            self._calls[key] = _Call(call, tick)

    def _reservation(self, vehicle: str, call: int, charger: str) -> _Reservation | None:
        called = self._calls.get((vehicle, call))
        return None if called is None else called.chargers.setdefault(charger, _Reservation())

    def _row(
        self, vehicle: str, charger: str, called: _Call, reservation: _Reservation | None
    ) -> ReservationRow:
        call = called.first
        number = call.call + self._restarts.get(vehicle, 0) * _CALLS_PER_START
        if reservation is None:
            return ReservationRow(
                vehicle, "", number, call.simulated_ms, None, None, None, None, 0, None, None, "unserved"
            )
        at = self._births.get(charger)
        return ReservationRow(
            vehicle=vehicle,
            charger=charger,
            call=number,
            requested_ms=call.simulated_ms,
            offered_ms=reservation.offered_ms,
            accepted_ms=reservation.accepted_ms,
            arrived_ms=reservation.arrived_ms,
            released_ms=reservation.released_ms,
            energy_wh=reservation.drawn_wh if reservation.billed_wh is None else reservation.billed_wh,
            price_ueur=reservation.price,
            distance_km=None
            if at is None
            else distance_km(call.latitude, call.longitude, at.latitude, at.longitude),
            outcome=reservation.outcome,
            measured=charger in self._measured,
        )
