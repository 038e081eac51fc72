"""Follows each charging reservation from the vehicle's call to its end, and makes one row of it."""

from collections.abc import Set as AbstractSet
from math import asin, cos, radians, sin, sqrt
from typing import Final

from gridfleet.broker.protocol.messages import (
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
_WAITS: Final = 2
"""Ticks that what ended is kept for words still under way."""
_LIVES: Final = 1 << 20


def distance_km(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Return the great-circle distance in km by the haversine, to the millimetre."""
    north = sin(radians(to_latitude - latitude) / 2)
    east = sin(radians(to_longitude - longitude) / 2)
    square = north * north + cos(radians(latitude)) * cos(radians(to_latitude)) * east * east
    return round(2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, square))), 6)


class _Part:
    """One charger's part in a call."""

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
        """Take the charger's word."""
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
        """Take the vehicle's word; the first release counts."""
        if self.ended_tick is not None:
            return
        self.drawn_wh = max(self.drawn_wh, message.drawn_wh)
        if isinstance(message, Release):
            self.released_ms, self.outcome = message.simulated_ms, message.outcome
            self.ended_tick = tick
        elif message.arrived and self.arrived_ms is None:
            self.arrived_ms = message.simulated_ms


class _Called:
    """A call, and the chargers that have offered."""

    __slots__ = ("closed_tick", "first", "parts", "served", "tick")

    def __init__(self, call: Call, tick: int) -> None:
        self.first = call
        self.tick = tick
        self.closed_tick: int | None = None
        self.served = False
        self.parts: dict[str, _Part] = {}


class ReservationLog:
    """Call `hear` with messages of reservations, `rows` once a tick and `finish` at the end."""

    def __init__(self, places: dict[str, Presence], measured: AbstractSet[str] = frozenset()) -> None:
        """`places` and `measured`, who is where and rests on real sensors, are kept up to date by their owner."""
        self._places = places
        self._measured = measured
        self._calls: dict[tuple[str, int], _Called] = {}
        self._lives: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def hear(
        self, now_ms: int, tick: int, scope: str, sender: str, message: Message
    ) -> ReservationRow | None:
        """Take a message; times are the messages' own where they carry one.

        The lease that makes a reservation returns its row as it is then, with the energy reserved.
        """
        if isinstance(message, Call):
            self._call(sender, message, tick)
        elif isinstance(message, Close):
            called = self._calls.get((sender, message.call))
            if called is not None and called.closed_tick is None:
                called.closed_tick = tick
        elif isinstance(message, Heartbeat | Release):
            part = self._part(sender, message.call, scope)
            if part is not None:
                part.from_vehicle(message, tick)
        elif isinstance(message, Offer | Lease | Bill):
            part = self._part(scope, message.call, sender)
            if part is not None:
                called = self._calls[scope, message.call]
                is_new = part.accepted_ms is None
                part.from_charger(message, now_ms)
                if isinstance(message, Lease):
                    called.served = True
                    if is_new:
                        return self._row(scope, sender, called, part)._replace(energy_wh=part.leased_wh)
        return None

    def rows(self, tick: int, begins_ms: int) -> list[ReservationRow]:
        """Return the rows of what ended at least a tick ago, and forget it; `begins_ms` is when the tick began."""
        rows: list[ReservationRow] = []
        for key, called in [*self._calls.items()]:
            for charger, part in [*called.parts.items()]:
                if part.accepted_ms is None:
                    continue
                if part.ended_tick is None and part.until_ms < begins_ms:
                    part.outcome, part.ended_tick = "expired", tick
                elif part.ended_tick is not None and part.ended_tick <= tick - _WAITS:
                    rows.append(self._row(key[0], charger, called, part))
                    del called.parts[charger]
            waited = called.closed_tick if called.closed_tick is not None else called.tick + _WAITS
            if waited > tick - _WAITS:
                continue
            if not called.served:
                rows.append(self._row(key[0], "", called, None))
            called.parts = {name: part for name, part in called.parts.items() if part.accepted_ms is not None}
            if not called.parts:
                del self._calls[key]
            else:
                called.served = True
        return rows

    def memory(self) -> dict[str, dict[str, int]]:
        """Return each vehicle's last call, and how often it has begun to count anew."""
        return {"last": dict(self._last), "lives": dict(self._lives)}

    def recall(self, memory: dict[str, dict[str, int]]) -> None:
        """Take over what `memory` returned."""
        self._last.update(memory.get("last", {}))
        self._lives.update(memory.get("lives", {}))

    def finish(self) -> list[ReservationRow]:
        """Return the rows of what has ended or is open when the run ends."""
        rows: list[ReservationRow] = []
        for (vehicle, _), called in self._calls.items():
            leased = [(name, part) for name, part in called.parts.items() if part.accepted_ms is not None]
            rows += [self._row(vehicle, charger, called, part) for charger, part in leased]
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
            self._lives[vehicle] = (
                self._lives.get(vehicle, 0) + 1
            )  # it has forgotten how many calls it has made
        self._last[vehicle] = call.call
        if known is None:
            self._calls[key] = _Called(call, tick)

    def _part(self, vehicle: str, call: int, charger: str) -> _Part | None:
        called = self._calls.get((vehicle, call))
        return None if called is None else called.parts.setdefault(charger, _Part())

    def _row(self, vehicle: str, charger: str, called: _Called, part: _Part | None) -> ReservationRow:
        call = called.first
        number = call.call + self._lives.get(vehicle, 0) * _LIVES
        if part is None:
            return ReservationRow(
                vehicle, "", number, call.simulated_ms, None, None, None, None, 0, None, None, "unserved"
            )
        at = self._places.get(charger)
        return ReservationRow(
            vehicle=vehicle,
            charger=charger,
            call=number,
            requested_ms=call.simulated_ms,
            offered_ms=part.offered_ms,
            accepted_ms=part.accepted_ms,
            arrived_ms=part.arrived_ms,
            released_ms=part.released_ms,
            energy_wh=part.drawn_wh if part.billed_wh is None else part.billed_wh,
            price_ueur=part.price,
            distance_km=None
            if at is None
            else distance_km(call.latitude, call.longitude, at.latitude, at.longitude),
            outcome=part.outcome,
            measured=charger in self._measured,
        )
