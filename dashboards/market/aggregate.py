"""One tick's market, aggregated from its messages: bids, supplies, and awards joined with receipts.

Recorder, telemetry, terminal view and chaos checks read this one aggregate. The auditor has its own code for the same
question, on purpose: it must not share a mistake with what it checks.

A message that arrives more than once counts once: the first bid, supply and request of a device, the first award and
receipt of an award key.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gridfleet.broker.protocol.messages import Award, Bid, Message, Package, Receipt, Request, State, Supply
from gridfleet.broker.protocol.units import cost_neur

Lots = tuple[Package, ...]
AwardKey = tuple[str, str, int]
"""Producer, consumer and serial: identifies an award within its tick."""


class LotTotals(NamedTuple):
    """Energy and cost of lots, and their lowest and highest price; no price without lots."""

    energy_wh: int = 0
    cost_neur: int = 0
    lowest_ueur_per_kwh: int | None = None
    highest_ueur_per_kwh: int | None = None


class MarketAggregate:
    """The market messages and accounts of one tick; `add` and `add_account` take them in any order."""

    __slots__ = (
        "awards",
        "bids",
        "cells",
        "homes",
        "message_counts",
        "receipts",
        "requests",
        "states",
        "supplies",
        "tick",
    )

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.bids: dict[str, Lots] = {}
        """Consumer -> packages."""
        self.supplies: dict[str, int] = {}
        """Producer -> Wh announced."""
        self.requests: set[str] = set()
        """Consumers that asked the reactor."""
        self.awards: dict[AwardKey, Lots] = {}
        self.receipts: dict[AwardKey, Lots] = {}
        self.states: dict[str, State] = {}
        """Device -> its last account of the tick."""
        self.cells: set[str] = set()
        """Cells in which anybody bid or announced a supply."""
        self.homes: dict[str, str] = {}
        """Device -> the cell in which it bid or announced a supply."""
        self.message_counts: dict[str, int] = {}
        """Device -> messages, repeated ones included."""

    def add(self, scope: str, sender: str, message: Message) -> None:
        """Add a market message."""
        message_class = type(message)
        if message_class is Receipt:
            self.receipts.setdefault((scope, sender, message.serial), message.lots)  # type: ignore[attr-defined]
        elif message_class is Award:
            self.awards.setdefault((sender, scope, message.serial), message.lots)  # type: ignore[attr-defined]
        elif message_class is Bid:
            self.bids.setdefault(sender, message.packages)  # type: ignore[attr-defined]
            self.cells.add(scope)
            self.homes[sender] = scope
        elif message_class is Supply:
            self.supplies.setdefault(sender, message.energy_wh)  # type: ignore[attr-defined]
            self.cells.add(scope)
            self.homes[sender] = scope
        elif message_class is Request:
            self.requests.add(sender)
        self.count(sender)

    def add_account(self, sender: str, state: State) -> None:
        """Add a device's account of the tick; a later one replaces it."""
        self.states[sender] = state

    def count(self, sender: str, messages: int = 1) -> None:
        """Count messages of a device that belong to the tick and not to its market."""
        self.message_counts[sender] = self.message_counts.get(sender, 0) + messages

    def sales(self) -> Iterator[tuple[AwardKey, Lots]]:
        """Yield each award with the lots that its receipt took; awards without a valid receipt are left out."""
        for key, awarded in self.awards.items():
            taken = self.receipts.get(key)
            if taken is not None and is_within(taken, awarded):
                yield key, taken

    def open_awards(self) -> dict[AwardKey, Lots]:
        """Return the awards without a receipt."""
        return {key: lots for key, lots in self.awards.items() if key not in self.receipts}

    def receipt_totals(self) -> LotTotals:
        """Return the totals of all receipts, for listeners that do not receive the awards."""
        return lot_totals(lot for lots in self.receipts.values() for lot in lots)


def is_within(taken: Lots, awarded: Lots) -> bool:
    """Return whether the lots of a receipt are among those awarded: each once, at its price and no larger."""
    if taken == awarded:
        return True
    offered = {lot.index: lot for lot in awarded}
    for lot in taken:
        limit = offered.pop(lot.index, None)
        if (
            limit is None
            or lot.energy_wh > limit.energy_wh
            or lot.price_ueur_per_kwh != limit.price_ueur_per_kwh
        ):
            return False
    return True


def lot_totals(lots: Iterable[Package]) -> LotTotals:
    """Return energy, cost and prices of lots.

    >>> lot_totals([Package(0, energy_wh=500, price_ueur_per_kwh=1_000_000)])
    LotTotals(energy_wh=500, cost_neur=500000000, lowest_ueur_per_kwh=1000000, highest_ueur_per_kwh=1000000)
    """
    energy_wh = total_neur = 0
    prices = []
    for lot in lots:
        energy_wh += lot.energy_wh
        total_neur += cost_neur(lot.energy_wh, lot.price_ueur_per_kwh)
        prices.append(lot.price_ueur_per_kwh)
    if not prices:
        return LotTotals()
    return LotTotals(energy_wh, total_neur, min(prices), max(prices))
