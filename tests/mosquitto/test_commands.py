"""`gridfleet site broker` and `gridfleet run --secrets` from a shell."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridfleet.broker.brokers.mosquitto.server import find_mosquitto
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.site.secrets import make_secrets
from gridfleet.provisioning.site.user_registry import read_registry
from tests.provisioning.shell import alive_in_group, end, gridfleet, start
from tests.waiting import wait_until

SMALL = ("--set", "vehicles.count=3", "chargers.count=3")


@contextmanager
def folder_users(*words: str, cwd: Path) -> Iterator[tuple[str, int]]:
    """Run `gridfleet site broker`; hand out its URL and its process id."""
    process = start("site", "broker", "--port", "0", *words, cwd=cwd)
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        yield line.split()[1] if line else "", process.pid
    finally:
        process.terminate()
        ended = end(process)
        wait_until(lambda: alive_in_group(process.pid) == [])
    assert ended.code == ExitCode.SUCCESS, ended.err


@pytest.mark.mosquitto
def test_a_run_over_a_broker_with_secrets_gives_the_ledger_of_the_simulation(tmp_path: Path) -> None:
    assert gridfleet("site", "init", "s", *SMALL, cwd=tmp_path).code == ExitCode.SUCCESS
    with folder_users("--secrets", "s", cwd=tmp_path) as (url, _):
        assert url.startswith("mqtts://127.0.0.1:")
        words = ("--broker", url, "--secrets", "s", "--ticks", "4", "--no-report", *SMALL)
        ran = gridfleet("run", *words, cwd=tmp_path)
        assert (ran.code, ran.err) == (ExitCode.SUCCESS, "")
        stranger = gridfleet("run", "--broker", url, "--out", "x", *SMALL, cwd=tmp_path)
        assert stranger.code == ExitCode.USAGE
        assert "certificate" in stranger.err
    simulated = gridfleet("simulate", "normal", "--ticks", "4", *SMALL, "--no-report", cwd=tmp_path)
    assert simulated.code == ExitCode.SUCCESS
    folders = [tmp_path / each.out.splitlines()[-1].split()[1] for each in (ran, simulated)]
    ledgers = [(folder / "ledger.csv").read_text() for folder in folders]
    assert ledgers[0] == ledgers[1]


@pytest.mark.mosquitto
def test_a_broker_on_every_interface_prints_the_addresses_for_others(tmp_path: Path) -> None:
    gridfleet("site", "init", "s", "--host", "192.0.2.10", *SMALL, cwd=tmp_path)
    process = start("site", "broker", "--port", "0", "--secrets", "s", "--host", "0.0.0.0", cwd=tmp_path)  # noqa: S104
    assert process.stdout is not None
    url = process.stdout.readline().split()[1]
    others = [process.stdout.readline()]
    while "from other machines" in others[-1]:
        others.append(process.stdout.readline())
    process.terminate()
    assert end(process).code == ExitCode.SUCCESS
    port = url.rpartition(":")[2]
    assert others[0] == f"          mqtts://192.0.2.10:{port} from other machines\n"
    assert not any("127.0.0.1" in each for each in others)
    assert "gridfleet site init DIR --host NAME" in others[-1]


@pytest.mark.mosquitto
def test_sighup_loads_rotated_secrets(tmp_path: Path) -> None:
    gridfleet("site", "init", "s", *SMALL, cwd=tmp_path)
    with folder_users("--secrets", "s", cwd=tmp_path) as (url, pid):
        registry = read_registry(SecretsFolder(tmp_path / "s"))
        make_secrets(
            tmp_path / "s", registry.site, registry.users, rotate=None
        )  # the command sends SIGHUP itself
        words = ("run", "--broker", url, "--secrets", "s", "--ticks", "1", "--no-report", *SMALL)
        assert gridfleet(*words, cwd=tmp_path).code == ExitCode.USAGE
        os.kill(pid, signal.SIGHUP)
        assert gridfleet(*words, cwd=tmp_path).code == ExitCode.SUCCESS


@pytest.mark.mosquitto
def test_no_secret_is_in_the_process_list(tmp_path: Path) -> None:
    gridfleet("site", "init", "s", *SMALL, cwd=tmp_path)
    secrets = [path.read_bytes().strip() for path in (tmp_path / "s" / "clients").glob("*.password")]
    with folder_users("--secrets", "s", cwd=tmp_path):
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = line.read_bytes()
            except OSError:
                continue
            assert not any(secret in text for secret in secrets)


def test_the_embedded_broker_prints_its_limits(tmp_path: Path) -> None:
    process = start("site", "broker", "--engine", "rumqttd", "--port", "0", cwd=tmp_path)
    assert process.stdout is not None
    expected = [process.stdout.readline() for _ in range(3)]
    process.terminate()
    assert end(process).code == ExitCode.SUCCESS
    assert "(rumqttd)" in expected[0]
    assert "has no TLS, users or access rules" in expected[1]
    assert "apt-get install mosquitto" in expected[2]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["site", "broker", "--engine", "rumqttd", "--secrets", "s"],
            "--secrets: needs Mosquitto: sudo apt-get",
        ),
        (["site", "broker", "--engine", "rumqttd", "--store", "s"], "--store: needs Mosquitto"),
        (["site", "broker", "--engine", "mosquitto", "--host", "::"], "--host: needs --secrets"),
        (["site", "broker", "--engine", "mosquitto", "--secrets", "nowhere"], "is not a secrets folder"),
        (["run", "--secrets", "s"], "needs --broker mqtts://"),
        (["run", "--secrets", "s", "--broker", "mqtt://far.example"], "is not encrypted"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert main(words) == ExitCode.USAGE
    assert expected in capsys.readouterr().err


def test_mosquitto_is_found_where_debian_puts_it() -> None:
    found = find_mosquitto()
    assert found is None or found.name == "mosquitto"
