import json
import signal
from pathlib import Path

import pytest

from gridfleet.dashboards.recording.recording import STORE
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.interrupt import Interruption
from tests.provisioning.shell import PROGRAM, alive_in_group, end, press_ctrl_c, recorded_ticks, start
from tests.waiting import wait_until

LONG = ("--ticks", "100000", "--set", "vehicles.count=5", "chargers.count=5")


def test_ctrl_c_ends_a_simulation_with_the_report_of_what_ran(tmp_path: Path) -> None:
    process = start("simulate", "normal", *LONG, "--out", "run", cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "run") > 0)
    press_ctrl_c(process)
    done = end(process)
    assert done.code == ExitCode.INTERRUPTED
    assert done.err == "Interrupted: the finished ticks are kept. Press Ctrl-C again to skip the report.\n"
    assert done.out.splitlines()[-1] == "Report    run/report.html"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert 0 < summary["ticks"] < 100_000
    assert summary["verdict"] == "holds"
    assert not list((tmp_path / "run").glob(f"{STORE}-*"))


def test_sigterm_ends_a_simulation_as_well(tmp_path: Path) -> None:
    process = start("simulate", "normal", *LONG, "--out", "run", "--no-report", cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "run") > 0)
    process.terminate()
    assert end(process).code == ExitCode.INTERRUPTED
    assert (tmp_path / "run" / "summary.json").is_file()


def test_ctrl_c_ends_a_comparison_and_its_processes(tmp_path: Path) -> None:
    process = start("compare", "normal", *LONG, "--seeds", "3", "--jobs", "2", cwd=tmp_path)
    wait_until(lambda: len(alive_in_group(process.pid)) >= 3)  # itself and a process for each run
    press_ctrl_c(process)
    done = end(process)
    assert done.code == ExitCode.INTERRUPTED
    assert done.err == "Interrupted: no run had finished.\n"
    assert list((tmp_path / "out").iterdir()) == []
    wait_until(lambda: not alive_in_group(process.pid))  # Python's own helper takes a moment


def test_the_first_ctrl_c_requests_a_stop_and_the_second_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        asked = [interruption.requested]
        signal.raise_signal(signal.SIGINT)
        asked.append(interruption.requested)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert asked == [False, True]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_console_that_a_script_started_in_the_background_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    """A shell without job control starts what is in the background with SIGINT ignored."""
    program = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh", *PROGRAM)
    process = start("console", "--broker", "mqtt://127.0.0.1:1", cwd=tmp_path, program=program)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Console   http://")
    process.send_signal(number)
    assert end(process).code == ExitCode.SUCCESS
