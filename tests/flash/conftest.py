"""A small site with secrets, a device file, a bundle of a wheel made here, and a FAT image."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from gridfleet.devices.config.scenario import parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.deploy.wheels import Platform, make_bundle
from gridfleet.provisioning.site.secrets import identities, make_secrets
from gridfleet.provisioning.upgrade.bundle import Bundle
from tests.conftest import require_program

CHANGES = ["site=town", "area.rows=2", "area.columns=1", "turbines.count=2", "vehicles.count=1"]
DEVICE = """\
# the first device of the bench
id = "charger-01"
kind = "charger"
site = "town"
cell = "{cell}"
backend = "synthetic"

[broker]
url = "mqtts://broker.example"  # the laptop
"""


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return Fleet(parse("", "town.toml", "", [*CHANGES, "chargers.count=2", "households.count=2", "ticks=6"]))


@pytest.fixture
def secrets(tmp_path: Path, fleet: Fleet) -> Path:
    make_secrets(tmp_path / "secrets", "town", identities(fleet))
    return tmp_path / "secrets"


@pytest.fixture
def cell(fleet: Fleet) -> str:
    return fleet.cells[0].name


@pytest.fixture
def device_file(tmp_path: Path, cell: str) -> Path:
    path = tmp_path / "charger-01.toml"
    path.write_text(DEVICE.format(cell=cell), encoding="utf-8")
    return path


def wheel(folder: Path, name: str, version: str, files: dict[str, str], commands: str = "") -> Path:
    """A wheel as a build tool would make it."""
    inner = f"{name}-{version}.dist-info"
    whole = {
        **files,
        f"{inner}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{inner}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{inner}/entry_points.txt": f"[console_scripts]\n{commands}\n"} if commands else {}),
    }
    record = "".join(f"{path},,\n" for path in [*whole, f"{inner}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for inside, text in {**whole, f"{inner}/RECORD": record}.items():
            file.writestr(inside, text)
    return path


def small_bundle(path: Path, version: str = "0.1.0") -> Bundle:
    """A bundle with a `gridfleet` that prints its version, and one more wheel."""

    def collect(folder: Path, _platform: Platform) -> None:
        source = f'def main():\n    print("gridfleet {version}")\n'
        wheel(folder, "gridfleet", version, {"fleet_stub.py": source}, "gridfleet = fleet_stub:main")
        wheel(folder, "companion", "1.0", {"companion.py": ""})

    return make_bundle(path, Platform(), collect)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return small_bundle(tmp_path / "bundle")


@pytest.fixture(scope="session")
def blank_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 MiB: a partition table, and a FAT partition at 1 MiB as Raspberry Pi OS boots from; for tests marked mtools."""
    require_program("mtools")
    path = tmp_path_factory.mktemp("image") / "raspios.img"
    make_image(path)
    return path


def make_image(path: Path, start: int = 2048, sectors: int = 14_336) -> None:
    entry = bytes([0, 0, 2, 0, 0x0C, 0, 0, 0]) + start.to_bytes(4, "little") + sectors.to_bytes(4, "little")
    with path.open("wb") as file:
        file.truncate((start + sectors) * 512)
        file.seek(446)
        file.write(entry + bytes(48) + b"\x55\xaa")
    volume = f"{path}@@{start * 512}"
    mtool("mformat", "-i", volume, "-T", str(sectors), "-h", "2", "-s", "32", "-v", "bootfs", "::")
    mtool("mcopy", "-i", volume, "-", "::/cmdline.txt", content=b"console=tty1 ds=nocloud;i=old rootwait\n")
    mtool("mcopy", "-i", volume, "-", "::/config.txt", content=b"# for all models\n[cm5]\ndtoverlay=dwc2\n")


def mtool(program: str, *arguments: str, content: bytes = b"") -> bytes:
    found = require_program("mtools").with_name(program)
    return subprocess.run([found, *arguments], input=content, capture_output=True, check=True).stdout


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
