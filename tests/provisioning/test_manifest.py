"""The manifest of a run, and the run again from it: the same bytes, or a message that names what differs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gridfleet.devices.config.scenario import load
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.runs.experiments.manifest import commit, manifest_of, read_manifest
from tests.provisioning.shell import gridfleet

SMALL = ("--ticks", "6", "--set", "vehicles.count=4", "chargers.count=2")
ROW = "2025-06-02T0{hour}:00,53.6,10,9,5\n"
WIND = "time,latitude,longitude,wind_speed_mps,temperature_c\n" + ROW.format(hour=0) + ROW.format(hour=1)


def simulated(folder: Path, *words: str) -> dict[str, Any]:
    """Simulate into `first`; return its manifest."""
    ended = gridfleet("simulate", *words, "--no-report", "--out", "first", cwd=folder)
    assert ended.code == ExitCode.SUCCESS, ended.err
    content: dict[str, Any] = json.loads((folder / "first" / "manifest.json").read_text())
    return content


def changed(folder: Path, **values: object) -> None:
    file = folder / "first" / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    words = ("normal", *SMALL, "--seed", "7", "--faults", "loss=0.05", "--liars", "vehicle-1=no-show")
    content = simulated(tmp_path, *words)
    assert content["overrides"] == ["vehicles.count=4", "chargers.count=2", "ticks=6", "seed=7"]
    assert content["scenario"]["vehicles"]["count"] == 4
    assert content["seeds"]["run"] == 7
    assert content["faults"] == {"loss": 0.05}
    assert content["command_line"][:2] == ["simulate", "normal"]
    assert set(content["versions"]) >= {"gridfleet", "python", "pydantic"}
    again = gridfleet("rerun", "first", "--out", "second", cwd=tmp_path)
    assert (again.code, again.err) == (ExitCode.SUCCESS, "")
    assert "Identical 8 results, to the byte" in again.out
    for name in ("ledger.csv", "summary.json", "indicators.csv", "manifest.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_input_files_are_hashed_and_must_not_change(tmp_path: Path) -> None:
    (tmp_path / "wind.csv").write_text(WIND)
    (tmp_path / "mine.toml").write_text('[weather]\nsource = "csv"\nfiles = ["wind.csv"]\n')
    content = simulated(tmp_path, "mine.toml", *SMALL)
    assert [each["file"] for each in content["inputs"]] == ["wind.csv"]
    assert gridfleet("rerun", "first", "--out", "second", cwd=tmp_path).code == ExitCode.SUCCESS
    (tmp_path / "wind.csv").write_text(WIND.replace(",9,5", ",8,5"))
    ended = gridfleet("rerun", "first", "--out", "third", cwd=tmp_path)
    assert ended.code == ExitCode.USAGE
    assert "wind.csv: has changed since the run: bring the files of the run back" in ended.err
    assert not (tmp_path / "third").exists()


def test_what_differs_is_named(tmp_path: Path) -> None:
    simulated(tmp_path, "normal", *SMALL)
    content = json.loads((tmp_path / "first" / "manifest.json").read_text())
    results = {**content["results"], "ledger.csv": "0" * 64}
    changed(tmp_path, results=results, versions={**content["versions"], "pydantic": "1.0"})
    ended = gridfleet("rerun", "first/manifest.json", "--out", "second", cwd=tmp_path)
    assert ended.code == ExitCode.FAILED
    assert "Differs   ledger.csv of 8 results" in ended.out
    assert "another version: pydantic: 1.0 then" in ended.err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"command": "run"}, "is of a run over a broker, .*run it again with `gridfleet simulate normal"),
        ({"results": {}}, "is of a run that did not end: run the scenario again"),
        ({"format": 99}, "is no manifest of format 1"),
        ({"scenario": []}, "scenario: missing or of another type"),
        ({"inputs": [1]}, "inputs: missing or of another type"),
        ({"scenario": {"ticks": 0}}, "ticks"),
    ],
)
def test_a_manifest_that_cannot_be_repeated(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    content = manifest_of(load("normal"), "simulate", ("simulate", "normal"))
    file = folder / "manifest.json"
    file.write_text(json.dumps({**content, "results": {"ledger.csv": "0"}, **values}))
    ended = gridfleet("rerun", "first", cwd=tmp_path)
    assert ended.code == ExitCode.USAGE
    assert re.search(message, ended.err), ended.err


def test_a_folder_without_a_manifest_and_a_password(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="name the folder of a run of `gridfleet simulate`"):
        read_manifest(tmp_path)
    content = manifest_of(load("normal"), "run", ("run", "normal", "--broker", "mqtts://user:secret@host"))
    assert "secret" not in json.dumps(content)
    assert len(commit().removesuffix("+changes")) in (0, 40)
