"""Each cell's energy balance of one tick, and its trades: generated + reactor + imported = sold + exported + curtailed.

A trade is what a receipt took of an award. It counts in the consumer's cell; energy from another cell is imported
there and exported by the producer's cell. A grid supply, such as a reactor, belongs to no cell.
"""

from collections.abc import Container, Mapping

from gridfleet.broker.protocol.messages import (
    BuyerState,
    ChargerState,
    Presence,
    ProducerState,
    Role,
    State,
    StorageState,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.market.aggregate import AwardKey, Lots, MarketAggregate
from gridfleet.dashboards.store.rows import TickRow, TradeRow


def cell_of(births: Mapping[str, Presence], device: str) -> str:
    """Return a device's cell by its birth message; empty where that was not received."""
    place = births.get(device)
    return place.cell if place is not None else ""


def grid_supplies(states: Mapping[str, State]) -> frozenset[str]:
    """Return the devices whose accounts state that they are grid supplies."""
    return frozenset(
        device
        for device, state in states.items()
        if isinstance(state, ProducerState) and state.role == "grid-supply"
    )


def is_grid_supply(births: Mapping[str, Presence], by_account: Container[str], seller: str) -> bool:
    """Return whether a seller is a grid supply: by its birth message; where that was not received, by its account."""
    place = births.get(seller)
    return place.role is Role.GRID_SUPPLY if place is not None else seller in by_account


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


class CellBalances:
    """The cells of one tick, from its aggregate; receipts that come later are added with `add_sale`."""

    def __init__(
        self, market: MarketAggregate, births: Mapping[str, Presence], stored_wh: dict[str, int]
    ) -> None:
        """Add up all sales and accounts.

        `births` are the birth messages by device. `stored_wh` is what each charger stored last, by its accounts; it is
        updated, so that a charger without an account in this tick counts with its last one.
        """
        self._tick = market.tick
        self._births = births
        self._measured = {sender for sender, state in market.states.items() if state.measured}
        """Devices whose accounts of the tick rest on real sensors."""
        self._grid_supplies = grid_supplies(market.states)
        self._homes = market.homes
        """Where devices bid and announced supplies: the cells of those whose births were not received."""
        self._cells = {name: _Cell() for name in market.cells}
        self.trades = sorted(trade for key, lots in market.sales() for trade in self.add_sale(key, lots))
        self._add_accounts(market, stored_wh)

    def rows(self, begins_ms: int) -> list[TickRow]:
        """Return the cells' rows, sorted; `begins_ms` is the simulated time at which the tick begins."""
        return [self._row(name, self._cells[name], begins_ms) for name in sorted(self._cells)]

    def add_sale(self, key: AwardKey, lots: Lots) -> list[TradeRow]:
        """Add the lots of an award that were sold; return the trades."""
        producer, consumer, _ = key
        there = self._cell_of(consumer)
        cell = self._cells.setdefault(there, _Cell())
        measured = producer in self._measured
        trades: list[TradeRow] = []
        energy_wh = 0
        for lot in lots:
            price = lot.price_ueur_per_kwh
            trades.append(
                TradeRow(self._tick, there, producer, consumer, lot.index, lot.energy_wh, price, measured)
            )
            energy_wh += lot.energy_wh
            cell.cost_neur += cost_neur(lot.energy_wh, price)
            if cell.lowest is None or price < cell.lowest:
                cell.lowest = price
        cell.sold_wh += energy_wh
        if is_grid_supply(self._births, self._grid_supplies, producer):
            cell.reactor_wh += energy_wh
            return trades
        home = self._cell_of(producer)
        source = cell if home == there else self._cells.setdefault(home, _Cell())
        source.used_wh += energy_wh
        if source is not cell:
            cell.imported_wh += energy_wh
            source.exported_wh += energy_wh
        return trades

    def _cell_of(self, device: str) -> str:
        """Return a device's cell by its birth, else by its bid or supply; empty where none was received."""
        return cell_of(self._births, device) or self._homes.get(device, "")

    def _row(self, name: str, cell: _Cell, begins_ms: int) -> TickRow:
        sold_wh = cell.sold_wh
        return TickRow(
            tick=self._tick,
            cell=name,
            simulated_ms=begins_ms,
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

    def _add_accounts(self, market: MarketAggregate, stored_wh: dict[str, int]) -> None:
        """Add up demand, generation, stored energy and messages of each cell."""
        demands = {
            device: sum(package.energy_wh for package in packages) for device, packages in market.bids.items()
        }
        supplies = dict(market.supplies)
        messages = dict(market.message_counts)
        for device, state in market.states.items():
            messages[device] = messages.get(device, 0) + 1
            if isinstance(state, BuyerState):
                demands[device] = state.demand_wh
            match state:
                case ChargerState():
                    stored_wh[device] = state.stored_wh
                case StorageState():
                    supplies[device] = state.sold_wh + state.unsettled_wh  # the rest stays in it
                case ProducerState(role="producer"):
                    supplies.setdefault(device, state.generated_wh)
                case _:
                    pass
        for amounts, name in (
            (demands, "demand_wh"),
            (supplies, "generated_wh"),
            (stored_wh, "stored_wh"),
            (messages, "messages"),
        ):
            for cell_name, amount in self._by_cell(amounts).items():
                cell = self._cells.get(cell_name)
                if cell is not None:
                    setattr(cell, name, amount)

    def _by_cell(self, amounts: dict[str, int]) -> dict[str, int]:
        """Add up the devices' amounts by cell; a device whose cell is not known is left out."""
        found: dict[str, int] = {}
        for device, amount in amounts.items():
            cell = self._cell_of(device)
            if cell:
                found[cell] = found.get(cell, 0) + amount
        return found
