"""`gridfleet site chaos`: mistakes in plans are named, Ctrl-C leaves no process behind, a failed check is reported."""

import signal
from pathlib import Path

import pytest

from gridfleet.provisioning.chaos import verdict
from gridfleet.provisioning.chaos.observations import Observations
from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.provisioning.shell import end, gridfleet, start
from tests.waiting import wait_until

PLAN = """
seconds_per_tick = 0.3
processes = 2
changes = ["vehicles.count=2", "chargers.count=2"]

[[faults]]
kind = "stall"
target = "fleet-1"
tick = 2
duration_s = 60
"""


def children_of(process: int) -> set[int]:
    """Return the ids of all processes below one."""
    found: set[int] = set()
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found |= {child} | children_of(child)
    return found


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_a_fault_leaves_no_process_behind(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PLAN, encoding="utf-8")
    process = start(
        "site", "chaos", "normal", "--plan", "mine.toml", "--engine", "rumqttd", "--out", "out", cwd=tmp_path
    )
    output = ""
    assert process.stdout is not None
    while "is suspended" not in output:
        output += process.stdout.readline()
    children = children_of(process.pid)
    assert len(children) >= 4  # broker, clock, two fleets
    process.send_signal(number)
    assert end(process).code == ExitCode.INTERRUPTED
    wait_until(lambda: not any(map(runs, children)))


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ("faults = 3", "mine.toml, line 1: faults = 3: "),
        ("[[faults]]\nkind = 'duplicate-id'\ntick = 3\nduration_s = 1\ntarget = 'turbine-9'",
         "faults.0.target = 'turbine-9': normal has no such device"),
        ("processes = 64\nchanges = ['vehicles.count=1', 'chargers.count=1']\n[[skews]]\ntarget = 'fleet-1'\nskew_s=1",
         "processes = 64: normal has only"),
        ("changes = ['vehicle.count=1']\n[[skews]]\ntarget = 'fleet-1'\nskew_s = 1", "did you mean 'vehicles'"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_before_anything_starts(plan: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(plan, encoding="utf-8")
    done = gridfleet("site", "chaos", "normal", "--plan", "mine.toml", cwd=tmp_path)
    assert done.code == ExitCode.USAGE
    assert problem in done.err
    assert not (tmp_path / "out").exists()


def test_a_failed_check_is_reported_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gridfleet.provisioning.cli.main import main

    (tmp_path / "mine.toml").write_text(
        PLAN.partition("[[faults]]")[0] + "[[skews]]\ntarget = 'fleet-1'\nskew_s = 2", encoding="utf-8"
    )
    sold_twice = "tick 1: 2000 Wh sold of package 0 of household-1, which has 1000 Wh"

    def found(_observations: Observations, _ticks: range) -> list[str]:
        return [sold_twice]

    monkeypatch.setattr(verdict, "oversold_packages", found)
    monkeypatch.chdir(tmp_path)
    assert (
        main(["site", "chaos", "normal", "--plan", "mine.toml", "--engine", "rumqttd"]) == ExitCode.BREACHED
    )
    output = capsys.readouterr().out
    assert f"✘ no package is sold twice   {sold_twice}" in output
    assert "recovered cleanly from 0 of 1 faults" in output
