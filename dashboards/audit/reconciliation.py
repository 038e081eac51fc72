"""Awards of one tick joined with bids and receipts: who bought what from whom, at what price.

The recorder's market aggregate answers the same question; this code is independent of it on purpose.
"""

from collections.abc import Callable, Iterable

from gridfleet.broker.protocol.messages import Award, Bid, Message, Package, Receipt, Supply
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.lost_messages import LostMessages, Statements
from gridfleet.dashboards.audit.prices import PriceAudit
from gridfleet.dashboards.audit.window import TickWindow

Lots = tuple[Package, ...]
AwardKey = tuple[str, str, int]
"""Producer, consumer and serial: identifies an award within its tick."""


class Sales:
    """The sales of one producer in one tick, by the receipts and at the prices of the rule."""

    __slots__ = ("consumers", "cost_neur", "energy_wh", "unseen_wh")

    def __init__(self) -> None:
        self.energy_wh = 0
        self.cost_neur = 0
        self.unseen_wh = 0
        """What the producer accounts for as awarded without a receipt, beyond the awards that were received."""
        self.consumers: set[str] = set()


class TickMarket:
    """The market messages of one tick by device; the first of each counts."""

    def __init__(self, window: TickWindow) -> None:
        self.bids: dict[str, Lots] = {}
        self.supplies: dict[str, int] = {}
        self.cells: dict[str, str] = {}
        self.awards: dict[AwardKey, Lots] = {}
        self.receipts: dict[AwardKey, Lots] = {}
        self.contradictions: list[tuple[str, Message]] = []
        """Senders with a second, different message where one is allowed."""
        for scope, sender, message in window.market:
            if isinstance(message, Receipt):
                same = self.receipts.setdefault((scope, sender, message.serial), message.lots) == message.lots
            elif isinstance(message, Award):
                same = self.awards.setdefault((sender, scope, message.serial), message.lots) == message.lots
            elif isinstance(message, Bid):
                self.cells[sender] = scope
                same = self.bids.setdefault(sender, message.packages) == message.packages
            elif isinstance(message, Supply):
                self.cells[sender] = scope
                same = self.supplies.setdefault(sender, message.energy_wh) == message.energy_wh
            else:
                continue
            if not same:
                self.contradictions.append((sender, message))


class Reconciliation:
    """Awards joined with bids and receipts."""

    def __init__(
        self,
        tallies: Tallies,
        market: TickMarket,
        tick: int,
        is_restarting: Callable[[str, int], bool],
        prices: PriceAudit,
        statements: Statements | None = None,
    ) -> None:
        """`statements` are the accounts of the tick, where messages may not have been received."""
        self._statements = statements
        self._prices = prices
        self._tallies = tallies
        self._market = market
        self._tick = tick
        self._is_restarting = is_restarting
        self.sold: dict[str, Sales] = {}
        self.bought: dict[str, tuple[int, int]] = {}
        """Consumer -> (Wh, nEUR)."""
        self.between_cells: dict[tuple[str | None, str], int] = {}
        """(producer's cell or None for a reactor, consumer's cell) -> Wh sold from one cell to another."""
        self.open: dict[AwardKey, Lots] = {}
        """Awards without a receipt."""
        self.held: dict[str, int] = {}
        """Producer -> Wh in awards without a receipt."""
        self.room_wh: dict[tuple[str, int], int] = {}
        """(consumer, package) -> Wh that are not sold yet; only where there are open awards."""
        self.incomplete: set[str] = set()
        """Devices that have traded more than was received, as both sides state."""

    def check_awards(self, *, exact: bool, owed: set[str]) -> None:
        """Check every award and receipt; `owed` are the producers that may pass over buyers."""
        market, tick = self._market, self._tick
        taken: dict[tuple[str, int], int] = {}
        held = self.held
        refused: set[str] = set()
        receipts = market.receipts
        for key, lots in market.awards.items():
            producer, consumer, serial = key
            packages = market.bids.get(consumer, ())
            got = receipts.pop(key, None)
            energy_wh = paid_neur = 0
            if got is None:
                self.open[key] = lots
            prices = self._check_prices(key, lots, packages)
            if got is not None and got != lots:
                refused.add(producer)
                self._check_within(got, lots, f"tick {tick}: receipt {consumer} to {producer}/{serial}")
            for lot in lots if got is None else got:
                package = (consumer, lot.index)
                if got is None:
                    held[producer] = held.get(producer, 0) + lot.energy_wh
                    if exact:
                        taken[package] = taken.get(package, 0) + lot.energy_wh
                    continue
                taken[package] = taken.get(package, 0) + lot.energy_wh
                energy_wh += lot.energy_wh
                paid_neur += cost_neur(lot.energy_wh, prices.get(lot.index, 0))
            if energy_wh:
                self._book(producer, consumer, energy_wh, paid_neur)
        self._prices.finish(refused | owed)
        self._check_unawarded(receipts)
        self._check_totals(taken)

    def _book(self, producer: str, consumer: str, energy_wh: int, paid_neur: int) -> None:
        sold = self.sold.get(producer)
        if sold is None:
            sold = self.sold[producer] = Sales()
        sold.energy_wh += energy_wh
        sold.cost_neur += paid_neur
        sold.consumers.add(consumer)
        before_wh, before_neur = self.bought.get(consumer, (0, 0))
        self.bought[consumer] = (before_wh + energy_wh, before_neur + paid_neur)
        cells = self._market.cells
        home, there = cells.get(producer), cells.get(consumer)
        if home != there and there is not None:
            self.between_cells[home, there] = self.between_cells.get((home, there), 0) + energy_wh

    def _check_prices(self, key: AwardKey, lots: Lots, packages: Lots) -> dict[int, int]:
        """Check that lots are of the consumer's packages, at the rule's prices; return these by index."""
        producer, consumer, serial = key
        tallies = self._tallies
        what = f"tick {self._tick}: award {producer}/{serial} to {consumer}"
        prices: dict[int, int] = {}
        if self._is_restarting(consumer, self._tick):
            return {lot.index: lot.price_ueur_per_kwh for lot in lots}
        for lot in lots:
            index = lot.index
            package = packages[index] if index < len(packages) else None
            if package is None or package.index != index:
                package = next((each for each in packages if each.index == index), None)
            tallies.packages.checked += 1
            if package is None or lot.energy_wh > package.energy_wh:
                prices[index] = lot.price_ueur_per_kwh
                if packages or self._statements is None or not self._statements.has_bid(consumer):
                    tallies.packages.fail(
                        f"{what}: {lot.energy_wh} Wh are not within package {index} of the bid"
                    )
                else:
                    self.incomplete.update((producer, consumer))
                continue
            prices[index] = self._prices.check(producer, consumer, lot, package, what)
        return prices

    def _check_within(self, got: Lots, lots: Lots, what: str) -> None:
        """Check that a receipt takes no more than its award, at its price."""
        offered = {lot.index: lot for lot in lots}
        for lot in got:
            limit = offered.pop(lot.index, None)
            self._tallies.packages.checked += 1
            if limit is None or lot.energy_wh > limit.energy_wh:
                self._tallies.packages.fail(
                    f"{what}: {lot.energy_wh} Wh of package {lot.index} exceed the award"
                )
            elif lot.price_ueur_per_kwh != limit.price_ueur_per_kwh:
                self._tallies.prices.fail(
                    f"{what}: {lot.price_ueur_per_kwh} µEUR/kWh is not the award's price"
                )

    def _check_unawarded(self, receipts: dict[AwardKey, Lots]) -> None:
        """Check that no receipt is left for which there was no award."""
        unawarded: Iterable[AwardKey] = [key for key, lots in receipts.items() if lots]
        if self._statements is not None:
            sold_wh = {producer: sales.energy_wh for producer, sales in self.sold.items()}
            bought_wh = {consumer: energy_wh for consumer, (energy_wh, _) in self.bought.items()}
            lost = LostMessages(self._statements, sold_wh, bought_wh)
            unawarded = [*lost.find(receipts, self.open)]
            self.incomplete |= lost.devices
        for producer, consumer, serial in unawarded:
            if not self._is_restarting(producer, self._tick):
                self._tallies.packages.fail(
                    f"tick {self._tick}: {consumer} takes {producer}/{serial}, which was never awarded to it"
                )

    def _check_totals(self, taken: dict[tuple[str, int], int]) -> None:
        """Check that no package and no supply is sold beyond its energy."""
        tallies, market, tick = self._tallies, self._market, self._tick
        for consumer, packages in market.bids.items():
            for package in packages:
                key = (consumer, package.index)
                got = taken.get(key, 0)
                if got > package.energy_wh:
                    tallies.packages.fail(
                        f"tick {tick}: {got} Wh are sold of package {package.index} of {consumer}, "
                        f"which is {package.energy_wh}"
                    )
                if self.open:
                    self.room_wh[key] = package.energy_wh - got
        for producer, energy_wh in market.supplies.items():
            sold = self.sold.get(producer)
            used_wh = self.held.get(producer, 0) + (sold.energy_wh if sold is not None else 0)
            tallies.supply.checked += 1
            if used_wh > energy_wh and not self._is_restarting(producer, tick):
                tallies.supply.fail(f"tick {tick}: {producer} sells {used_wh} Wh of {energy_wh} announced")
