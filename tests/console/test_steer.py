"""`gridfleet set` against a running site."""

from functools import partial

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Mode
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.clients import control_client, site_client
from gridfleet.provisioning.clients.control_client import parse_setting
from tests.console.conftest import Running
from tests.waiting import wait_until


def test_settings_come_into_force_and_are_printed(
    running: Running, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["wind_scale=2", "turbine_scale=0.5", "algorithm=closest", "seconds_per_tick=0.3", "ticks=700"]
    assert main(["set", *words, "--broker", broker.url]) == ExitCode.SUCCESS
    output = capsys.readouterr()
    assert output.out.splitlines() == [word.replace("=", " = ") for word in words]
    assert output.err == ""
    wait_until(lambda: running.tick and running.tick.settings.algorithm == "closest")
    assert running.tick is not None
    assert running.tick.settings.wind_scale == 2.0
    assert running.tick.settings.turbine_scale == 0.5
    wait_until(lambda: running.clock and (running.clock.ticks, running.clock.revision) == (700, 5))


def test_pause_step_and_resume(running: Running, broker: EmbeddedBroker) -> None:
    assert main(["set", "paused=true", "--broker", broker.url]) == ExitCode.SUCCESS
    wait_until(lambda: running.tick and running.tick.paused)
    assert running.tick is not None
    held = running.tick.tick
    assert main(["set", "step=2", "--broker", broker.url]) == ExitCode.SUCCESS
    wait_until(lambda: running.tick and running.tick.paused and running.tick.tick == held + 2)
    assert main(["set", "paused=off", "--broker", broker.url]) == ExitCode.SUCCESS
    wait_until(lambda: running.tick and running.tick.tick > held + 2)


def is_past(running: Running, tick: int) -> bool:
    return running.now.tick > tick


def test_from_scaled_time_to_lockstep_and_back_nobody_is_late(
    running: Running, broker: EmbeddedBroker
) -> None:
    """Lock-step waited for devices that still ran in scaled time: until its deadline, and then all were late."""
    clock = running.site.clock
    for mode in (Mode.LOCKSTEP, Mode.SCALED, Mode.LOCKSTEP):
        assert main(["set", f"mode={mode}", "--broker", broker.url]) == ExitCode.SUCCESS
        wait_until(partial(is_past, running, clock.tick + 2))
        assert running.now.mode is mode
        assert running.now.absent == ()
    assert clock.lockstep.late_phases == 0


def test_a_value_that_the_clock_refuses_ends_with_1(
    running: Running, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in (
        "wind_scale=9",
        "outage_s=61",
        "chargers_out=a/b",
        "mode=backwards",
        "seconds_per_tick=0",
    ):
        assert main(["set", word, "--broker", broker.url]) == ExitCode.FAILED
        assert "the clock refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "allowed"),
    [("algorithm=luck", "weighted, best, cheapest"), ("clearing_rule=luck", "pay-as-bid, uniform-price")],
)
def test_a_name_that_the_site_does_not_have_is_refused_with_those_that_it_has(
    running: Running, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str], word: str, allowed: str
) -> None:
    wait_until(lambda: running.tick)
    assert main(["set", word, "--broker", broker.url]) == ExitCode.FAILED
    assert (
        f"the clock of site 'germany' has none of that name; allowed are {allowed}" in capsys.readouterr().err
    )


def test_a_clearing_rule_comes_into_force(running: Running, broker: EmbeddedBroker) -> None:
    assert main(["set", "clearing_rule=uniform-price", "--broker", broker.url]) == ExitCode.SUCCESS
    wait_until(lambda: running.tick and running.tick.settings.clearing_rule == "uniform-price")


def test_without_a_fleet(
    broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_client, "ANSWER_TIMEOUT_S", 0.3)
    assert main(["set", "paused=true", "--broker", broker.url]) == ExitCode.FAILED
    assert "no clock found at site 'germany' on this broker" in capsys.readouterr().err


def test_without_a_broker(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_client, "CONNECT_TIMEOUT_S", 0.5)
    assert main(["set", "paused=true", "--broker", "mqtt://127.0.0.1:1"]) == ExitCode.USAGE
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_settings_are_parsed_and_wrong_ones_refused() -> None:
    assert parse_setting("paused=yes") == ("paused", True)
    assert parse_setting("ticks=12") == ("ticks", 12)
    assert parse_setting("wind_scale=1.5") == ("wind_scale", 1.5)
    assert parse_setting("storm=on") == ("storm", True)
    assert parse_setting("chargers_out=charger-1,25%") == ("chargers_out", "charger-1,25%")
    assert parse_setting("chargers_out=") == ("chargers_out", "")
    assert parse_setting("outage_s=20") == ("outage_s", 20.0)
    for word, problem in (
        ("paused", "expected KEY=VALUE"),
        ("speed=2", "unknown setting; allowed are paused, storm, step"),
        ("paused=perhaps", "allowed are true and false"),
        ("ticks=1.5", "'1.5' is not a whole number"),
        ("wind_scale=strong", "'strong' is not a number"),
    ):
        with pytest.raises(CommandError, match=problem):
            parse_setting(word)
