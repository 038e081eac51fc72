"""The power market of one cell and tick, as pure rules: merit order, canonical fill, and both sides' books.

Every producer of a cell hears the same bids and supplies, sorts them the same way, lays the supplies end to end
along the merit order, and awards the stretch that falls to itself. Without faults no energy is awarded twice
and one round suffices, with no auctioneer. Nothing here knows of time, topics or transports.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from gridfleet.broker.protocol.messages import MAX_PACKAGES, Award, Package, Receipt
from gridfleet.broker.protocol.units import cost_neur

REMEMBERED_TICKS: Final = 96
"""For so many ticks (a day) a producer asks for a missing receipt, and a consumer can give it again.

Ticks of their own, in which they took part: while a broker is away nobody forgets.
"""

_ENERGY: Final = 4

Claim = tuple[int, int, str, int, int, Package]
"""One package in the merit order: (minus the price, tie, consumer, index, energy in Wh, the package itself).

It sorts by price, highest first; then by the hash; then by id and index. A plain tuple, because clearing builds
and sorts a great many of them: a named one costs 20 % of a whole simulation.
"""


def tie(agent: str, tick: int) -> int:
    """Return the number that orders equal prices: another order in every tick, the same for everybody.

    The two multiplications undo what is regular about a checksum (its ties of two ids of one length always differ
    in the same bits); they are the finisher of MurmurHash3.
    """
    mixed = crc32(agent.encode(), tick)
    mixed = (mixed ^ (mixed >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    mixed = (mixed ^ (mixed >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def merit_order(tick: int, bids: Mapping[str, Iterable[Package]]) -> list[Claim]:
    """Return all packages of all bids, the best-paid first; independent of the order of arrival."""
    claims: list[Claim] = []
    for consumer, packages in bids.items():
        key = tie(consumer, tick)
        claims += [(-p.price_ueur_per_kwh, key, consumer, p.index, p.energy_wh, p) for p in packages]
    claims.sort()
    return claims


def queue(tick: int, supplies: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (producer, energy in Wh) in the canonical order in which supplies are laid along the claims."""
    return sorted(supplies.items(), key=lambda item: (tie(item[0], tick), item[0]))


def stretch(claims: Iterable[Claim], start_wh: int, energy_wh: int) -> list[tuple[Claim, int]]:
    """Return the claims, with the Wh of each, between start and start + energy along the merit order."""
    lots: list[tuple[Claim, int]] = []
    end_wh = start_wh + energy_wh
    if energy_wh <= 0:
        return lots
    at = 0
    for claim in claims:
        if at >= end_wh:
            break
        after = at + claim[_ENERGY]
        if after > max(start_wh, at):
            lots.append((claim, min(after, end_wh) - max(at, start_wh)))
        at = after
    return lots


class Book:
    """Bids and supplies for one cell in one tick, as one producer has heard them."""

    __slots__ = ("_claims", "_resold", "bids", "supplies", "tick")

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.bids: dict[str, tuple[Package, ...]] = {}
        self.supplies: dict[str, int] = {}
        self._claims: list[Claim] = []
        self._resold: list[tuple[Claim, int]] | None = None

    def share(self, producer: str) -> list[tuple[Claim, int]]:
        """Clear the market; return what falls to this producer. Energy of no claim is left over."""
        self._claims = merit_order(self.tick, self.bids)
        start = 0
        for name, energy_wh in queue(self.tick, self.supplies):
            if name == producer:
                return stretch(self._claims, start, energy_wh)
            start += energy_wh
        return []

    def close(self) -> None:
        """Let go of the bids when the tick is over: they are most of what a producer holds."""
        self.bids = {}
        self._claims = []
        self._resold = []

    def leftovers(self) -> dict[str, int]:
        """Return what each producer keeps, in Wh, when every award is taken."""
        wanted = sum(p.energy_wh for packages in self.bids.values() for p in packages)
        left: dict[str, int] = {}
        for name, energy_wh in queue(self.tick, self.supplies):
            sold = min(wanted, energy_wh)
            wanted -= sold
            left[name] = energy_wh - sold
        return left

    def resell(self, energy_wh: int) -> list[tuple[Claim, int]]:
        """Return the next claims that the clearing left unserved, each offered only once, for refused energy."""
        if self._resold is None:
            total = sum(self.supplies.values())
            tail = sum(claim[_ENERGY] for claim in self._claims) - total
            self._resold = stretch(self._claims, total, tail)[::-1] if tail > 0 else []
        lots: list[tuple[Claim, int]] = []
        while energy_wh and self._resold:
            claim, unserved_wh = self._resold.pop()
            part = min(unserved_wh, energy_wh)
            lots.append((claim, part))
            energy_wh -= part
        return lots


def by_consumer(lots: Iterable[tuple[Claim, int]]) -> dict[str, tuple[Package, ...]]:
    """Group lots into one award for each consumer."""
    grouped: dict[str, list[Package]] = {}
    for (negative_price, _, consumer, index, whole_wh, package), energy_wh in lots:
        lot = package if energy_wh == whole_wh else Package(index, energy_wh, -negative_price)
        grouped.setdefault(consumer, []).append(lot)
    return {consumer: tuple(packages) for consumer, packages in grouped.items()}


def up_to(energy_wh: int, lots: tuple[Package, ...]) -> tuple[Package, ...]:
    """Return the lots, cut off where they exceed the energy in Wh."""
    if sum(lot.energy_wh for lot in lots) <= energy_wh:
        return lots
    kept: list[Package] = []
    for lot in lots:
        part_wh = min(lot.energy_wh, energy_wh)
        if part_wh > 0:
            kept.append(Package(lot.index, part_wh, lot.price_ueur_per_kwh))
            energy_wh -= part_wh
    return tuple(kept)


@dataclass(slots=True)
class OpenAward:
    """An award without a receipt yet; `market` is the cell it was cleared in."""

    consumer: str
    market: str
    message: Award
    energy_wh: int


class Sales:
    """A producer's books of one tick: energy = sold + pending + unsold, always.

    Awards are numbered for each consumer, so that the numbers do not depend on who was served first.
    """

    __slots__ = ("_serials", "earned_neur", "energy_wh", "open", "pending_wh", "reminded", "sold_wh", "tick")

    def __init__(self, tick: int, energy_wh: int = 0) -> None:
        self.tick = tick
        self.energy_wh = energy_wh
        self.sold_wh = 0
        self.pending_wh = 0
        self.earned_neur = 0
        self.open: dict[tuple[str, int], OpenAward] = {}
        self.reminded = 0
        """In how many later ticks the missing receipts have been asked for."""
        self._serials: dict[str, int] = {}

    @property
    def unsold_wh(self) -> int:
        """Energy neither sold nor promised, Wh."""
        return self.energy_wh - self.sold_wh - self.pending_wh

    def award(self, consumer: str, market: str, lots: tuple[Package, ...]) -> Award:
        """Promise the lots to a consumer; the caller has made sure that they are within the unsold energy."""
        serial = self._serials.get(consumer, 0)
        self._serials[consumer] = serial + 1
        message = Award(self.tick, serial, lots)
        energy_wh = sum(lot.energy_wh for lot in lots)
        self.open[consumer, serial] = OpenAward(consumer, market, message, energy_wh)
        self.pending_wh += energy_wh
        return message

    def receipt(self, consumer: str, receipt: Receipt) -> OpenAward | None:
        """Book a receipt; return its award with `energy_wh` now the refused part, or None when it fits none."""
        award = self.open.get((consumer, receipt.serial))
        if award is None or not _within(receipt.lots, award.message.lots):
            return None
        del self.open[consumer, receipt.serial]
        taken_wh = sum(lot.energy_wh for lot in receipt.lots)
        self.pending_wh -= award.energy_wh
        self.sold_wh += taken_wh
        self.earned_neur += sum(cost_neur(lot.energy_wh, lot.price_ueur_per_kwh) for lot in receipt.lots)
        award.energy_wh -= taken_wh
        return award


def _within(taken: tuple[Package, ...], awarded: tuple[Package, ...]) -> bool:
    """Tell whether the lots taken are among those awarded, each once, at their price and no larger."""
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
    """A consumer's books of one tick: what each package still lacks, and the receipts given."""

    __slots__ = ("_left", "bought_wh", "packages", "paid_neur", "partly", "receipts", "tick")

    def __init__(self, tick: int, packages: tuple[Package, ...] = ()) -> None:
        self.tick = tick
        self.packages = packages
        self.bought_wh = 0
        self.paid_neur = 0
        self.receipts: dict[tuple[str, int], Receipt] = {}
        self.partly: tuple[tuple[str, int], ...] = ()
        """The receipts that do not take the whole award."""
        self._left = [package.energy_wh for package in packages]

    @property
    def demand_wh(self) -> int:
        """Energy of all packages, Wh."""
        return sum(package.energy_wh for package in self.packages)

    def remaining(self, least_price_ueur_per_kwh: int = 0) -> tuple[Package, ...]:
        """Return what is still wanted at that price or above."""
        if not any(self._left):
            return ()
        return tuple(
            Package(package.index, left, package.price_ueur_per_kwh)
            for package, left in zip(self.packages, self._left, strict=True)
            if left and package.price_ueur_per_kwh >= least_price_ueur_per_kwh
        )

    def take(self, producer: str, award: Award) -> Receipt:
        """Accept what is still lacking, refuse the rest; the same award again gets the same receipt."""
        known = self.receipts.get((producer, award.serial))
        if known is not None:
            return known
        taken: list[Package] = []
        for lot in award.lots:
            left = self._left[lot.index] if lot.index < len(self._left) else 0
            energy_wh = min(left, lot.energy_wh)
            if energy_wh and lot.price_ueur_per_kwh == self.packages[lot.index].price_ueur_per_kwh:
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
            self.partly = (*self.partly, (producer, award.serial))
        return receipt


def package_size(energy_wh: int, package_wh: int) -> int:
    """Return the size of packages, larger than wished where a bid could not hold so many."""
    return max(package_wh, -(-energy_wh // MAX_PACKAGES))


def packages_of(energy_wh: int, package_wh: int, price_ueur_per_kwh: int) -> tuple[Package, ...]:
    """Split an energy into packages of one price; the last may be smaller, so that nothing is rounded away.

    A demand of more packages than one bid may hold is split into larger ones.
    """
    package_wh = package_size(energy_wh, package_wh)
    full, rest = divmod(energy_wh, package_wh)
    packages = [Package(index, package_wh, price_ueur_per_kwh) for index in range(full)]
    if rest:
        packages.append(Package(full, rest, price_ueur_per_kwh))
    return tuple(packages)
