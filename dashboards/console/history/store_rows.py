"""The rows of a stored run, tick by tick."""

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import (
    AgentRow,
    EventRow,
    ReservationRow,
    StorageRow,
    TickRow,
    TradeRow,
    VehicleRow,
)


class TickRows(NamedTuple):
    """The rows of one tick."""

    ticks: list[TickRow]
    agents: list[AgentRow]
    trades: list[TradeRow]
    vehicles: dict[str, VehicleRow]
    storages: dict[str, StorageRow]
    figures: dict[str, dict[str, float]]
    events: list[EventRow]
    reservations: list[ReservationRow]


def rows_by_tick(store: Store) -> Iterator[TickRows]:
    """Yield the rows of each tick."""
    begin_ms, tick_ms = store.facts().start_ms, store.facts().tick_ms
    tables = [
        _Table(rows, attrgetter("tick"))
        for rows in (store.agents(), store.trades(), store.vehicles(), store.storages(), store.figures())
    ]
    events = _Table(iter(store.events()), attrgetter("tick"))
    accepted = sorted(
        (each for each in store.reservations() if each.accepted_ms is not None),
        key=lambda each: each.accepted_ms or 0,
    )
    reservations = _Table(iter(accepted), lambda each: ((each.accepted_ms or 0) - begin_ms) // tick_ms)
    for tick, rows in groupby(store.ticks(), attrgetter("tick")):
        agents, trades, vehicles, storages, figures = (table.of(tick) for table in tables)
        own: dict[str, dict[str, float]] = {}
        for each in figures:
            own.setdefault(each.agent, {})[each.name] = each.value
        yield TickRows(
            list(rows),
            agents,
            trades,
            {each.vehicle: each for each in vehicles},
            {each.storage: each for each in storages},
            own,
            events.of(tick),
            reservations.of(tick),
        )


class _Table:
    """Rows in the order of their ticks, handed out tick by tick."""

    def __init__(self, rows: Iterator[Any], tick_of: Callable[[Any], int]) -> None:
        self._groups = groupby(rows, tick_of)
        self._next: tuple[int, list[Any]] | None = (-1, [])

    def of(self, tick: int) -> list[Any]:
        """Return the rows of a tick; each tick may be asked for once, in order."""
        while self._next is not None and self._next[0] < tick:
            found = next(self._groups, None)
            self._next = None if found is None else (found[0], list(found[1]))
        return self._next[1] if self._next is not None and self._next[0] == tick else []
