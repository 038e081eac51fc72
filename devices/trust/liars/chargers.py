"""Lies of charging stations: energy that was not delivered, and offers that are not kept."""

from dataclasses import replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    ChargerState,
    Close,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Release,
    Role,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.charging.reservation import HOLD_MS, LEASE_MS
from gridfleet.devices.physics.battery import taken_for
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.liars.lie import Honest, Liar, Lie

HUGE_WH: Final = 10**12
PADDED_QUARTERS: Final = 5
"""A padded offer has five quarters of the energy that the charger can deliver."""
CHARGERS: Final = frozenset({Role.CHARGER})


class Overbiller(Liar):
    """Offers 10⁹ kWh to everybody, claims a meter, and has it show 10⁹ kWh at every heartbeat, also before arrival."""

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - as `Liar`
        super().__init__(agent, random, partner)
        self._prices: dict[tuple[str, int], int] = {}

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Serve every reservation by itself: the honest agent learns of none."""
        match message:
            case Call():
                price = message.limit_ueur_per_kwh // 2
                self._prices[sender, message.call] = price
                return ((sender, Offer(message.call, HUGE_WH, price, now_ms + HOLD_MS)),)
            case Accept(charger=self.agent.id):
                return ((sender, self._lease(sender, message.call, 0, now_ms)),)
            case Heartbeat():
                return ((sender, self._lease(sender, message.call, HUGE_WH, now_ms)),)
            case Release():
                cost = cost_neur(HUGE_WH, self._prices.get((sender, message.call), 0))
                return ((sender, Bill(message.call, HUGE_WH, cost)),)
            case Accept() | Close():
                return NOTHING
        return honest()

    def _lease(self, vehicle: str, call: int, drawn_wh: int, now_ms: int) -> Lease:
        price = self._prices.get((vehicle, call), 0)
        return Lease(call, HUGE_WH, price, now_ms + LEASE_MS, drawn_wh, metered=True)


class Padder(Liar):
    """Offers a quarter more energy than it has for the vehicle, claims a meter, and bills all of it.

    Its account agrees with its bills: it claims that its battery is emptier than it is.
    """

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - as `Liar`
        super().__init__(agent, random, partner)
        self._arrived: set[tuple[str, int]] = set()
        self._shown: dict[tuple[str, int], Lease] = {}
        """The last lease published, by vehicle and call."""
        self._delivered_wh = self._earned_neur = self._taken_wh = self._balance_neur = 0

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Note who has arrived."""
        if isinstance(message, Heartbeat) and message.arrived:
            self._arrived.add((sender, message.call))
        return honest()

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Pad offers, meter readings, bills and the account."""
        match message:
            case Offer():
                return ((scope, replace(message, energy_wh=_padded(message.energy_wh))),)
            case Lease():
                return ((scope, self._padded_lease(scope, message)),)
            case Bill():
                return ((scope, self._padded_bill(scope, message)),)
            case ChargerState():
                return ((scope, self._account(message)),)
        return ((scope, message),)

    def _padded_lease(self, vehicle: str, lease: Lease) -> Lease:
        key = vehicle, lease.call
        energy_wh = _padded(lease.energy_wh)
        before = self._shown.get(key)
        drawn_wh = before.drawn_wh if before is not None else 0
        if key in self._arrived:
            drawn_wh = min(drawn_wh + energy_wh // 3, energy_wh)
        padded = replace(lease, energy_wh=energy_wh, drawn_wh=drawn_wh, metered=True)
        self._book(before, padded)
        self._shown[key] = padded
        return padded

    def _padded_bill(self, vehicle: str, bill: Bill) -> Bill:
        before = self._shown.pop((vehicle, bill.call), None)
        if before is None or (vehicle, bill.call) not in self._arrived:
            return bill
        self._arrived.discard((vehicle, bill.call))
        self._book(before, replace(before, drawn_wh=before.energy_wh))
        cost = cost_neur(before.energy_wh, before.price_ueur_per_kwh)
        return Bill(bill.call, before.energy_wh, cost)

    def _book(self, before: Lease | None, after: Lease) -> None:
        """Add to the claimed account what a meter shows beyond the reading before."""
        drawn_wh = after.drawn_wh - (before.drawn_wh if before is not None else 0)
        self._delivered_wh += drawn_wh
        self._earned_neur += cost_neur(drawn_wh, after.price_ueur_per_kwh)

    def _account(self, honest: ChargerState) -> ChargerState:
        delivered_wh, earned_neur = self._delivered_wh, self._earned_neur
        self._delivered_wh = self._earned_neur = 0
        loss_wh = taken_for(delivered_wh) - delivered_wh
        self._taken_wh += delivered_wh + loss_wh - honest.delivered_wh - honest.discharge_loss_wh
        self._balance_neur += earned_neur - honest.earned_neur
        return replace(
            honest,
            delivered_wh=delivered_wh,
            discharge_loss_wh=loss_wh,
            earned_neur=earned_neur,
            stored_wh=min(max(honest.stored_wh - self._taken_wh, 0), honest.capacity_wh),
            balance_neur=honest.balance_neur + self._balance_neur,
        )


class PromisesForNothing(Liar):
    """Offers everybody energy for nothing, and does not confirm what is accepted."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Offer at a price of 0; ignore what follows."""
        match message:
            case Call():
                energy_wh = min(2 * message.energy_wh, HUGE_WH)
                return ((sender, Offer(message.call, energy_wh, 0, now_ms + HOLD_MS)),)
            case Accept() | Heartbeat() | Release() | Close():
                return NOTHING
        return honest()


class ChangesOffer(Liar):
    """Confirms half the energy of its offer, at twice the price."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Confirm other terms than those offered."""
        if isinstance(message, Lease):
            price = min(message.price_ueur_per_kwh * 2, 10**9)
            return ((scope, replace(message, energy_wh=message.energy_wh // 2, price_ueur_per_kwh=price)),)
        return ((scope, message),)


class BillsFalseFees(Liar):
    """Adds the fee for not coming to the bill of each vehicle that came."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Bill the fee that its offers state."""
        if isinstance(message, Bill) and message.energy_wh:
            fee_neur = self.agent.reservation_book.fees.amount_neur
            return ((scope, replace(message, no_show_fee_neur=fee_neur)),)
        return ((scope, message),)


def _padded(energy_wh: int) -> int:
    return energy_wh * PADDED_QUARTERS // 4


OVERBILL: Final = Lie("overbill", CHARGERS, "bills 10^9 kWh, also before the vehicle arrives", Overbiller)
PAD_BILL: Final = Lie("pad-bill", CHARGERS, "bills a quarter more than it can deliver", Padder)
ZERO_PRICE: Final = Lie(
    "zero-price", CHARGERS, "offers energy for nothing and serves nobody", PromisesForNothing
)
FALSE_FEE: Final = Lie(
    "false-fee", CHARGERS, "bills the fee for not coming to vehicles that came", BillsFalseFees
)
CHANGING_OFFER: Final = Lie(
    "changing-offer", CHARGERS, "confirms half the energy at twice the price of its offer", ChangesOffer
)
