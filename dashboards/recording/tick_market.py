"""One tick's market as a recorder hears it: awards joined with receipts, and each cell's energy balance."""

from typing import Final

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ChargerState,
    ConsumerState,
    Kind,
    Message,
    Package,
    Presence,
    ProducerState,
    Receipt,
    State,
    Supply,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.store.rows import TickRow, TradeRow

Lots = tuple[Package, ...]
Key = tuple[str, str, int]
"""Producer, consumer and serial: what names an award within its tick."""
REACTOR: Final = "reactor"


class _Cell:
    """A cell's sums of one tick."""

    __slots__ = (
        "cost_neur",
        "demand_wh",
        "exported_wh",
        "generated_wh",
        "imported_wh",
        "lowest",
        "messages",
        "reactor_wh",
        "sold_wh",
        "stored_wh",
        "used_wh",
    )

    def __init__(self) -> None:
        self.demand_wh = self.generated_wh = self.reactor_wh = self.imported_wh = 0
        self.exported_wh = self.sold_wh = self.used_wh = self.cost_neur = 0
        self.stored_wh = self.messages = 0
        self.lowest: int | None = None


class TickBooks:
    """What was said of one tick, until it is written, and what it left open after that."""

    def __init__(self, tick: int, places: dict[str, Presence], stored: dict[str, int]) -> None:
        self.tick = tick
        self.begins_ms = 0
        self.begun = False
        self.ended = False
        self.market: list[tuple[str, str, Message]] = []
        self.states: dict[str, State] = {}
        self.open: dict[Key, Lots] = {}
        """Awards without a receipt."""
        self.trades: list[TradeRow] = []
        self._measured: set[str] = set()
        """Producers whose accounts of the tick rest on real sensors."""
        self._places = places
        self._stored = stored
        self._said: dict[str, int] = {}
        self._cells: dict[str, _Cell] = {}

    def count(self, sender: str) -> None:
        """Count a message that is not of the market."""
        self._said[sender] = self._said.get(sender, 0) + 1

    def join(self) -> None:
        """Join what was said: fill `trades`, sorted, the cells' sums, and `open`."""
        said = self._said
        bids: dict[str, Bid] = {}
        supplies: dict[str, int] = {}
        receipts: dict[Key, Lots] = {}
        awards: dict[Key, Lots] = {}
        cells: set[str] = set()
        for scope, sender, message in self.market:
            said[sender] = said.get(sender, 0) + 1
            kind = type(message)
            if kind is Receipt:
                receipts.setdefault((scope, sender, message.serial), message.lots)  # type: ignore[attr-defined]
            elif kind is Award:
                awards.setdefault((sender, scope, message.serial), message.lots)  # type: ignore[attr-defined]
            elif kind is Bid:
                bids.setdefault(sender, message)  # type: ignore[arg-type]
                cells.add(scope)
            elif kind is Supply:
                supplies.setdefault(sender, message.energy_wh)  # type: ignore[attr-defined]
                cells.add(scope)
        self._cells = {name: _Cell() for name in cells}
        self._measured = {sender for sender, state in self.states.items() if state.measured}
        for key, lots in awards.items():
            got = receipts.get(key)
            if got is None:
                self.open[key] = lots
            else:
                self._settle(key, got, lots)
        self.trades.sort()
        self._accounts(bids, supplies)

    def settle(self, key: Key, got: Lots) -> list[TradeRow]:
        """Take a receipt that comes after the tick was written; return the trades it makes."""
        lots = self.open.pop(key, None)
        self.trades = []
        if lots is not None:
            self._settle(key, got, lots)
        return self.trades

    def forget_accounts(self) -> None:
        """Keep only what late receipts need."""
        self.market.clear()
        self.states.clear()
        self.trades = []

    def rows(self) -> list[TickRow]:
        """Return the cells' rows, sorted."""
        return [self._row(name, self._cells[name]) for name in sorted(self._cells)]

    def _row(self, name: str, cell: _Cell) -> TickRow:
        sold_wh = cell.sold_wh
        return TickRow(
            tick=self.tick,
            cell=name,
            simulated_ms=self.begins_ms,
            demand_wh=cell.demand_wh,
            generated_wh=cell.generated_wh,
            reactor_wh=cell.reactor_wh,
            imported_wh=cell.imported_wh,
            exported_wh=cell.exported_wh,
            sold_wh=sold_wh,
            curtailed_wh=cell.generated_wh - cell.used_wh,
            lowest_price_ueur=cell.lowest,
            mean_price_ueur=(2 * cell.cost_neur + sold_wh) // (2 * sold_wh) if sold_wh else None,
            charger_stored_wh=cell.stored_wh,
            messages=cell.messages,
        )

    def cell_of(self, agent: str) -> str:
        """Return an agent's cell by its birth; empty where that was not heard."""
        place = self._places.get(agent)
        return place.cell if place is not None else ""

    def is_reactor(self, producer: str) -> bool:
        """Tell whether a producer is a reactor: by its birth, else by its name."""
        place = self._places.get(producer)
        return place.kind is Kind.REACTOR if place is not None else producer.startswith(REACTOR)

    def _settle(self, key: Key, got: Lots, lots: Lots) -> None:
        """Book what was taken of an award; a receipt beyond its award settles nothing."""
        if got != lots and not _within(got, lots):
            return
        producer, consumer, _ = key
        there = self.cell_of(consumer)
        cell = self._cells.setdefault(there, _Cell())
        energy_wh = 0
        for lot in got:
            price = lot.price_ueur_per_kwh
            self.trades.append(
                TradeRow(
                    self.tick,
                    there,
                    producer,
                    consumer,
                    lot.index,
                    lot.energy_wh,
                    price,
                    producer in self._measured,
                )
            )
            energy_wh += lot.energy_wh
            cell.cost_neur += cost_neur(lot.energy_wh, price)
            if cell.lowest is None or price < cell.lowest:
                cell.lowest = price
        cell.sold_wh += energy_wh
        if self.is_reactor(producer):
            cell.reactor_wh += energy_wh
            return
        home = self.cell_of(producer)
        source = cell if home == there else self._cells.setdefault(home, _Cell())
        source.used_wh += energy_wh
        if source is not cell:
            cell.imported_wh += energy_wh
            source.exported_wh += energy_wh

    def _accounts(self, bids: dict[str, Bid], supplies: dict[str, int]) -> None:
        """Add up demand, generation, stores and messages of each cell."""
        said = self._said
        demands: dict[str, int] = {}
        for agent, state in self.states.items():
            said[agent] = said.get(agent, 0) + 1
            if isinstance(state, ChargerState):
                self._stored[agent] = state.stored_wh
                demands[agent] = state.demand_wh
            elif isinstance(state, ConsumerState):
                demands[agent] = state.demand_wh
            elif isinstance(state, ProducerState) and state.kind != REACTOR:
                supplies.setdefault(agent, state.generated_wh)
        for agent, bid in bids.items():
            if agent not in demands:
                demands[agent] = sum(package.energy_wh for package in bid.packages)
        sums = (
            (demands, "demand_wh"),
            (supplies, "generated_wh"),
            (self._stored, "stored_wh"),
            (said, "messages"),
        )
        for amounts, name in sums:
            for cell_name, amount in self._by_cell(amounts).items():
                cell = self._cells.get(cell_name)
                if cell is not None:
                    setattr(cell, name, amount)

    def _by_cell(self, amounts: dict[str, int]) -> dict[str, int]:
        """Add up the agents' amounts by cell."""
        places = self._places
        found: dict[str, int] = {}
        for agent, amount in amounts.items():
            place = places.get(agent)
            if place is not None:
                found[place.cell] = found.get(place.cell, 0) + amount
        return found


def _within(got: Lots, lots: Lots) -> bool:
    """Tell whether the lots taken are among those awarded, each once, at their price and no larger."""
    offered = {lot.index: lot for lot in lots}
    for lot in got:
        limit = offered.pop(lot.index, None)
        if (
            limit is None
            or lot.energy_wh > limit.energy_wh
            or lot.price_ueur_per_kwh != limit.price_ueur_per_kwh
        ):
            return False
    return True
