"""Points of a tick's market: each cell's balance, its awards and prices, and its merit order."""

from collections.abc import Iterable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import Presence
from gridfleet.broker.protocol.units import NEUR_PER_EUR, UEUR_PER_EUR, cost_neur
from gridfleet.dashboards.market.aggregate import Lots, MarketAggregate
from gridfleet.dashboards.market.cell_balances import cell_of, grid_supplies, is_grid_supply
from gridfleet.dashboards.recording.tick_record import TickRecord
from gridfleet.dashboards.store.rows import TickRow, TradeRow
from gridfleet.dashboards.telemetry.points import Point, Value, id_or_unknown
from gridfleet.dashboards.telemetry.table import GRID, MARKET, MERIT
from gridfleet.dashboards.telemetry.tags import BANDS, band_of

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


class MarketPoints:
    """A tick's market, counted from its reconciled record; late receipts are added afterwards."""

    def __init__(self, record: TickRecord, births: Mapping[str, Presence], algorithm: str) -> None:
        """`births` are the birth messages by device; `algorithm` is how vehicles choose a charger in the tick."""
        self._algorithm = algorithm
        self._record = record
        self._births = births
        self._grid_supplies = grid_supplies(record.market.states)
        self._cells: dict[str, _Cell] = {}
        self._count(record.market)
        self._trade(record.trades)

    def late(self, consumer: str, awarded: Lots, taken: Lots, trades: Iterable[TradeRow]) -> None:
        """Add a receipt that came after the tick was written."""
        cell = self._cell(consumer)
        cell.counts["unanswered"] -= 1
        self._refusal(cell, awarded, taken)
        self._trade(trades)

    def points(self, run: Mapping[str, str], time_ms: int) -> Iterable[Point]:
        """Return the points of all cells."""
        for row in self._record.rows():
            cell = self._cells.get(row.cell) or _Cell()
            place = {**run, "cell": id_or_unknown(row.cell)}
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
        return self._cells.setdefault(cell_of(self._births, consumer), _Cell())

    def _count(self, market: MarketAggregate) -> None:
        """Count bids, requests, awards and what receipts did not take."""
        for consumer, packages in market.bids.items():
            self._bid(consumer, packages)
        for consumer in market.requests:
            self._cell(consumer).counts["requests"] += 1
        for key, awarded in market.awards.items():
            _, consumer, serial = key
            cell = self._cell(consumer)
            counts = cell.counts
            counts["awards"] += 1
            counts["rounds"] = max(counts["rounds"], serial + 1)
            taken = market.receipts.get(key)
            if taken is None:
                counts["unanswered"] += 1
            else:
                self._refusal(cell, awarded, taken)

    def _bid(self, consumer: str, packages: Lots) -> None:
        cell = self._cell(consumer)
        counts = cell.counts
        counts["bids"] += bool(packages)
        counts["packages"] += len(packages)
        for package in packages:
            counts["bid_wh"] += package.energy_wh
            cell.merit[band_of(package.price_ueur_per_kwh)][_BID] += package.energy_wh

    @staticmethod
    def _refusal(cell: _Cell, awarded: Lots, taken: Lots) -> None:
        refused_wh = sum(lot.energy_wh for lot in awarded) - sum(lot.energy_wh for lot in taken)
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
            from_grid = is_grid_supply(self._births, self._grid_supplies, trade.producer)
            column = _REACTOR if from_grid else _SOLD
            cell.merit[band_of(trade.price_ueur)][column] += trade.energy_wh


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
