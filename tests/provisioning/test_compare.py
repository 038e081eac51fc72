import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.dashboards.reports.comparison import CSV_HEADER, compare
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.runs.compare import scenario_sets
from gridfleet.provisioning.runs import batch_runner
from gridfleet.provisioning.runs.batch_runner import measure_run
from gridfleet.provisioning.runs.comparison_table import COLUMNS, table_text
from tests.provisioning.shell import gridfleet

WORDS = ("compare", "normal", "--algorithm", "best,random", "--seeds", "2", "--ticks", "6", "--jobs", "2")
SMALL = ("--set", "vehicles.count=3", "chargers.count=2", "--ticks", "2")


def test_two_algorithms_over_two_seeds_in_two_processes(tmp_path: Path) -> None:
    done = [gridfleet(*WORDS, "--png", "--out", name, cwd=tmp_path) for name in ("one", "other")]
    assert [(each.code, each.err) for each in done] == [(ExitCode.SUCCESS, "")] * 2
    lines = done[0].out.splitlines()
    assert lines[0].split() == ["normal", "best", "normal", "random"]
    (generated,) = (line for line in lines if line.startswith("Generated, kWh"))
    assert generated.count(" ± ") == 2
    assert lines[-1] == "Report  one/compare.html"
    assert [each.out.splitlines()[:-1] for each in done[:1]] == [
        each.out.splitlines()[:-1] for each in done[1:]
    ]
    with (tmp_path / "one" / "compare.csv").open() as file:
        assert file.readline() == CSV_HEADER + "\n"
        file.seek(0)
        rows = list(csv.DictReader(file))
    assert {(row["label"], row["runs"]) for row in rows if row["metric"] == "sold_kwh"} == {
        ("normal best", "2"),
        ("normal random", "2"),
    }
    with (tmp_path / "one" / "runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert [(row["set"], row["algorithm"], row["seed"], row["verdict"]) for row in runs] == [
        (f"normal {name}", name, seed, "holds") for name in ("best", "random") for seed in ("49", "50")
    ]
    means = {row["label"]: float(row["mean"]) for row in rows if row["metric"] == "mean_price"}
    for label, mean in means.items():
        prices = [float(row["mean_price"]) for row in runs if row["set"] == label]
        assert sum(prices) / 2 == pytest.approx(mean, abs=1e-6)
    names = sorted(
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()
    )
    assert len([name for name in names if name.suffix == ".png"]) > 1
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_default_directory_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "normal", "scarce", "--seeds", "1", "--jobs", "1", *SMALL]) == ExitCode.SUCCESS
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["normal", "scarce"]
    assert "±" not in out
    name = (tmp_path / "out" / "latest-compare").readlink()
    assert str(name).startswith("compare-normal-scarce-2")
    assert out.splitlines()[-1] == f"Report  out/{name}/compare.html"


def test_sets_are_in_the_requested_order_and_seeds_count_up() -> None:
    words = ["compare", "storm", "normal", "--algorithm", "random,best", "--seeds", "3", "--set", "seed=5"]
    sets = scenario_sets(make_parser().parse_args(words))
    assert list(sets) == ["storm random", "storm best", "normal random", "normal best"]
    assert [scenario.seed for scenario in sets["storm best"]] == [5, 6, 7]
    assert {scenario.settings.algorithm for scenario in sets["normal random"]} == {"random"}


@pytest.mark.parametrize(
    ("words", "label"),
    [(["normal", "normal"], "normal"), (["normal", "--algorithm", "best,best"], "normal best")],
    ids=["scenario", "algorithm"],
)
def test_duplicates_are_refused(words: list[str], label: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith(f"gridfleet: {label}: given twice:")


def test_a_seed_out_of_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "normal", "--seeds", "2", "--set", f"seed={2**63 - 1}"]
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("gridfleet: --seeds: goes beyond the highest seed")


def test_a_breach_is_printed_with_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = scenario_sets(make_parser().parse_args(["compare", "normal", "--seeds", "2", *SMALL]))
    good, bad = (measure_run(scenario) for scenario in sets["normal"])
    measured = {"normal": [good, replace(bad, breached=("energy", "ports"))]}
    monkeypatch.setattr(batch_runner, "run_batch", lambda *_: (measured, False))
    assert main(["compare", "normal", "--out", str(tmp_path)]) == ExitCode.BREACHED
    assert capsys.readouterr().err == "gridfleet: normal, seed 50: breached energy, ports\n"


def test_a_wide_table_is_split_into_blocks() -> None:
    sets = scenario_sets(make_parser().parse_args(["compare", "normal", "--seeds", "1", *SMALL]))
    result = measure_run(sets["normal"][0])
    labels = [f"set number {number}" for number in range(5)]
    text = table_text(compare({label: [result] for label in labels}), labels, columns=90)
    assert max(map(len, text.splitlines())) <= 90
    blocks = text.split("\n\n")
    assert len(blocks) > 1
    assert " ".join(" ".join(block.splitlines()[0].split()) for block in blocks) == " ".join(labels)


def test_a_mean_over_fewer_runs_than_asked_shows_their_number() -> None:
    first = measure_run(scenario_sets(make_parser().parse_args(["compare", "normal", *SMALL]))["normal"][0])
    runs = [
        replace(first, figures={**first.figures, "full_after_h": hours}) for hours in (2.0, 4.0, math.nan)
    ]
    spreads = compare({"normal": runs})
    (full,) = (spread for spread in spreads if spread.metric.name == "full_after_h")
    assert full.text().splitlines()[0] == "3.00 ± 1.41 (n=2)"
    lines = table_text(spreads, ["normal"]).splitlines()
    assert [line.rpartition("  ")[2] for line in lines if "(n=" in line] == ["3.00 ± 1.41 (n=2)"]


def test_a_table_of_combinations_has_a_line_for_each_key_and_fits() -> None:
    result = measure_run(scenario_sets(make_parser().parse_args(["compare", "normal", *SMALL]))["normal"][0])
    pairs = [(rule, ranking) for rule in ("pay-as-bid", "uniform-price") for ranking in ("best", "random")]
    labels = [f"clearing_rule={rule} algorithm={ranking}" for rule, ranking in pairs]
    keys = ("settings.clearing_rule", "settings.algorithm")
    heads = [(key, [pair[place] for pair in pairs]) for place, key in enumerate(keys)]
    text = table_text(compare({label: [result] * 3 for label in labels}), labels, COLUMNS, heads=heads)
    assert max(map(len, text.splitlines())) <= COLUMNS
    heads_of = [line.split()[1:] for line in text.splitlines() if line.startswith("settings.algorithm")]
    assert [word for words in heads_of for word in words] == ["best", "random", "best", "random"]
