"""The heartbeat of long-running processes, and the exit code of `gridfleet health`."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.processes.heartbeat import ENVIRONMENT, MAX_AGE_S, Heartbeat, health_problem
from tests.provisioning.shell import end, gridfleet, start
from tests.waiting import wait_until

SMALL = ("turbines.count=1", "households.count=1", "farms.count=0", "chargers.count=1", "vehicles.count=1")


def test_a_beat_is_healthy_until_it_is_old(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    with Heartbeat(path) as heartbeat:
        heartbeat.beat()
        now_s = time.monotonic()
        assert health_problem(path, now_s) == ""
        assert health_problem(path, now_s + MAX_AGE_S + 1).startswith("the heartbeat is 21 s old")
        assert "before this machine started" in health_problem(path, now_s - 3600)
        heartbeat.beat("cut off")
        assert health_problem(path, time.monotonic()) == "cut off"
        assert health_problem(path, time.monotonic(), only_alive=True) == ""
    assert "no heartbeat (no such file or directory)" in health_problem(path, now_s)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at_s": "soon", "trouble": ""}', "\x00"])
def test_another_file_is_not_a_heartbeat(text: str, tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    path.write_text(text)
    assert health_problem(path, 0.0) == f"{path}: is not a heartbeat of GridFleet"


def test_a_folder_that_cannot_be_written_stops_no_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Heartbeat(tmp_path / "none" / "heartbeat") as heartbeat:
        heartbeat.beat()
        heartbeat.beat()
    assert [record.message.startswith("the heartbeat ") for record in caplog.records] == [True]


def test_without_the_variable_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with Heartbeat.from_environment() as heartbeat:
        heartbeat.beat()
    assert list(tmp_path.iterdir()) == []
    assert main(["health"]) == ExitCode.USAGE
    assert f"set {ENVIRONMENT}" in capsys.readouterr().err


def test_clock_and_fleet_are_healthy_while_the_broker_runs(tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker())
        common = ("normal", "--broker", broker.url, "--set", *SMALL)

        def run(*arguments: str) -> dict[str, str]:
            env = {ENVIRONMENT: str(tmp_path / arguments[1])}
            process = start(*arguments, cwd=tmp_path, env=env)

            def reap() -> None:
                if process.poll() is None:
                    process.terminate()
                assert end(process).code == ExitCode.SUCCESS
                assert not (tmp_path / arguments[1]).exists()  # a process that ends deletes its heartbeat

            stack.callback(reap)
            return env

        def is_healthy(env: dict[str, str], *options: str) -> bool:
            return gridfleet("health", *options, cwd=tmp_path, env=env).code == ExitCode.SUCCESS

        stand_by = ("--parts", "1", "--part-locks", str(tmp_path / "part-locks"))
        fleet = run("site", "fleet", *common, *stand_by)
        clock = run("site", "clock", *common, "--seconds-per-tick", "60")
        wait_until(lambda: is_healthy(fleet) and is_healthy(clock))
        broker.close()
        wait_until(lambda: not is_healthy(fleet))
        trouble = json.loads((tmp_path / "fleet").read_text())["trouble"]
        assert "connections" in trouble
        assert is_healthy(fleet, "--alive")
