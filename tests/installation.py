"""Installations as users make them: a virtual environment with a wheel and what the wheel declares, and nothing else.

Tests have no network. So the dependencies are linked from the environment that runs the tests, and pip then checks that
they are what the wheel asks for. A module that uses a package which nothing declares fails here.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.provisioning.shell import Ended, end, start

PIP: Final = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
OFFLINE: Final = ("--no-index", "--no-build-isolation")


@dataclass(frozen=True)
class Installation:
    """A virtual environment that cannot import anything from the checkout."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def start(
        self, folder: Path, program: str, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start one of its programs in a folder."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"  # as `source bin/activate` does
        clean = {"PATH": path, "PYTHONPATH": "", "PYTEST_ADDOPTS": "", **(env or {})}
        return start(*words, cwd=folder, env=clean, program=(str(self.folder / "bin" / program),))

    def run(self, folder: Path, program: str, *words: str) -> Ended:
        """Run one of its programs in a folder to its end."""
        return end(self.start(folder, program, *words))

    def pip_install(self, *words: str) -> None:
        """Install with pip as a user does, but without network; what is missing is an error."""
        command = [PIP[0], *PIP[1:3], f"--python={self.python}", *PIP[3:], "install", *OFFLINE, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def install(folder: Path, wheel: Path, *requirements: str) -> Installation:
    """Make an environment with what the requirements need; GridFleet comes from the wheel."""
    venv.create(folder, symlinks=True)
    made = Installation(folder)
    for distribution in needed(requirements, wheel):
        for name in top_level(distribution):
            link = made.site_packages / name
            if not link.exists():
                link.symlink_to(str(distribution.locate_file(name)))
    made.pip_install(f"--find-links={wheel.parent}", *requirements)
    return made


def needed(requirements: Iterable[str], wheel: Path) -> Iterator[metadata.Distribution]:
    """Every distribution that the requirements need, directly or not, except the wheel's."""
    (own,) = metadata.distributions(path=[str(wheel)])
    name = canonicalize_name(own.name)
    pending = [Requirement(each) for each in requirements]
    seen: set[tuple[str, str]] = set()
    found: set[str] = set()
    while pending:
        requirement = pending.pop()
        key = canonicalize_name(requirement.name)
        distribution = own if key == name else metadata.distribution(key)
        if key not in found | {name}:
            found.add(key)
            yield distribution
        for extra in {"", *requirement.extras} - {extra for seen_key, extra in seen if seen_key == key}:
            seen.add((key, extra))
            each_of = (Requirement(text) for text in distribution.requires or ())
            pending += [
                each for each in each_of if each.marker is None or each.marker.evaluate({"extra": extra})
            ]


def top_level(distribution: metadata.Distribution) -> set[str]:
    """What a distribution has put into site-packages, and no programs."""
    files = distribution.files
    assert files, f"{distribution.name} has no list of its files"
    return {file.parts[0] for file in files} - {"..", "__pycache__"}
