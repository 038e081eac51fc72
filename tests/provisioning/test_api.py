"""`import gridfleet`: the same runs, files and columns as the command line, from Python."""

import csv
import doctest
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import gridfleet
import gridfleet.testing
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.provisioning.test_simulate import files_of as all_files_of

SHIPPED = ("normal", "scarce", "storm")
"""Without `town`, in whose first hours, at night, nothing is charged."""
TICKS = 8
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
FILES = {
    "ticks": "ticks.csv",
    "trades": "ledger.csv",
    "reservations": "reservations.csv",
    "agents": "agents.csv",
}


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a run but for its manifest: only a command has a command line to repeat."""
    found = all_files_of(folder)
    found.pop("manifest.json", None)
    return found


@pytest.fixture(scope="module")
def storm() -> gridfleet.Result:
    return gridfleet.simulate("storm", ticks=TICKS)


def command(scenario: str, directory: Path, *words: str) -> None:
    assert (
        main(["simulate", scenario, "--ticks", str(TICKS), "--out", str(directory), *words])
        == ExitCode.SUCCESS
    )


def parsed(text: str, value_type: str) -> object:
    """Return a field of a CSV file as a value of that type."""
    types: dict[str, Callable[[str], object]] = {
        "int": int, "float": float, "str": str, "datetime": datetime.fromisoformat,
    }  # fmt: skip
    return types[value_type](text) if text or value_type == "str" else None


@pytest.mark.parametrize("scenario", SHIPPED)
def test_files_and_columns_are_those_of_the_command_line(scenario: str, tmp_path: Path) -> None:
    command(scenario, tmp_path / "command", "--no-report")
    result = gridfleet.simulate(scenario, ticks=TICKS)
    assert result.save(tmp_path / "api", report=False) == tmp_path / "api"
    assert files_of(tmp_path / "api") == files_of(tmp_path / "command")
    for name, file in FILES.items():
        table: gridfleet.Table = getattr(result, name)
        with (tmp_path / "command" / file).open(newline="") as opened:
            reader = csv.DictReader(opened)
            rows = list(reader)
        assert list(table.columns) == reader.fieldnames
        assert len(table) == len(rows) > 0
        for column, value_type in table.types.items():
            assert table[column] == [parsed(row[column], value_type) for row in rows]
        assert next(iter(table)) == {column: table[column][0] for column in table.columns}


def test_the_report_is_that_of_the_command_line(storm: gridfleet.Result, tmp_path: Path) -> None:
    command("storm", tmp_path / "command")
    storm.save(tmp_path / "api")
    assert files_of(tmp_path / "api") == files_of(tmp_path / "command")
    assert "report.html" in files_of(tmp_path / "api")


def test_arguments_and_changes_are_those_of_the_command_line(tmp_path: Path) -> None:
    words = (
        "--seed",
        "7",
        "--algorithm",
        "random",
        "--set",
        "vehicles.count=12",
        "settings.turbine_scale=0.5",
    )
    command("normal", tmp_path / "command", "--no-report", *words, "--faults", "loss=0.1", "from_tick=2")
    scenario = gridfleet.Scenario.load(
        "normal", {"vehicles.count": 12, "settings": {"turbine_scale": 0.5}, "ticks": 99}
    )
    faults = {"loss": 0.1, "from_tick": 2}
    result = gridfleet.simulate(scenario, ticks=TICKS, seed=7, algorithm="random", faults=faults)
    result.save(tmp_path / "api", report=False)
    assert files_of(tmp_path / "api") == files_of(tmp_path / "command")


def test_a_run_over_the_embedded_broker_has_the_trades_of_the_simulation(storm: gridfleet.Result) -> None:
    ticks: list[int] = []
    result = gridfleet.run("storm", ticks=TICKS, on_tick=ticks.append)
    assert result.trades == storm.trades
    assert result.reservations == storm.reservations
    assert all(finding.holds for finding in result.findings)
    assert ticks == list(range(TICKS))


def test_a_run_ends_early_when_on_tick_returns_false() -> None:
    simulated = gridfleet.simulate("storm", on_tick=lambda tick: tick < 3)
    assert simulated.ticks["tick"] == [0, 1, 2]
    over_mqtt = gridfleet.run("storm", seconds_per_tick=0.5, on_tick=lambda tick: tick < 2)
    assert over_mqtt.ticks["tick"] == [0, 1]


def test_on_tick_gets_every_tick_and_may_return_anything_else() -> None:
    ticks: list[int] = []
    gridfleet.simulate("storm", ticks=3, on_tick=ticks.append)
    assert ticks == [0, 1, 2]


def test_a_result_sums_up_its_run(storm: gridfleet.Result) -> None:
    assert (
        repr(storm)
        == f"<Result storm, seed 49: {TICKS} ticks, 57 devices, {len(storm.trades)} trades, verdict holds>"
    )
    assert storm.summary["totals"]["sold_kwh"] == pytest.approx(sum(storm.ticks["sold_kwh"]))
    assert storm.metrics["sold_kwh"] == pytest.approx(sum(storm.ticks["sold_kwh"]))
    assert storm.metrics["trades"] == len(storm.trades)
    assert len(storm.findings) == len(storm.summary["invariants"]) > 10
    assert {(finding.holds, finding.breaches, finding.examples) for finding in storm.findings} == {
        (True, 0, ())
    }


def test_a_breached_invariant_is_found_with_its_examples(tmp_path: Path, storm: gridfleet.Result) -> None:
    from gridfleet.dashboards.recording.recording import BREACHES, STORE
    from gridfleet.dashboards.store.database import Store
    from gridfleet.dashboards.store.rows import Invariant

    storm.save(tmp_path, report=False)
    with Store.resume(tmp_path / STORE) as store:
        store.put_invariants([Invariant("ports", "never more", 9, 2), Invariant("leases", "every", 1, 0)])
        store.put_meta(BREACHES, {"ports": ["charger-0 in tick 3", "charger-1 in tick 4"]})
    ports, leases = gridfleet.Result.open(tmp_path).findings
    assert (ports.name, ports.what, ports.checked, ports.breaches) == ("ports", "never more", 9, 2)
    assert ports.examples == ("charger-0 in tick 3", "charger-1 in tick 4")
    assert (ports.holds, leases.holds) == (False, True)


def test_a_stored_run_is_opened_and_saved_again(tmp_path: Path) -> None:
    command("scarce", tmp_path / "command", "--no-report")
    result = gridfleet.Result.open(str(tmp_path / "command"))
    assert result.trades == gridfleet.simulate("scarce", ticks=TICKS).trades
    result.save(str(tmp_path / "api"), report=False)
    assert files_of(tmp_path / "api") == files_of(tmp_path / "command")


def test_a_result_can_be_pickled(storm: gridfleet.Result) -> None:
    copy = pickle.loads(pickle.dumps(storm))  # noqa: S301 - our own
    assert copy.trades == storm.trades


def test_a_run_is_replaced_only_on_request(storm: gridfleet.Result, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    storm.save(tmp_path, report=False)
    before = files_of(tmp_path)
    with pytest.raises(
        OSError, match=r"holds results already .* name another directory, or set replace=True"
    ):
        gridfleet.simulate("storm", ticks=2).save(tmp_path, report=False)
    assert files_of(tmp_path) == before
    gridfleet.simulate("storm", ticks=2).save(tmp_path, report=False, replace=True)
    assert gridfleet.Result.open(tmp_path).summary["ticks"] == 2
    assert (tmp_path / "mine.txt").exists()


def test_without_a_directory_a_run_is_saved_into_a_new_one(
    storm: gridfleet.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (storm.save(report=False) for _ in range(2))
    assert first != second
    assert files_of(first) == files_of(second)
    assert Path("out", "latest").readlink() == Path(second.name)
    assert gridfleet.Result.open("out/latest").trades == storm.trades


def test_a_table_becomes_a_data_frame_with_fixed_types(storm: gridfleet.Result) -> None:
    frame = storm.reservations.to_pandas()
    assert list(frame.columns) == list(storm.reservations.columns)
    assert frame["requested"].dtype == frame["released"].dtype == "datetime64[s]"
    assert frame["energy_kwh"].dtype == frame["price"].dtype == "float64"
    assert frame["arrived"].isna().sum() == storm.reservations["arrived"].count(None) > 0
    assert storm.ticks.to_pandas()["tick"].dtype == "int64"
    assert storm.ticks.to_pandas()["sold_kwh"].sum() == pytest.approx(storm.metrics["sold_kwh"])
    empty = gridfleet.simulate(gridfleet.Scenario.load("normal", {"vehicles.count": 0}), ticks=2).reservations
    assert len(empty) == 0
    assert list(empty.to_pandas().dtypes) == list(frame.dtypes)


def test_key_figures_of_several_runs_become_a_data_frame(storm: gridfleet.Result) -> None:
    frame = pd.DataFrame([gridfleet.simulate("storm", seed=seed, ticks=2).metrics for seed in (1, 2)])
    assert list(frame.columns) == list(storm.metrics)
    assert frame.shape[0] == 2
    assert math.isnan(frame["full_after_h"][0]) or frame["full_after_h"][0] > 0


def test_a_table_becomes_an_arrow_table(storm: gridfleet.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for pyarrow, which no test needs otherwise."""
    arrow = ModuleType("pyarrow")
    vars(arrow).update(type_for_alias=str, array=lambda values, kind: (kind, values), table=dict)
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    found = storm.ticks.to_arrow()
    assert found["simulated_time"] == ("timestamp[s]", storm.ticks["simulated_time"])
    assert found["cell"][0], found["tick"][0] == ("string", "int64")


@pytest.mark.parametrize(("package", "method"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow")])
def test_a_missing_package_is_named_with_the_remedy(
    package: str, method: str, storm: gridfleet.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=f"{package}, which is not installed: .* -m pip install '?{package}"
    ):
        getattr(storm.ticks, method)()


def test_without_matplotlib_the_report_is_refused_before_anything_is_written(
    storm: gridfleet.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"-m pip install .*matplotlib.* – or set report=False"):
        storm.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(gridfleet.GridFleetError) as caught:
        call()
    return str(caught.value)


def test_a_mistake_is_named_with_what_is_allowed(storm: gridfleet.Result, tmp_path: Path) -> None:
    load = gridfleet.Scenario.load
    for call, parts in (
        (lambda: gridfleet.simulate("storn"), ["storn: no such scenario or file; did you mean 'storm'?"]),
        (
            lambda: gridfleet.simulate("storm", ticks=0),
            ["ticks = 0: must be at least 1 (from the arguments)"],
        ),
        (
            lambda: gridfleet.simulate("storm", algorithm="b"),
            [
                "settings.algorithm = 'b': no offer ranking of that name is installed; allowed are weighted, best"
            ],
        ),
        (lambda: load("storm", {"seed": "x"}), ["seed = 'x': must be a whole number"]),
        (
            lambda: load("storm", {"vehicles.cuont": 1}),
            ["vehicles.cuont: unknown key; did you mean 'count'?"],
        ),
        (lambda: load("storm", {"seed.x": 1}), ["seed.x = 1: seed is not a table"]),
        (lambda: load("storm", {"folder": "/"}), ["folder: unknown key; remove it"]),
        (
            lambda: load("storm").with_changes({"vehicles": {"count": -1}}),
            ["vehicles.count = -1: must be at least 0"],
        ),
        (
            lambda: gridfleet.simulate("storm", faults={"los": 1}),
            ["faults los=1: unknown key; did you mean 'loss'?"],
        ),
        (
            lambda: gridfleet.run("storm", seconds_per_tick=0),
            ["seconds_per_tick=0: must be above 0, and at most 900"],
        ),
        (
            lambda: gridfleet.run("storm", mode="realtime", seconds_per_tick=2),
            ["seconds_per_tick=2: goes with mode='scaled', not with mode='realtime'"],
        ),
        (
            lambda: gridfleet.run("storm", broker="http://x"),
            ["it must begin with mqtt://, mqtts://, ws:// or wss://"],
        ),
        (lambda: gridfleet.Result.open(tmp_path), [str(tmp_path), "contains no run (no run.sqlite)"]),
    ):
        message = refused(call)
        assert all(part in message for part in parts), message
    words: Any = ["seed=1"]  # as on the command line
    assert "changes: ['seed=1']: expected a dict, such as {'vehicles.count': 60}" in refused(
        lambda: load("storm", words)
    )
    assert "faults: ['seed=1']: expected a dict, such as {'loss': 0.05}" in refused(
        lambda: gridfleet.simulate("storm", faults=words)
    )
    with pytest.raises(KeyError, match="no column 'sold'; it has tick, cell, simulated_time"):
        storm.ticks["sold"]


def test_changes_give_what_the_file_would_give(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("seed = 3\n[vehicles]\ncount = 4\nstored_share = [0.5, 0.6]\n", encoding="utf-8")
    mine = gridfleet.Scenario.load(path)
    assert (mine.name, mine.folder) == ("mine", str(tmp_path))
    changed = mine.with_changes({"vehicles": {"count": 9}, "title": "More"})
    assert (changed.vehicles.count, changed.vehicles.stored_share, changed.title) == (9, (0.5, 0.6), "More")
    assert (changed.seed, changed.name, changed.folder) == (3, "mine", str(tmp_path))
    assert changed == gridfleet.Scenario.load(path, {"vehicles.count": 9, "title": "More"})
    assert mine.vehicles.count == 4
    assert {*SHIPPED, "town"} == set(gridfleet.Scenario.shipped())


# --- the public names ---


def test_the_page_of_the_api_lists_what_is_public() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^### (.*)", page, re.MULTILINE))
    assert set(re.findall(r"`(\w+)[`(]", headings)) <= set(gridfleet.__all__)
    assert set(gridfleet.__all__) <= set(re.findall(r"\b\w+\b", " ".join(re.findall(r"`([^`\n]+)`", page))))
    assert set(gridfleet.__all__) <= set(dir(gridfleet))
    members = {name for name in vars(gridfleet.Result) if not name.startswith("_")}
    assert members <= set(re.findall(r"`(?:\w+\.)?(\w+)", page))


def test_the_page_of_the_bench_lists_what_tests_import() -> None:
    page = (PAGE.parent / "how-to" / "devices" / "test-bench.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\b\w+\b", " ".join(re.findall(r"`([^`\n]+)`", page))))
    assert set(gridfleet.testing.__all__) <= listed
    for part in (gridfleet.testing.Bench, gridfleet.testing.ScriptedBuyer, gridfleet.testing.Switch):
        public = {name for name in vars(part) if not name.startswith("_")}
        assert public - {"close", "adc", "name", "publish", "receive", "join", "history"} <= listed


def test_the_examples_of_the_page_are_right() -> None:
    try:
        result = doctest.testfile(str(PAGE), module_relative=False)
    finally:
        gridfleet.AGENT_TYPES.forget("pool")  # which the page registers
    assert result.attempted > 5
    assert result.failed == 0


def test_an_unknown_name_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(
        AttributeError, match="has no attribute 'simulat'; it has AGENT_TYPES, CLEARING_RULES"
    ):
        getattr(gridfleet, "simulat")  # noqa: B009 - mypy knows that it does not exist


def test_importing_gridfleet_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import gridfleet; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gridfleet"]
