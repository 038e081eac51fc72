"""`gridfleet set` against a fleet that runs."""

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Algorithm
from gridfleet.provisioning.cli.exit_codes import CommandError, Exit
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.live import set_control
from tests.console.conftest import Running, wait_until


def test_wishes_come_true_and_are_told(
    running: Running, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["wind_scale=2", "turbine_scale=0.5", "algorithm=closest", "seconds_per_tick=0.3", "ticks=700"]
    assert main(["set", *words, "--broker", broker.url]) == Exit.FINE
    said = capsys.readouterr()
    assert said.out.splitlines() == [word.replace("=", " = ") for word in words]
    assert said.err == ""
    wait_until(lambda: running.tick and running.tick.settings.algorithm is Algorithm.CLOSEST)
    assert running.tick is not None
    assert running.tick.settings.wind_scale == 2.0
    assert running.tick.settings.turbine_scale == 0.5
    wait_until(lambda: running.clock and (running.clock.ticks, running.clock.revision) == (700, 5))


def test_pause_step_and_go_on(running: Running, broker: EmbeddedBroker) -> None:
    assert main(["set", "paused=true", "--broker", broker.url]) == Exit.FINE
    wait_until(lambda: running.tick and running.tick.paused)
    assert running.tick is not None
    held = running.tick.tick
    assert main(["set", "step=2", "--broker", broker.url]) == Exit.FINE
    wait_until(lambda: running.tick and running.tick.paused and running.tick.tick == held + 2)
    assert main(["set", "paused=off", "--broker", broker.url]) == Exit.FINE
    wait_until(lambda: running.tick and running.tick.tick > held + 2)


def test_what_the_clock_refuses_ends_with_1(
    running: Running, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in (
        "wind_scale=9",
        "outage_s=61",
        "chargers_out=a/b",
        "mode=backwards",
        "algorithm=luck",
        "seconds_per_tick=0",
    ):
        assert main(["set", word, "--broker", broker.url]) == Exit.FAILED
        assert "the clock refused" in capsys.readouterr().err


def test_without_a_fleet(
    broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_control, "PATIENCE_S", 0.3)
    assert main(["set", "paused=true", "--broker", broker.url]) == Exit.FAILED
    assert "no clock is heard at the site 'germany'" in capsys.readouterr().err


def test_without_a_broker(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_control, "REACH_S", 0.5)
    assert main(["set", "paused=true", "--broker", "mqtt://127.0.0.1:1"]) == Exit.USAGE
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_words_that_are_no_wishes() -> None:
    assert set_control.parse("paused=yes") == ("paused", True)
    assert set_control.parse("ticks=12") == ("ticks", 12)
    assert set_control.parse("wind_scale=1.5") == ("wind_scale", 1.5)
    assert set_control.parse("storm=on") == ("storm", True)
    assert set_control.parse("chargers_out=charger-1,25%") == ("chargers_out", "charger-1,25%")
    assert set_control.parse("chargers_out=") == ("chargers_out", "")
    assert set_control.parse("outage_s=20") == ("outage_s", 20.0)
    for word, problem in (
        ("paused", "expected KEY=VALUE"),
        ("speed=2", "no such setting; there are paused, storm, step"),
        ("paused=perhaps", "allowed are true and false"),
        ("ticks=1.5", "no whole number"),
        ("wind_scale=strong", "no number"),
    ):
        with pytest.raises(CommandError, match=problem):
            set_control.parse(word)
