"""A run that people watch: its page comes first, waits for somebody, stays at the end, and shows a lost run as lost."""

from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.dashboards.console.history.segments import HISTORY_FILE
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.runs.live import live_page
from gridfleet.provisioning.runs.live.live_page import LivePage
from tests.provisioning.shell import gridfleet, on_terminal, plain

BROKER = BrokerAddress.parse("mqtt://127.0.0.1:1")
SMALL = ("--set", "turbines.count=2", "vehicles.count=2", "chargers.count=2")


def test_on_a_terminal_the_page_comes_first_and_stays(tmp_path: Path) -> None:
    words = ("run", "normal", "--fast", "--ticks", "3", "--no-report", "--port", "0", *SMALL)
    ended = on_terminal(*words, cwd=tmp_path, ctrl_c_at="(Ctrl-C to stop)")
    lines = plain(ended.out).split("\r\n")
    assert lines[0].startswith("Console   http://127.0.0.1:")
    assert lines[-2].endswith("(Ctrl-C to stop)")
    assert lines[-2].startswith(lines[0])
    assert ended.code == ExitCode.SUCCESS
    assert (tmp_path / "out" / "latest" / HISTORY_FILE).is_file()


def test_ctrl_c_while_a_run_waits_for_a_viewer_or_runs_keeps_what_ran(tmp_path: Path) -> None:
    words = ("run", "normal", "--ticks", "100", "--no-report", "--no-browser", "--port", "0", *SMALL)
    ended = on_terminal(*words, cwd=tmp_path, ctrl_c_at="or in 15 s.")
    assert ended.code == ExitCode.INTERRUPTED
    assert "Interrupted: the finished ticks are kept." in plain(ended.out)
    assert (tmp_path / "out" / "latest" / "summary.json").is_file()


def test_a_run_waits_for_a_viewer_and_no_longer_than_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_page, "WAIT_S", 0.5)
    asked = []

    def go_on() -> bool:
        asked.append(page.show.status.state)
        return True

    with LivePage("home", port=0, browser=False) as page:
        page.begin(BROKER, "A run", 3, tmp_path)
        page.start_run(go_on, wait=True)
        assert page.show.status.state == "running"
        assert set(asked) == {"starting"}
        page.show.join()
        asked.clear()
        page.start_run(go_on, wait=True)  # somebody watches already
        assert asked == []
    assert capsys.readouterr().out.count("The run begins when somebody opens it") == 1


def test_a_run_that_fails_is_lost_and_the_page_says_why(tmp_path: Path) -> None:
    page = LivePage("home", port=0, browser=False)

    def lose() -> None:
        with page:
            page.begin(BROKER, "A run", 3, tmp_path)
            page.start_run(lambda: True, wait=False)
            raise BrokerError("the broker was lost in tick 2")

    with pytest.raises(BrokerError):
        lose()
    assert (page.show.status.state, page.show.status.good) == ("lost", False)
    assert page.show.status.reason == "the broker was lost in tick 2"


def test_fast_is_lockstep_at_full_speed(tmp_path: Path) -> None:
    for words in (("--mode", "scaled"), ("--seconds-per-tick", "1")):
        ended = gridfleet("run", "--fast", *words, cwd=tmp_path)
        assert ended.code == ExitCode.USAGE
        assert "--fast: is lock-step at full speed: leave out" in ended.err
