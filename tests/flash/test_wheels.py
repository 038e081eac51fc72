"""GridFleet's own wheel in a bundle: one import name, all data files, and the first boot runs from it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gridfleet.provisioning.deploy.wheels import ROOT, build_wheel

FOLDERS = ("broker", "devices", "dashboards", "provisioning")


@pytest.fixture(scope="module")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build_wheel(folder)
    (wheel,) = folder.iterdir()
    return wheel


def test_the_wheel_installs_one_import_name(own_wheel: Path) -> None:
    name, version, *_ = own_wheel.name.split("-")
    with zipfile.ZipFile(own_wheel) as archive:
        top_level = {Path(entry).parts[0] for entry in archive.namelist()}
    assert (
        top_level == {name, f"{name}-{version}.dist-info"} == {"gridfleet", f"gridfleet-{version}.dist-info"}
    )


def test_the_wheel_has_every_module_and_data_file(own_wheel: Path) -> None:
    with zipfile.ZipFile(own_wheel) as archive:
        packed = {entry for entry in archive.namelist() if ".dist-info/" not in entry}
    suffixes = {".py", ".typed", ".toml", ".csv", ".json", ".service", ".conf", ".html", ".css", ".flux"}
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    expected = {f"gridfleet/{path.relative_to(ROOT)}" for path in sources}
    assert expected - packed == set()


def test_the_first_boot_runs_from_the_wheel_with_the_standard_library_alone(own_wheel: Path) -> None:
    """As on a Pi: the system's Python without site-packages, and the wheel as its path."""
    run = "; ".join(
        (
            f"import sys; sys.path.insert(0, {str(own_wheel)!r})",
            "from gridfleet.provisioning.flash import first_boot, units",
            "print('.whl' in first_boot.__file__, first_boot.BOOT_PARTITION, bool(units.unit(units.FIRST_BOOT)))",
        )
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", run], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True /boot/firmware True\n", "")
