"""Who has traded with whom until a tick, as the live page counts it: `Partners` in console/src/model/partners.ts."""

import zlib
from collections.abc import Iterable
from typing import Final

from gridfleet.broker.protocol.messages import Receipt
from gridfleet.broker.readers.json_values import json_text, parse_json

MAX_PAIRS: Final = 100_000
"""The most pairs of seller and buyer that are counted."""
Trade = tuple[int, int, int, int]
"""Energy in Wh, money in nEUR, number of receipts, last tick."""


class Partners:
    """Sums by pair of seller and buyer."""

    def __init__(self) -> None:
        self.pairs: dict[str, Trade] = {}
        """"seller buyer" -> trade, in the order of their first trades."""

    def add(self, seller: str, buyer: str, receipt: Receipt) -> None:
        """Add what a buyer took of an award."""
        if receipt.lots:
            wh = sum(lot.energy_wh for lot in receipt.lots)
            neur = sum(lot.energy_wh * lot.price_ueur_per_kwh for lot in receipt.lots)
            self.merge(f"{seller} {buyer}", (wh, neur, 1, receipt.tick))

    def merge(self, pair: str, trade: Trade) -> None:
        """Add sums of a pair."""
        before = self.pairs.get(pair)
        if before is not None:
            wh, neur, receipts, tick = before
            self.pairs[pair] = (wh + trade[0], neur + trade[1], receipts + trade[2], max(tick, trade[3]))
        elif len(self.pairs) < MAX_PAIRS:
            self.pairs[pair] = trade

    def packed(self) -> bytes:
        """Return the sums in little space."""
        return zlib.compress(json_text(self.pairs).encode(), 3)


def sum_of(parts: Iterable[bytes]) -> Partners:
    """Return the sums of several packed ones, in their order."""
    found = Partners()
    for part in parts:
        for pair, (wh, neur, receipts, tick) in parse_json(zlib.decompress(part)).items():
            found.merge(pair, (wh, neur, receipts, tick))
    return found
