"""One tick while it is recorded: its market and accounts until its rows are written, its open awards after that."""

from collections.abc import Mapping

from gridfleet.broker.protocol.messages import Presence, Role
from gridfleet.dashboards.market.aggregate import AwardKey, Lots, MarketAggregate, is_within
from gridfleet.dashboards.market.cell_balances import CellBalances, grid_supplies
from gridfleet.dashboards.market.welfare import Neighbours, TickWelfare
from gridfleet.dashboards.store.rows import DemandRow, TickRow, TradeRow, WelfareRow


class TickRecord:
    """Collects a tick in `market`; `reconcile` computes trades and balances, `settle` adds later receipts."""

    def __init__(self, tick: int, births: Mapping[str, Presence], stored_wh: dict[str, int]) -> None:
        """`births` are the birth messages by device, `stored_wh` what each charger stored last; both are shared."""
        self.tick = tick
        self.begins_ms = 0
        self.begun = False
        self.ended = False
        self.market = MarketAggregate(tick)
        self.balances = CellBalances(self.market, births, {})
        self.neighbours: Neighbours = {}
        """The cells beside each cell."""
        self.reactor_price_ueur: int | None = None
        self._welfare: TickWelfare | None = None
        self.open: dict[AwardKey, Lots] = {}
        """Awards without a receipt, once the tick is reconciled."""
        self._births = births
        self._stored_wh = stored_wh

    def reconcile(self) -> None:
        """Match awards with receipts and add up the cells."""
        self.balances = CellBalances(self.market, self._births, self._stored_wh)
        self.open = self.market.open_awards()
        births = self._births
        supplies = {name for name, birth in births.items() if birth.role is Role.GRID_SUPPLY and birth.online}
        self._welfare = TickWelfare(
            self.market,
            {name: birth.cell for name, birth in births.items()},
            {name: birth.kind for name, birth in births.items()},
            supplies | grid_supplies(self.market.states),
            neighbours=self.neighbours,
            price=self.reactor_price_ueur,
        )

    @property
    def trades(self) -> list[TradeRow]:
        """The trades that were settled when the tick was reconciled, sorted."""
        return self.balances.trades

    def rows(self) -> list[TickRow]:
        """Return the cells' rows, sorted, with the receipts that came later."""
        return self.balances.rows(self.begins_ms)

    def demand_rows(self) -> list[DemandRow]:
        """Return what each kind of buyer bid for and bought, with the receipts that came later."""
        demands = self._welfare.demands if self._welfare is not None else {}
        return [DemandRow(self.tick, kind, *demands[kind]) for kind in sorted(demands)]

    def welfare_rows(self) -> list[WelfareRow]:
        """Return what each cell's market was worth, with the receipts that came later."""
        found = self._welfare
        if found is None:
            return []
        best, marginal = found.optimum_neur, found.marginal_prices()
        return [
            WelfareRow(self.tick, cell, value, None if best is None else best[cell], marginal[cell])
            for cell, value in sorted(found.welfare_neur.items())
        ]

    def settle(self, key: AwardKey, taken: Lots) -> list[TradeRow]:
        """Add a receipt that comes after `reconcile`; return the trades it makes: none unless its award is open."""
        awarded = self.open.pop(key, None)
        if awarded is None or not is_within(taken, awarded):
            return []
        if self._welfare is not None:
            self._welfare.add_sale(key, taken)
        return self.balances.add_sale(key, taken)

    def drop_market(self) -> None:
        """Keep only what late receipts need."""
        self.market = MarketAggregate(self.tick)
        self.balances.trades = []
