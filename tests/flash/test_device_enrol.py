"""`gridfleet device enrol`: a device that is not flashed gets its credentials, runs over TLS, and is revoked."""

import shlex
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.protocol.messages import Message, Presence
from gridfleet.broker.protocol.topics import Address, topic_filter
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.clients.retained import decoded, presences, read_retained
from gridfleet.provisioning.clients.site_client import SiteClient
from tests.provisioning.shell import end, gridfleet, start

SITE = (
    "--scenario",
    "normal",
    "--set",
    "site=town",
    "vehicles.count=1",
    "chargers.count=1",
    "households.count=1",
)
DEVICE = """\
id = "house-9"
kind = "household"
site = "town"
backend = "synthetic"

[broker]
url = "{url}"
credentials = "own"
certificate = {certificate}
"""
WAIT_S = 60.0


def device_file(folder: Path, url: str = "mqtts://localhost", *, certificate: bool = False) -> Path:
    path = folder / "house-9.toml"
    path.write_text(DEVICE.format(url=url, certificate=str(certificate).lower()), encoding="utf-8")
    return path


@pytest.fixture
def secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["site", "init", str(tmp_path / "secrets"), *SITE]) == ExitCode.SUCCESS
    capsys.readouterr()
    return tmp_path / "secrets"


@contextmanager
def site_broker(secrets: Path, *options: str) -> Iterator[str]:
    process = start("site", "broker", "--secrets", str(secrets), "--port", "0", *options, cwd=secrets.parent)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1].replace("127.0.0.1", "localhost")
    finally:
        process.send_signal(signal.SIGTERM)
        assert end(process).code == ExitCode.SUCCESS


def test_credentials_know_their_site(secrets: Path, tmp_path: Path) -> None:
    file = device_file(tmp_path, "mqtts://localhost:8883")
    first = gridfleet("device", "enrol", file.name, cwd=tmp_path)
    assert (first.code, "former credentials" in first.out) == (ExitCode.SUCCESS, False)
    assert (tmp_path / "own" / "site").read_text(encoding="ascii") == "town\n"
    again = gridfleet("device", "enrol", file.name, cwd=tmp_path)
    assert "Note      its former credentials are refused from now on. A running house-9 takes" in again.out
    assert gridfleet("device", "check", file.name, cwd=tmp_path).code == ExitCode.SUCCESS
    file.write_text(
        file.read_text(encoding="utf-8").replace('site = "town"', 'site = "home"'), encoding="utf-8"
    )
    for command in ("check", "run"):
        refused = gridfleet("device", command, file.name, cwd=tmp_path)
        assert refused.code == ExitCode.USAGE
        assert "the credentials in own/ are for site 'town', and the file says 'home'" in refused.err


@pytest.mark.mosquitto
@pytest.mark.parametrize("certificate", [False, True], ids=["password", "certificate"])
def test_a_device_is_enrolled_runs_and_is_revoked(
    secrets: Path, tmp_path: Path, *, certificate: bool
) -> None:
    options = ["--certificates"] if certificate else []
    with site_broker(secrets, *options) as url:
        file = device_file(tmp_path, url, certificate=certificate)
        refused = gridfleet("device", "run", file.name, cwd=tmp_path)
        assert refused.code == ExitCode.USAGE
        assert "own/ca.crt: cannot be read" in refused.err
        remedy = shlex.split(refused.err.split("`")[1])
        assert remedy == ["gridfleet", "device", "enrol", file.name, "--secrets", "DIR"]

        enrolled = gridfleet(*(word.replace("DIR", "secrets") for word in remedy[1:]), cwd=tmp_path)
        assert (enrolled.code, enrolled.err) == (ExitCode.SUCCESS, "")
        assert enrolled.out.startswith(
            "Enrolled  house-9: a consumer in town, town\nFiles     own/: ca.crt, clients/"
        )
        assert "reloads users and access rules" in enrolled.out

        online: list[bool] = []

        def receive(address: Address, message: Message, _retained: bool) -> None:
            if address.sender == "house-9" and isinstance(message, Presence):
                online.append(message.online)

        viewer = FileCredentials(secrets, certificates=certificate).login("viewer")
        presence = (topic_filter("town", Presence.TYPE),)
        with SiteClient(
            BrokerAddress.parse(url), "town", viewer, purpose="test", filters=presence, on_message=receive
        ) as client:
            device = start("device", "run", file.name, cwd=tmp_path)
            try:
                assert client.run_until(lambda: online[-1:] == [True], WAIT_S)
                beside = gridfleet("device", "doctor", file.name, cwd=tmp_path)
                assert (
                    "login              not tried: the agent runs on this machine, started by hand"
                    in beside.out
                )
                revoked = gridfleet("device", "revoke", "house-9", cwd=tmp_path)
                assert (revoked.code, revoked.err) == (ExitCode.SUCCESS, "")
                assert "Presence  offline\n" in revoked.out
                assert client.run_until(lambda: online[-1:] == [False], WAIT_S)
            finally:
                device.send_signal(signal.SIGTERM)
                ended = end(device)
            assert ended.code == ExitCode.SUCCESS
        retained = decoded("town", read_retained(BrokerAddress.parse(url), "town", viewer))
        assert not presences(retained).get(
            "house-9"
        )  # Mosquitto no longer delivers what a former user retained
        doctor = gridfleet("device", "doctor", file.name, cwd=tmp_path)
        assert doctor.code == ExitCode.FAILED
        assert "fail  login" in doctor.out


def test_the_folder_holds_what_the_device_needs_and_no_more(
    secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = device_file(tmp_path, certificate=True)
    assert main(["device", "enrol", str(file), "--secrets", str(secrets)]) == ExitCode.SUCCESS
    own, all_secrets = tmp_path / "own", SecretsFolder(secrets)
    found = {str(path.relative_to(own)) for path in own.rglob("*") if path.is_file()}
    names = {"ca.crt", *(f"clients/house-9.{end}" for end in ("password", "crt", "key"))}
    assert found == {*names, "site", ".gitignore"}
    for name in names:
        assert (own / name).read_bytes() == (secrets / name).read_bytes()
        assert stat.S_IMODE((own / name).stat().st_mode) == 0o600
    assert "user house-9\n" in all_secrets.acl.read_text()
    output = capsys.readouterr().out
    assert all_secrets.password_of("house-9").read_text().strip() not in output
    assert "no broker on this machine uses these secrets" in output


def test_files_for_another_machine_go_to_a_folder_to_copy(
    secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = device_file(tmp_path), tmp_path / "to-copy"
    words = ["device", "enrol", str(file), "--secrets", str(secrets), "--out", str(out)]
    assert main(words) == ExitCode.SUCCESS
    assert (out / "clients" / "house-9.password").is_file()
    assert not (tmp_path / "own").exists()
    assert f"copy {out}/ to {tmp_path / 'own'} on the device's machine" in capsys.readouterr().out


def test_the_secrets_folder_itself_may_be_the_devices_folder(secrets: Path, tmp_path: Path) -> None:
    file = device_file(tmp_path)
    file.write_text(file.read_text().replace('"own"', '"secrets"'))
    assert main(["device", "enrol", str(file), "--secrets", str(secrets)]) == ExitCode.SUCCESS
    assert SecretsFolder(secrets).password_of("house-9").is_file()


def test_a_second_enrolment_gives_new_credentials(secrets: Path, tmp_path: Path) -> None:
    words = ["device", "enrol", str(device_file(tmp_path)), "--secrets", str(secrets)]
    passwords = set()
    for _ in range(2):
        assert main(words) == ExitCode.SUCCESS
        passwords.add(SecretsFolder(tmp_path / "own").password_of("house-9").read_text())
    assert len(passwords) == 2


def test_an_id_of_the_scenario_is_pointed_out(
    secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = device_file(tmp_path)
    file.write_text(file.read_text().replace("house-9", "household-1"))
    assert main(["device", "enrol", str(file), "--secrets", str(secrets)]) == ExitCode.SUCCESS
    assert "household-1 is also a device of the site's scenario" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mqtts://localhost", "mqtt://localhost", "broker.url: mqtt://localhost:1883 has no TLS; use mqtts://"),
        ("mqtts://localhost", "mqtts://a:b@localhost", "broker.url: remove the password"),
        ('credentials = "own"', "", "broker.credentials is missing: add the folder"),
        ('"household"', '"reactor"', "a grid-supply belongs to the whole site and cannot be enrolled singly"),
        ('site = "town"', 'site = "city"', "belongs to site 'city', but {secrets} holds the secrets of 'town'"),
        ('site = "town"', 'site = "town"\ncell = "west"', "cell 'west' does not exist at town; allowed are town"),
        ('"house-9"', '"charger-1"', "this id already belongs to the charger in town: choose another id"),
        ('"own"', '"other"', "other: is a site's secrets folder, but --secrets is {secrets}"),
    ],
)  # fmt: skip
def test_a_device_that_cannot_be_enrolled_is_refused_and_nothing_changes(
    old: str, new: str, message: str, secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = device_file(tmp_path)
    file.write_text(file.read_text().replace(old, new))
    assert main(["site", "init", str(tmp_path / "other"), *SITE]) == ExitCode.SUCCESS
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["device", "enrol", str(file), "--secrets", str(secrets)]) == ExitCode.USAGE
    assert message.format(secrets=secrets) in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
