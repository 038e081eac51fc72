"""Chaos plans: the shipped ones are valid, and mistakes are reported."""

from pathlib import Path

import pytest

from gridfleet.provisioning.chaos.faults import KillBroker
from gridfleet.provisioning.chaos.plan import PlanError, load_plan, parse_plan, shipped_plans


@pytest.mark.parametrize("name", shipped_plans())
def test_shipped_plans_are_valid(name: str) -> None:
    assert load_plan(name).title


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a plan needs at least one"),
        ("[[faults]]\ntick = 3", r"faults.0.kind: must be one of kill-broker, kill-devices, stall"),
        ("[[faults]]\nkind = 'flood'\ntick = 3", r"faults.0.kind: must be one of"),
        ("[[faults]]\nkind = 'kill-broker'\ntick = 3", r"faults.0.duration_s: missing"),
        ("[[faults]]\nkind = 'kill-broker'\ntick = 1\nduration_s = 1", r"faults.0.tick = 1: .*at least 2"),
        ("[[faults]]\nkind = 'kill-broker'\ntick = 3\nduraton_s = 1", "duraton_s: unknown key; did you mean"),
        ("[[faults]]\nkind = 'stall'\ntick = 3\nduration_s = 1\ntarget = 'fleet-9'",
         r"0.target = 'fleet-9': the fleet has 4"),
        ("[[faults]]\nkind = 'stall'\ntick = 3\nduration_s = 1\ntarget = 'me'",
         r"0.target = 'me': must be one of broker, clock, fleet-1"),
        (
            "[[faults]]\nkind = 'reconnect-storm'\ntick = 3\n[[faults]]\nkind = 'reconnect-storm'\ntick = 3",
            r"faults.1.tick: must be later than the tick of the fault before",
        ),
        ("[[skews]]\ntarget = 'fleet-5'\nskew_s = 2",
         r"skews.0.target = 'fleet-5': the fleet has 4 processes, fleet-1 to fleet-4"),
        ("processes = true\n[[skews]]\ntarget = 'fleet-1'\nskew_s = 2", r"processes = true: "),
        ("[[liars]]\ndevice = 'turbine-1'\nlie = 'stael'\ntick = 3", r"liars.0.lie = 'stael': .*did you mean 'steal'"),
        ("[[liars]]\ndevice = 'turbine-1'\nlie = 'steal'", r"liars.0.tick: missing"),
        ("[[liars]]\ndevice = 'turbine-1'\nlie = 'steal'\ntick = 3\nnamd = 1", r"liars.0.namd: unknown key"),
        (
            "[[liars]]\ndevice = 'turbine-1'\nlie = 'steal'\ntick = 3\n[[skews]]\ntarget = 'fleet-1'\nskew_s = 2",
            r"a plan has either liars or faults and skews; divide it into two plans",
        ),
        (
            "[[liars]]\ndevice='turbine-1'\nlie='steal'\ntick=3\n[[liars]]\ndevice='turbine-2'\nlie='steal'\ntick=2",
            r"liars.1.tick: must not be earlier than the tick of the liar before",
        ),
        ("second_per_tick = 1", r"second_per_tick: unknown key; did you mean 'seconds_per_tick'"),
        ("faults = 3", r"faults = 3: "),
        ("[[faults", r"is not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_plan_is_named_with_file_and_key(text: str, problem: str) -> None:
    with pytest.raises(PlanError, match=rf"(?s)^mine.toml(, line \d+)?: .*{problem}"):
        parse_plan(text, "mine.toml")


def test_an_unknown_plan_is_reported_with_the_shipped_ones() -> None:
    with pytest.raises(PlanError, match=r"shrt: no such plan or file; did you mean 'short'\? \(shipped: "):
        load_plan("shrt")


def test_a_plan_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[[faults]]\nkind = 'kill-broker'\ntick = 5\nduration_s = 0.5\n", encoding="utf-8")
    (fault,) = load_plan(str(path)).faults
    assert isinstance(fault, KillBroker)
    assert (fault.tick, fault.at, fault.duration_s, fault.length_s) == (5, 0.4, 0.5, 0.5)
