"""Fees for reservations that are not used: what chargers bill and vehicles owe, by their own messages.

A vehicle owes the fee of an offer that it accepts, whose lease it keeps by a heartbeat, and which ends without its
having come. A charger that bills a fee before the lease ends, after it has counted energy, or beyond its offer
contradicts itself. A vehicle that has kept the lease and leaves the bill unanswered hides what it owes.
"""

from typing import Final

from gridfleet.broker.protocol.messages import (
    NO_SHOW,
    Bill,
    ChargerState,
    Heartbeat,
    Lease,
    Release,
    State,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS, cost_neur

EXACT_TICKS: Final = 2
"""A fee that is billed in so many ticks without an answer is hidden, where every message arrives; one that is denied at
once."""
DOUBTFUL_TICKS: Final = 4
"""The same where bills and answers may be lost."""
LATE_TICKS: Final = 3
"""Where messages may be late, the recorder's time is so far behind the charger's at most."""
NO_CAUSE: Final = "fee without no-show"
Lie = tuple[str, str]
"""Which lie, and what shows it."""


class FeeDeal:
    """What charger and vehicle said of one lease and its fee."""

    __slots__ = (
        "answered",
        "arrived_tick",
        "billed",
        "denied",
        "drawn_wh",
        "fee_neur",
        "kept",
        "lease_end_ms",
        "price",
        "released_tick",
    )

    def __init__(self) -> None:
        self.lease_end_ms: int | None = None
        """As the charger has stated last; None without a lease."""
        self.drawn_wh = 0
        """The most energy that the charger has counted."""
        self.price = 0
        """Of its energy, µEUR/kWh."""
        self.fee_neur = 0
        """The fee that was billed; 0 before."""
        self.kept = False
        """Whether the vehicle has sent a heartbeat: it knows of the lease."""
        self.arrived_tick: int | None = None
        """When the vehicle reported its arrival, certainly before the lease's end."""
        self.released_tick: int | None = None
        """When the vehicle ended the reservation, before a fee was billed."""
        self.billed: set[int] = set()
        """The ticks in which the fee was billed, since the vehicle's last message about it."""
        self.answered = False
        self.denied = False
        """Whether the vehicle has answered a bill that it does not owe the fee."""

    def on_lease(self, lease: Lease) -> int:
        """Note until when the charger keeps port and energy; return what it earns by what it has counted, nEUR."""
        self.lease_end_ms = max(lease.until_ms, self.lease_end_ms or 0)
        self.price = lease.price_ueur_per_kwh
        return self._count(lease.drawn_wh)

    def on_bill(self, tick: int, bill: Bill) -> int:
        """Note a bill that is no lie; return what the charger earns by it, nEUR."""
        earned_neur = self._count(bill.energy_wh)
        if bill.no_show_fee_neur:
            self.billed.add(tick)
            if not self.fee_neur:
                self.fee_neur = bill.no_show_fee_neur
                earned_neur += self.fee_neur
        return earned_neur

    def _count(self, drawn_wh: int) -> int:
        """Advance the meter; return what the energy since its last reading costs, nEUR."""
        before_wh, self.drawn_wh = self.drawn_wh, max(drawn_wh, self.drawn_wh)
        return cost_neur(self.drawn_wh - before_wh, self.price)

    def on_vehicle(self, tick: int, begin_ms: int, message: Heartbeat | Release, *, exact: bool) -> int:
        """Note what the vehicle says in a tick that begins at `begin_ms`, ms; return the fee that it pays, nEUR."""
        pays_neur = 0
        if isinstance(message, Release):
            if message.outcome == NO_SHOW:
                pays_neur = 0 if self.answered else self.fee_neur
                self.answered = True
            elif not self.billed and self.released_tick is None:
                self.released_tick = tick
            else:
                self.denied = self.denied or (message.outcome == "cancelled" and bool(self.billed))
        else:
            self.kept = True
            in_time = self.lease_end_ms is not None and begin_ms + TICK_MS <= self.lease_end_ms
            if message.arrived and in_time and self.arrived_tick is None:
                self.arrived_tick = tick
        if not exact:
            self.billed.clear()  # it may not have received the bill, or denies it
        return pays_neur

    def fee_error(
        self, tick: int, begin_ms: int, bill: Bill, offered_neur: int, *, exact: bool
    ) -> Lie | None:
        """Return the lie that the bill of a fee shows; `offered_neur` is the highest fee of the charger's offers."""
        what = f"bills a fee of {bill.no_show_fee_neur} nEUR for call {bill.call}"
        if bill.no_show_fee_neur > offered_neur:
            return "fee beyond offer", f"{what}; offered were {offered_neur} nEUR"
        drawn_wh = max(self.drawn_wh, bill.energy_wh)
        ahead_ms = (1 if exact else LATE_TICKS) * TICK_MS
        why = ""
        if drawn_wh:
            why = f"it has counted {drawn_wh} Wh"
        elif self.lease_end_ms is not None and self.lease_end_ms > begin_ms + ahead_ms:
            why = f"its lease lasts until {self.lease_end_ms} ms, and tick {tick} begins at {begin_ms} ms"
        elif exact:
            why = self._reason_against(tick)
        return (NO_CAUSE, f"{what}; {why}") if why else None

    def _reason_against(self, tick: int) -> str:
        """Return why no fee is owed, where every message arrives; empty where it is owed."""
        if self.lease_end_ms is None or not self.kept:
            return "the vehicle has kept no lease"
        for event, then in (("arrived", self.arrived_tick), ("released it", self.released_tick)):
            if then is not None and then < tick:
                return f"the vehicle has {event} in tick {then}"
        return ""

    def hides_fee(self, tick: int, *, exact: bool) -> bool:
        """Return whether the vehicle has left the bill unanswered for too long, when a tick begins."""
        if self.answered or not self.kept:
            return False
        if exact and self.denied:
            return True
        return sum(each < tick for each in self.billed) >= (EXACT_TICKS if exact else DOUBTFUL_TICKS)


class ChargingBooks:
    """What devices must have booked since their last account, by their own messages."""

    def __init__(self) -> None:
        self._due_neur: dict[str, int] = {}

    def clear(self) -> None:
        """Forget everything: messages may be missing."""
        self._due_neur.clear()

    def forget(self, device: str) -> None:
        """Forget a device that starts, stops or reconnects."""
        self._due_neur.pop(device, None)

    def add(self, device: str, amount_neur: int) -> None:
        """Note an amount that a charger has counted or billed, or that a vehicle says it pays."""
        if amount_neur:
            self._due_neur[device] = self._due_neur.get(device, 0) + amount_neur

    def account_error(self, device: str, state: State) -> str:
        """Return what is missing in an account of a charger or vehicle; empty for nothing."""
        due_neur = self._due_neur.pop(device, 0)
        if not due_neur or not isinstance(state, ChargerState | VehicleState):
            return ""
        booked_neur = state.earned_neur if isinstance(state, ChargerState) else state.paid_neur
        if booked_neur >= due_neur:
            return ""
        return f"{booked_neur} nEUR booked; by its own messages {due_neur} nEUR are due"
