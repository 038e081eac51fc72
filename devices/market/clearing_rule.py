"""What a clearing rule is: who is served first in the market of a cell, and what everybody pays.

Every producer of a cell holds the same bids and supplies and applies the same rule, so all come to the same prices.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import Package
from gridfleet.devices.market.clearing import Claim, Lot, allocate, merit_order
from gridfleet.devices.plugins import definition_of, place_of

R = TypeVar("R")


class RuleError(GridFleetError, ValueError):
    """A clearing rule that fails, or returns what no rule may: a price above a bid, a package twice.

    The text names the rule, what is wrong, file and line.
    """


class MarketLot(NamedTuple):
    """A package, or the part of one, that is served or is not."""

    consumer: str
    package: Package
    energy_wh: int
    """How much of the package it is, Wh."""

    @property
    def bid(self) -> int:
        """What the consumer bids for it, µEUR/kWh."""
        return self.package.price_ueur_per_kwh


PackageKey = tuple[str, int]
"""Consumer, and index of the package in its bid."""
Bids = Mapping[str, Sequence[Package]]
Order = Callable[[int, Bids], list[Claim]]
"""(tick, bids) -> all packages of all bids, in the order in which they are served."""
Prices = Callable[[Sequence[MarketLot], Sequence[MarketLot]], Sequence[int]]
"""(what is served, what is not) -> the price of each lot that is served, µEUR/kWh.

Both are in the order of the rule, and are those of the whole market: of a cell, or of the exchange into a cell. No
price is above the lot's own bid. Energy that a consumer refuses goes to what is not served, at its bid.
"""
ImportPrice = Callable[[int, int], int]
"""(bid, price of the grid supply) -> what the buyer pays the grid supply, µEUR/kWh; never above the bid."""
Specification = Callable[[int, Bids, Mapping[str, int], int | None], Mapping[PackageKey, int]]
"""(tick, bids, supplies in Wh, price of the grid supply) -> the price of each package, µEUR/kWh.

The auditor's own statement of a rule, written without the rule's code: a mistake in one of them is found. The price of
the grid supply is None in the market of a cell; of an import there are the buyer's bid, no supplies, and that price. A
package that is left out costs its bid.
"""


@dataclass(frozen=True, slots=True)
class ClearingRule:
    """A clearing rule, under the name by which the setting `clearing_rule` chooses it.

    Without `prices` every buyer pays its own bid, without `import_price` also for imports. `order` returns the claims
    of `merit_order` in the order in which they are served. With `specification` the auditor checks the prices.

    >>> tenth_off = ClearingRule("tenth-off", prices=lambda served, _: [lot.bid * 9 // 10 for lot in served])
    >>> claims = tenth_off.ordered(0, {"home": [Package(0, 300, 1_000_000), Package(1, 300, 900_000)]})
    >>> tenth_off.price_served(claims, supply_wh=200)
    {('home', 0): 900000}
    """

    name: str
    prices: Prices | None = None
    import_price: ImportPrice | None = None
    order: Order = merit_order
    specification: Specification | None = None

    @property
    def pays_bid(self) -> bool:
        """Whether every buyer pays exactly what it bid; otherwise at most that."""
        return self.prices is None and self.import_price is None

    def ordered(self, tick: int, bids: Bids) -> list[Claim]:
        """Return the claims in the order in which they are served; raise RuleError where the rule fails."""
        claims = self._call(self.order, tick, bids)
        if self.order is not merit_order and not _same(claims, merit_order(tick, bids)):
            raise self._wrong(self.order, "the order is not a list of all claims, each once")
        return claims

    def price_served(self, claims: Iterable[Claim], supply_wh: int) -> dict[PackageKey, int]:
        """Return the price of each package of which anything is served, where that may differ from its bid.

        `claims` are in the order of the rule, `supply_wh` is the energy of the whole market. Raises RuleError where the
        rule fails; it is not asked where nothing is served.
        """
        if self.prices is None:
            return {}
        claims = list(claims)
        served = _market_lots(allocate(claims, 0, supply_wh))
        if not served:
            return {}
        demand_wh = sum(package.energy_wh for *_, package in claims)
        unserved = _market_lots(allocate(claims, supply_wh, demand_wh - supply_wh))
        prices = self._call(self.prices, served, unserved)
        if not isinstance(prices, Sequence):
            raise self._wrong(self.prices, f"prices of class {type(prices).__name__}, not a list")
        if len(prices) != len(served):
            raise self._wrong(self.prices, f"{len(prices)} prices for {len(served)} lots")
        return {
            (lot.consumer, lot.package.index): self._valid(self.prices, price, lot.bid)
            for lot, price in zip(served, prices, strict=True)
        }

    def price_import(self, bid: int, supply_price: int) -> int:
        """Return what a buyer pays the grid supply, µEUR/kWh; raise RuleError where the rule fails."""
        if self.import_price is None:
            return bid
        return self._valid(self.import_price, self._call(self.import_price, bid, supply_price), bid)

    def _call(self, part: Callable[..., R], *arguments: object) -> R:
        try:
            return part(*arguments)
        except Exception as error:  # whatever another package raises
            text = " ".join(f"{type(error).__name__}: {error}".split())
            place = place_of(error) or definition_of(part)
            raise RuleError(f"clearing rule {self.name!r}: {text}{place}") from error

    def _valid(self, part: object, price: int, bid: int) -> int:
        if type(price) is not int or not 0 <= price <= bid:
            allowed = "it must be a whole number (int) from 0 to the bid"
            raise self._wrong(part, f"a price of {price!r} for a bid of {bid} µEUR/kWh: {allowed}")
        return price

    def _wrong(self, part: object, text: str) -> RuleError:
        return RuleError(f"clearing rule {self.name!r}: {text}{definition_of(part)}")


def _market_lots(lots: Iterable[Lot]) -> tuple[MarketLot, ...]:
    return tuple(MarketLot(claim[2], claim[5], energy_wh) for claim, energy_wh in lots)


def _same(found: object, claims: list[Claim]) -> bool:
    """Return whether a value is a list of these claims, in any order."""
    if not isinstance(found, list):
        return False
    try:
        return sorted(found) == claims
    except TypeError:
        return False
