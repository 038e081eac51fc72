import json
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.clock_options import clock_options
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from tests.provisioning.shell import end, gridfleet, press_ctrl_c, recorded_ticks, start
from tests.waiting import wait_until

SMALL = ("--set", "vehicles.count=3", "chargers.count=3")


def test_a_run_over_the_embedded_broker_ends_with_the_same_ledger_as_the_simulation(tmp_path: Path) -> None:
    ran = gridfleet("run", "--ticks", "4", *SMALL, cwd=tmp_path)
    simulated = gridfleet("simulate", "normal", "--ticks", "4", *SMALL, "--no-report", cwd=tmp_path)
    assert [(each.code, each.err) for each in (ran, simulated)] == [(ExitCode.SUCCESS, "")] * 2
    folders = [tmp_path / each.out.splitlines()[-1].split()[1] for each in (ran, simulated)]
    assert folders[0].name == "report.html"
    ledgers = [(folder / "ledger.csv").read_text() for folder in (folders[0].parent, folders[1])]
    assert ledgers[0] == ledgers[1]


def test_ctrl_c_ends_a_run_with_what_ran(tmp_path: Path) -> None:
    process = start("run", "--ticks", "10000", *SMALL, "--no-report", cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "out" / "latest") > 0)
    press_ctrl_c(process)
    assert end(process).code == ExitCode.INTERRUPTED
    summary = json.loads((tmp_path / "out" / "latest" / "summary.json").read_text())
    assert 0 < summary["ticks"] < 10_000


def test_clock_options() -> None:
    assert clock_options(None, None) == ("lockstep", 1.0)
    assert clock_options(None, 0.5) == ("scaled", 0.5)
    assert clock_options("scaled", None) == ("scaled", 1.0)
    assert clock_options("realtime", None) == ("realtime", 1.0)
    with pytest.raises(
        CommandError, match=r"--seconds-per-tick: goes with --mode scaled, not with --mode realtime"
    ):
        clock_options("realtime", 2.0)


def test_a_wrong_broker_address_says_what_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--broker", "http://user:secret@there"]) == ExitCode.USAGE
    text = capsys.readouterr().err
    assert "it must begin with mqtt://, mqtts://, ws:// or wss://" in text
    assert "secret" not in text


def test_an_unreachable_broker_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gridfleet.devices.runtime.site.CONNECT_S", 1.0)
    words = ["run", "--broker", "mqtt://127.0.0.1:1", "--ticks", "1", "--out", str(tmp_path / "run"), *SMALL]
    assert main(words) == ExitCode.USAGE
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
