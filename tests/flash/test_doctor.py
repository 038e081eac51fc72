"""The doctor: each thing that can be wrong is found, named, and told how to mend."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.devices.config.device_file import DeviceFile, parse
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.devices.doctor import line
from gridfleet.provisioning.doctor.broker import look_at_broker
from gridfleet.provisioning.doctor.device import look_at_device
from gridfleet.provisioning.doctor.finding import Finding, Grade
from gridfleet.provisioning.doctor.machine import Machine, is_running, look_at_machine
from gridfleet.provisioning.flash.device_spec import MESSAGE_KINDS
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.upgrade.service import SAFE_UNIT, UNIT

NOW_S = 1_790_000_000.0
OK, WARN, FAIL = Grade.OK, Grade.WARN, Grade.FAIL
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
    said: Mapping[str, str] = HEALTHY,
    now_s: float = NOW_S,
    files: Mapping[str, str] | None = None,
) -> Machine:
    """A Pi 4 in good health, but for what is given."""
    whole = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "proc/meminfo": "MemTotal: 900000 kB\nMemAvailable: 700000 kB\n",
        "sys/class/thermal/thermal_zone0/temp": "48250\n",
        **(files or {}),
    }
    for path, text in whole.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Machine(root, lambda command: said.get(" ".join(command)), lambda: now_s)


def found(findings: Iterator[Finding], what: str) -> Finding:
    (finding,) = [each for each in findings if each.what == what]
    assert finding.remedy if finding.grade is not OK else not finding.remedy
    return finding


# --- the machine ---


def test_a_pi_in_good_health_has_nothing_but_ok(tmp_path: Path) -> None:
    lines = [line(each) for each in look_at_machine(machine(tmp_path))]
    assert all(text.startswith("ok ") for text in lines)
    assert lines[0].endswith("Raspberry Pi 4 Model B Rev 1.4")


@pytest.mark.parametrize(
    ("what", "said", "grade", "words"),
    [
        ("service", {f"{SHOW} {SAFE_UNIT}": "active"}, FAIL, "in safe mode"),
        ("service", {f"{SHOW} {UNIT}": "failed", f"systemctl cat {UNIT}": "[Unit]"}, FAIL, "does not run"),
        ("service", {f"{SHOW} {UNIT}": "inactive"}, WARN, "not installed"),
        ("clock", {CLOCK: "no"}, WARN, "samples are marked so"),
        ("power", {"vcgencmd get_throttled": "throttled=0x50005"}, FAIL, "too little voltage at this moment"),
        (
            "power",
            {"vcgencmd get_throttled": "throttled=0x50000"},
            WARN,
            "too little voltage, throttled since",
        ),
    ],
)
def test_what_the_system_says_is_understood(
    tmp_path: Path, what: str, said: dict[str, str], grade: Grade, words: str
) -> None:
    findings = [each for each in look_at_machine(machine(tmp_path, {**HEALTHY, **said})) if each.what == what]
    assert findings[0].grade is grade
    assert words in findings[0].words
    assert findings[0].remedy


@pytest.mark.parametrize(
    ("what", "file", "text", "grade"),
    [
        ("temperature", "sys/class/thermal/thermal_zone0/temp", "72000", WARN),
        ("temperature", "sys/class/thermal/thermal_zone0/temp", "81000", FAIL),
        ("memory", "proc/meminfo", "MemAvailable: 30000 kB\n", WARN),
        ("machine", "proc/device-tree/model", "Some Board", WARN),
    ],
)
def test_limits_are_told(tmp_path: Path, what: str, file: str, text: str, grade: Grade) -> None:
    assert found(look_at_machine(machine(tmp_path, files={file: text})), what).grade is grade


def test_a_clock_in_the_past_is_told(tmp_path: Path) -> None:
    finding = found(look_at_machine(machine(tmp_path, now_s=0.0)), "clock")
    assert (finding.grade, finding.words) == (FAIL, "says 1970")


def test_an_agent_that_starts_counts_as_running(tmp_path: Path) -> None:
    assert is_running(machine(tmp_path))
    assert is_running(machine(tmp_path, {f"{SHOW} {UNIT}": "activating"}))
    assert not is_running(machine(tmp_path, {f"{SHOW} {UNIT}": "failed"}))


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


def test_pins_and_bus_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pi = machine(tmp_path)
    assert "no /dev/gpiochip" in found(look_at_device(charger(), pi), "pins").words
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "gpiochip0").touch()
    monkeypatch.setattr("gridfleet.provisioning.doctor.device.find_spec", lambda _: None)
    finding = found(look_at_device(charger(), pi), "pins")
    assert (finding.grade, finding.remedy) == (FAIL, "sudo apt-get install python3-lgpio")
    monkeypatch.setattr("gridfleet.provisioning.doctor.device.find_spec", lambda _: object())
    assert found(look_at_device(charger(), pi), "pins").grade is OK
    finding = found(look_at_device(charger(), pi), "SPI")
    assert (finding.grade, "dtparam=spi=on" in finding.remedy) == (FAIL, True)
    (tmp_path / "dev" / "spidev0.0").touch()
    assert found(look_at_device(charger(), pi), "SPI").grade is OK
    monkeypatch.setattr(os, "access", lambda path, _mode: "spidev" not in str(path))
    assert "spidev0.0 is closed to you" in found(look_at_device(charger(), pi), "SPI").words
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "gpiochip0 is closed to you" in found(look_at_device(charger(), pi), "pins").words


def test_a_simulated_device_says_so(tmp_path: Path) -> None:
    finding = found(look_at_device(charger(backend="synthetic"), machine(tmp_path)), "pins")
    assert "all is simulated" in finding.words


def test_secrets_are_complete_and_nobody_elses(tmp_path: Path, secrets: Path, cell: str) -> None:
    pi, device = machine(tmp_path), charger(cell, credentials=secrets)
    assert "is missing" in found(look_at_device(device, pi), "secrets").words
    enrol(secrets, Enrolment("charger-01", MESSAGE_KINDS["charger"], cell))
    assert found(look_at_device(device, pi), "secrets").grade is OK
    SecretsFolder(secrets).password_of("charger-01").chmod(0o604)
    finding = found(look_at_device(device, pi), "secrets")
    assert (finding.grade, "can be read by everybody" in finding.words) == (FAIL, True)


# --- the broker ---


@pytest.fixture
def enrolled(secrets: Path, cell: str) -> Path:
    enrol(secrets, Enrolment("charger-01", MESSAGE_KINDS["charger"], cell))
    return secrets


@pytest.mark.mosquitto
def test_a_way_that_is_clear_is_walked_to_the_end(enrolled: Path, cell: str) -> None:
    with MosquittoBroker(enrolled) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        clock = loop.open("clock", on_message=print, login=FileCredentials(enrolled).login("clock"))
        loop.wait_online(5.0)
        clock.publish("gridfleet/town/tick/clock", b"{}", qos=1, retain=True)
        clock.publish("gridfleet/town/state/clock", b"{}", qos=1, retain=True)  # not for chargers' ears
        loop.run_until(lambda: False, 0.1)
        device = charger(cell, broker.url, enrolled, "synthetic")
        findings = {each.what: each for each in look_at_broker(device, running=False)}
    assert [(what, each.grade) for what, each in findings.items()] == [
        ("broker", OK),
        ("TLS", OK),
        ("login", OK),
        ("access rules", OK),
        ("clock of the site", OK),
    ]
    assert "TLSv1.3, the broker's certificate is good for 39" in findings["TLS"].words


@pytest.mark.mosquitto
def test_a_broker_that_lets_anybody_do_anything_is_told(cell: str) -> None:
    with MosquittoBroker(None, Ports(plain=0)) as broker:
        device = charger(cell, broker.url, None, "synthetic")
        findings = [(each.what, each.grade) for each in look_at_broker(device, running=False)]
    assert ("TLS", WARN) in findings
    assert ("access rules", FAIL) in findings


@pytest.mark.mosquitto
def test_what_keeps_a_device_out_is_named(enrolled: Path, cell: str, tmp_path: Path) -> None:
    from gridfleet.provisioning.site.secrets import make_secrets

    make_secrets(tmp_path / "other", "town", [])
    with MosquittoBroker(enrolled) as broker:
        port = broker.ports.tls
        url = f"mqtts://127.0.0.1:{port}"
        for name in ("charger-01.password", "charger-01.crt", "charger-01.key"):
            (tmp_path / "other" / "clients" / name).write_bytes((enrolled / "clients" / name).read_bytes())
        elsewhere = charger(cell, url, tmp_path / "other", "synthetic")
        assert "is not of this site" in found(look_at_broker(elsewhere, running=False), "TLS").words
        wrong_name = charger(cell, f"mqtts://127.0.0.2:{port}", enrolled, "synthetic")
        assert "does not answer" in found(look_at_broker(wrong_name, running=False), "broker").words
        running = [
            each.what for each in look_at_broker(charger(cell, url, enrolled, "synthetic"), running=True)
        ]
        assert running == ["broker", "TLS", "login", "access rules"]
        SecretsFolder(enrolled).password_of("charger-01").write_text("wrong\n")
        device = charger(cell, url, enrolled, "synthetic")
        assert found(look_at_broker(device, running=False), "login").grade is FAIL
    assert "does not answer" in found(look_at_broker(device, running=False), "broker").words


def test_a_name_that_nobody_knows_is_told() -> None:
    finding = found(look_at_broker(charger(url="mqtts://nowhere.invalid"), running=False), "broker")
    assert (finding.grade, "is not known here" in finding.words) == (FAIL, True)


# --- the command ---


def test_the_command_tells_line_by_line_and_ends_with_1_if_anything_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "charger-01.toml"
    path.write_text(
        'id = "charger-01"\nkind = "charger"\nbackend = "synthetic"\n[broker]\nurl = "mqtts://b.example"\n'
    )
    assert main(["doctor", str(path), "--offline"]) == ExitCode.SUCCESS
    said = capsys.readouterr().out
    assert "warn  pins" in said
    assert "→" in said
    path.write_text("id = 3\n")
    assert main(["doctor", str(path)]) == ExitCode.FAILED
    assert "fail  device file" in capsys.readouterr().out
