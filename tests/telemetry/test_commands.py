"""`gridfleet run --influx`, `gridfleet site record` and `gridfleet site status`, as a person calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.provisioning.cli.main import main
from tests.ports import free_port
from tests.telemetry.standin import TOKEN, Shim, standin
from tests.waiting import PATIENCE_S, wait_until

RUN = ["run", "normal", "--ticks", "3", "--no-report", "--no-console"]


@pytest.fixture(scope="module")
def shim(influxd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shim]:
    with standin(influxd_program, tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


@pytest.mark.influxdb
def test_a_run_sends_its_telemetry_and_the_next_one_what_was_left(
    shim: Shim,
    token: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gridfleet.dashboards.telemetry.influx.exporter.FINAL_SEND_S", 0.5)
    there = ["--out", str(tmp_path / "out"), "--token-file", token, "--bucket", "runs"]
    assert main([*RUN, *there, "--influx", f"http://127.0.0.1:{free_port()}"]) == 0
    assert "points wait in" in capsys.readouterr().err
    second = [*(word.replace("normal", "storm") for word in RUN), "--force"]
    assert main([*second, *there, "--influx", shim.url]) == 0
    assert "points wait in" not in capsys.readouterr().err
    assert shim.engine.count("runs", "device", "tick") == 2 * 3 * 57
    runs = shim.engine.query('SHOW TAG VALUES FROM "clock" WITH KEY = "run"', "runs")[0]["values"]
    assert [name.partition("-")[0] for _, name in runs] == ["normal", "storm"]


@pytest.mark.influxdb
def test_check_says_whether_a_server_accepts_points(
    shim: Shim, token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["influx", "check", "--influx", shim.url, "--token-file"]
    assert main([*command, token]) == 0
    assert [line.split()[1].strip(",") for line in capsys.readouterr().out.splitlines()] == ["ok"] * 4
    (tmp_path / "wrong").write_text("another\n")
    assert main([*command, str(tmp_path / "wrong")]) == 1
    assert "unauthorized" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--influx", "http://127.0.0.1:1"], "needs --token-file FILE, or the variable INFLUX_TOKEN"),
        (["--token-file", "x"], "needs --influx URL"),
        (["--influx", "http://127.0.0.1:1", "--token-file", "x"], "cannot be read"),
        (["--influx", "127.0.0.1:8086", "--token-file", "x"], "is not an http:// or https:// address"),
    ],
)
def test_what_is_missing_is_named(
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("INFLUX_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main([*RUN, *options]) == 2
    assert words in capsys.readouterr().err


def test_a_recorder_needs_a_site(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "record", "--broker", "mqtt://127.0.0.1:1"]) == 2
    assert "needs a SCENARIO or --site SITE" in capsys.readouterr().err


def test_status_of_nothing_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "status", str(tmp_path)]) == 2
    assert "contains no status of a recorder" in capsys.readouterr().err


def test_status_names_breaches_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = {
        "time": time.time(), "pid": os.getpid(), "connected": True, "offline_reason": "", "influx_error": "",
        "has_spool": False, "rejected": 0, "dropped": 0, "site": "germany", "run": "normal-1", "received": 9,
        "refused": 0, "redelivered": 0, "journal_bytes": 10, "breaches": {},
    }  # fmt: skip
    (tmp_path / "status.json").write_text(json.dumps(written))
    assert main(["site", "status", str(tmp_path)]) == 0
    assert "Audit     breaches in this run: 0" in capsys.readouterr().out
    lied = {"breaches": {"money": 2, "ticks": 1}, "flooding": {"vehicle-1": 90, "vehicle-2": 700}}
    (tmp_path / "status.json").write_text(json.dumps({**written, **lied}))
    assert main(["site", "status", str(tmp_path)]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert "Audit     breaches in this run: 3" in shown
    assert [line for line in shown if line.startswith("Flood")] == [
        "Flood     700 messages of vehicle-2 beyond its quota were ignored",
        "Flood     90 messages of vehicle-1 beyond its quota were ignored",
    ]
    report = f"gridfleet report {tmp_path / 'runs' / 'normal-1'}"
    assert shown[-2:] == [
        f"Problem   the auditor found 2 breaches of the invariant 'money': {report}",
        f"Problem   the auditor found 1 breach of the invariant 'ticks': {report}",
    ]


@pytest.mark.mosquitto
def test_a_recorder_tells_how_it_is_doing(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rec"
    with MosquittoBroker() as broker:
        command = [sys.executable, "-m", "gridfleet", "site", "record", "normal", "--broker", broker.url]
        nowhere = f"http://127.0.0.1:{free_port()}"
        recorder = subprocess.Popen(
            [*command, "--out", str(folder), "--influx", nowhere, "--token-file", token],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until((folder / "status.json").is_file)
            main(["site", "status", str(folder), "--json"])
            status = json.loads(capsys.readouterr().out)
            assert (status["running"], status["pid"], status["breaches"]) == (True, recorder.pid, {})
            assert main(["run", "normal", "--ticks", "3", "--no-report", "--no-console", "--broker", broker.url,
                         "--out", str(tmp_path / "run")]) == 0  # fmt: skip
        finally:
            recorder.send_signal(signal.SIGTERM)
            _, said = recorder.communicate(timeout=PATIENCE_S)
    assert recorder.returncode == 0, said
    assert "record: stopped; start it again to continue" in said
    capsys.readouterr()
    assert main(["site", "status", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "not running since" in shown
    assert "Problem   the recorder is not running" in shown
    assert "normal-2" in shown
    assert [path.name.partition("-")[0] for path in (folder / "runs").iterdir()] == ["normal"]
