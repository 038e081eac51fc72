"""Export the store as files for other programs: CSV in UTF-8 with line feeds, and a summary in JSON.

Energies are kWh with three decimals, prices EUR/kWh with six, money EUR with nine, all exact; times are
simulated local standard time, ISO 8601 to the second, without a zone. Rows are sorted: the same store gives
the same bytes.
"""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from gridfleet.broker.protocol.units import decimal_text, eur_per_kwh_text, eur_text, kwh_text
from gridfleet.broker.simulated_time import time_text
from gridfleet.dashboards.reports.summary import summary_json
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, ReservationRow, TickRow, TradeRow

TICKS_HEADER: Final = (
    "tick,cell,simulated_time,demand_kwh,generated_kwh,reactor_kwh,imported_kwh,exported_kwh,sold_kwh,"
    "curtailed_kwh,lowest_price,mean_price,charger_stored_kwh,messages"
)
LEDGER_HEADER: Final = "tick,cell,producer,consumer,package,energy_kwh,price_eur_per_kwh,source"
RESERVATIONS_HEADER: Final = (
    "vehicle,charger,requested,offered,accepted,arrived,released,energy_kwh,price,distance_km,outcome,source"
)
AGENTS_HEADER: Final = "tick,agent,kind,latitude,longitude,state_of_charge,power_kw,money_eur,source"

Line: TypeAlias = list[str | int]
_Row = TypeVar("_Row")


def write_exports(store: Store, directory: Path) -> list[Path]:
    """Write ticks.csv, ledger.csv, reservations.csv, agents.csv and summary.json; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    written = [
        _write(directory / "ticks.csv", TICKS_HEADER, tick_line, store.ticks()),
        _write(directory / "ledger.csv", LEDGER_HEADER, trade_line, store.trades()),
        _write(directory / "reservations.csv", RESERVATIONS_HEADER, reservation_line, store.reservations()),
        _write(directory / "agents.csv", AGENTS_HEADER, agent_line, store.agents()),
        directory / "summary.json",
    ]
    written[-1].write_text(summary_json(store), encoding="utf-8", newline="\n")
    return written


def tick_line(row: TickRow) -> Line:
    """Return a row of ticks.csv as text."""
    return [
        row.tick,
        row.cell,
        time_text(row.simulated_ms),
        kwh_text(row.demand_wh),
        kwh_text(row.generated_wh),
        kwh_text(row.reactor_wh),
        kwh_text(row.imported_wh),
        kwh_text(row.exported_wh),
        kwh_text(row.sold_wh),
        kwh_text(row.curtailed_wh),
        _price_text(row.lowest_price_ueur),
        _price_text(row.mean_price_ueur),
        kwh_text(row.charger_stored_wh),
        row.messages,
    ]


def trade_line(row: TradeRow) -> Line:
    """Return a row of ledger.csv as text."""
    package = f"{row.consumer}/{row.tick}/{row.package}"
    energy, price = kwh_text(row.energy_wh), eur_per_kwh_text(row.price_ueur)
    return [row.tick, row.cell, row.producer, row.consumer, package, energy, price, _source(row.measured)]


def reservation_line(row: ReservationRow) -> Line:
    """Return a row of reservations.csv as text."""
    return [
        row.vehicle,
        row.charger,
        time_text(row.requested_ms),
        time_text(row.offered_ms),
        time_text(row.accepted_ms),
        time_text(row.arrived_ms),
        time_text(row.released_ms),
        kwh_text(row.energy_wh),
        _price_text(row.price_ueur),
        "" if row.distance_km is None else f"{row.distance_km:.3f}",
        row.outcome,
        _source(row.measured),
    ]


def agent_line(row: AgentRow) -> Line:
    """Return a row of agents.csv as text; degrees to about a metre, state of charge 0 to 1."""
    return [
        row.tick,
        row.agent,
        row.kind,
        f"{row.latitude:.5f}",
        f"{row.longitude:.5f}",
        "" if row.state_of_charge is None else f"{row.state_of_charge:.4f}",
        decimal_text(row.power_w, 3),
        eur_text(row.balance_neur),
        _source(row.measured),
    ]


def _price_text(price_ueur: int | None) -> str:
    return "" if price_ueur is None else eur_per_kwh_text(price_ueur)


def _write(path: Path, header: str, line: Callable[[_Row], Line], rows: Iterable[_Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        csv.writer(file, lineterminator="\n").writerows(map(line, rows))
    return path


def _source(measured: bool) -> str:  # noqa: FBT001 - the row's field
    """Return whether a row comes from real sensors, in a word; SQLite gives 0 and 1."""
    return "measured" if measured else "simulated"
