"""Lies of those that buy: bids beyond all need, and awards that are refused, not answered or answered falsely."""

from dataclasses import replace
from typing import Final

from gridfleet.broker.protocol.messages import (
    MAX_PACKAGES,
    Award,
    Bid,
    Message,
    Package,
    Receipt,
    Request,
    Residual,
    Role,
)
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.trust.liars.lie import Honest, Liar, Lie

EVERYTHING: Final = tuple(Package(index, 10**12, 10**9) for index in range(MAX_PACKAGES))
"""256 packages of 10⁹ kWh at 1 000 EUR/kWh: the largest bid that a message may contain."""
BUYERS: Final = frozenset({Role.CONSUMER, Role.STORAGE, Role.CHARGER})


class _Greedy(Liar):
    """Bids more than anybody has, at a price that nobody pays."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Put the largest bid in place of its own; ask the grid supply for nothing."""
        match message:
            case Bid() | Residual():
                return ((scope, replace(message, packages=EVERYTHING)),)
            case Request() | Receipt():
                return NOTHING
        return ((scope, message),)


class BidsEverything(_Greedy):
    """Leaves every award unanswered, so that the energy stays promised to it."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Ignore awards."""
        return NOTHING if isinstance(message, Award) else honest()


class BidsAndRefuses(_Greedy):
    """Refuses every award as a whole."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Answer an award with an empty receipt."""
        return _refusal(sender, message) if isinstance(message, Award) else honest()


class RefusesAwards(Liar):
    """Bids for what it needs, and refuses every award as a whole."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Answer an award with an empty receipt."""
        return _refusal(sender, message) if isinstance(message, Award) else honest()


class RefusesLate(Liar):
    """Bids for what it needs, leaves awards unanswered in their tick, and refuses them in the next one."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Refuse what the seller asks for again; by then nobody else can buy it."""
        if not isinstance(message, Award):
            return honest()
        return _refusal(sender, message) if message.tick < self.agent.tick else NOTHING


class GivesNoReceipt(Liar):
    """Takes the energy and gives no receipt for it."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Drop receipts."""
        return NOTHING if isinstance(message, Receipt) else ((scope, message),)


class ReceiptsTwice(Liar):
    """Refuses each award first, so that its energy is sold again, and then takes it after all."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Put an empty receipt before each receipt."""
        if isinstance(message, Receipt) and message.lots:
            return ((scope, replace(message, lots=())), (scope, message))
        return ((scope, message),)


class AltersReceipts(Liar):
    """Takes twice the energy of each award, at a thousandth of its price."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Double the energy and divide the price of each lot."""
        if not isinstance(message, Receipt):
            return ((scope, message),)
        lots = tuple(
            Package(lot.index, lot.energy_wh * 2, lot.price_ueur_per_kwh // 1000) for lot in message.lots
        )
        return ((scope, replace(message, lots=lots)),)


def _refusal(sender: str, award: Award) -> Out:
    return ((sender, Receipt(award.tick, award.serial, ())),)


BID_EVERYTHING: Final = Lie(
    "bid-everything", BUYERS, "bids 256 x 10^9 kWh at 1000 EUR/kWh and answers no award", BidsEverything
)
BID_AND_REFUSE: Final = Lie(
    "bid-and-refuse", BUYERS, "bids 256 x 10^9 kWh at 1000 EUR/kWh and refuses every award", BidsAndRefuses
)
REFUSE_AWARDS: Final = Lie("refuse-awards", BUYERS, "bids honestly and refuses every award", RefusesAwards)
REFUSE_LATE: Final = Lie(
    "refuse-late", BUYERS, "bids honestly and refuses every award one tick late", RefusesLate
)
NO_RECEIPT: Final = Lie("no-receipt", BUYERS, "takes energy and gives no receipt", GivesNoReceipt)
DOUBLE_RECEIPT: Final = Lie(
    "double-receipt", BUYERS, "refuses each award and then takes it after all", ReceiptsTwice
)
ALTERED_RECEIPT: Final = Lie(
    "altered-receipt", BUYERS, "takes twice the awarded energy, at a thousandth of the price", AltersReceipts
)
