"""Makes a bundle: builds GridFleet's own wheel and downloads the others by the hashes of the lock file."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.upgrade.bundle import MANIFEST, REQUIREMENTS, Bundle, sha256_of

MACHINES: Final = ("aarch64", "armv7l", "x86_64")
"""Output of `uname -m`; for armv6 (Pi Zero W, Pi 1) there are no wheels."""
DEFAULT_MACHINE: Final = "aarch64"
DEFAULT_PYTHON: Final = "3.13"
"""The Python of Raspberry Pi OS 13 (trixie)."""
PLATFORM_TAGS: Final = {
    "aarch64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"),
    "armv7l": ("manylinux2014_armv7l", "manylinux_2_17_armv7l", "manylinux_2_31_armv7l"),
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"),
}
"""The platform tags of wheels that run on each machine (PEP 600)."""
LOCK: Final = "requirements-device.lock"


@dataclass(frozen=True, slots=True)
class Platform:
    """The machine and the Python that a bundle is for."""

    machine: str = DEFAULT_MACHINE
    python: str = DEFAULT_PYTHON

    def __str__(self) -> str:
        """Return it for people, such as `aarch64, Python 3.13`."""
        return f"{self.machine}, Python {self.python}"


def make_bundle(
    path: Path,
    platform: Platform,
    collect: "Callable[[Path, Platform], None] | None" = None,
    added: Sequence[Path] = (),
) -> Bundle:
    """Make a bundle in a folder; a bundle that exists there is replaced.

    `collect` puts the wheels into a folder; by default they are built and downloaded. `added` are wheels, or folders of
    projects, of other packages. Raises CommandError for a folder with other files in it, where a wheel cannot be built
    or downloaded, and where an added package needs one that is not there.
    """
    # it reads archives and metadata, whose modules cost a device a megabyte
    from gridfleet.provisioning.deploy.added_wheels import add_wheel, check_dependencies

    if path.exists() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise CommandError(path, "is not empty and has no bundle: choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bundle-") as scratch:
        draft = Path(scratch) / "bundle"
        draft.mkdir()
        (collect or _collect)(draft, platform)
        before = set(draft.glob("*.whl"))
        for source in added:
            add_wheel(source, draft)
        check_dependencies(draft.glob("*.whl"), set(draft.glob("*.whl")) - before)
        wheels = {wheel.name: sha256_of(wheel) for wheel in sorted(draft.glob("*.whl"))}
        version = next((name.split("-")[1] for name in wheels if name.startswith("gridfleet-")), None)
        if version is None:
            raise CommandError(path, "has no wheel of GridFleet itself")
        bundle = Bundle(path, version, platform.machine, platform.python, int(time.time()), wheels)
        (draft / MANIFEST).write_bytes(bundle.to_json())
        (draft / REQUIREMENTS).write_bytes(bundle.requirements())
        if path.exists():
            shutil.rmtree(path)
        draft.replace(path)
    return bundle


def _collect(folder: Path, platform: Platform) -> None:
    from gridfleet.provisioning.deploy.distribution import ROOT, build_wheel

    if not (ROOT / LOCK).is_file():
        raise CommandError(
            "gridfleet device bundle", f"needs the source tree with {LOCK}: run it in a git checkout"
        )
    _download(folder, platform)
    build_wheel(folder)


def _download(folder: Path, platform: Platform) -> None:
    """Download the wheels that the lock file pins, by hash, for a platform."""
    options = [f"--platform={tag}" for tag in PLATFORM_TAGS[platform.machine]]
    options += [f"--abi={abi}" for abi in (f"cp{platform.python.replace('.', '')}", "abi3", "none")]
    options += ["--implementation=cp", f"--python-version={platform.python}"]
    _pip("download", *options, "--only-binary=:all:", "--no-deps", "--require-hashes", folder=folder)


def _pip(command: str, *options: str, folder: Path) -> None:
    from gridfleet.provisioning.deploy.distribution import ROOT

    arguments = [command, *options, f"--requirement={ROOT / LOCK}", f"--dest={folder}"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        output = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        raise CommandError(
            f"pip {command}", f"failed ({output}): is there a network, and a wheel for this platform?"
        )
