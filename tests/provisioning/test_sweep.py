"""`gridfleet sweep`: the grid, every mistake at once, and what it writes."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from gridfleet.dashboards.plots.style import house_style
from gridfleet.dashboards.plots.sweep_plots import SweepLine, sweep_figure
from gridfleet.dashboards.reports.metrics import METRICS
from gridfleet.dashboards.statistics.student import half_width, student_t
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.runs.batch_runner import measure_run
from gridfleet.provisioning.runs.experiments import sweep
from gridfleet.provisioning.runs.experiments.sweep import Sweep
from gridfleet.provisioning.runs.experiments.variations import grid, parse_variation
from tests.provisioning.shell import gridfleet, on_terminal

SMALL = ("--set", "chargers.count=2", "--ticks", "2")
GRID = ("--vary", "vehicles.count=2,4", "--vary", "settings.algorithm=best,random")


def _sweep(*words: str) -> Sweep:
    return Sweep(make_parser().parse_args(["sweep", "normal", *words]))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=1,2.5,x", ("1", "2.5", "x")),
        ("a.b=0:1:0.1", tuple(f"{n / 10:g}" for n in range(11))),
        ("a.b=1:-1:-1", ("1", "0", "-1")),
        ("a.b=0:1:0.4", ("0", "0.4", "0.8")),
        ("a.b=[0.4, 1.0],0.5", ("[0.4, 1.0]", "0.5")),
        ("a.b='x,y','z'", ("'x,y'", "'z'")),
        ("start=2025-06-02T00:00:00,2025-12-01T00:00:00", ("2025-06-02T00:00:00", "2025-12-01T00:00:00")),
    ],
)
def test_values_are_a_list_or_a_range(text: str, values: tuple[str, ...]) -> None:
    assert parse_variation(text).values == values


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "expected KEY=VALUES"),
        ("=1", "expected KEY=VALUES"),
        ("a=", "a value is missing"),
        ("a=1,,2", "a value is missing"),
        ("a=1,1.0", "1.0 is given twice"),
        ("a=0:1:0", "the step 0 does not lead from 0 to 1: give one above 0"),
        ("a=1:0:1", "the step 1 does not lead from 1 to 0: give one below 0"),
        ("a=0:1:1e-9", "has 1000000001 values, at most 10000 are allowed"),
    ],
)
def test_a_wrong_list_or_range_is_refused(text: str, problem: str) -> None:
    with pytest.raises(CommandError) as raised:
        parse_variation(text)
    assert str(raised.value).startswith(f"--vary {text}: ")
    assert problem in str(raised.value)


def test_the_last_key_varies_fastest() -> None:
    changes = grid([parse_variation("a=1,2"), parse_variation("b=x,y")])
    assert [tuple(each.value for each in point) for point in changes] == [
        (1, "x"),
        (1, "y"),
        (2, "x"),
        (2, "y"),
    ]


def test_each_combination_has_every_seed() -> None:
    sets = _sweep(*GRID, "--seeds", "2", "--set", "seed=5").scenarios()
    assert list(sets)[:2] == ["count=2 algorithm=best", "count=2 algorithm=random"]
    (last,) = [sets[label] for label in sets if label == "count=4 algorithm=random"]
    assert [(each.vehicles.count, each.settings.algorithm, each.seed) for each in last] == [
        (4, "random", 5),
        (4, "random", 6),
    ]


def test_every_mistake_is_found_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "--vary",
        "vehicles.count=-1,x,5",
        "--vary",
        "settings.turbine_scle=0,1",
        "--set",
        "turbines.count=-4",
    ]
    assert main(["sweep", "normal", *words]) == ExitCode.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert sorted(lines) == [
        "gridfleet: normal.toml: settings.turbine_scle: unknown key; did you mean 'turbine_scale'? (from --vary)",
        "gridfleet: normal.toml: turbines.count = -4: must be at least 0 (from --set)",
        "gridfleet: normal.toml: vehicles.count = 'x': must be a whole number (from --vary)",
        "gridfleet: normal.toml: vehicles.count = -1: must be at least 0 (from --vary)",
    ]
    assert (
        main(["sweep", "normal", "--vary", "vehicles.count=-1", "--vary", "x", "--vary", "seed=1"])
        == ExitCode.USAGE
    )
    err = capsys.readouterr().err
    assert err.count("\n") == 3
    assert "--vary x: expected" in err
    assert "--vary seed: " in err
    assert "vehicles.count = -1" in err
    assert not list(tmp_path.iterdir())


def test_a_combination_that_contradicts_itself_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vary", "area.south=50,55", "--vary", "area.north=52,56"]
    assert main(["sweep", "normal", *words]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gridfleet: normal.toml: area: south must be less than north")
    assert line.endswith("(with south=55 north=52)")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--vary", "ticks=1,2", "--ticks", "3"], "--vary ticks: --ticks gives it one value"),
        (["--vary", "a=1", "--set", "a=2"], "--vary a: --set gives it one value"),
        (["--vary", "a=1", "--vary", "a=2"], "--vary a: given twice"),
    ],
)
def test_a_key_has_one_origin(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "normal", *words]) == ExitCode.USAGE
    assert problem in capsys.readouterr().err


def test_a_sweep_of_many_runs_is_refused_with_their_number_or_asks(tmp_path: Path) -> None:
    words = ("sweep", "normal", "--vary", "vehicles.count=1:101:1", "--seeds", "2")
    refused = gridfleet(*words, cwd=tmp_path)
    assert (refused.code, refused.out) == (ExitCode.USAGE, "")
    size = "202 runs (101 of vehicles.count × 2 seeds)"
    assert refused.err == (
        f"gridfleet: sweep: {size}, more than 200: confirm with --yes, or give fewer values or seeds\n"
    )
    asked = on_terminal(*words, cwd=tmp_path, no_at="[y/N]")
    assert f"This sweep has {size}. Continue? [y/N]" in asked.out
    assert asked.code == ExitCode.USAGE
    assert "sweep: not confirmed, nothing was changed" in asked.out
    too_many = gridfleet(*words, "--vary", "chargers.count=1:600:1", "--yes", cwd=tmp_path)
    assert "121200 runs" in too_many.err
    assert "at most 100000 are allowed" in too_many.err
    assert not list(tmp_path.iterdir())


def test_results_are_a_row_for_each_run_a_table_and_a_figure(tmp_path: Path) -> None:
    words = ("sweep", "normal", *GRID, "--seeds", "2", *SMALL, "--jobs", "2")
    done = [gridfleet(*words, "--out", name, cwd=tmp_path) for name in ("one", "other")]
    assert [(each.code, each.err) for each in done] == [(ExitCode.SUCCESS, "")] * 2
    lines = done[0].out.splitlines()
    assert lines[-2:] == [
        "Mean of the seeds ± half of its 95 % confidence interval",
        "Files   one/: sweep.csv, plots/sweep.png",
    ]
    messages = "".join(line for line in lines if line.startswith("Messages"))
    assert messages.count(" ± ") == 4
    with (tmp_path / "one" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "vehicles.count", "settings.algorithm", "seed", *(metric.name for metric in METRICS), "verdict",
    ]  # fmt: skip
    assert [(row["vehicles.count"], row["settings.algorithm"], row["seed"]) for row in rows] == [
        (count, ranking, seed) for count in "24" for ranking in ("best", "random") for seed in ("49", "50")
    ]
    assert {row["verdict"] for row in rows} == {"holds"}
    for name in ("sweep.csv", "plots/sweep.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    again = gridfleet(*words, "--out", "one", cwd=tmp_path)
    assert "holds results already (sweep.csv, sweep.jsonl, plots)" in again.err


def test_the_newest_sweep_has_a_link_and_a_breach_is_in_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--vary", "vehicles.count=2,3", "--seeds", "1", *SMALL]
    sets = _sweep(*words).scenarios()
    measured = {label: [measure_run(runs[0])] for label, runs in sets.items()}
    measured["count=3"] = [replace(measured["count=3"][0], breached=("energy",))]
    monkeypatch.setattr(sweep, "run_sweep", lambda *_: (measured, False))
    assert main(["sweep", "normal", *words]) == ExitCode.BREACHED
    captured = capsys.readouterr()
    assert captured.err == "gridfleet: count=3, seed 49: breached energy\n"
    assert "±" not in captured.out
    assert str(Path("out/latest-sweep").readlink()).startswith("sweep-normal-2")
    with Path("out/latest-sweep/sweep.csv").open() as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["holds", "broken"]


def test_intervals_are_those_of_students_distribution() -> None:
    for freedom in (*range(1, 200), 9_999):
        assert student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=5e-5)
    values = [3.0, 5.0, 10.0, 11.0]
    low, high = stats.t.interval(0.95, 3, loc=stats.tmean(values), scale=stats.sem(values))
    assert 2 * half_width(float(stats.tstd(values)), 4) == pytest.approx(high - low, rel=1e-4)


def test_the_figure_has_a_line_for_each_combination_of_the_other_keys() -> None:
    def line(label: str, values: tuple[object, ...]) -> SweepLine:
        points = tuple((float(place), 0.5) for place in range(len(values)))
        return SweepLine(label, values, tuple(map(str, values)), {metric.name: points for metric in METRICS})

    with house_style():
        numbers = sweep_figure("a", [line("b=1", (0.5, 2)), line("b=2", (0.5, 2))])
        names = sweep_figure("a", [line("", ("best", "random"))])
        names.canvas.draw()
    first = numbers.axes[0]
    assert [list(each.lines[0].get_xdata()) for each in first.containers] == [[0.5, 2], [0.5, 2]]  # type: ignore[attr-defined]
    assert [each.get_text() for each in numbers.legends[0].get_texts()] == ["b=1", "b=2"]
    assert [each.get_text() for each in names.axes[0].get_xticklabels()] == ["best", "random"]
    assert not names.legends
