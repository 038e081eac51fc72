"""The indicators of a run: recomputed from its files, fairness by hand, and where there is nothing to measure."""

import csv
import json
import math
from pathlib import Path

import pytest

from gridfleet.dashboards.indicators.definitions import INDICATORS
from gridfleet.dashboards.indicators.values import indicator_values, waiting_ms
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import WelfareRow
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.runs.results import open_recording
from tests.provisioning.shell import gridfleet


def run(folder: Path, *changes: str, ticks: int = 16, faults: Faults | None = None) -> Path:
    """The files of a short run of `normal`."""
    scenario = load("normal", (*changes, f"ticks={ticks}"))
    with open_recording(scenario, folder, exact=faults is None) as recorded:
        Simulation(scenario, faults=faults, receivers=(recorded.receive,), judge=recorded.judgements).run()
        recorded.finish()
    return folder


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def indicators(folder: Path) -> dict[str, float]:
    return {
        row["indicator"]: float(row["value"]) if row["value"] else math.nan
        for row in rows(folder, "indicators.csv")
    }


def test_they_follow_from_the_other_files(tmp_path: Path) -> None:
    folder = run(tmp_path, "settings.turbine_scale=0.05")
    found = indicators(folder)
    ticks, trades, demand = (rows(folder, f"{name}.csv") for name in ("ticks", "ledger", "demand"))

    def total(table: list[dict[str, str]], column: str) -> float:
        return sum(float(row[column]) for row in table)

    sold, reactor = total(ticks, "sold_kwh"), total(ticks, "reactor_kwh")
    generated, curtailed = total(ticks, "generated_kwh"), total(ticks, "curtailed_kwh")
    assert reactor > 0
    assert found["self_sufficiency"] == pytest.approx(100 * (sold - reactor) / sold, abs=1e-5)
    assert found["self_consumption"] == pytest.approx(100 * (generated - curtailed) / generated, abs=1e-5)
    assert found["curtailment_share"] == pytest.approx(100 - found["self_consumption"], abs=1e-5)
    assert found["peak_kw"] == pytest.approx(max(float(row["sold_kwh"]) for row in ticks) * 4, abs=1e-5)
    assert found["load_factor"] == pytest.approx(100 * sold * 4 / len(ticks) / found["peak_kw"], abs=1e-5)
    assert found["co2_kg"] == pytest.approx((0.011 * (sold - reactor) + 0.38 * reactor), abs=1e-5)
    shares: dict[str, float] = {}
    for trade in trades:
        shares[trade["producer"]] = shares.get(trade["producer"], 0) + float(trade["energy_kwh"]) / sold
    assert found["hhi"] == pytest.approx(sum((100 * share) ** 2 for share in shares.values()), abs=1e-3)
    others = [row for row in demand if row["kind"] != "consumer"]
    assert found["unserved_others_kwh"] == pytest.approx(total(others, "unserved_kwh"), abs=1e-5)
    assert found["unserved_others_kwh"] > 0
    assert total(demand, "bought_kwh") == pytest.approx(sold, abs=1e-6)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["indicators"]["hhi"] == pytest.approx(found["hhi"], abs=1e-5)
    assert summary["unserved_kwh"]["consumer"] == 0
    assert [each.name for each in INDICATORS] == list(found)


def test_one_cell_has_no_gap_and_home_first_has_a_price(tmp_path: Path) -> None:
    one = indicators(run(tmp_path / "one", "settings.turbine_scale=0.1"))
    assert one["welfare_gap"] == pytest.approx(0, abs=0.01)
    assert one["unserved_consumers_kwh"] == 0
    changes = ("area.rows=2", "area.columns=3", "turbines.count=6", "settings.turbine_scale=0.1")
    several = indicators(run(tmp_path / "several", *changes, "reactors.count=0"))
    assert several["welfare_gap"] > 0.1
    assert several["unserved_consumers_kwh"] > 0


def test_without_a_reactor_consumers_starve_and_check_says_so(tmp_path: Path) -> None:
    found = indicators(run(tmp_path, "reactors.count=0", "settings.turbine_scale=0"))
    assert found["unserved_share_consumers"] == 100
    assert found["marginal_price"] == 1
    assert math.isnan(found["hhi"])
    assert math.isnan(found["self_sufficiency"])
    for changes, words in (
        ("[reactors]\ncount = 0\n", "without a reactor consumers get nothing"),
        ("[market]\nreactor_price_eur_per_kwh = 2\n", "price of 2 EUR/kWh is above the consumers' bid of 1"),
    ):
        (tmp_path / "mine.toml").write_text(changes)
        ended = gridfleet("scenario", "check", "mine.toml", cwd=tmp_path)
        assert ended.code == 0
        assert f"warning: {words}" in ended.out or f"  warning: the reactor's {words}" in ended.out


def test_late_receipts_count(tmp_path: Path) -> None:
    """What is settled ticks later is in demand and welfare: they agree with the ledger."""
    folder = run(tmp_path, faults=Faults(loss=0.2), ticks=24)
    bought = sum(float(row["bought_kwh"]) for row in rows(folder, "demand.csv"))
    assert bought == pytest.approx(
        sum(float(row["energy_kwh"]) for row in rows(folder, "ledger.csv")), abs=1e-6
    )
    assert 0 < indicators(folder)["welfare_gap"] < 60


def test_nothing_recorded_is_empty_and_not_zero() -> None:
    with Store.create() as store:
        found = indicator_values(store)
    assert [name for name, value in found.items() if not math.isnan(value)] == [
        "unserved_consumers_kwh",
        "unserved_others_kwh",
    ]


def test_bids_of_a_liar_that_fill_a_store_leave_indicators() -> None:
    most = 10**30
    with Store.create() as store:
        store.add_welfare([WelfareRow(tick, "north", 5_000_000_000, most, 1) for tick in range(3)])
        found = indicator_values(store)
    assert found["welfare_eur"] == 15
    assert found["welfare_gap"] == pytest.approx(100)


def test_a_search_ends_with_the_reservation_that_is_kept() -> None:
    calls = [
        ("a", 0, None, "unserved"),
        ("a", 10, 12, "cancelled"),
        ("a", 20, 25, "charged"),
        ("a", 90, None, "unserved"),
        ("b", 30, 31, "charged"),
        ("b", 50, 52, "charged"),
    ]
    assert waiting_ms(calls) == [25, 1, 2]
