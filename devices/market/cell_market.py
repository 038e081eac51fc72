"""The power market of one cell and tick, as each of its producers clears it.

Every producer of a cell receives the same bids and supplies, sorts them the same way, lays the supplies end to end
along the order, and awards the packages that its own supply covers. Without faults no energy is awarded twice and one
round suffices, without an auctioneer. Nothing here depends on time, topics or transports.
"""

from collections.abc import Iterable

from gridfleet.broker.protocol.messages import Package
from gridfleet.devices.market.clearing import ENERGY, Claim, Lot, allocate, supply_order
from gridfleet.devices.market.clearing_rule import ClearingRule, PackageKey
from gridfleet.devices.market.packages import group_by_consumer


class CellMarket:
    """Bids and supplies of one cell in one tick, as one producer has received them."""

    __slots__ = ("_claims", "_prices", "_unserved", "bids", "rule", "supplies", "tick")

    def __init__(self, tick: int, rule: ClearingRule | None) -> None:
        """`rule` clears it; None where that is not installed here: then this producer serves nothing."""
        self.tick = tick
        self.rule = rule
        self.bids: dict[str, tuple[Package, ...]] = {}
        self.supplies: dict[str, int] = {}
        self._claims: list[Claim] = []
        self._prices: dict[PackageKey, int] = {}
        """What is paid for a package, where the rule says anything but its bid."""
        self._unserved: list[Lot] | None = None

    def clear(self, producer: str) -> list[Lot]:
        """Clear the market; return what this producer serves. Supply that meets no claim is left over.

        Raises RuleError where the rule fails; then nothing is served.
        """
        if self.rule is None:
            return []
        claims = self.rule.ordered(self.tick, self.bids)
        self._prices = self.rule.price_served(claims, sum(self.supplies.values()))
        self._claims = claims
        start = 0
        for name, energy_wh in supply_order(self.tick, self.supplies):
            if name == producer:
                return allocate(self._claims, start, energy_wh)
            start += energy_wh
        return []

    def awards(self, lots: Iterable[Lot]) -> dict[str, tuple[Package, ...]]:
        """Return lots as the packages of one award for each consumer, at their prices."""
        return group_by_consumer(lots, self._prices)

    def discard_bids(self) -> None:
        """Free the bids when the tick is over: they are most of the memory that a producer holds."""
        self.bids = {}
        self._claims = []
        self._prices = {}
        self._unserved = []

    def unsold_supplies(self) -> dict[str, int]:
        """Return what each producer keeps, in Wh, if every award is taken."""
        wanted = sum(p.energy_wh for packages in self.bids.values() for p in packages)
        unsold: dict[str, int] = {}
        for name, energy_wh in supply_order(self.tick, self.supplies):
            sold = min(wanted, energy_wh)
            wanted -= sold
            unsold[name] = energy_wh - sold
        return unsold

    def next_unserved(self, energy_wh: int) -> list[Lot]:
        """Return the next claims that the clearing left unserved, for refused energy; each is returned only once."""
        if self._unserved is None:
            total = sum(self.supplies.values())
            tail = sum(claim[ENERGY] for claim in self._claims) - total
            self._unserved = allocate(self._claims, total, tail)[::-1] if tail > 0 else []
        lots: list[Lot] = []
        while energy_wh and self._unserved:
            claim, unserved_wh = self._unserved.pop()
            part = min(unserved_wh, energy_wh)
            lots.append((claim, part))
            energy_wh -= part
        return lots
