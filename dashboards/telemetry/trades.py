"""Points of a tick's market: each cell's balance, its awards and prices, and its merit order."""

from collections.abc import Iterable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import Award, Bid, Package, Receipt, Request
from gridfleet.broker.protocol.units import NEUR_PER_EUR, UEUR_PER_EUR, cost_neur
from gridfleet.dashboards.recording.tick_market import TickBooks
from gridfleet.dashboards.store.rows import TickRow, TradeRow
from gridfleet.dashboards.telemetry.points import Point, Value, bounded
from gridfleet.dashboards.telemetry.table import BANDS, GRID, MARKET, MERIT, band_of

Lots = tuple[Package, ...]
_BID: Final = 0
_SOLD: Final = 1
_REACTOR: Final = 2


class _Cell:
    """What is counted of a cell's market in a tick."""

    __slots__ = ("counts", "highest", "merit", "paid_neur")

    def __init__(self) -> None:
        self.counts: dict[str, int] = dict.fromkeys(_COUNTS, 0)
        self.highest: int | None = None
        self.paid_neur = 0
        self.merit: dict[str, list[int]] = {band: [0, 0, 0] for band in BANDS}


_COUNTS: Final = (
    "bids", "packages", "bid_wh", "requests", "awards", "trades", "refusals", "unanswered", "refused_wh", "rounds",
)  # fmt: skip


class MarketFigures:
    """A tick's market, counted from its books once they are joined; late receipts are added afterwards."""

    def __init__(self, books: TickBooks, algorithm: str) -> None:
        self._algorithm = algorithm
        self._books = books
        self._cells: dict[str, _Cell] = {}
        self._count()
        self._trade(books.trades)

    def late(self, consumer: str, awarded: Lots, got: Lots, trades: Iterable[TradeRow]) -> None:
        """Add a receipt that came after the tick was written."""
        cell = self._cell(consumer)
        cell.counts["unanswered"] -= 1
        self._refusal(cell, awarded, got)
        self._trade(trades)

    def points(self, run: Mapping[str, str], time_ms: int) -> Iterable[Point]:
        """Return the points of all cells."""
        for row in self._books.rows():
            cell = self._cells.get(row.cell) or _Cell()
            place = {**run, "cell": bounded(row.cell)}
            tags = {**place, "algorithm": self._algorithm}
            yield Point(GRID.name, tags, _balance(row, cell.paid_neur), time_ms)
            market: dict[str, Value | None] = {
                "lowest_price_eur_per_kwh": _eur(row.lowest_price_ueur),
                "mean_price_eur_per_kwh": _eur(row.mean_price_ueur),
                "highest_price_eur_per_kwh": _eur(cell.highest),
                **cell.counts,
            }
            yield Point(MARKET.name, tags, market, time_ms)
            for band, (bid_wh, sold_wh, reactor_wh) in cell.merit.items():
                amounts: dict[str, Value | None] = {
                    "bid_wh": bid_wh,
                    "sold_wh": sold_wh,
                    "reactor_wh": reactor_wh,
                }
                yield Point(MERIT.name, {**place, "band": band}, amounts, time_ms)

    def _cell(self, consumer: str) -> _Cell:
        return self._cells.setdefault(self._books.cell_of(consumer), _Cell())

    def _count(self) -> None:
        """Count bids, requests, awards and what receipts did not take; what is said again counts once."""
        bid: set[str] = set()
        asked: set[str] = set()
        awards: dict[tuple[str, str, int], Lots] = {}
        receipts: dict[tuple[str, str, int], Lots] = {}
        for scope, sender, message in self._books.market:
            if isinstance(message, Bid) and sender not in bid:
                bid.add(sender)
                self._bid(sender, message.packages)
            elif isinstance(message, Request) and sender not in asked:
                asked.add(sender)
                self._cell(sender).counts["requests"] += 1
            elif isinstance(message, Award):
                awards.setdefault((sender, scope, message.serial), message.lots)
            elif isinstance(message, Receipt):
                receipts.setdefault((scope, sender, message.serial), message.lots)
        for key, lots in awards.items():
            cell = self._cell(key[1])
            counts = cell.counts
            counts["awards"] += 1
            counts["rounds"] = max(counts["rounds"], key[2] + 1)
            got = receipts.get(key)
            if got is None:
                counts["unanswered"] += 1
            else:
                self._refusal(cell, lots, got)

    def _bid(self, consumer: str, packages: Lots) -> None:
        cell = self._cell(consumer)
        counts = cell.counts
        counts["bids"] += bool(packages)
        counts["packages"] += len(packages)
        for package in packages:
            counts["bid_wh"] += package.energy_wh
            cell.merit[band_of(package.price_ueur_per_kwh)][_BID] += package.energy_wh

    @staticmethod
    def _refusal(cell: _Cell, awarded: Lots, got: Lots) -> None:
        refused_wh = sum(lot.energy_wh for lot in awarded) - sum(lot.energy_wh for lot in got)
        if refused_wh > 0:
            cell.counts["refusals"] += 1
            cell.counts["refused_wh"] += refused_wh

    def _trade(self, trades: Iterable[TradeRow]) -> None:
        for trade in trades:
            cell = self._cell(trade.consumer)
            cell.counts["trades"] += 1
            cell.paid_neur += cost_neur(trade.energy_wh, trade.price_ueur)
            if cell.highest is None or trade.price_ueur > cell.highest:
                cell.highest = trade.price_ueur
            whose = _REACTOR if self._books.is_reactor(trade.producer) else _SOLD
            cell.merit[band_of(trade.price_ueur)][whose] += trade.energy_wh


def _balance(row: TickRow, paid_neur: int) -> dict[str, Value | None]:
    return {
        "tick": row.tick,
        "demand_wh": row.demand_wh,
        "generated_wh": row.generated_wh,
        "reactor_wh": row.reactor_wh,
        "imported_wh": row.imported_wh,
        "exported_wh": row.exported_wh,
        "sold_wh": row.sold_wh,
        "curtailed_wh": row.curtailed_wh,
        "difference_wh": row.generated_wh - row.demand_wh,
        "paid_eur": paid_neur / NEUR_PER_EUR,
        "charger_stored_wh": row.charger_stored_wh,
        "messages": row.messages,
    }


def _eur(price_ueur: int | None) -> float | None:
    return None if price_ueur is None else price_ueur / UEUR_PER_EUR
