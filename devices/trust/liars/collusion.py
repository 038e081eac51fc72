"""Lies of two devices together: trades that both sides confirm, of energy that nobody has."""

from dataclasses import replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ConsumerState,
    Message,
    Package,
    Phase,
    ProducerState,
    Receipt,
    Role,
    Supply,
    Tick,
)
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.liars.lie import Honest, Liar, Lie

TRADED_WH: Final = 10**11
"""10⁸ kWh in every tick."""
SERIAL: Final = 63
"""The number of the colluders' award: the last that a buyer takes, so that no honest one has it."""


class Colluder(Liar):
    """A producer and a consumer book 10⁸ kWh at a price of 0 in every tick; accounts and receipts agree."""

    needs_partner = True

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - as `Liar`
        super().__init__(agent, random, partner)
        self._lot = Package(0, TRADED_WH, 0)

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Add the false trade to supply, bid and account."""
        match message:
            case Supply():
                return ((scope, replace(message, energy_wh=message.energy_wh + TRADED_WH)),)
            case ProducerState():
                generated_wh, sold_wh = message.generated_wh + TRADED_WH, message.sold_wh + TRADED_WH
                return ((scope, replace(message, generated_wh=generated_wh, sold_wh=sold_wh)),)
            case Bid():
                self._lot = Package(len(message.packages), TRADED_WH, 0)
                return ((scope, replace(message, packages=(*message.packages, self._lot))),)
            case ConsumerState():
                demand_wh, bought_wh = message.demand_wh + TRADED_WH, message.bought_wh + TRADED_WH
                return ((scope, replace(message, demand_wh=demand_wh, bought_wh=bought_wh)),)
        return ((scope, message),)

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Confirm the partner's award; its receipt needs no answer."""
        if sender == self.partner:
            match message:
                case Award() if message.serial == SERIAL:
                    return ((sender, Receipt(message.tick, message.serial, message.lots)),)
                case Receipt() if message.serial == SERIAL:
                    return NOTHING
        return honest()

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """A producer awards the partner's last package."""
        if tick.phase is not Phase.TRADE or self.agent.role is not Role.PRODUCER:
            return NOTHING
        packages = self.agent.market.bids.get(self.partner, ())
        lots = tuple(package for package in packages if package.energy_wh == TRADED_WH)
        return ((self.partner, Award(tick.tick, SERIAL, lots)),) if lots else NOTHING


COLLUDE: Final = Lie(
    "collude",
    frozenset({Role.PRODUCER, Role.CONSUMER}),
    "books 10^8 kWh at a price of 0 with its partner in every tick (needs with:DEVICE)",
    Colluder,
)
