"""Installed versions: a virtual environment for each, and links to the current and the last good one.

/opt/gridfleet/versions/0.2.0-1f2e3d4c/   one per bundle
/opt/gridfleet/current -> versions/…      what the service starts
/opt/gridfleet/good    -> versions/…      the last that became healthy: the target of a rollback
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
"""Where Debian's package python3-pip-whl installs pip."""
MAX_VERSIONS: Final = 3
"""Versions kept on the device, including the current and the last good one."""
BuildEnvironment = Callable[[Bundle, Path, Path], None]


class Versions:
    """The versions in one folder."""

    def __init__(self, root: Path, python: Path = PYTHON) -> None:
        """`python` is the interpreter that creates the environments."""
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
        """Return the labels of all complete versions, the latest installed first."""
        folders = [each for each in self._folder.glob("*") if (each / "complete").is_file()]
        folders.sort(key=lambda each: ((each / "complete").stat().st_mtime_ns, each.name), reverse=True)
        return [each.name for each in folders]

    def program(self, label: str) -> Path:
        """Return the path of a version's `gridfleet` program."""
        return self._folder / label / "bin" / "gridfleet"

    def install(self, bundle: Bundle, build: "BuildEnvironment | None" = None) -> str:
        """Install a bundle beside the other versions, unless it is installed already; return its label.

        Raises CommandError where that fails, and then leaves no files.
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
        """Make a version the current one, which the service starts; atomic."""
        self._link("current", label)

    def mark_good(self, label: str) -> None:
        """Make a version the last good one."""
        self._link("good", label)

    def prune(self) -> list[str]:
        """Delete all but MAX_VERSIONS versions; return the deleted labels."""
        keep = {self.current, self.good}
        spare = [label for label in self.labels() if label not in keep]
        deleted = spare[max(MAX_VERSIONS - len(keep), 0) :]
        for label in deleted:
            shutil.rmtree(self._folder / label)
        return deleted

    def _read(self, name: str) -> str | None:
        try:
            return (self.root / name).readlink().name
        except FileNotFoundError:
            return None

    def _link(self, name: str, label: str) -> None:
        if not (self._folder / label / "complete").is_file():
            raise CommandError(
                label, f"is not installed; installed are: {', '.join(self.labels()) or 'none'}"
            )
        draft = self.root / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(f"versions/{label}")
        draft.replace(self.root / name)


def build_environment(bundle: Bundle, folder: Path, python: Path, wheels: Path = WHEELS) -> None:
    """Create a virtual environment in a folder and install a bundle into it, without a network.

    It includes the system's packages, because Raspberry Pi OS has the GPIO library (python3-lgpio) there. Debian has
    pip as a wheel that runs without installation; installing it into every version would take a Pi a minute.
    Raises CommandError with pip's last lines where that fails.
    """
    program = folder / "bin" / "python"
    packed = [wheel / "pip" for wheel in sorted(wheels.glob("pip-*.whl"))]
    pip: list[str | Path] = [program, packed[-1]] if packed else [program, "-m", "pip"]
    options = ["--system-site-packages", *(["--without-pip"] if packed else [])]
    _run([python, "-m", "venv", *options, folder], "sudo apt-get install python3-venv")
    # The user may have no home folder, which pip needs for its cache.
    with tempfile.TemporaryDirectory() as scratch:
        pip += [
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
            "--no-deps",
            "--no-cache-dir",
        ]
        pip += ["--ignore-installed", "--require-hashes", "--requirement", bundle.path / REQUIREMENTS]
        _run(pip, "is the bundle for this machine and this Python?", cwd=bundle.path, scratch=scratch)


def _run(command: list[str | Path], remedy: str, cwd: Path | None = None, scratch: str | None = None) -> None:
    environment = {**os.environ, "TMPDIR": scratch} if scratch else None
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        output = "; ".join(lines[-3:]) or f"exit code {done.returncode}"
        raise CommandError(" ".join(map(str, command[:3])), f"failed ({output}): {remedy}")
