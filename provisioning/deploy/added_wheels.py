"""Wheels of other packages in a bundle, which bring kinds of device, clearing rules or offer rankings."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from configparser import ConfigParser
from configparser import Error as ConfigError
from email.parser import Parser
from pathlib import Path
from typing import Final

from gridfleet.broker.readers.archives import is_zip, zip_members
from gridfleet.broker.readers.files import utf8
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.provisioning.cli.exit_codes import CommandError

GROUP: Final = "gridfleet.agents"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def add_wheel(source: Path, folder: Path) -> None:
    """Copy a wheel into a folder, or build that of a project's folder; raise CommandError where that fails."""
    if source.is_dir():
        _build(source, folder)
        return
    if source.suffix != ".whl" or not is_zip(source):
        problem = "is no wheel: name a .whl file, or the folder of a project with a pyproject.toml"
        raise CommandError(f"--add {source}", problem)
    shutil.copy(source, folder)


def check_dependencies(wheels: Iterable[Path], added: Iterable[Path]) -> None:
    """Raise CommandError for an added package that needs another which none of the wheels has."""
    names = {_normalized(wheel.name.split("-")[0]) for wheel in wheels}
    for wheel in added:
        for text in _metadata(wheel):
            needed = _NAME.match(text)
            if needed is None or "extra ==" in text.partition(";")[2] or _normalized(needed[0]) in names:
                continue
            problem = f"needs {needed[0]}, which is not in the bundle: add its wheel with --add"
            raise CommandError(f"--add {wheel.name}", problem)


def kinds_in(wheels: Iterable[Path]) -> set[str]:
    """Return the kinds of device that the packages of some wheels add."""
    found: set[str] = set()
    for wheel in wheels:
        parser = ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[method-assign,assignment]  # names keep their letters
        try:
            parser.read_string(_text(wheel, "entry_points.txt"))
        except ConfigError:
            continue
        found.update(parser[GROUP] if parser.has_section(GROUP) else ())
    return found


def _build(source: Path, folder: Path) -> None:
    """Build the wheel of a copy of a project, because the build writes into the folder that it builds."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "project"
        shutil.copytree(
            source, copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info", ".*")
        )
        _build_in_place(copy, source, folder)


def _build_in_place(copy: Path, source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-index", "--no-build-isolation", f"--wheel-dir={folder}", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        problem = f"cannot be built ({output}): build its wheel yourself, and add that"
        raise CommandError(f"--add {source}", problem)


def _metadata(wheel: Path) -> list[str]:
    """Return what a wheel's package requires, as its metadata spells it."""
    return Parser().parsestr(_text(wheel, "METADATA")).get_all("Requires-Dist", [])


def _text(wheel: Path, name: str) -> str:
    """Return a text of a wheel's dist-info folder; empty where there is none."""
    try:
        inside = zip_members(wheel, lambda member: member.endswith(f".dist-info/{name}"))
        return utf8(inside[0][1]) if inside else ""
    except ReadError as error:
        raise CommandError(
            f"--add {wheel.name}", f"{error.problem}: build or fetch the wheel again"
        ) from None


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
