"""The units are what systemd takes without a word, and are shut off from what they do not need."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gridfleet.provisioning.flash.units import FIRST_BOOT, NAMES, unit
from tests.conftest import require_program

SYSTEM = Path("/usr/lib/systemd/system")
MOST_EXPOSED = 2.0

pytestmark = pytest.mark.systemd


def verify(root: Path, *names: str) -> str:
    """What systemd has to say: it takes unknown keys with exit code 0, and only its words tell."""
    command: list[str | Path] = [require_program("systemd"), "verify", f"--root={root}", *names]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with our units and program, and systemd's own targets."""
    shutil.copytree(SYSTEM, tmp_path / "usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for name in (*NAMES, FIRST_BOOT):
        (tmp_path / "etc/systemd/system" / name).write_text(unit(name))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").touch(0o755)
    for link in ("current", "good"):
        program = tmp_path / "opt/gridfleet" / link / "bin/gridfleet"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
    return tmp_path


def test_systemd_finds_nothing_wrong(root: Path) -> None:
    assert verify(root, *NAMES, FIRST_BOOT) == ""


def test_a_misspelt_key_would_be_found(root: Path) -> None:
    path = root / "etc/systemd/system" / NAMES[0]
    path.write_text(path.read_text().replace("WatchdogSec", "WatchDogSec"))
    assert "'WatchDogSec'" in verify(root, NAMES[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_hardened(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(unit(name))
    program, path = require_program("systemd"), tmp_path / name
    command: list[str | Path] = [program, "security", "--offline=true", "--no-pager", path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    level = re.search(r"Overall exposure level for .*: ([\d.]+)", said)
    assert level is not None, said
    assert float(level[1]) <= MOST_EXPOSED


def test_the_agent_is_watched_and_given_up_on() -> None:
    text = unit("gridfleet-device.service")
    for line in ("Type=notify", "NotifyAccess=main", "Restart=always", "OnFailure=gridfleet-safe.service"):
        assert f"\n{line}\n" in text
    assert re.search(r"\nWatchdogSec=\d+\n", text)
    assert re.search(r"\nStartLimitBurst=\d+\n", text)


def test_both_units_may_access_the_same() -> None:
    """Safe mode drives the same pins: one block of limits, twice."""
    mark = "# --- what it may access"
    blocks = [unit(name).partition(mark)[2].partition("\n[Install]")[0].strip() for name in NAMES]
    assert blocks[0] == blocks[1] != ""
