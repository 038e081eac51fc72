"""`gridfleet influx setup`: what is missing is created once, with no more permissions than needed."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.main import main
from tests.telemetry.fake_api import ADMIN, FakeApi, fake_api


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


@pytest.fixture
def command(api: FakeApi, tmp_path: Path) -> list[str]:
    (tmp_path / "admin").write_text(f"{ADMIN}\n")
    out = str(tmp_path / "tokens")
    return ["influx", "setup", "--influx", api.url, "--token-file", str(tmp_path / "admin"), "--out", out]


def test_buckets_tasks_and_tokens_are_created(api: FakeApi, command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--keep-days", "90"]) == 0
    buckets = api.named("buckets")
    kept = {name: [rule["everySeconds"] for rule in each["retentionRules"]] for name, each in buckets.items()}
    assert kept == {"gridfleet": [90 * 86_400], "gridfleet_15m": [1_098 * 86_400], "gridfleet_1d": []}
    tasks = api.named("tasks")
    assert set(tasks) == {"gridfleet-15m", "gridfleet-1d"}
    assert 'to(bucket: "gridfleet_1d", org: "gridfleet")' in tasks["gridfleet-1d"]["flux"]
    permissions = {}
    for each in api.kept["authorizations"].values():
        name = each["description"].split(":")[1].split(",")[0].strip()
        permissions[name] = {
            (p["action"], p["resource"]["type"], p["resource"]["id"]) for p in each["permissions"]
        }
        file = tmp_path / "tokens" / f"{name}.token"
        assert file.read_text() == f"{each['token']}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ids = {name: each["id"] for name, each in buckets.items()}
    assert permissions == {
        "recorder": {("write", "buckets", ids["gridfleet"])},
        "grafana": {("read", "buckets", each) for each in ids.values()},
    }


def test_a_second_call_changes_nothing(api: FakeApi, command: list[str], tmp_path: Path) -> None:
    assert main(command) == 0
    tokens = [path.read_text() for path in sorted((tmp_path / "tokens").iterdir())]
    api.changes.clear()
    assert main(command) == 0
    assert api.changes == []
    assert [path.read_text() for path in sorted((tmp_path / "tokens").iterdir())] == tokens


def test_differences_are_corrected(api: FakeApi, command: list[str], tmp_path: Path) -> None:
    assert main(command) == 0
    api.named("tasks")["gridfleet-15m"]["flux"] = 'option task = {name: "gridfleet-15m", every: 1h}'
    (tmp_path / "tokens" / "grafana.token").unlink()
    api.changes.clear()
    assert main([*command, "--keep-days", "7"]) == 0
    assert api.changes == ["PATCH buckets", "PATCH tasks", "DELETE authorizations", "POST authorizations"]
    assert api.named("buckets")["gridfleet"]["retentionRules"][0]["everySeconds"] == 7 * 86_400
    assert len(api.kept["authorizations"]) == 2


def test_no_token_is_ever_shown(
    api: FakeApi, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    said = "".join(capsys.readouterr())
    assert "recorder.token" in said
    for each in api.kept["authorizations"].values():
        assert each["token"] not in said
    assert ADMIN not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--token-file", "wrong"], "401: unauthorized access"),
        (["--org", "other"], "no organisation 'other'"),
        (["--influx", "localhost:8086"], "not an http:// or https:// address"),
        (["--influx", "http://127.0.0.1:9"], "does not answer"),
        (["--token-file", "nowhere"], "cannot be read (no such file or directory)"),
    ],
)
def test_errors_say_what_is_wrong(
    command: list[str],
    change: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong").write_text("not-the-token")
    assert main([*command, *change]) == 2
    assert words in capsys.readouterr().err
