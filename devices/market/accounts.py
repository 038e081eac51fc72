"""The account of one tick: what a producer has sold, or what a consumer has bought."""

from collections.abc import KeysView
from dataclasses import dataclass
from typing import Final

from gridfleet.broker.protocol.messages import Award, Package, Receipt
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.market.packages import total_wh

REMEMBERED_TICKS: Final = 96
"""For this many ticks (a day) a producer asks for a missing receipt, and a consumer can repeat it.

Only ticks in which the device took part count: an outage of the broker uses up none of them.
"""


@dataclass(slots=True)
class OpenAward:
    """An award without a receipt; `market` is the cell in whose market it was made."""

    consumer: str
    market: str
    message: Award
    energy_wh: int


class Sales:
    """A producer's account of one tick; always energy = sold + pending + unsold.

    Awards are numbered per consumer, so that the numbers do not depend on who is served first.
    """

    __slots__ = (
        "_serials",
        "earned_neur",
        "energy_wh",
        "open_awards",
        "pending_wh",
        "reminded",
        "sold_wh",
        "tick",
        "unjudged",
    )

    def __init__(self, tick: int, energy_wh: int = 0) -> None:
        self.tick = tick
        self.energy_wh = energy_wh
        self.sold_wh = 0
        self.pending_wh = 0
        self.earned_neur = 0
        self.open_awards: dict[tuple[str, int], OpenAward] = {}
        self.reminded = 0
        """The number of later ticks in which it has asked for the missing receipts."""
        self.unjudged: frozenset[str] = frozenset()
        """Buyers that have not answered within the tick, and of whom it is not known yet whether they refuse."""
        self._serials: dict[str, int] = {}

    @property
    def buyers(self) -> KeysView[str]:
        """Who was awarded anything in the tick."""
        return self._serials.keys()

    @property
    def unanswered(self) -> frozenset[str]:
        """Who has not answered every award."""
        return frozenset(award.consumer for award in self.open_awards.values())

    @property
    def unsold_wh(self) -> int:
        """Energy neither sold nor promised, Wh."""
        return self.energy_wh - self.sold_wh - self.pending_wh

    def award(self, consumer: str, market: str, lots: tuple[Package, ...]) -> Award:
        """Promise packages to a consumer; the caller makes sure that they are within the unsold energy."""
        serial = self._serials.get(consumer, 0)
        self._serials[consumer] = serial + 1
        message = Award(self.tick, serial, lots)
        energy_wh = total_wh(lots)
        self.open_awards[consumer, serial] = OpenAward(consumer, market, message, energy_wh)
        self.pending_wh += energy_wh
        return message

    def settle(self, consumer: str, receipt: Receipt) -> OpenAward | None:
        """Settle the open award of a receipt; return it, `energy_wh` now the refused part, or None if there is none."""
        award = self.open_awards.get((consumer, receipt.serial))
        if award is None or not _within(receipt.lots, award.message.lots):
            return None
        del self.open_awards[consumer, receipt.serial]
        taken_wh = total_wh(receipt.lots)
        self.pending_wh -= award.energy_wh
        self.sold_wh += taken_wh
        for lot in receipt.lots:
            self.earned_neur += cost_neur(lot.energy_wh, lot.price_ueur_per_kwh)
        award.energy_wh -= taken_wh
        return award


def _within(taken: tuple[Package, ...], awarded: tuple[Package, ...]) -> bool:
    """Whether the packages taken are among those awarded, each once, at their price and no larger."""
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


class Purchases:
    """A consumer's account of one tick: what each package still needs, and the receipts given."""

    __slots__ = ("_left", "_pays_bid", "bought_wh", "packages", "paid_neur", "partial", "receipts", "tick")

    def __init__(self, tick: int, packages: tuple[Package, ...] = (), *, pays_bid: bool = True) -> None:
        """`pays_bid` states that the clearing rule asks for exactly the price bid, and not for less."""
        self.tick = tick
        self._pays_bid = pays_bid
        self.packages = packages
        self.bought_wh = 0
        self.paid_neur = 0
        self.receipts: dict[tuple[str, int], Receipt] = {}
        self.partial: tuple[tuple[str, int], ...] = ()
        """The keys of receipts that accept only a part of their award, or nothing."""
        self._left = [package.energy_wh for package in packages]

    @property
    def demand_wh(self) -> int:
        """Energy of all packages, Wh."""
        return total_wh(self.packages)

    def remaining(self, min_price_ueur_per_kwh: int = 0) -> tuple[Package, ...]:
        """Return the packages, or parts of them, that are still needed and priced at least this."""
        if not any(self._left):
            return ()
        return tuple(
            Package(package.index, left, package.price_ueur_per_kwh)
            for package, left in zip(self.packages, self._left, strict=True)
            if left and package.price_ueur_per_kwh >= min_price_ueur_per_kwh
        )

    def accept(self, producer: str, award: Award) -> Receipt:
        """Accept what is still needed, and priced as the rule allows; a repeated award gets the same receipt."""
        known = self.receipts.get((producer, award.serial))
        if known is not None:
            return known
        taken: list[Package] = []
        for lot in award.lots:
            left = self._left[lot.index] if lot.index < len(self._left) else 0
            energy_wh = min(left, lot.energy_wh)
            if energy_wh and self._accepts(lot.price_ueur_per_kwh, self.packages[lot.index]):
                self._left[lot.index] = left - energy_wh
                self.bought_wh += energy_wh
                self.paid_neur += cost_neur(energy_wh, lot.price_ueur_per_kwh)
                taken.append(
                    lot
                    if energy_wh == lot.energy_wh
                    else Package(lot.index, energy_wh, lot.price_ueur_per_kwh)
                )
        receipt = Receipt(award.tick, award.serial, tuple(taken))
        self.receipts[producer, award.serial] = receipt
        if receipt.lots != award.lots:
            self.partial = (*self.partial, (producer, award.serial))
        return receipt

    def refuse(self, producer: str, award: Award) -> Receipt:
        """Refuse an award as a whole; a repeated award gets the same receipt."""
        key = producer, award.serial
        receipt = self.receipts.get(key)
        if receipt is None:
            receipt = self.receipts[key] = Receipt(award.tick, award.serial, ())
            self.partial = (*self.partial, key)
        return receipt

    def _accepts(self, price: int, package: Package) -> bool:
        bid = package.price_ueur_per_kwh
        return price == bid or (price < bid and not self._pays_bid)
