"""The messages of chargers on a reservation, from offer to bill, compared with each other."""

from collections.abc import Iterator
from math import atan2, cos, hypot, radians, sin
from typing import Final

from gridfleet.broker.protocol.messages import (
    Bill,
    Call,
    Heartbeat,
    Lease,
    Offer,
    Presence,
    Release,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.accusations.fee_claims import ChargingBooks, FeeDeal
from gridfleet.dashboards.audit.meters import CallKey

CHARGE_EFFICIENCY_PERCENT: Final = 90
WAY_MARGIN_WH: Final = 1_000
"""An offer may exceed the call and the energy of the way by so much: a birth message may have rounded the place."""
_EARTH_RADIUS_KM: Final = 6371.0088
KEPT_TICKS: Final = 100
"""A reservation that begins is followed for so many ticks."""
METER_BEFORE_ARRIVAL: Final = "meter before arrival"
"""A lie only where no heartbeat can have been lost."""
Lie = tuple[str, str]
"""Which lie, and what shows it."""


class _Reservation:
    """A call as its vehicle published it, and the answers of one charger."""

    __slots__ = ("arrived", "call", "deal", "fee_neur", "offers", "tick")

    def __init__(self, call: Call, tick: int) -> None:
        self.call = call
        self.tick = tick
        self.arrived = False
        self.offers: list[tuple[int, int]] = []
        """Energy and price of each offer of the charger: a call that is repeated may get another one."""
        self.fee_neur = 0
        """The highest fee of its offers."""
        self.deal: FeeDeal | None = None
        """What follows its lease; None without one."""


class ChargingClaims:
    """The reservations whose call was received."""

    def __init__(self, *, exact: bool) -> None:
        """With `exact` no message is lost or late."""
        self._exact = exact
        self.books = ChargingBooks()
        """What accounts must contain; filled where every message arrives."""
        self._begin_ms = 0
        """When the present tick has begun, simulated ms."""
        self._tick = -1
        self._calls: dict[tuple[str, int], tuple[int, Call]] = {}
        """(vehicle, call) -> tick and call."""
        self._reservations: dict[CallKey, _Reservation] = {}
        self._places: dict[str, tuple[float, float]] = {}
        self._unclear: set[tuple[str, int]] = set()
        """(vehicle, call) of which there are two different calls: a charger may have received only one of them."""

    def clear(self) -> None:
        """Forget all reservations: messages may be missing."""
        self._calls.clear()
        self._reservations.clear()
        self._unclear.clear()
        self.books.clear()

    def begin_tick(self, tick: int, begin_ms: int) -> Iterator[tuple[str, str]]:
        """Begin a tick at a simulated time, ms; yield vehicles that hide a fee, with evidence; drop what is old."""
        self._tick, self._begin_ms = tick, begin_ms
        for (charger, vehicle, call), reservation in self._reservations.items():
            deal = reservation.deal
            if deal is not None and deal.hides_fee(tick, exact=self._exact):
                deal.answered = True  # it is named once
                answer = "denies the fee" if deal.denied else "answers no bill of the fee"
                text = f"kept the lease of call {call} at {charger} by heartbeats, and {answer}"
                yield vehicle, f"{text}, billed in {len(deal.billed)} ticks"
        self._prune(tick)

    def on_presence(self, device: str, presence: Presence) -> None:
        """Note a device's place; a charger or vehicle that starts may have forgotten its reservations."""
        self._places[device] = presence.latitude, presence.longitude
        self.books.forget(device)
        for key in [key for key in self._reservations if device in key[:2]]:
            del self._reservations[key]

    def on_call(self, tick: int, vehicle: str, call: Call) -> None:
        """Note a vehicle's call; of two different ones with one number nobody is judged by."""
        key = vehicle, call.call
        known = self._calls.get(key)
        if known is not None and _terms(known[1]) != _terms(call):
            self._unclear.add(key)
        self._calls[key] = tick, call

    def on_vehicle(self, charger: str, vehicle: str, message: Heartbeat | Release) -> None:
        """Note that a vehicle keeps a reservation, has arrived or ends it."""
        reservation = self._reservations.get((charger, vehicle, message.call))
        if reservation is None:
            return
        if isinstance(message, Heartbeat) and message.arrived:
            reservation.arrived = True
        if reservation.deal is not None:
            pays_neur = reservation.deal.on_vehicle(self._tick, self._begin_ms, message, exact=self._exact)
            if self._exact:
                self.books.add(vehicle, pays_neur)

    def check(self, charger: str, vehicle: str, message: Offer | Lease | Bill) -> Lie | None:
        """Return the lie that a message shows; None where there is none, or its call was not received."""
        key = charger, vehicle, message.call
        reservation = self._reservations.get(key)
        if (vehicle, message.call) in self._unclear:
            return None
        if isinstance(message, Offer):
            called = self._calls.get((vehicle, message.call))
            if called is None:
                return None
            if reservation is None:
                reservation = self._reservations[key] = _Reservation(called[1], called[0])
            return self._check_offer(charger, vehicle, reservation, message)
        if reservation is None or not reservation.offers:
            return None
        if isinstance(message, Lease):
            if reservation.deal is None:
                reservation.deal = FeeDeal()
            earned_neur = reservation.deal.on_lease(message)
            lie = _check_lease(vehicle, reservation, message)
        else:
            lie = self._check_fee(reservation, message) or _check_bill(vehicle, reservation, message)
            deal = reservation.deal if lie is None else None
            earned_neur = deal.on_bill(self._tick, message) if deal is not None else 0
        if self._exact:
            self.books.add(charger, earned_neur)
        return lie

    def _check_fee(self, reservation: _Reservation, bill: Bill) -> Lie | None:
        if not bill.no_show_fee_neur:
            return None
        deal, offered_neur = reservation.deal or FeeDeal(), reservation.fee_neur
        return deal.fee_error(self._tick, self._begin_ms, bill, offered_neur, exact=self._exact)

    def _check_offer(self, charger: str, vehicle: str, reservation: _Reservation, offer: Offer) -> Lie | None:
        call = reservation.call
        reservation.offers.append((offer.energy_wh, offer.price_ueur_per_kwh))
        reservation.fee_neur = max(reservation.fee_neur, offer.no_show_fee_neur)
        place = self._places.get(charger)
        if place is None:
            return None
        way_wh = _distance_km(call.latitude, call.longitude, *place) * call.consumption_wh_per_km
        most_wh = call.energy_wh + round(way_wh) * 100 // CHARGE_EFFICIENCY_PERCENT + WAY_MARGIN_WH
        if offer.energy_wh <= most_wh:
            return None
        return (
            "offer beyond call",
            f"offers {offer.energy_wh} Wh to {vehicle}, call {call.call}, which needs {most_wh} Wh at most",
        )

    def _prune(self, tick: int) -> None:
        """Drop what is too old to matter."""
        oldest = tick - KEPT_TICKS
        if any(begun < oldest for begun, _ in self._calls.values()):
            self._calls = {key: value for key, value in self._calls.items() if value[0] >= oldest}
            self._unclear &= self._calls.keys()
            self._reservations = {
                key: each for key, each in self._reservations.items() if each.tick >= oldest
            }


def _distance_km(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Return the great-circle distance in km, by the auditor's own formula: the angle between two directions."""
    one, other, turn = radians(latitude), radians(to_latitude), radians(to_longitude - longitude)
    across = hypot(cos(other) * sin(turn), cos(one) * sin(other) - sin(one) * cos(other) * cos(turn))
    along = sin(one) * sin(other) + cos(one) * cos(other) * cos(turn)
    return _EARTH_RADIUS_KM * atan2(across, along)


def _terms(call: Call) -> tuple[int, float, float, float]:
    """Return what an offer depends on."""
    return call.energy_wh, call.latitude, call.longitude, call.consumption_wh_per_km


def _check_lease(vehicle: str, reservation: _Reservation, lease: Lease) -> Lie | None:
    what = f"lease to {vehicle}, call {lease.call}"
    if (lease.energy_wh, lease.price_ueur_per_kwh) not in reservation.offers:
        energy_wh, price = reservation.offers[-1]
        what += f": {lease.energy_wh} Wh at {lease.price_ueur_per_kwh} µEUR/kWh; offered were "
        return "lease is not the offer", f"{what}{energy_wh} Wh at {price}"
    if lease.drawn_wh > lease.energy_wh:
        return "meter beyond lease", f"{what}: {lease.drawn_wh} Wh drawn of {lease.energy_wh} Wh leased"
    if lease.metered and lease.drawn_wh and not reservation.arrived:
        return METER_BEFORE_ARRIVAL, f"{what}: {lease.drawn_wh} Wh drawn before the vehicle has arrived"
    return None


def _check_bill(vehicle: str, reservation: _Reservation, bill: Bill) -> Lie | None:
    what = f"bill to {vehicle}, call {bill.call}"
    most_wh = max(energy_wh for energy_wh, _ in reservation.offers)
    if bill.energy_wh > most_wh:
        return "bill beyond lease", f"{what}: {bill.energy_wh} Wh; offered were {most_wh} Wh"
    due_neur = [cost_neur(bill.energy_wh, price) for _, price in reservation.offers]
    if bill.amount_neur not in due_neur:
        return "bill is not the price", f"{what}: {bill.amount_neur} nEUR for what costs {due_neur[-1]} nEUR"
    return None
