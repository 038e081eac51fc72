"""The size of a run is known before it runs, within a factor of two, and what a machine cannot carry is warned of."""

import os
import pty
import time
from pathlib import Path

import pytest

from gridfleet.dashboards.recording.recording import STORE
from gridfleet.devices.config import run_size as module
from gridfleet.devices.config.run_size import run_size
from gridfleet.devices.config.scenario import Scenario
from gridfleet.provisioning.api.runs import simulate
from gridfleet.provisioning.cli import progress_bar
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main

CHANGES = (
    {"ticks": 30},
    {"ticks": 12, "vehicles.count": 200, "chargers.count": 60},
    {"ticks": 8, "vehicles.count": 300, "chargers.count": 90, "area.rows": 2, "area.columns": 2},
    {"ticks": 12, "vehicles.count": 0, "chargers.count": 0, "households.count": 60, "turbines.count": 10},
)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_size_of_a_run_is_known_within_a_factor_of_two(
    changes: dict[str, object], tmp_path: Path
) -> None:
    scenario = Scenario.load("normal", changes)
    size = run_size(scenario)
    result = simulate(scenario)
    folder = result.save(tmp_path / "run", report=False)
    counts = result.summary["counts"]
    assert size.devices == sum(counts["agents"].values())
    assert 0.5 < size.messages / counts["messages"] < 2
    written = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in {".csv", ".sqlite"})
    assert (folder / STORE).is_file()
    assert 0.5 < size.disk_bytes / written < 2


def test_check_says_the_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "check", "normal"]) == ExitCode.SUCCESS
    assert "\n  size: 57 devices in 1 cell · about 21 000 messages · " in capsys.readouterr().out


def test_what_the_machine_cannot_carry_is_warned_of_before_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_free_memory_bytes", lambda: 1e6)
    monkeypatch.setattr(module, "_free_disk_bytes", lambda _: 1e6)
    size = run_size(Scenario.load("normal", {"vehicles.count": 1_000_000, "ticks": 1_000_000}))
    memory, disk, hours = size.warnings(tmp_path)
    assert "of memory, and 1 MB are free here: take fewer devices" in memory
    assert "of files, and 1 MB are free here: take fewer ticks" in disk
    assert hours.startswith("takes about ")
    assert main(["scenario", "check", "normal"]) == ExitCode.SUCCESS
    assert "normal needs about 55 MB of memory, and 1 MB are free here" in capsys.readouterr().err


def test_a_slow_step_is_named_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    outside, inside = pty.openpty()
    monkeypatch.setattr(progress_bar, "SLOW_S", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(inside, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with progress_bar.slow_step("reading the weather"):
            seen = os.read(outside, 1000)
    seen += os.read(outside, 1000)
    os.close(outside)
    assert seen.startswith(b"\rreading the weather \xe2\x80\xa6 ")
    assert seen.endswith(b" \r")


def test_a_quick_step_and_a_file_get_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar.slow_step("reading"):
        time.sleep(0)
    assert capsys.readouterr().err == ""
