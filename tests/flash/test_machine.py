"""On the device: bundles, installed versions, upgrade with rollback, and the first boot, below a root of our own."""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.flash import first_boot
from gridfleet.provisioning.flash.card import device_files
from gridfleet.provisioning.flash.device_spec import (
    MESSAGE_KINDS,
    DeviceSettings,
    FlashSettings,
    make_device_spec,
)
from gridfleet.provisioning.flash.first_boot import Host
from gridfleet.provisioning.flash.units import NAMES
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.upgrade import actions as upgrading
from gridfleet.provisioning.upgrade.bundle import MANIFEST, Bundle
from gridfleet.provisioning.upgrade.service import ServiceStatus
from gridfleet.provisioning.upgrade.version_change import HealthGate, restore_good
from gridfleet.provisioning.upgrade.versions import Versions
from tests.flash.conftest import small_bundle

QUICK = HealthGate(within_s=120, steady_s=30)


def build_nothing(_bundle: Bundle, folder: Path, _python: Path) -> None:
    folder.mkdir()


class FakeClock:
    """A clock that advances only in `sleep`."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now_s(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds


@dataclass
class FakeService:
    """A service whose versions become ready `ready_s` after each start, and crash every `dies_s` seconds."""

    versions: Versions
    clock: FakeClock
    ready_s: dict[str, float] = field(default_factory=dict)
    dies_s: dict[str, float] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    began_s: float = 0.0

    def restart(self) -> None:
        self.began_s = self.clock.passed_s
        self.started.append(self.versions.current or "")

    def status(self) -> ServiceStatus:
        label = self.started[-1].partition("-")[0]
        age_s = self.clock.passed_s - self.began_s
        lives = int(age_s // self.dies_s.get(label, 1e9))
        age_s -= lives * self.dies_s.get(label, 1e9)
        ready = age_s >= self.ready_s.get(label, 5.0)
        return ServiceStatus(ready, 100 + lives, "active (running)" if ready else "activating (start)")


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "opt", Path(sys.executable))


@pytest.fixture
def service(versions: Versions) -> FakeService:
    return FakeService(versions, FakeClock())


def installed(versions: Versions, tmp_path: Path, version: str) -> str:
    return versions.install(small_bundle(tmp_path / f"bundle-{version}", version), build_nothing)


def upgrade(versions: Versions, service: FakeService, label: str) -> tuple[int, list[str]]:
    reports: list[str] = []
    return upgrading.upgrade(versions, label, service, QUICK, service.clock, reports.append), reports


# --- bundles ---


def test_a_bundle_lists_every_wheel_with_its_hash(bundle: Bundle) -> None:
    loaded = Bundle.load(bundle.path)
    assert loaded == bundle
    loaded.verify()
    assert (loaded.version, loaded.machine, loaded.python) == ("0.1.0", "aarch64", "3.13")
    assert set(loaded.wheels) == {"gridfleet-0.1.0-py3-none-any.whl", "companion-1.0-py3-none-any.whl"}


def test_a_damaged_bundle_is_refused(bundle: Bundle) -> None:
    wheel = bundle.path / "companion-1.0-py3-none-any.whl"
    content = wheel.read_bytes()
    wheel.write_bytes(content[:-1] + b"x")
    with pytest.raises(CommandError, match=r"companion.*is damaged: copy the bundle again"):
        bundle.verify()
    wheel.unlink()
    with pytest.raises(CommandError, match="is missing"):
        bundle.verify()
    wheel.write_bytes(content)
    (bundle.path / "requirements.txt").write_text("companion\n")
    with pytest.raises(CommandError, match=r"does not match bundle\.json"):
        bundle.verify()
    (bundle.path / MANIFEST).write_text("{}")
    with pytest.raises(CommandError, match=r"bundle.json: cannot be read \('version'\)"):
        Bundle.load(bundle.path)
    with pytest.raises(CommandError, match="is not a bundle"):
        Bundle.load(bundle.path / "nowhere")


def test_a_bundle_for_another_machine_is_refused(bundle: Bundle) -> None:
    bundle.verify_machine("aarch64", "3.13")
    for machine, python in (("x86_64", "3.13"), ("aarch64", "3.11")):
        with pytest.raises(
            CommandError, match=f"but this is {machine} with Python {python}: make one with `gridfleet bundle"
        ):
            bundle.verify_machine(machine, python)


def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CommandError, match="is not empty and has no bundle"):
        small_bundle(tmp_path)


# --- versions ---


def test_an_installed_bundle_is_a_version_that_runs(versions: Versions, bundle: Bundle) -> None:
    label = versions.install(bundle)
    versions.use(label)
    assert (versions.current, versions.labels()) == (bundle.label, [label])
    ran = subprocess.run([versions.root / "current" / "bin" / "gridfleet"], capture_output=True, check=True)
    assert ran.stdout == b"gridfleet 0.1.0\n"
    stamp = (versions.root / "versions" / label / "complete").stat().st_mtime_ns
    assert versions.install(bundle) == label  # it is installed already
    assert (versions.root / "versions" / label / "complete").stat().st_mtime_ns == stamp


def test_a_version_that_cannot_be_built_leaves_no_files(tmp_path: Path, bundle: Bundle) -> None:
    versions = Versions(tmp_path / "opt", Path("/bin/false"))
    with pytest.raises(CommandError, match=r"/bin/false -m venv: failed .*python3-venv"):
        versions.install(bundle)
    assert versions.labels() == []
    assert not list((versions.root / "versions").iterdir())


def test_only_an_installed_version_can_be_used(versions: Versions) -> None:
    with pytest.raises(CommandError, match=r"0\.9\.9: is not installed; installed are: none"):
        versions.use("0.9.9")


# --- changes ---


def test_a_healthy_version_stays(versions: Versions, service: FakeService, tmp_path: Path) -> None:
    label = installed(versions, tmp_path, "1.0")
    code, reports = upgrade(versions, service, label)
    assert code == ExitCode.SUCCESS
    assert (versions.current, versions.good) == (label, label)
    assert reports[-1] == f"In use    {label}: healthy for 30 s"
    assert service.clock.passed_s == 35
    assert upgrade(versions, service, label) == (ExitCode.SUCCESS, [f"In use    {label} already"])


@pytest.mark.parametrize(
    ("ready_s", "dies_s"),
    [(1e9, 1e9), (5, 20), (100, 110)],
    ids=["never ready", "crashes again and again", "late, and crashes"],
)
def test_a_version_that_is_not_healthy_is_rolled_back(
    versions: Versions, service: FakeService, tmp_path: Path, ready_s: float, dies_s: float
) -> None:
    old, new = installed(versions, tmp_path, "1.0"), installed(versions, tmp_path, "2.0")
    upgrade(versions, service, old)
    service.ready_s["2.0"], service.dies_s["2.0"] = ready_s, dies_s
    code, reports = upgrade(versions, service, new)
    assert code == ExitCode.FAILED
    assert (versions.current, versions.good) == (old, old)
    assert service.started == [old, new, old]
    assert f"back to {old}" in "\n".join(reports)
    assert "journalctl" in reports[-1]


def test_a_version_that_is_ready_just_in_time_stays(
    versions: Versions, service: FakeService, tmp_path: Path
) -> None:
    service.ready_s["1.0"] = 119
    label = installed(versions, tmp_path, "1.0")
    assert upgrade(versions, service, label)[0] == ExitCode.SUCCESS


def test_without_another_version_nothing_is_rolled_back(
    versions: Versions, service: FakeService, tmp_path: Path
) -> None:
    service.ready_s["1.0"] = 1e9
    label = installed(versions, tmp_path, "1.0")
    code, reports = upgrade(versions, service, label)
    assert code == ExitCode.FAILED
    assert "no other version to roll back to" in reports[-2]


def test_after_a_power_cut_during_an_upgrade_the_good_version_is_restored(
    versions: Versions, service: FakeService, tmp_path: Path
) -> None:
    old, new = installed(versions, tmp_path, "1.0"), installed(versions, tmp_path, "2.0")
    upgrade(versions, service, old)
    versions.use(new)  # and here the power is cut
    assert restore_good(versions)
    assert versions.current == old
    assert not restore_good(versions)


def test_a_version_that_safe_mode_rolled_back_does_not_count_as_good(
    versions: Versions, service: FakeService, tmp_path: Path
) -> None:
    old, new = installed(versions, tmp_path, "1.0"), installed(versions, tmp_path, "2.0")
    upgrade(versions, service, old)
    restart_service = service.restart

    def restart() -> None:
        restart_service()
        restore_good(versions)

    service.restart = restart  # type: ignore[method-assign] # it crashes at once, and safe mode rolls it back
    code, reports = upgrade(versions, service, new)
    assert (code, versions.current, versions.good) == (ExitCode.FAILED, old, old)
    assert reports[-2] == f"In use    {old}: {new} failed; safe mode rolled it back"


def test_three_versions_are_kept(versions: Versions, service: FakeService, tmp_path: Path) -> None:
    labels = []
    for number in range(5):
        labels.append(installed(versions, tmp_path, f"{number}.0"))
        time.sleep(0.002)
        assert upgrade(versions, service, labels[-1])[0] == ExitCode.SUCCESS
    assert versions.labels() == [labels[4], labels[3], labels[2]]


def test_the_command_lists_versions_and_rolls_back(
    versions: Versions, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(upgrading, "SystemdService", lambda: service)
    monkeypatch.setattr(upgrading, "MonotonicClock", lambda: service.clock)
    root = ["--root", str(versions.root)]
    assert main(["upgrade", *root]) == ExitCode.USAGE
    old = installed(versions, tmp_path, "1.0")
    upgrade(versions, service, old)
    assert main(["upgrade", "--rollback", *root]) == ExitCode.USAGE
    assert "no other version" in capsys.readouterr().err
    time.sleep(0.002)
    new = installed(versions, tmp_path, "2.0")
    upgrade(versions, service, new)
    assert main(["upgrade", "--rollback", *root]) == ExitCode.SUCCESS
    capsys.readouterr()
    assert main(["upgrade", *root]) == ExitCode.SUCCESS
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        [new],
        [old, "in", "use,", "last", "good"],
    ]


# --- the first boot ---


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
    """What `gridfleet flash` puts under gridfleet/ on the boot partition."""
    spec = make_device_spec(
        tmp_path, FlashSettings(secrets=str(secrets)), DeviceSettings(file=device_file.name)
    )
    enrol(secrets, Enrolment("charger-01", MESSAGE_KINDS["charger"], spec.device.cell))
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
