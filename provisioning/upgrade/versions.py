"""Versions side by side: a virtual environment for each, and links to the one in use and the last that proved good.

/opt/gridfleet/versions/0.2.0-1f2e3d4c/   one per bundle
/opt/gridfleet/current -> versions/…      what the service starts
/opt/gridfleet/good    -> versions/…      the last that became healthy: where a rollback leads
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.upgrade.bundle import REQUIREMENTS, Bundle

PYTHON: Final = Path("/usr/bin/python3")
WHEELS: Final = Path("/usr/share/python-wheels")
"""Where Debian's python3-pip-whl has pip."""
KEPT: Final = 3
"""Versions that stay on the device, the one in use and the good one among them."""
Build = Callable[[Bundle, Path, Path], None]


class Versions:
    """The versions under one folder."""

    def __init__(self, root: Path, python: Path = PYTHON) -> None:
        """`python` is the interpreter that the environments are made from."""
        self.root = root
        self._python = python
        self._folder = root / "versions"

    @property
    def current(self) -> str | None:
        """The label of the version in use."""
        return self._read("current")

    @property
    def good(self) -> str | None:
        """The label of the last version that became healthy."""
        return self._read("good")

    def labels(self) -> list[str]:
        """Return the labels of all versions that are complete, the latest installed first."""
        folders = [each for each in self._folder.glob("*") if (each / "complete").is_file()]
        folders.sort(key=lambda each: ((each / "complete").stat().st_mtime_ns, each.name), reverse=True)
        return [each.name for each in folders]

    def program(self, label: str) -> Path:
        """Return the `gridfleet` of a version."""
        return self._folder / label / "bin" / "gridfleet"

    def install(self, bundle: Bundle, build: "Build | None" = None) -> str:
        """Install a bundle beside the versions there are, unless it is there already; return its label.

        Raises CommandError when that fails; then nothing is left of it.
        """
        bundle.verify()
        folder = self._folder / bundle.label
        if (folder / "complete").is_file():
            return bundle.label
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            (build or build_environment)(bundle, folder, self._python)
            (folder / "complete").touch()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return bundle.label

    def use(self, label: str) -> None:
        """Make a version the one that the service starts; all or nothing."""
        self._point("current", label)

    def note_good(self, label: str) -> None:
        """Note that a version has become healthy."""
        self._point("good", label)

    def prune(self) -> list[str]:
        """Delete all but the latest versions; return the labels of those that went."""
        wanted = {self.current, self.good}
        spare = [label for label in self.labels() if label not in wanted]
        gone = spare[max(KEPT - len(wanted), 0) :]
        for label in gone:
            shutil.rmtree(self._folder / label)
        return gone

    def _read(self, name: str) -> str | None:
        try:
            return (self.root / name).readlink().name
        except FileNotFoundError:
            return None

    def _point(self, name: str, label: str) -> None:
        if not (self._folder / label / "complete").is_file():
            raise CommandError(label, f"is not installed; there are: {', '.join(self.labels()) or 'none'}")
        draft = self.root / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(f"versions/{label}")
        draft.replace(self.root / name)


def build_environment(bundle: Bundle, folder: Path, python: Path, wheels: Path = WHEELS) -> None:
    """Make a virtual environment and install a bundle into it, without the network.

    It sees the system's packages, because a Raspberry Pi has its pin library (python3-lgpio) there. Debian keeps
    pip as a wheel that runs as it is; unpacking it into every version would take a Pi a minute.
    Raises CommandError with pip's last words when that fails.
    """
    program = folder / "bin" / "python"
    packed = [wheel / "pip" for wheel in sorted(wheels.glob("pip-*.whl"))]
    pip: list[str | Path] = [program, packed[-1]] if packed else [program, "-m", "pip"]
    options = ["--system-site-packages", *(["--without-pip"] if packed else [])]
    _run([python, "-m", "venv", *options, folder], "sudo apt-get install python3-venv")
    with tempfile.TemporaryDirectory() as scratch:  # pip must not look for its cache in a home of its own
        pip += [
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
            "--no-deps",
            "--no-cache-dir",
        ]
        pip += ["--ignore-installed", "--require-hashes", "--requirement", bundle.path / REQUIREMENTS]
        _run(pip, "is the bundle for this machine and its Python?", cwd=bundle.path, scratch=scratch)


def _run(command: list[str | Path], remedy: str, cwd: Path | None = None, scratch: str | None = None) -> None:
    environment = {**os.environ, "TMPDIR": scratch} if scratch else None
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        said = "; ".join(words[-3:]) or f"exit code {done.returncode}"
        raise CommandError(" ".join(map(str, command[:3])), f"failed ({said}): {remedy}")
