"""Whether the awards of a tick are at the prices of the clearing rule that was in force.

Where every producer has received everything, a price must be exactly what the rule's specification says. Where messages
may be lost, a producer may have cleared with fewer bids or supplies than there were; then what it asks for must be a
price that the rule could have come to.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gridfleet.broker.protocol.messages import Package, Residual, SellerState, Surplus
from gridfleet.broker.protocol.topics import PRODUCERS
from gridfleet.dashboards.audit.findings import Tally
from gridfleet.dashboards.audit.specifications import PackageKey, Specification
from gridfleet.dashboards.audit.window import TickWindow

Lots = tuple[Package, ...]


class Pricing(NamedTuple):
    """What the prices of a tick depend on, beside its bids and supplies."""

    rule: str
    """The name of the rule in force; empty where that was not received."""
    specification: Specification | None
    supply_price: int | None
    """The price of the grid supply, µEUR/kWh; None where that was not received."""
    complete: bool
    """Whether every producer has received every bid and supply."""


class _Asked(NamedTuple):
    """A lot that a producer has awarded: its price and the bid, µEUR/kWh."""

    price: int
    bid: int


class PriceAudit:
    """Checks the prices of one tick's awards."""

    def __init__(
        self,
        tally: Tally,
        tick: int,
        pricing: Pricing,
        window: TickWindow,
        bids: Mapping[str, Lots],
        supplies: Mapping[str, int],
        cells: Mapping[str, str],
    ) -> None:
        """`cells` is the cell of each device that has bid or announced a supply."""
        self._tally = tally
        self._tick = tick
        self._pricing = pricing
        self._window = window
        self._bids = bids
        self._supplies = supplies
        self._cells = cells
        self._specified: dict[tuple[str, bool], Mapping[PackageKey, int] | None] = {}
        self._asked: dict[tuple[str, str], list[_Asked]] = {}
        """(producer, cell of the market) -> what it asks for there, to be compared with itself."""
        if pricing.rule and pricing.specification is None:
            tally.note_unspecified(pricing.rule)

    def check(self, producer: str, consumer: str, lot: Package, bid: Package, what: str) -> int:
        """Check the price of an awarded lot; return what it must cost, as far as that is known, µEUR/kWh."""
        price, bid_price = lot.price_ueur_per_kwh, bid.price_ueur_per_kwh
        self._tally.checked += 1
        specified = self._specified_price(producer, consumer, bid)
        if specified is not None:
            if price != specified:
                self._tally.fail(
                    f"{what}: {price} µEUR/kWh, by {self._pricing.rule} it is {specified}, bid was {bid_price}"
                )
            return specified
        if price > bid_price:
            self._tally.fail(f"{what}: {price} µEUR/kWh, bid was {bid_price}")
        specification = self._pricing.specification
        if specification is not None and specification.one_price and producer in self._supplies:
            market = producer, self._cells.get(consumer, "")
            self._asked.setdefault(market, []).append(_Asked(price, bid_price))
        return price

    def _specified_price(self, producer: str, consumer: str, bid: Package) -> int | None:
        """Return what a package must cost if bought of a producer; None where that is not known."""
        specification = self._pricing.specification
        if specification is None:
            return None
        if specification.by_bid:
            prices: Mapping[PackageKey, int] | None = self._call(specification, {consumer: (bid,)}, {}, None)
        elif producer not in self._supplies:
            state = self._window.states.get(producer)
            if self._pricing.supply_price is None or (
                isinstance(state, SellerState) and state.role in PRODUCERS
            ):
                return None  # not that of a producer whose supply was not received
            prices = self._call(specification, {consumer: (bid,)}, {}, self._pricing.supply_price)
        elif self._pricing.complete:
            there = self._cells.get(consumer, "")
            key = there, self._cells.get(producer) == there
            if key not in self._specified:
                self._specified[key] = self._market_prices(specification, *key)
            prices = self._specified[key]
        else:
            return None
        return None if prices is None else prices.get((consumer, bid.index), bid.price_ueur_per_kwh)

    def _market_prices(
        self,
        specification: Specification,
        cell: str,
        at_home: bool,  # noqa: FBT001 - the two markets of a cell
    ) -> Mapping[PackageKey, int] | None:
        """Return the prices in the market of a cell: its own, or the exchange into it."""
        cells = self._cells
        if at_home:
            bids = {name: each for name, each in self._bids.items() if cells.get(name) == cell}
            supplies = {name: each for name, each in self._supplies.items() if cells.get(name) == cell}
            return self._call(specification, bids, supplies, None)
        bids, supplies = {}, {}
        for scope, sender, message in self._window.exchange:
            if scope == cell and isinstance(message, Residual):
                bids.setdefault(sender, message.packages)
            elif scope == cell and isinstance(message, Surplus):
                supplies.setdefault(sender, message.energy_wh)
        return self._call(specification, bids, supplies, None)

    def _call(
        self,
        specification: Specification,
        bids: Mapping[str, Lots],
        supplies: Mapping[str, int],
        supply_price: int | None,
    ) -> Mapping[PackageKey, int] | None:
        """Return the specified prices; None where a specification of another package fails."""
        try:
            return dict(specification.prices(self._tick, bids, supplies, supply_price))
        except Exception:  # noqa: BLE001 - whatever another package raises
            self._tally.note_unspecified(self._pricing.rule)
            return None

    def finish(self, refused: set[str]) -> None:
        """Compare what each producer asks for with itself; `refused` are those whose energy was refused or owed."""
        for (producer, cell), asked in self._asked.items():
            reduced = {each.price for each in asked if each.price < each.bid}
            full = {each.price for each in asked if each.price >= each.bid}
            if producer in refused:  # what was refused goes to lower bids, and those pay their own price
                fits = len(reduced) <= 1 and all(bid <= price for bid in full for price in reduced)
            else:
                fits = len(reduced | full) == 1
            if not fits:
                self._tally.fail(
                    f"tick {self._tick}: {producer} asks for {len(reduced | full)} prices in {cell}, "
                    f"where {self._pricing.rule} has one"
                )
