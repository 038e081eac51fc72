"""The tables of a run as files and notebooks show them: each column with its unit, as text and as a Python value.

Energies are kWh with three decimals, prices EUR/kWh with six, money EUR with nine, all exact; times are simulated local
standard time, ISO 8601 to the second, without a zone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from gridfleet.broker.protocol.units import (
    NEUR_PER_EUR,
    UEUR_PER_EUR,
    WH_PER_KWH,
    decimal_text,
    eur_per_kwh_text,
    eur_text,
    kwh_text,
)
from gridfleet.broker.simulated_time import simulated_datetime, time_text
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, DemandRow, ReservationRow, TickRow, TradeRow, WelfareRow

Line: TypeAlias = list[str | int]
ValueType: TypeAlias = Literal["int", "float", "str", "datetime"]
Value: TypeAlias = int | float | str | datetime | None
"""A cell of a table in Python; None where the file has an empty field."""
Row = TypeVar("Row")
_ROWS_AT_ONCE: Final = 4096


class Quantity(NamedTuple):
    """How a column of the store becomes text in a file, and a Python value; both are equal to the last digit."""

    type: ValueType
    text: Callable[[Any], str | int]
    value: Callable[[Any], Value]


INTEGER: Final = Quantity("int", int, int)
TEXT: Final = Quantity("str", str, str)
TIME: Final = Quantity("datetime", time_text, simulated_datetime)
KWH: Final = Quantity("float", kwh_text, lambda energy_wh: energy_wh / WH_PER_KWH)
KW: Final = Quantity("float", partial(decimal_text, places=3), lambda power_w: power_w / 1000)
EUR: Final = Quantity("float", eur_text, lambda money_neur: money_neur / NEUR_PER_EUR)
EUR_PER_KWH: Final = Quantity("float", eur_per_kwh_text, lambda price_ueur: price_ueur / UEUR_PER_EUR)


def _rounded(places: int) -> Quantity:
    return Quantity("float", f"{{:.{places}f}}".format, lambda number: round(number, places))


DEGREES: Final = _rounded(5)
"""To about a metre."""
KILOMETRES: Final = _rounded(3)
SHARE: Final = _rounded(4)
"""0 to 1."""


class Column(NamedTuple):
    """A column: its name, how it is taken from a row of the store, and its quantity."""

    name: str
    read: Callable[[Any], Any]
    quantity: Quantity


@dataclass(frozen=True)
class TableFormat(Generic[Row]):
    """A table: its file, its rows in their order, and its columns."""

    file: str
    rows: Callable[[Store], Iterator[Row]]
    columns: tuple[Column, ...]

    @property
    def header(self) -> str:
        """The first line of the file."""
        return ",".join(column.name for column in self.columns)

    def line(self, row: Row) -> Line:
        """Return a row of the file as text."""
        return [quantity.text(read(row)) for _, read, quantity in self.columns]

    def lines(self, store: Store) -> Iterator[tuple[str | int, ...]]:
        """Return all rows of the file as text; by columns, which is faster than row by row."""
        rows = self.rows(store)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            yield from zip(
                *(map(quantity.text, map(read, some)) for _, read, quantity in self.columns), strict=True
            )

    def values(self, store: Store) -> dict[str, list[Value]]:
        """Return the columns of a run by name, each with the values of all rows."""
        rows = list(self.rows(store))
        return {name: list(map(quantity.value, map(read, rows))) for name, read, quantity in self.columns}


def _column(name: str, field: str, quantity: Quantity) -> Column:
    return Column(name, attrgetter(field), quantity)


def optional(quantity: Quantity) -> Quantity:
    """Return the quantity for a column that may have no value: an empty text, None."""
    value_type, text, value = quantity
    return Quantity(
        value_type,
        lambda stored: "" if stored is None else text(stored),
        lambda stored: None if stored is None else value(stored),
    )


def _package(row: TradeRow) -> str:
    """Return the id of a package: consumer/tick/index."""
    return f"{row.consumer}/{row.tick}/{row.package}"


def _source(row: AgentRow | ReservationRow | TradeRow) -> str:
    """Return whether a row comes from real sensors, in a word; SQLite gives 0 and 1."""
    return "measured" if row.measured else "simulated"


_SOURCE: Final = Column("source", _source, TEXT)

TICKS: Final[TableFormat[TickRow]] = TableFormat(
    "ticks.csv",
    Store.ticks,
    (
        _column("tick", "tick", INTEGER),
        _column("cell", "cell", TEXT),
        _column("simulated_time", "simulated_ms", TIME),
        _column("demand_kwh", "demand_wh", KWH),
        _column("generated_kwh", "generated_wh", KWH),
        _column("reactor_kwh", "reactor_wh", KWH),
        _column("imported_kwh", "imported_wh", KWH),
        _column("exported_kwh", "exported_wh", KWH),
        _column("sold_kwh", "sold_wh", KWH),
        _column("curtailed_kwh", "curtailed_wh", KWH),
        _column("lowest_price", "lowest_price_ueur", optional(EUR_PER_KWH)),
        _column("mean_price", "mean_price_ueur", optional(EUR_PER_KWH)),
        _column("charger_stored_kwh", "charger_stored_wh", KWH),
        _column("messages", "messages", INTEGER),
    ),
)
TRADES: Final[TableFormat[TradeRow]] = TableFormat(
    "ledger.csv",
    Store.trades,
    (
        _column("tick", "tick", INTEGER),
        _column("cell", "cell", TEXT),
        _column("producer", "producer", TEXT),
        _column("consumer", "consumer", TEXT),
        Column("package", _package, TEXT),
        _column("energy_kwh", "energy_wh", KWH),
        _column("price_eur_per_kwh", "price_ueur", EUR_PER_KWH),
        _SOURCE,
    ),
)
RESERVATIONS: Final[TableFormat[ReservationRow]] = TableFormat(
    "reservations.csv",
    Store.reservations,
    (
        _column("vehicle", "vehicle", TEXT),
        _column("charger", "charger", TEXT),
        _column("requested", "requested_ms", TIME),
        _column("offered", "offered_ms", optional(TIME)),
        _column("accepted", "accepted_ms", optional(TIME)),
        _column("arrived", "arrived_ms", optional(TIME)),
        _column("released", "released_ms", optional(TIME)),
        _column("energy_kwh", "energy_wh", KWH),
        _column("price", "price_ueur", optional(EUR_PER_KWH)),
        _column("distance_km", "distance_km", optional(KILOMETRES)),
        _column("outcome", "outcome", TEXT),
        _SOURCE,
    ),
)
AGENTS: Final[TableFormat[AgentRow]] = TableFormat(
    "agents.csv",
    Store.agents,
    (
        _column("tick", "tick", INTEGER),
        _column("agent", "agent", TEXT),
        _column("kind", "kind", TEXT),
        _column("latitude", "latitude", DEGREES),
        _column("longitude", "longitude", DEGREES),
        _column("state_of_charge", "state_of_charge", optional(SHARE)),
        _column("power_kw", "power_w", KW),
        _column("money_eur", "balance_neur", EUR),
        _SOURCE,
    ),
)
DEMANDS: Final[TableFormat[DemandRow]] = TableFormat(
    "demand.csv",
    Store.demands,
    (
        _column("tick", "tick", INTEGER),
        _column("kind", "kind", TEXT),
        _column("bid_kwh", "bid_wh", KWH),
        _column("bought_kwh", "bought_wh", KWH),
        Column("unserved_kwh", lambda row: row.bid_wh - row.bought_wh, KWH),
    ),
)
WELFARE: Final[TableFormat[WelfareRow]] = TableFormat(
    "welfare.csv",
    Store.welfare,
    (
        _column("tick", "tick", INTEGER),
        _column("cell", "cell", TEXT),
        _column("welfare_eur", "welfare_neur", EUR),
        _column("optimum_eur", "optimum_neur", optional(EUR)),
        _column("marginal_price", "marginal_price_ueur", EUR_PER_KWH),
    ),
)
TABLES: Final[tuple[TableFormat[Any], ...]] = (TICKS, TRADES, RESERVATIONS, AGENTS, DEMANDS, WELFARE)
"""The tables with the columns that every run has."""
