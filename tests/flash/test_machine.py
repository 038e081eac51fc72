"""On the device: bundles, versions side by side, health-gated changes, and the first boot, in a root of our own."""

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
from gridfleet.provisioning.flash.device_spec import KINDS, DeviceTable, Settings, make_device_spec
from gridfleet.provisioning.flash.first_boot import Host
from gridfleet.provisioning.flash.units import NAMES
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.upgrade import actions as upgrading
from gridfleet.provisioning.upgrade.bundle import LIST, Bundle
from gridfleet.provisioning.upgrade.service import ServiceStatus
from gridfleet.provisioning.upgrade.version_change import Gate, settle
from gridfleet.provisioning.upgrade.versions import Versions
from tests.flash.conftest import small_bundle

QUICK = Gate(within_s=120, steady_s=30)


def build_nothing(_bundle: Bundle, folder: Path, _python: Path) -> None:
    folder.mkdir()


class FakeTime:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now_s(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds


@dataclass
class FakeService:
    """A service whose versions behave as told: `ready_s` after the start, `dies_s` after the start and again."""

    versions: Versions
    time: FakeTime
    ready_s: dict[str, float] = field(default_factory=dict)
    dies_s: dict[str, float] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    began_s: float = 0.0

    def restart(self) -> None:
        self.began_s = self.time.passed_s
        self.started.append(self.versions.current or "")

    def status(self) -> ServiceStatus:
        label = self.started[-1].partition("-")[0]
        age_s = self.time.passed_s - self.began_s
        lives = int(age_s // self.dies_s.get(label, 1e9))
        age_s -= lives * self.dies_s.get(label, 1e9)
        ready = age_s >= self.ready_s.get(label, 5.0)
        return ServiceStatus(ready, 100 + lives, "active (running)" if ready else "activating (start)")


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "opt", Path(sys.executable))


@pytest.fixture
def service(versions: Versions) -> FakeService:
    return FakeService(versions, FakeTime())


def installed(versions: Versions, tmp_path: Path, version: str) -> str:
    return versions.install(small_bundle(tmp_path / f"bundle-{version}", version), build_nothing)


def upgrade(versions: Versions, service: FakeService, label: str) -> tuple[int, list[str]]:
    said: list[str] = []
    return upgrading.upgrade(versions, label, service, QUICK, service.time, said.append), said


# --- bundles ---


def test_a_bundle_lists_every_wheel_with_its_hash(bundle: Bundle) -> None:
    loaded = Bundle.load(bundle.path)
    assert loaded == bundle
    loaded.verify()
    assert (loaded.version, loaded.machine, loaded.python) == ("0.1.0", "aarch64", "3.13")
    assert set(loaded.wheels) == {"gridfleet-0.1.0-py3-none-any.whl", "companion-1.0-py3-none-any.whl"}


def test_a_bundle_that_is_damaged_is_refused(bundle: Bundle) -> None:
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
    with pytest.raises(CommandError, match=r"does not fit bundle\.json"):
        bundle.verify()
    (bundle.path / LIST).write_text("{}")
    with pytest.raises(CommandError, match=r"bundle.json: cannot be read \('version'\)"):
        Bundle.load(bundle.path)
    with pytest.raises(CommandError, match="is no bundle"):
        Bundle.load(bundle.path / "nowhere")


def test_a_bundle_for_another_machine_is_refused(bundle: Bundle) -> None:
    bundle.verify_machine("aarch64", "3.13")
    for machine, python in (("x86_64", "3.13"), ("aarch64", "3.11")):
        with pytest.raises(
            CommandError, match=f"but this is {machine} with Python {python}: gridfleet bundle"
        ):
            bundle.verify_machine(machine, python)


def test_somebody_elses_folder_is_no_place_for_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CommandError, match="is not empty and holds no bundle"):
        small_bundle(tmp_path)


# --- versions ---


def test_a_bundle_becomes_a_version_that_runs(versions: Versions, bundle: Bundle) -> None:
    label = versions.install(bundle)
    versions.use(label)
    assert (versions.current, versions.labels()) == (bundle.label, [label])
    ran = subprocess.run([versions.root / "current" / "bin" / "gridfleet"], capture_output=True, check=True)
    assert ran.stdout == b"gridfleet 0.1.0\n"
    stamp = (versions.root / "versions" / label / "complete").stat().st_mtime_ns
    assert versions.install(bundle) == label  # it is there already
    assert (versions.root / "versions" / label / "complete").stat().st_mtime_ns == stamp


def test_a_version_that_cannot_be_built_leaves_nothing(tmp_path: Path, bundle: Bundle) -> None:
    versions = Versions(tmp_path / "opt", Path("/bin/false"))
    with pytest.raises(CommandError, match=r"/bin/false -m venv: failed .*python3-venv"):
        versions.install(bundle)
    assert versions.labels() == []
    assert not list((versions.root / "versions").iterdir())


def test_only_what_is_installed_can_be_used(versions: Versions) -> None:
    with pytest.raises(CommandError, match=r"0\.9\.9: is not installed; there are: none"):
        versions.use("0.9.9")


# --- changes ---


def test_a_healthy_version_stays(versions: Versions, service: FakeService, tmp_path: Path) -> None:
    label = installed(versions, tmp_path, "1.0")
    code, said = upgrade(versions, service, label)
    assert code == ExitCode.SUCCESS
    assert (versions.current, versions.good) == (label, label)
    assert said[-1] == f"In use    {label}: healthy for 30 s"
    assert service.time.passed_s == 35
    assert upgrade(versions, service, label) == (ExitCode.SUCCESS, [f"In use    {label} already"])


@pytest.mark.parametrize(
    ("ready_s", "dies_s"),
    [(1e9, 1e9), (5, 20), (100, 110)],
    ids=["never ready", "crashes again and again", "late, and crashes"],
)
def test_a_version_that_is_not_healthy_gives_way(
    versions: Versions, service: FakeService, tmp_path: Path, ready_s: float, dies_s: float
) -> None:
    old, new = installed(versions, tmp_path, "1.0"), installed(versions, tmp_path, "2.0")
    upgrade(versions, service, old)
    service.ready_s["2.0"], service.dies_s["2.0"] = ready_s, dies_s
    code, said = upgrade(versions, service, new)
    assert code == ExitCode.FAILED
    assert (versions.current, versions.good) == (old, old)
    assert service.started == [old, new, old]
    assert f"back to {old}" in "\n".join(said)
    assert "journalctl" in said[-1]


def test_a_version_that_is_ready_just_in_time_may_prove_itself(
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
    code, said = upgrade(versions, service, label)
    assert code == ExitCode.FAILED
    assert "no other version to go back to" in said[-2]


def test_a_power_cut_during_a_change_leads_back_to_the_good_version(
    versions: Versions, service: FakeService, tmp_path: Path
) -> None:
    old, new = installed(versions, tmp_path, "1.0"), installed(versions, tmp_path, "2.0")
    upgrade(versions, service, old)
    versions.use(new)  # and here the power went
    assert settle(versions)
    assert versions.current == old
    assert not settle(versions)


def test_a_version_that_gave_way_in_safe_mode_is_not_taken_for_good(
    versions: Versions, service: FakeService, tmp_path: Path
) -> None:
    old, new = installed(versions, tmp_path, "1.0"), installed(versions, tmp_path, "2.0")
    upgrade(versions, service, old)
    begin = service.restart

    def restart() -> None:
        begin()
        settle(versions)

    service.restart = restart  # type: ignore[method-assign] # it crashes at once, and safe mode goes back
    code, said = upgrade(versions, service, new)
    assert (code, versions.current, versions.good) == (ExitCode.FAILED, old, old)
    assert said[-2] == f"In use    {old}: {new} failed and gave way"


def test_three_versions_are_kept(versions: Versions, service: FakeService, tmp_path: Path) -> None:
    labels = []
    for number in range(5):
        labels.append(installed(versions, tmp_path, f"{number}.0"))
        time.sleep(0.002)
        assert upgrade(versions, service, labels[-1])[0] == ExitCode.SUCCESS
    assert versions.labels() == [labels[4], labels[3], labels[2]]


def test_the_command_shows_versions_and_goes_back(
    versions: Versions, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(upgrading, "Systemd", lambda: service)
    monkeypatch.setattr(upgrading, "RealTime", lambda: service.time)
    root = ["--root", str(versions.root)]
    assert main(["upgrade", *root]) == ExitCode.USAGE
    old = installed(versions, tmp_path, "1.0")
    upgrade(versions, service, old)
    assert main(["upgrade", "--back", *root]) == ExitCode.USAGE
    assert "no other version" in capsys.readouterr().err
    time.sleep(0.002)
    new = installed(versions, tmp_path, "2.0")
    upgrade(versions, service, new)
    assert main(["upgrade", "--back", *root]) == ExitCode.SUCCESS
    capsys.readouterr()
    assert main(["upgrade", *root]) == ExitCode.SUCCESS
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        [new],
        [old, "in", "use,", "last", "good"],
    ]


# --- the first boot ---


class FakeHost(Host):
    """Notes what is done to the machine."""

    def set_clock(self, to_s: int) -> None:
        self.done.append(f"clock {to_s}")

    def add_group(self, name: str) -> int:
        self.done.append(f"group {name}")
        return 4711

    def give(self, path: Path, group: int) -> None:
        assert path.is_relative_to(self.root)
        assert group == 4711

    version = 252

    def systemd(self) -> int:
        return self.version

    def start(self) -> None:
        self.done.append("start")


@pytest.fixture
def card(tmp_path: Path, secrets: Path, device_file: Path, bundle: Bundle) -> Path:
    """What `gridfleet flash` puts under gridfleet/ on the boot partition."""
    order = make_device_spec(tmp_path, Settings(secrets=str(secrets)), DeviceTable(file=device_file.name))
    enrol(secrets, Enrolment("charger-01", KINDS["charger"], order.device.cell))
    for name, content in device_files(order, bundle).items():
        (tmp_path / "boot" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "boot" / name).write_bytes(content)
    return tmp_path / "boot" / "gridfleet"


def host(tmp_path: Path, now_s: float) -> FakeHost:
    return FakeHost(root=tmp_path / "root", now_s=lambda: now_s, build=build_nothing)


def test_the_first_boot_makes_a_device(card: Path, tmp_path: Path, bundle: Bundle) -> None:
    machine = host(tmp_path, bundle.made_s + 60)
    password = (card / "secrets" / "clients" / "charger-01.password").read_bytes()
    assert first_boot.main([str(card)], machine) == 0
    assert machine.done == ["group gridfleet", "group gpio", "group spi", "start"]
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
def test_a_newer_systemd_is_told_when_safe_mode_is_due(
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
    assert machine.done[0] == f"clock {bundle.made_s}"


def test_what_fails_is_told_on_the_card_and_can_be_done_again(
    card: Path, tmp_path: Path, bundle: Bundle
) -> None:
    wheel = card / "bundle" / "companion-1.0-py3-none-any.whl"
    content = wheel.read_bytes()
    wheel.write_bytes(b"")
    machine = host(tmp_path, bundle.made_s + 60)
    assert first_boot.main([str(card)], machine) == 1
    assert "failed: " in (card / "first-boot.txt").read_text()
    assert (card / "secrets").is_dir()
    assert "start" not in machine.done
    wanted = machine.root / "etc/systemd/system/multi-user.target.wants/gridfleet-first-boot.service"
    assert wanted.read_text().startswith("# Goes on with a first boot")  # at the next boot
    wheel.write_bytes(content)
    assert first_boot.main([str(card)], machine) == 0
    assert not wanted.is_symlink()
    assert not wanted.parent.with_name("gridfleet-first-boot.service").exists()
    assert first_boot.main([str(card)], machine) == 0  # a reset between forgetting and being told
    assert machine.done.count("start") == 2


def test_the_first_boot_runs_out_of_the_wheel_with_the_standard_library_alone() -> None:
    """Imported by an interpreter without site-packages, as the system's Python sees the wheel."""
    root = Path(__file__).parents[2] / "src"
    lines = (
        f"import sys; sys.path.insert(0, {str(root)!r})",
        "from gridfleet.provisioning.flash import first_boot",
        "print(first_boot.BOOT)",
    )
    run = "; ".join(lines)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", run], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("/boot/firmware\n", "")
