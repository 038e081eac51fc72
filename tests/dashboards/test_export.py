"""The exported files match the store exactly."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from gridfleet.dashboards.reports.export import write_exports
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import (
    AgentRow,
    DemandRow,
    Invariant,
    ReservationRow,
    RunFacts,
    TickRow,
    TradeRow,
    WelfareRow,
)
from tests.dashboards.synthetic import START_MS, Fleet, build


def _small() -> Store:
    store = Store.create()
    store.put_facts(RunFacts("normal", "Normal operation", 3, "0.1.0", START_MS))
    store.put_invariants([Invariant("energy", "in = out", 2, 0)])
    store.add_ticks(
        [
            TickRow(1, "north", START_MS + 900_000, 1, 0, 0, 0, 0, 0, 0, None, None, 0, 4),
            TickRow(
                0, "north", START_MS, 30_500, 20_000, 10_001, 1, 2, 25_000, 5_000, 100_000, 555_555, 70_123, 9
            ),
        ]
    )
    store.add_trades(
        [
            TradeRow(0, "north", "turbine-0", "charger-0", 10, 15_000, 100_000),
            TradeRow(0, "north", "turbine-0", "charger-0", 9, 10_000, 100_001),
        ]
    )
    at = START_MS
    store.add_reservations(
        [
            ReservationRow(
                "v-1", "c-2", 5, at, at + 1_999, at + 5_000, None, None, 12_345, 370_000, 220.5, "open"
            ),
            ReservationRow("v-0", "c,2", 4, at, None, None, None, None, 0, None, None, "refused"),
        ]
    )
    store.add_agents(
        [
            AgentRow(0, "v-1", "vehicle", "vehicle", 53.5, 9.123456, 0.4, -11_000, -1_500_000_001),
            AgentRow(0, "reactor-0", "reactor", "grid-supply", 53.573, 9.881, None, 40_004, 9_000_000_000),
        ]
    )
    store.add_demands([DemandRow(0, "consumer", 30_500, 25_000)])
    store.add_welfare([WelfareRow(0, "north", 2_500_010_000, None, 900_000)])
    return store


EXPECTED = {
    "ticks.csv": (
        "tick,cell,simulated_time,demand_kwh,generated_kwh,reactor_kwh,imported_kwh,exported_kwh,sold_kwh,"
        "curtailed_kwh,lowest_price,mean_price,charger_stored_kwh,messages\n"
        "0,north,2025-06-02T00:00:00,30.500,20.000,10.001,0.001,0.002,25.000,5.000,0.100000,0.555555,70.123,9\n"
        "1,north,2025-06-02T00:15:00,0.001,0.000,0.000,0.000,0.000,0.000,0.000,,,0.000,4\n"
    ),
    "ledger.csv": (
        "tick,cell,producer,consumer,package,energy_kwh,price_eur_per_kwh,source\n"
        "0,north,turbine-0,charger-0,charger-0/0/9,10.000,0.100001,simulated\n"
        "0,north,turbine-0,charger-0,charger-0/0/10,15.000,0.100000,simulated\n"
    ),
    "reservations.csv": (
        "vehicle,charger,requested,offered,accepted,arrived,released,energy_kwh,price,distance_km,outcome,source\n"
        'v-0,"c,2",2025-06-02T00:00:00,,,,,0.000,,,refused,simulated\n'
        "v-1,c-2,2025-06-02T00:00:00,2025-06-02T00:00:01,2025-06-02T00:00:05,,,12.345,0.370000,220.500,open,simulated\n"
    ),
    "agents.csv": (
        "tick,agent,kind,latitude,longitude,state_of_charge,power_kw,money_eur,source\n"
        "0,reactor-0,reactor,53.57300,9.88100,,40.004,9.000000000,simulated\n"
        "0,v-1,vehicle,53.50000,9.12346,0.4000,-11.000,-1.500000001,simulated\n"
    ),
    "demand.csv": "tick,kind,bid_kwh,bought_kwh,unserved_kwh\n0,consumer,30.500,25.000,5.500\n",
    "welfare.csv": ("tick,cell,welfare_eur,optimum_eur,marginal_price\n0,north,2.500010000,,0.900000\n"),
}


def test_every_file_exactly(tmp_path: Path) -> None:
    with _small() as store:
        paths = write_exports(store, tmp_path / "out")
    assert [path.name for path in paths] == [*EXPECTED, "summary.json", "indicators.csv"]
    for name, text in EXPECTED.items():
        assert (tmp_path / "out" / name).read_bytes() == text.encode()


def test_the_summary_exactly(tmp_path: Path) -> None:
    with _small() as store:
        write_exports(store, tmp_path)
    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    summary = json.loads(text)
    assert text == json.dumps(summary, indent=2, sort_keys=True) + "\n"
    indicators = summary.pop("indicators")
    assert (indicators["welfare_eur"], indicators["welfare_gap"]) == (2.50001, None)
    assert summary == {
        "scenario": "normal",
        "title": "Normal operation",
        "seed": 3,
        "version": "0.1.0",
        "ticks": 2,
        "first_tick": 0,
        "last_tick": 1,
        "tick_minutes": 15.0,
        "cells": 1,
        "totals": {
            "demand_kwh": 30.501,
            "generated_kwh": 20.0,
            "reactor_kwh": 10.001,
            "imported_kwh": 0.001,
            "exported_kwh": 0.002,
            "sold_kwh": 25.0,
            "curtailed_kwh": 5.0,
            "traded_kwh": 25.0,
            "paid_eur": 2.50001,
            "mean_price_eur_per_kwh": 0.1,
            "lowest_price_eur_per_kwh": 0.1,
            "reactor_share": 0.40004,
            "charger_stored_kwh": 0.0,
        },
        "unserved_kwh": {"consumer": 5.5},
        "counts": {
            "agents": {"reactor": 1, "vehicle": 1},
            "trades": 2,
            "reservations": {"open": 1, "refused": 1},
            "messages": 13,
        },
        "invariants": [{"name": "energy", "what": "in = out", "checked": 2, "breaches": 0, "holds": True}],
        "verdict": "holds",
    }


@pytest.mark.parametrize(
    ("invariants", "verdict"),
    [
        ([], "unchecked"),
        ([Invariant("a", "", 1, 0)], "holds"),
        ([Invariant("a", "", 1, 0), Invariant("b", "", 5, 2)], "broken"),
    ],
)
def test_one_breach_makes_the_verdict_broken(
    tmp_path: Path, invariants: list[Invariant], verdict: str
) -> None:
    with Store.create() as store:
        store.put_invariants(invariants)
        write_exports(store, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["verdict"] == verdict


def test_energy_balances_in_every_row_of_the_file(tmp_path: Path) -> None:
    with build(Fleet(cells=3, storm=(40, 60))) as store:
        write_exports(store, tmp_path)
    with (tmp_path / "ticks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 120
    for row in rows:
        kwh = {name: Decimal(text) for name, text in row.items() if name.endswith("_kwh")}
        supplied = kwh["generated_kwh"] + kwh["reactor_kwh"] + kwh["imported_kwh"]
        assert supplied == kwh["sold_kwh"] + kwh["exported_kwh"] + kwh["curtailed_kwh"]


def test_the_ledger_sums_to_the_totals(tmp_path: Path) -> None:
    with build(Fleet()) as store:
        write_exports(store, tmp_path)
    with (tmp_path / "ledger.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    totals = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"), parse_float=Decimal)[
        "totals"
    ]
    assert sum(Decimal(row["energy_kwh"]) for row in rows) == totals["traded_kwh"] == totals["sold_kwh"]
    assert sum(Decimal(r["energy_kwh"]) * Decimal(r["price_eur_per_kwh"]) for r in rows) == totals["paid_eur"]


def test_an_empty_store_has_headers_and_a_summary(tmp_path: Path) -> None:
    with Store.create() as store:
        write_exports(store, tmp_path)
    for name, text in EXPECTED.items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text.partition("\n")[0] + "\n"
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["ticks"] == 0
