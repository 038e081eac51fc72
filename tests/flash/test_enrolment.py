"""An enrolled device can log in and publish what its kind may; a revoked device is refused."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.messages import Limits, Registration, Role
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.processes.folder_users import FolderUser, folder_users
from gridfleet.provisioning.site.certificates import revoked_in, serial_of
from gridfleet.provisioning.site.enrolment import Enrolment, check_enrolment, enrol, reload_brokers, revoke
from gridfleet.provisioning.site.register_file import EnrolledDevices, read_register
from gridfleet.provisioning.site.secrets import identities, make_secrets
from gridfleet.provisioning.site.user_registry import read_registry, with_enrolled
from tests.mosquitto.clients import Clients

ALL = "gridfleet/town/#"


@pytest.fixture
def charger(cell: str) -> Enrolment:
    return Enrolment("charger-01", Role.CHARGER, cell)


@pytest.mark.mosquitto
def test_an_enrolled_device_logs_in_and_a_revoked_one_is_disconnected(
    secrets: Path, charger: Enrolment
) -> None:
    with MosquittoBroker(secrets) as broker:
        enrol(secrets, charger, "town")
        broker.reload()
        credentials = FileCredentials(secrets)
        with Clients(broker, credentials) as clients:
            clock, viewer = clients.connect("clock"), clients.connect("viewer", ALL)
            device, login = clients.connect("charger-01"), credentials.login("charger-01")
            device.connection.publish("gridfleet/town/state/charger/charger-01", b"mine", qos=1)
            device.connection.publish("gridfleet/town/state/charger/charger-1", b"forged", qos=1)
            clients.wait_delivered(clock, viewer)
            assert viewer.received == [("gridfleet/town/state/charger/charger-01", b"mine")]
            revoke(secrets, "charger-01")
            broker.reload()
            assert clients.loop.run_until(lambda: "refused" in device.connection.offline_reason, 60)
            device.connection.abort()
            again = clients.start_connecting("charger-01", ALL, login=login)
            assert clients.loop.run_until(lambda: "refused" in again.connection.offline_reason, 60)
            assert (clock.connection.offline_reason, viewer.connection.offline_reason) == ("", "")


@pytest.mark.mosquitto
def test_a_revoked_certificate_is_refused(secrets: Path, charger: Enrolment) -> None:
    enrol(secrets, charger)
    credentials = FileCredentials(secrets, certificates=True)
    login = credentials.login("charger-01")
    with (
        MosquittoBroker(secrets, client_certificates=True) as broker,
        Clients(broker, credentials) as clients,
    ):
        clients.connect("charger-01", login=login).connection.close()
        revoke(secrets, "charger-01")
        broker.reload()
        clients.connect(
            "viewer"
        ).connection.close()  # once this client is online, the broker has read its files
        again = clients.start_connecting("charger-01", login=login)
        assert clients.loop.run_until(lambda: again.connection.attempts > 0, 60)
        assert not again.connection.online


@pytest.mark.mosquitto
def test_a_broker_on_this_machine_reloads_its_users(secrets: Path, charger: Enrolment) -> None:
    command = [sys.executable, "-m", "gridfleet", "site", "broker", "--secrets", str(secrets), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as broker:
        try:
            assert broker.stdout is not None
            address = BrokerAddress.parse(broker.stdout.readline().split()[1])
            assert folder_users(SecretsFolder(secrets).brokers).keys() == {broker.pid}
            enrol(secrets, charger)
            assert f"(process {broker.pid})" in reload_brokers(secrets)
            with MqttLoop(address, retry_refused=True) as loop:  # until it has read them
                loop.open("charger-01", on_message=print, login=FileCredentials(secrets).login("charger-01"))
                loop.wait_online(60)
        finally:
            broker.send_signal(signal.SIGTERM)
        assert broker.wait(20) == ExitCode.SUCCESS
    assert "no broker on this machine uses these secrets" in reload_brokers(secrets)


def test_a_device_that_is_enrolled_again_gets_new_secrets(secrets: Path, charger: Enrolment) -> None:
    folder = SecretsFolder(secrets)
    enrol(secrets, charger)
    before = folder.password_of("charger-01").read_text()
    serial = serial_of(folder.certificate_of("charger-01").read_bytes())
    enrol(secrets, charger)
    assert folder.password_of("charger-01").read_text() != before
    assert serial in revoked_in(folder.revoked.read_bytes())


def test_the_access_rules_are_those_of_its_kind_and_cell(
    secrets: Path, fleet: Fleet, charger: Enrolment
) -> None:
    enrol(secrets, charger)
    rules = SecretsFolder(secrets).acl.read_text().split("\n\n")
    own = next(rule for rule in rules if rule.startswith("user charger-01\n"))
    like = next(each for each in fleet.agents() if each.role is Role.CHARGER and each.cell == charger.cell)
    same = next(rule for rule in rules if rule.startswith(f"user {like.id}\n"))
    assert own.strip() == same.strip().replace(like.id, "charger-01")


def test_secrets_made_again_keep_enrolled_devices(secrets: Path, fleet: Fleet, charger: Enrolment) -> None:
    enrol(secrets, charger)
    folder = SecretsFolder(secrets)
    make_secrets(secrets, "town", with_enrolled(folder, identities(fleet)))
    assert read_registry(folder).enrolled == ("charger-01",)
    assert "user charger-01\n" in folder.acl.read_text()


def test_a_revoked_device_leaves_no_file_and_no_rule(secrets: Path, charger: Enrolment) -> None:
    folder = SecretsFolder(secrets)
    enrol(secrets, charger)
    serial = serial_of(folder.certificate_of("charger-01").read_bytes())
    assert main(["device", "revoke", "charger-01", "--secrets", str(secrets)]) == ExitCode.SUCCESS
    assert not [path for path in secrets.rglob("*") if "charger-01" in path.name]
    for path in (folder.acl, folder.passwords, folder.user_registry):
        assert "charger-01" not in path.read_text()
    assert serial in revoked_in(folder.revoked.read_bytes())


@pytest.mark.parametrize(
    ("enrolment", "site", "message"),
    [
        (Enrolment("x", Role.CHARGER, "nowhere"), None, "cell 'nowhere' does not exist at town; allowed are"),
        (Enrolment("x", Role.CHARGER, "nowhere"), "city", "belongs to site 'city'.*the secrets of 'town'"),
        (
            Enrolment("operator", Role.CHARGER, ""),
            None,
            "this id already belongs to the operator: choose another id",
        ),
    ],
)
def test_a_wrong_enrolment_is_refused_with_the_reason(
    secrets: Path, cell: str, enrolment: Enrolment, site: str | None, message: str
) -> None:
    requested = Enrolment(enrolment.id, enrolment.role, enrolment.cell or cell)
    before = SecretsFolder(secrets).user_registry.read_bytes()
    with pytest.raises(CommandError, match=message):
        check_enrolment(secrets, requested, site)
    assert SecretsFolder(secrets).user_registry.read_bytes() == before


def test_an_unknown_device_cannot_be_revoked(secrets: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nobody-7: is not a user of town; enrolled devices: none"):
        revoke(secrets, "nobody-7")
    with pytest.raises(CommandError, match=r"is not a secrets folder \(it has no users.json\): make it with"):
        revoke(tmp_path, "charger-01")


def test_a_damaged_user_registry_is_named_with_its_key(secrets: Path) -> None:
    SecretsFolder(secrets).user_registry.write_text('{"site": 1}')
    with pytest.raises(
        CommandError, match=r"users\.json: is damaged at site, users, enrolled: delete it and run"
    ):
        read_registry(SecretsFolder(secrets))


def test_a_user_registry_of_an_older_version_is_refused_with_the_remedy(
    secrets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = SecretsFolder(secrets)
    folder.user_registry.rename(secrets / "roll.json")
    before = {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}
    remedy = r"roll\.json: is the user registry of an older version, now users\.json: delete it and run"
    for attempt in (
        lambda: read_registry(folder),
        lambda: with_enrolled(folder, []),
        lambda: make_secrets(secrets, "town", []),
    ):
        with pytest.raises(CommandError, match=remedy):
            attempt()
    assert main(["site", "broker", "--engine", "mosquitto", "--secrets", str(secrets)]) == ExitCode.USAGE
    assert "roll.json: is the user registry of an older version" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()} == before


def test_who_runs_is_known_and_who_died_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "brokers"
    assert folder_users(folder) == {}
    with FolderUser(folder):
        assert folder_users(folder) == {os.getpid(): ""}
    assert folder_users(folder) == {}
    (folder / "4711").touch()  # left behind by a crash
    assert folder_users(folder) == {}


def test_a_folder_that_cannot_be_written_keeps_no_broker_from_running(tmp_path: Path) -> None:
    with FolderUser(tmp_path / "missing" / "brokers"):
        assert folder_users(tmp_path / "missing" / "brokers") == {}


def test_an_enrolled_device_is_believed_within_the_limits_of_its_file(
    secrets: Path, charger: Enrolment
) -> None:
    limits = Limits(buys_wh=9_000, capacity_wh=90_000, ports=3)
    enrolled = EnrolledDevices(secrets)
    assert enrolled() == {}
    enrol(secrets, replace(charger, limits=limits))
    (entry,) = enrolled().values()
    assert entry.states(Registration(0, limits))
    assert is_signed(secrets, charger.id, entry)
    assert enrolled() == {}
    enrol(secrets, replace(charger, limits=replace(limits, ports=4)))
    (entry,) = enrolled().values()
    assert entry.states(Registration(0, replace(limits, ports=4)))
    assert is_signed(secrets, charger.id, entry)
    revoke(secrets, charger.id)
    assert charger.id not in read_register(SecretsFolder(secrets))
    assert EnrolledDevices(secrets.parent)() == {}


def is_signed(secrets: Path, subject: str, entry: Registration) -> bool:
    return FileCredentials(secrets).verify(entry.signed_bytes("town", subject), entry.signature)


def test_a_new_authority_signs_the_register_anew(secrets: Path, charger: Enrolment) -> None:
    enrol(secrets, replace(charger, limits=Limits(ports=3)))
    (before,) = EnrolledDevices(secrets)().values()
    assert main(["site", "rotate", str(secrets)]) == ExitCode.SUCCESS
    (after,) = EnrolledDevices(secrets)().values()
    assert after.states(before)
    assert not is_signed(secrets, charger.id, before)
    assert is_signed(secrets, charger.id, after)


@pytest.mark.parametrize("text", ["{", '{"charger":{"devices":-1,"limits":{}}}', "[]"])
def test_a_damaged_register_is_an_error_with_a_remedy(secrets: Path, text: str) -> None:
    folder = SecretsFolder(secrets)
    folder.register.write_text(text)
    with pytest.raises(CommandError, match=r"register\.json.*is damaged at .*site init"):
        read_register(folder)
    assert EnrolledDevices(secrets)() == {}
