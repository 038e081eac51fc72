"""Sweeps that are killed, sampled, planned in a file: no finished run is repeated, and the rows are the same."""

import csv
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.runs.experiments.journal import FILE, SweepJournal
from gridfleet.provisioning.runs.experiments.parquet import write_parquet
from gridfleet.provisioning.runs.experiments.sampling import latin_hypercube
from gridfleet.provisioning.runs.experiments.variations import parse_variation
from tests.provisioning.shell import gridfleet
from tests.waiting import wait_until

PLAN = """scenario = "normal"
seeds = 4
ticks = 3
warm_up = 1
[vary]
"settings.turbine_scale" = [0.5, 1.0]
[set]
"vehicles.count" = 3
"chargers.count" = 2
"""


def keys(folder: Path) -> list[str]:
    file = folder / FILE
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line)["key"] for line in lines if line.endswith("\n")]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_killed_sweep_goes_on_without_repeating_a_finished_run(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    command = (sys.executable, "-m", "gridfleet", "sweep", "plan.toml", "--jobs", "1", "--out", "out")
    with subprocess.Popen(command, cwd=tmp_path, env=dict(os.environ), start_new_session=True) as process:
        wait_until(lambda: len(keys(tmp_path / "out")) >= 2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = keys(tmp_path / "out")
    assert 2 <= len(before) <= 8
    with (tmp_path / "out" / FILE).open("ab") as file:
        file.write(b'{"key": "cut o')  # as if killed while it wrote
    refused = gridfleet("sweep", "plan.toml", "--jobs", "1", "--out", "out", cwd=tmp_path)
    assert refused.code == ExitCode.USAGE
    assert "holds results already" in refused.err
    ended = gridfleet("sweep", "plan.toml", "--jobs", "1", "--resume", "out", cwd=tmp_path)
    assert ended.code == ExitCode.SUCCESS, ended.err
    assert f"{len(before)} runs were finished before, {8 - len(before)} are left" in ended.err
    after = keys(tmp_path / "out")
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == 8
    whole = gridfleet("sweep", "plan.toml", "--jobs", "2", "--out", "whole", cwd=tmp_path)
    assert whole.code == ExitCode.SUCCESS
    assert (tmp_path / "out" / "sweep.csv").read_bytes() == (tmp_path / "whole" / "sweep.csv").read_bytes()
    found = rows(tmp_path / "out" / "sweep.csv")
    assert [row["settings.turbine_scale"] for row in found] == ["0.5"] * 4 + ["1.0"] * 4
    other = gridfleet("sweep", "plan.toml", "--warm-up", "0", "--seeds", "1", "--resume", "out", cwd=tmp_path)
    assert other.code == ExitCode.SUCCESS
    assert "finished before" not in other.err  # runs without a warm-up are other runs


def test_a_warm_up_is_left_out_of_the_key_figures(tmp_path: Path) -> None:
    small = ("--ticks", "4", "--seeds", "1", "--jobs", "1", "--set", "vehicles.count=2", "chargers.count=2")
    words = ("sweep", "normal", "--vary", "settings.turbine_scale=0.5", *small)
    for name, more in (("all", ()), ("later", ("--warm-up", "2"))):
        assert gridfleet(*words, *more, "--out", name, cwd=tmp_path).code == ExitCode.SUCCESS
    whole, later = (
        float(rows(tmp_path / name / "sweep.csv")[0]["generated_kwh"]) for name in ("all", "later")
    )
    assert 0 < later < whole
    too_long = gridfleet(*words, "--warm-up", "4", cwd=tmp_path)
    assert too_long.code == ExitCode.USAGE
    assert "--warm-up: 4 of 4 ticks leaves none" in too_long.err


def test_a_latin_hypercube_takes_one_value_of_each_part_of_a_range() -> None:
    texts = ("settings.turbine_scale=0.2:2.0", "vehicles.count=10:29", "settings.algorithm=best,random")
    variations = [parse_variation(text, ranges=True) for text in texts]
    sample = list(latin_hypercube(variations, 20, seed=3))
    scales, counts, rankings = ([change[place].value for change in sample] for place in range(3))
    parts = sorted(int((float(str(scale)) - 0.2) / 1.8 * 20) for scale in scales)
    assert parts == list(range(20))
    assert sorted(int(str(count)) for count in counts) == list(range(10, 30))
    assert rankings.count("best") == rankings.count("random") == 10
    assert any(one > other for one, other in pairwise([float(str(scale)) for scale in scales]))
    assert sample == list(latin_hypercube(variations, 20, seed=3))
    assert sample != list(latin_hypercube(variations, 20, seed=4))
    with pytest.raises(CommandError, match="the first limit must be below the second"):
        list(latin_hypercube([parse_variation("vehicles.count=9:3", ranges=True)], 2, seed=1))
    with pytest.raises(CommandError, match=r"a range needs a step, FROM:TO:STEP, or --sample N"):
        parse_variation("vehicles.count=3:9")


def test_a_sample_from_the_command_line(tmp_path: Path) -> None:
    small = ("--ticks", "2", "--seeds", "1", "--jobs", "1", "--set", "vehicles.count=2", "chargers.count=2")
    words = ("sweep", "normal", "--sample", "3", "--vary", "settings.turbine_scale=0.2:2.0", *small)
    assert gridfleet(*words, "--out", "out", cwd=tmp_path).code == ExitCode.SUCCESS
    assert len({row["settings.turbine_scale"] for row in rows(tmp_path / "out" / "sweep.csv")}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAN.replace("seeds = 4", "seeds = 0"), "seeds"),
        (PLAN.replace("seeds", "seds"), "seds: unknown key"),
        (PLAN.replace('"settings.turbine_scale"', '"settings.turbin_scale"'), "turbin_scale"),
        (PLAN.replace("[0.5, 1.0]", "[]"), "a value is missing"),
    ],
)
def test_mistakes_in_a_plan_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.toml").write_text(text)
    ended = gridfleet("sweep", "plan.toml", cwd=tmp_path)
    assert ended.code == ExitCode.USAGE
    assert message in ended.err
    nothing = gridfleet("sweep", "normal", cwd=tmp_path)
    assert "nothing is varied: give --vary KEY=VALUES" in nothing.err
    missing = gridfleet("sweep", "stduy.toml", cwd=tmp_path)
    assert (missing.code, missing.err) == (
        ExitCode.USAGE,
        "gridfleet: stduy.toml: cannot be read: no such file or directory\n",
    )


@pytest.mark.parametrize("line", ["[]", '{"key": "a"}', "no json", '{"key": 1, "seed": "x"}'])
def test_a_journal_that_is_none_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_text(f"{line}\n")
    with pytest.raises(CommandError, match=r"line 1 is no finished run .*begin a new sweep"):
        SweepJournal(tmp_path, resume=True)
    assert (tmp_path / FILE).read_text() == f"{line}\n"


def test_parquet_beside_csv_where_pyarrow_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for pyarrow, which no test needs otherwise."""
    file = tmp_path / "sweep.csv"
    file.write_text("key,seed,price,verdict\nbest,1,0.5,holds\nbest,2,,holds\n")
    assert write_parquet(file, frozenset(("key", "verdict"))) is None
    written: list[tuple[Any, Path]] = []
    arrow, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")
    arrow.__dict__.update(table=dict, __spec__=object())
    parquet.__dict__.update(write_table=lambda table, path: written.append((table, path)))
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    path = write_parquet(file, frozenset(("key", "verdict")))
    columns = {
        "key": ["best", "best"],
        "seed": [1.0, 2.0],
        "price": [0.5, None],
        "verdict": ["holds", "holds"],
    }
    assert written == [(columns, path)]
    assert path == tmp_path / "sweep.parquet"
