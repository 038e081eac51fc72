"""The doctor finds each problem, names it and gives a remedy."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import FleetPresence, Role
from gridfleet.broker.protocol.topics import topic
from gridfleet.devices.config.device_file import DeviceFile, parse
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.doctor.broker import check_broker
from gridfleet.provisioning.doctor.device import check_device
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, Severity
from gridfleet.provisioning.doctor.machine import Machine, check_machine, how_it_runs
from gridfleet.provisioning.doctor.presence import online_elsewhere
from gridfleet.provisioning.doctor.report import line
from gridfleet.provisioning.processes.device_lock import DeviceLock, runs_on_this_machine
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.upgrade.service import SAFE_UNIT, UNIT

NOW_S = 1_790_000_000.0
OK, WARN, FAIL = Severity.OK, Severity.WARN, Severity.FAIL
SHOW = "systemctl show --property=ActiveState --value"
CLOCK = "timedatectl show --property=NTPSynchronized --value"
HEALTHY = {
    f"{SHOW} {UNIT}": "active",
    f"{SHOW} {SAFE_UNIT}": "inactive",
    CLOCK: "yes",
    "vcgencmd get_throttled": "throttled=0x0",
}


def machine(
    root: Path,
    outputs: Mapping[str, str] = HEALTHY,
    now_s: float = NOW_S,
    files: Mapping[str, str] | None = None,
) -> Machine:
    """A healthy Pi 4, except for subject is given."""
    whole = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "proc/meminfo": "MemTotal: 900000 kB\nMemAvailable: 700000 kB\n",
        "sys/class/thermal/thermal_zone0/temp": "48250\n",
        **(files or {}),
    }
    for path, text in whole.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Machine(root, lambda command: outputs.get(" ".join(command)), lambda: now_s)


def only(diagnoses: Iterator[Diagnosis], subject: str) -> Diagnosis:
    (diagnosis,) = [each for each in diagnoses if each.subject == subject]
    assert diagnosis.remedy if diagnosis.severity is not OK else not diagnosis.remedy
    return diagnosis


# --- the machine ---


def test_on_a_healthy_pi_every_line_is_ok(tmp_path: Path) -> None:
    lines = [line(each) for each in check_machine(machine(tmp_path))]
    assert all(text.startswith("ok ") for text in lines)
    assert lines[0].endswith("Raspberry Pi 4 Model B Rev 1.4")


@pytest.mark.parametrize(
    ("subject", "outputs", "severity", "text"),
    [
        ("service", {f"{SHOW} {SAFE_UNIT}": "active"}, FAIL, "in safe mode"),
        ("service", {f"{SHOW} {UNIT}": "failed", f"systemctl cat {UNIT}": "[Unit]"}, FAIL, "does not run"),
        ("service", {f"{SHOW} {UNIT}": "inactive"}, WARN, "not installed"),
        ("clock", {CLOCK: "no"}, WARN, "samples are marked as such"),
        ("power", {"vcgencmd get_throttled": "throttled=0x50005"}, FAIL, "undervoltage now"),
        (
            "power",
            {"vcgencmd get_throttled": "throttled=0x50000"},
            WARN,
            "undervoltage, throttled since boot",
        ),
    ],
)
def test_a_problem_that_the_system_reports_is_only(
    tmp_path: Path, subject: str, outputs: dict[str, str], severity: Severity, text: str
) -> None:
    diagnoses = [
        each for each in check_machine(machine(tmp_path, {**HEALTHY, **outputs})) if each.subject == subject
    ]
    assert diagnoses[0].severity is severity
    assert text in diagnoses[0].text
    assert diagnoses[0].remedy


@pytest.mark.parametrize(
    ("subject", "file", "text", "severity"),
    [
        ("temperature", "sys/class/thermal/thermal_zone0/temp", "72000", WARN),
        ("temperature", "sys/class/thermal/thermal_zone0/temp", "81000", FAIL),
        ("memory", "proc/meminfo", "MemAvailable: 30000 kB\n", WARN),
        ("machine", "proc/device-tree/model", "Some Board", WARN),
    ],
)
def test_values_beyond_a_limit_are_reported(
    tmp_path: Path, subject: str, file: str, text: str, severity: Severity
) -> None:
    assert only(check_machine(machine(tmp_path, files={file: text})), subject).severity is severity


def test_a_clock_in_the_past_is_reported(tmp_path: Path) -> None:
    diagnosis = only(check_machine(machine(tmp_path, now_s=0.0)), "clock")
    assert (diagnosis.severity, diagnosis.text) == (FAIL, "the year is 1970")


def test_an_agent_that_starts_counts_as_running(tmp_path: Path) -> None:
    assert UNIT in how_it_runs(machine(tmp_path))
    assert UNIT in how_it_runs(machine(tmp_path, {f"{SHOW} {UNIT}": "activating"}))
    assert how_it_runs(machine(tmp_path, {f"{SHOW} {UNIT}": "failed"})) == ""


# --- the device ---

PINS = """\
[adc]
[plug]
pin = 17
[contactor]
pin = 27
[stop]
pin = 22
[current]
channel = 0
"""


def charger(
    cell: str = "town",
    url: str = "mqtts://broker.example",
    credentials: Path | None = None,
    backend: str = "gpio",
) -> DeviceFile:
    named = f'credentials = "{credentials}"' if credentials else ""
    head = f'id = "charger-01"\nkind = "charger"\nsite = "town"\ncell = "{cell}"\nbackend = "{backend}"\n'
    return parse(
        f'{head}[broker]\nurl = "{url}"\n{named}\n{PINS if backend == "gpio" else ""}', "charger-01.toml"
    )


def test_pins_and_spi_bus_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pi = machine(tmp_path)
    assert "no /dev/gpiochip" in only(check_device(charger(), pi), "pins").text
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "gpiochip0").touch()
    monkeypatch.setattr("gridfleet.provisioning.doctor.device.find_spec", lambda _: None)
    diagnosis = only(check_device(charger(), pi), "pins")
    assert (diagnosis.severity, diagnosis.remedy) == (FAIL, "sudo apt-get install python3-lgpio")
    monkeypatch.setattr("gridfleet.provisioning.doctor.device.find_spec", lambda _: object())
    assert only(check_device(charger(), pi), "pins").severity is OK
    diagnosis = only(check_device(charger(), pi), "SPI")
    assert (diagnosis.severity, "dtparam=spi=on" in diagnosis.remedy) == (FAIL, True)
    (tmp_path / "dev" / "spidev0.0").touch()
    assert only(check_device(charger(), pi), "SPI").severity is OK
    monkeypatch.setattr(os, "access", lambda path, _mode: "spidev" not in str(path))
    assert "spidev0.0 cannot be opened by you" in only(check_device(charger(), pi), "SPI").text
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "gpiochip0 cannot be opened by you" in only(check_device(charger(), pi), "pins").text


def test_a_simulated_device_is_reported(tmp_path: Path) -> None:
    diagnosis = only(check_device(charger(backend="synthetic"), machine(tmp_path)), "pins")
    assert "all values are simulated" in diagnosis.text


def test_secrets_must_be_complete_and_private(tmp_path: Path, secrets: Path, cell: str) -> None:
    pi, device = machine(tmp_path), charger(cell, credentials=secrets)
    assert "is missing" in only(check_device(device, pi), "secrets").text
    enrol(secrets, Enrolment("charger-01", Role.CHARGER, cell))
    assert only(check_device(device, pi), "secrets").severity is OK
    SecretsFolder(secrets).password_of("charger-01").chmod(0o604)
    diagnosis = only(check_device(device, pi), "secrets")
    assert (diagnosis.severity, "every user can read" in diagnosis.text) == (FAIL, True)


# --- the broker ---


@pytest.fixture
def enrolled(secrets: Path, cell: str) -> Path:
    enrol(secrets, Enrolment("charger-01", Role.CHARGER, cell))
    return secrets


@pytest.mark.mosquitto
def test_a_working_connection_passes_every_check(enrolled: Path, cell: str) -> None:
    with MosquittoBroker(enrolled) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        clock = loop.open("clock", on_message=print, login=FileCredentials(enrolled).login("clock"))
        loop.wait_online(60)
        clock.publish("gridfleet/town/tick/clock", b"{}", qos=1, retain=True)
        clock.publish(
            "gridfleet/town/state/clock/clock", b"{}", qos=1, retain=True
        )  # chargers may not receive it
        assert loop.run_until(lambda: clock.all_acknowledged, 60)
        device = charger(cell, broker.url, enrolled, "synthetic")
        diagnoses = {each.subject: each for each in check_broker(device)}
    assert [(subject, each.severity) for subject, each in diagnoses.items()] == [
        ("broker", OK),
        ("TLS", OK),
        ("login", OK),
        ("access rules", OK),
        ("clock of the site", OK),
    ]
    assert "TLSv1.3, the broker's certificate is valid for 39" in diagnoses["TLS"].text


def test_credentials_of_another_site_are_reported(enrolled: Path, cell: str) -> None:
    device = charger(cell, "mqtts://127.0.0.1", enrolled, "synthetic").model_copy(update={"site": "home"})
    (diagnosis,) = check_broker(device)
    assert (diagnosis.subject, diagnosis.severity) == ("site", FAIL)
    assert "are for site 'town', and the file says 'home'" in diagnosis.text
    assert "correct `site` in the device file" in diagnosis.remedy


@pytest.mark.mosquitto
def test_a_broker_without_access_rules_is_reported(cell: str) -> None:
    with MosquittoBroker(None, Ports(plain=0)) as broker:
        device = charger(cell, broker.url, None, "synthetic")
        diagnoses = [(each.subject, each.severity) for each in check_broker(device)]
    assert ("TLS", WARN) in diagnoses
    assert ("access rules", FAIL) in diagnoses


@pytest.mark.mosquitto
def test_the_reason_for_a_failed_connection_is_named(enrolled: Path, cell: str, tmp_path: Path) -> None:
    from gridfleet.provisioning.site.secrets import make_secrets

    make_secrets(tmp_path / "other", "town", [])
    with MosquittoBroker(enrolled) as broker:
        port = broker.ports.tls
        url = f"mqtts://127.0.0.1:{port}"
        for name in ("charger-01.password", "charger-01.crt", "charger-01.key"):
            (tmp_path / "other" / "clients" / name).write_bytes((enrolled / "clients" / name).read_bytes())
        elsewhere = charger(cell, url, tmp_path / "other", "synthetic")
        assert "is not of this site" in only(check_broker(elsewhere), "TLS").text
        wrong_name = charger(cell, f"mqtts://127.0.0.2:{port}", enrolled, "synthetic")
        assert "does not answer" in only(check_broker(wrong_name), "broker").text
        running = [
            each.subject
            for each in check_broker(charger(cell, url, enrolled, "synthetic"), running="the agent runs")
        ]
        assert running == ["broker", "TLS", "login", "access rules"]
        SecretsFolder(enrolled).password_of("charger-01").write_text("wrong\n")
        device = charger(cell, url, enrolled, "synthetic")
        assert only(check_broker(device), "login").severity is FAIL
    assert "does not answer" in only(check_broker(device), "broker").text


@pytest.mark.mosquitto
def test_a_device_that_is_online_is_not_thrown_off(enrolled: Path, cell: str) -> None:
    credentials = FileCredentials(enrolled)
    lost: list[str] = []
    with MosquittoBroker(enrolled) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        device = charger(cell, broker.url, enrolled, "synthetic")
        presence = replace(device.offline_presence(), online=True)
        running = loop.open(
            "charger-01",
            on_message=lambda *_: None,
            on_problem=lambda reason, _about: lost.append(reason),
            login=credentials.login("charger-01"),
        )
        loop.wait_online(60)
        own = topic(device.site, presence, presence.scope, device.id)
        running.publish(own, encode(presence), qos=1, retain=True)
        assert loop.run_until(lambda: running.all_acknowledged, 60)
        diagnoses = {each.subject: each for each in check_broker(device)}
        assert diagnoses["login"].text == (
            "not tried: charger-01 is online, as the broker's retained presence says"
        )
        assert diagnoses["access rules"].severity is WARN
        assert "stop the agent" in diagnoses["access rules"].remedy
        assert (running.online, lost) == (True, [])
        running.publish(own, encode(replace(presence, online=False)), qos=1, retain=True)
        assert loop.run_until(lambda: running.all_acknowledged, 60)
        running.close()
        assert only(check_broker(device), "access rules").severity is OK


@pytest.mark.mosquitto
def test_without_a_login_of_others_presence_is_read_where_none_is_needed(cell: str) -> None:
    with MosquittoBroker(None, Ports(plain=0)) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        device = charger(cell, broker.url, None, "synthetic")
        presence = replace(device.offline_presence(), online=True, via="fleet-1")
        fleet = loop.open("fleet-1", on_message=lambda *_: None)
        loop.wait_online(60)
        for message, scope, sender in (
            (presence, presence.scope, device.id),
            (FleetPresence(True, 1, {}), "", "fleet-1"),
        ):
            fleet.publish(topic(device.site, message, scope, sender), encode(message), qos=1, retain=True)
        assert loop.run_until(lambda: fleet.all_acknowledged, 60)
        assert "charger-01 is online, in the fleet process fleet-1" in online_elsewhere(device)
        over = FleetPresence(False, 1, {})
        fleet.publish(topic(device.site, over, "", "fleet-1"), encode(over), qos=1, retain=True)
        assert loop.run_until(lambda: fleet.all_acknowledged, 60)
        assert online_elsewhere(device) == ""


def test_a_device_that_runs_by_hand_on_this_machine_is_known() -> None:
    assert not runs_on_this_machine("town", "charger-01")
    with DeviceLock("town", "charger-01"):
        assert runs_on_this_machine("town", "charger-01")
        assert not runs_on_this_machine("town", "charger-02")
    assert not runs_on_this_machine("town", "charger-01")


def test_a_device_that_runs_twice_on_this_machine_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with DeviceLock("town", "charger-01"), DeviceLock("town", "charger-01"):
        assert "another process on this machine runs charger-01" in caplog.text
        assert runs_on_this_machine("town", "charger-01")
    assert not runs_on_this_machine("town", "charger-01")


def test_an_unknown_host_name_is_reported() -> None:
    diagnosis = only(check_broker(charger(url="mqtts://nowhere.invalid")), "broker")
    assert (diagnosis.severity, "cannot be resolved" in diagnosis.text) == (FAIL, True)


# --- the command ---


def test_the_command_prints_lines_and_exits_with_1_if_a_check_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "charger-01.toml"
    path.write_text(
        'id = "charger-01"\nkind = "charger"\nbackend = "synthetic"\n[broker]\nurl = "mqtts://b.example"\n'
    )
    assert main(["device", "doctor", str(path), "--offline"]) == ExitCode.SUCCESS
    output = capsys.readouterr().out
    assert "warn  pins" in output
    assert "→" in output
    path.write_text("id = 3\n")
    assert main(["device", "doctor", str(path)]) == ExitCode.FAILED
    assert "fail  device file" in capsys.readouterr().out
