"""Bundles, installed versions, and upgrade with rollback."""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
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
    with pytest.raises(CommandError, match=r"bundle.json: has no key 'version': copy"):
        Bundle.load(bundle.path)
    with pytest.raises(CommandError, match="is not a bundle"):
        Bundle.load(bundle.path / "nowhere")


def test_a_bundle_for_another_machine_is_refused(bundle: Bundle) -> None:
    bundle.verify_machine("aarch64", "3.13")
    for machine, python in (("x86_64", "3.13"), ("aarch64", "3.11")):
        with pytest.raises(
            CommandError,
            match=f"but this is {machine} with Python {python}: make one with `gridfleet device bundle",
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
    assert main(["device", "upgrade", *root]) == ExitCode.USAGE
    old = installed(versions, tmp_path, "1.0")
    upgrade(versions, service, old)
    assert main(["device", "upgrade", "--rollback", *root]) == ExitCode.USAGE
    assert "no other version" in capsys.readouterr().err
    time.sleep(0.002)
    new = installed(versions, tmp_path, "2.0")
    upgrade(versions, service, new)
    assert main(["device", "upgrade", "--rollback", *root]) == ExitCode.SUCCESS
    capsys.readouterr()
    assert main(["device", "upgrade", *root]) == ExitCode.SUCCESS
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        [new],
        [old, "in", "use,", "last", "good"],
    ]
