"""The tables of the store: one per row class, columns in the order of its fields."""

from typing import Final, NamedTuple

from gridfleet.dashboards.store.rows import (
    AgentRow,
    DemandRow,
    EventRow,
    FigureMeaning,
    FigureRow,
    ReservationRow,
    StorageRow,
    TickRow,
    TradeRow,
    VehicleRow,
    WelfareRow,
)

APPLICATION_ID: Final = 0x47724674
"""Marks a SQLite file as GridFleet's ("GrFt"), so that other databases are recognised before they are read."""
VERSION: Final = 4


class Table(NamedTuple):
    """A table's name, its columns as SQL, its primary key (empty for none), and the order of reading."""

    name: str
    columns: str
    key: str
    order: str


TICKS: Final = Table(
    "ticks",
    "tick INTEGER NOT NULL, cell TEXT NOT NULL, simulated_ms INTEGER NOT NULL, demand_wh INTEGER NOT NULL, "
    "generated_wh INTEGER NOT NULL, reactor_wh INTEGER NOT NULL, imported_wh INTEGER NOT NULL, "
    "exported_wh INTEGER NOT NULL, sold_wh INTEGER NOT NULL, curtailed_wh INTEGER NOT NULL, "
    "lowest_price_ueur INTEGER, mean_price_ueur INTEGER, charger_stored_wh INTEGER NOT NULL, "
    "messages INTEGER NOT NULL",
    "tick, cell",
    "tick, cell",
)
TRADES: Final = Table(
    "trades",
    "tick INTEGER NOT NULL, cell TEXT NOT NULL, producer TEXT NOT NULL, consumer TEXT NOT NULL, "
    "package INTEGER NOT NULL, energy_wh INTEGER NOT NULL, price_ueur INTEGER NOT NULL, "
    "measured INTEGER NOT NULL",
    "",
    "tick, cell, producer, consumer, package, price_ueur, energy_wh",
)
RESERVATIONS: Final = Table(
    "reservations",
    "vehicle TEXT NOT NULL, charger TEXT NOT NULL, call INTEGER NOT NULL, requested_ms INTEGER NOT NULL, "
    "offered_ms INTEGER, accepted_ms INTEGER, arrived_ms INTEGER, released_ms INTEGER, "
    "energy_wh INTEGER NOT NULL, price_ueur INTEGER, distance_km REAL, outcome TEXT NOT NULL, "
    "measured INTEGER NOT NULL",
    "vehicle, charger, call",
    "requested_ms, vehicle, call, charger",
)
AGENTS: Final = Table(
    "agents",
    "tick INTEGER NOT NULL, agent TEXT NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL, "
    "latitude REAL NOT NULL, longitude REAL NOT NULL, state_of_charge REAL, "
    "power_w INTEGER NOT NULL, balance_neur INTEGER NOT NULL, measured INTEGER NOT NULL",
    "tick, agent",
    "tick, agent",
)
VEHICLES: Final = Table(
    "vehicles",
    "tick INTEGER NOT NULL, vehicle TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL, "
    "consumption_wh_per_km REAL NOT NULL, capacity_wh INTEGER NOT NULL, stored_wh INTEGER NOT NULL, "
    "speed_km_h REAL NOT NULL, deadline_ms INTEGER NOT NULL, next_latitude REAL, next_longitude REAL, "
    "destination_latitude REAL, destination_longitude REAL, charger TEXT",
    "tick, vehicle",
    "tick, vehicle",
)
STORAGES: Final = Table(
    "storages",
    "tick INTEGER NOT NULL, storage TEXT NOT NULL, capacity_wh INTEGER NOT NULL, stored_wh INTEGER NOT NULL, "
    "bought_wh INTEGER NOT NULL, sold_wh INTEGER NOT NULL, loss_wh INTEGER NOT NULL",
    "tick, storage",
    "tick, storage",
)
FIGURES: Final = Table(
    "figures",
    "tick INTEGER NOT NULL, agent TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL",
    "tick, agent, name",
    "tick, agent, name",
)
FIGURE_MEANINGS: Final = Table(
    "figure_meanings",
    "kind TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL, description TEXT NOT NULL",
    "kind, name",
    "kind, name",
)
DEMANDS: Final = Table(
    "demands",
    "tick INTEGER NOT NULL, kind TEXT NOT NULL, bid_wh INTEGER NOT NULL, bought_wh INTEGER NOT NULL",
    "tick, kind",
    "tick, kind",
)
WELFARE: Final = Table(
    "welfare",
    "tick INTEGER NOT NULL, cell TEXT NOT NULL, welfare_neur INTEGER NOT NULL, optimum_neur INTEGER, "
    "marginal_price_ueur INTEGER NOT NULL",
    "tick, cell",
    "tick, cell",
)
EVENTS: Final = Table(
    "events",
    "tick INTEGER NOT NULL, simulated_ms INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, "
    "text TEXT NOT NULL",
    "tick, simulated_ms, kind, subject",
    "tick, simulated_ms, kind, subject",
)
TABLES: Final = (
    TICKS, TRADES, RESERVATIONS, AGENTS, VEHICLES, STORAGES, FIGURES, FIGURE_MEANINGS, DEMANDS, WELFARE, EVENTS,
)  # fmt: skip
FIELDS: Final = {
    "ticks": TickRow._fields,
    "trades": TradeRow._fields,
    "reservations": ReservationRow._fields,
    "agents": AgentRow._fields,
    "vehicles": VehicleRow._fields,
    "storages": StorageRow._fields,
    "figures": FigureRow._fields,
    "figure_meanings": FigureMeaning._fields,
    "demands": DemandRow._fields,
    "welfare": WelfareRow._fields,
    "events": EventRow._fields,
}


def create_sql() -> str:
    """Return the script that creates all tables in an empty database."""
    statements = [
        f"PRAGMA application_id = {APPLICATION_ID}",
        "CREATE TABLE schema (version INTEGER NOT NULL)",
        f"INSERT INTO schema VALUES ({VERSION})",  # noqa: S608  all parts are constants of this file
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ]
    for table in TABLES:
        tail = f", PRIMARY KEY ({table.key})) WITHOUT ROWID" if table.key else ")"
        statements.append(f"CREATE TABLE {table.name} ({table.columns}{tail}")
    return ";\n".join(statements) + ";"


def insert_sql(table: Table) -> str:
    """Return the statement that adds a row; it replaces one with the same key."""
    marks = ", ".join("?" * len(FIELDS[table.name]))
    return f"INSERT OR REPLACE INTO {table.name} VALUES ({marks})"  # noqa: S608  all parts are constants of this file


def select_sql(table: Table) -> str:
    """Return the statement that reads all rows, in a fixed order."""
    return f"SELECT {', '.join(FIELDS[table.name])} FROM {table.name} ORDER BY {table.order}"  # noqa: S608  all parts are constants of this file
