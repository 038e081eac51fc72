"""The first boot, below a root of our own: it installs the bundle, moves the secrets and starts the service."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gridfleet.broker.protocol.messages import Role
from gridfleet.provisioning.flash import first_boot
from gridfleet.provisioning.flash.card import device_files
from gridfleet.provisioning.flash.device_spec import (
    DeviceSettings,
    FlashSettings,
    make_device_spec,
)
from gridfleet.provisioning.flash.first_boot import Host
from gridfleet.provisioning.flash.units import NAMES
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.upgrade.bundle import Bundle
from gridfleet.provisioning.upgrade.versions import Versions


def build_nothing(_bundle: Bundle, folder: Path, _python: Path) -> None:
    folder.mkdir()


@dataclass(slots=True)
class FakeHost(Host):
    """Records the changes to the machine."""

    actions: list[str] = field(default_factory=list)
    version: int = 252

    def set_clock(self, to_s: int) -> None:
        self.actions.append(f"clock {to_s}")

    def add_group(self, name: str) -> int:
        self.actions.append(f"group {name}")
        return 4711

    def set_owner(self, path: Path, group: int) -> None:
        assert path.is_relative_to(self.root)
        assert group == 4711

    def systemd_version(self) -> int:
        return self.version

    def start_service(self) -> None:
        self.actions.append("start")


@pytest.fixture
def card(tmp_path: Path, secrets: Path, device_file: Path, bundle: Bundle) -> Path:
    """What `gridfleet device flash` puts under gridfleet/ on the boot partition."""
    spec = make_device_spec(
        tmp_path, FlashSettings(secrets=str(secrets)), DeviceSettings(file=device_file.name)
    )
    enrol(secrets, Enrolment("charger-01", Role.CHARGER, spec.device.cell))
    for name, content in device_files(spec, bundle).items():
        (tmp_path / "boot" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "boot" / name).write_bytes(content)
    return tmp_path / "boot" / "gridfleet"


def host(tmp_path: Path, now_s: float) -> FakeHost:
    return FakeHost(root=tmp_path / "root", now_s=lambda: now_s, build=build_nothing)


def test_the_first_boot_installs_and_starts_the_device(card: Path, tmp_path: Path, bundle: Bundle) -> None:
    machine = host(tmp_path, bundle.made_s + 60)
    password = (card / "secrets" / "clients" / "charger-01.password").read_bytes()
    assert first_boot.main([str(card)], machine) == 0
    assert machine.actions == ["group gridfleet", "group gpio", "group spi", "start"]
    root = machine.root
    etc = root / "etc" / "gridfleet"
    assert (etc / "secrets" / "clients" / "charger-01.password").read_bytes() == password
    for path in (etc, *etc.rglob("*")):
        assert path.stat().st_mode & 0o7 == 0, path  # nothing for others
    assert 'credentials = "secrets"' in (etc / "device.toml").read_text()
    assert Versions(root / "opt" / "gridfleet").good == bundle.label
    assert all((root / "etc" / "systemd" / "system" / name).is_file() for name in NAMES)
    assert (root / "usr/local/bin/gridfleet").readlink() == Path("/opt/gridfleet/current/bin/gridfleet")
    assert not (card / "secrets").exists()
    assert "is installed" in (card / "first-boot.txt").read_text()


@pytest.mark.parametrize(("version", "there"), [(253, False), (254, True), (257, True)])
def test_a_newer_systemd_gets_the_drop_in_for_the_restart_mode(
    card: Path, tmp_path: Path, bundle: Bundle, version: int, there: bool
) -> None:
    machine = host(tmp_path, bundle.made_s + 60)
    machine.version = version
    first_boot.main([str(card)], machine)
    drop_in = machine.root / "etc/systemd/system/gridfleet-device.service.d/restart-mode.conf"
    assert drop_in.is_file() is there


def test_a_clock_that_is_behind_is_set_to_the_time_of_flashing(
    card: Path, tmp_path: Path, bundle: Bundle
) -> None:
    machine = host(tmp_path, 0.0)
    first_boot.main([str(card)], machine)
    assert machine.actions[0] == f"clock {bundle.made_s}"


def test_a_failed_first_boot_is_reported_on_the_card_and_can_be_repeated(
    card: Path, tmp_path: Path, bundle: Bundle
) -> None:
    wheel = card / "bundle" / "companion-1.0-py3-none-any.whl"
    content = wheel.read_bytes()
    wheel.write_bytes(b"")
    machine = host(tmp_path, bundle.made_s + 60)
    assert first_boot.main([str(card)], machine) == 1
    assert "failed: " in (card / "first-boot.txt").read_text()
    assert (card / "secrets").is_dir()
    assert "start" not in machine.actions
    wanted = machine.root / "etc/systemd/system/multi-user.target.wants/gridfleet-first-boot.service"
    assert wanted.read_text().startswith("# Repeats a first boot")  # at the next boot
    wheel.write_bytes(content)
    assert first_boot.main([str(card)], machine) == 0
    assert not wanted.is_symlink()
    assert not wanted.parent.with_name("gridfleet-first-boot.service").exists()
    assert first_boot.main([str(card)], machine) == 0  # a reset after the secrets were erased
    assert machine.actions.count("start") == 2
