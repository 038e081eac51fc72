"""systemd accepts the units without a message, and they are isolated from what they do not need."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gridfleet.provisioning.flash.units import FIRST_BOOT, NAMES, unit
from tests.conftest import require_program

SYSTEM = Path("/usr/lib/systemd/system")
MAX_EXPOSURE = 2.0

pytestmark = pytest.mark.systemd


def verify(root: Path, *names: str) -> str:
    """Return systemd's messages: for an unknown key its exit code is 0, and only a message reports it."""
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


def test_systemd_accepts_the_units(root: Path) -> None:
    assert verify(root, *NAMES, FIRST_BOOT) == ""


def test_systemd_reports_an_unknown_key(root: Path) -> None:
    path = root / "etc/systemd/system" / NAMES[0]
    path.write_text(path.read_text().replace("WatchdogSec", "WatchDogSec"))
    assert "'WatchDogSec'" in verify(root, NAMES[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_hardened(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(unit(name))
    program, path = require_program("systemd"), tmp_path / name
    command: list[str | Path] = [program, "security", "--offline=true", "--no-pager", path]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    level = re.search(r"Overall exposure level for .*: ([\d.]+)", output)
    assert level is not None, output
    assert float(level[1]) <= MAX_EXPOSURE


def test_the_agent_has_a_watchdog_and_a_start_limit() -> None:
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
