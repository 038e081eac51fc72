"""systemd accepts the services of docs/how-to/site/keep-running.md, and gridfleet understands what they start."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gridfleet.provisioning.commands.parser import make_parser
from tests.conftest import require_program

PAGE = Path(__file__).parents[2] / "docs/how-to/site/keep-running.md"
TEXT = PAGE.read_text(encoding="utf-8")
UNITS = dict(re.findall(r"^```ini\n# (gridfleet-\S+\.service)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
SHARED = dict(re.findall(r"^([A-Z]+)=(.*)$", TEXT, re.MULTILINE))
SYSTEM = Path("/usr/lib/systemd/system")
PROGRAM = "opt/gridfleet-site/bin/gridfleet"


def started(unit: str) -> list[str]:
    """Return the words that a unit starts: systemd divides `$NAME` into words, and not `${NAME}`."""
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    line = line.replace("%i", "2")
    for name, value in SHARED.items():
        line = line.replace(f"${{{name}}}", shlex.quote(value)).replace(f"${name}", value)
    return shlex.split(line)


def test_every_process_of_a_site_has_a_service() -> None:
    assert sorted(UNITS) == [
        f"gridfleet-{name}.service" for name in ("broker", "clock", "console", "fleet@", "recorder")
    ]


@pytest.mark.parametrize("name", sorted(UNITS))
def test_gridfleet_understands_what_a_service_starts(name: str) -> None:
    program, *words = started(UNITS[name])
    assert program == f"/{PROGRAM}"
    assert "$" not in " ".join(words)
    assert make_parser().parse_args(words).command is not None


@pytest.mark.systemd
def test_systemd_accepts_the_services(tmp_path: Path) -> None:
    shutil.copytree(SYSTEM, tmp_path / "usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for name in (PROGRAM, "bin/kill", "bin/sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(0o755)
    for name, text in UNITS.items():
        (folder / name).write_text(text, encoding="utf-8")
    names = [name.replace("@", "@1") for name in UNITS]
    command: list[str | Path] = [require_program("systemd"), "verify", f"--root={tmp_path}", *names]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
    broken = folder / "gridfleet-clock.service"
    broken.write_text(UNITS[broken.name].replace("RestartSec", "RestartSeconds"), encoding="utf-8")
    assert "RestartSeconds" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
