"""How many ticks `site clock` publishes: without an end, unless a number is given or the weather ends."""

from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.protocol.messages import ENDLESS_TICKS, Tick
from gridfleet.devices.agents.base import NO_TICK
from gridfleet.devices.clock.agent import Clock
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main

WEATHER = "time,latitude,longitude,wind_speed_mps,temperature_c\n" + "".join(
    f"2025-06-{day:02d}T{hour:02d}:00,51.5,9.5,5,15\n" for day in (1, 2, 3) for hour in range(24)
)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ticks of each clock that the command runs."""
    found: list[int] = []

    def run_clock(_fleet: object, clock: Clock, *_: object, **__: object) -> bool:
        found.append(clock.ticks)
        return True

    monkeypatch.setattr("gridfleet.devices.runtime.clock_process.run_clock", run_clock)
    return found


def clock(*options: str) -> int:
    return main(["site", "clock", "normal", "--broker", "mqtt://127.0.0.1:1", *options])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ENDLESS_TICKS),
        (("--ticks", "endless"), ENDLESS_TICKS),
        (("--ticks", "96"), 96),
        (("--set", "ticks=40"), 40),
        (("--set", "vehicles.count=3"), ENDLESS_TICKS),
    ],
)
def test_a_site_runs_until_it_is_stopped_unless_a_number_is_given(
    ticks: list[int], options: tuple[str, ...], expected: int
) -> None:
    assert clock(*options) == ExitCode.SUCCESS
    assert ticks == [expected]


def test_recorded_weather_ends_and_with_it_the_run(ticks: list[int], tmp_path: Path) -> None:
    weather = tmp_path / "wind.csv"
    weather.write_text(WEATHER)
    scenario = tmp_path / "windy.toml"
    scenario.write_text(f"ticks = 8\n[weather]\nsource = 'csv'\nfiles = ['{weather}']\n")
    assert main(["site", "clock", str(scenario), "--broker", "mqtt://127.0.0.1:1"]) == ExitCode.SUCCESS
    assert ticks == [8]


def test_only_a_finite_run_has_a_total() -> None:
    assert tick(number=4, left=115).count_text == "5 of 120"
    endless = tick(number=4, left=ENDLESS_TICKS - 5)
    assert endless.endless
    assert endless.count_text == "5"


def tick(number: int, left: int) -> Tick:
    return replace(NO_TICK, tick=number, ticks_left=left)
