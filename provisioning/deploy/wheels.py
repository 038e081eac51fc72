"""Gathers the wheels of a bundle: our own is built, the others are fetched by the lock file's hashes."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.upgrade.bundle import MANIFEST, REQUIREMENTS, Bundle, sha256_of

MACHINES: Final = ("aarch64", "armv7l", "x86_64")
"""As `uname -m` says; for an armv6 (Pi Zero W, Pi 1) there are no wheels."""
MACHINE: Final = "aarch64"
PYTHON: Final = "3.13"
"""That of Raspberry Pi OS 13 (trixie)."""
TAGS: Final = {
    "aarch64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"),
    "armv7l": ("manylinux2014_armv7l", "manylinux_2_17_armv7l", "manylinux_2_31_armv7l"),
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"),
}
"""The platform tags of wheels that run on a machine (PEP 600)."""
ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ("broker", "devices", "dashboards", "provisioning", "src")
"""The folders that our wheel is built from."""
LOCK: Final = "requirements-device.lock"
EPOCH: Final = "946684800"
"""What a wheel gives as the age of its files: the same sources give the same wheel, to the byte."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a bundle is for."""

    machine: str = MACHINE
    python: str = PYTHON


def make_bundle(
    path: Path, target: Platform, gather: "Callable[[Path, Platform], None] | None" = None
) -> Bundle:
    """Make a bundle in a folder, in place of the one that is there.

    `gather` puts the wheels into a folder; else they are built and fetched. Raises CommandError for a folder with
    anything else in it, and when a wheel cannot be had.
    """
    if path.exists() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise CommandError(path, "is not empty and has no bundle: choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bundle-") as scratch:
        draft = Path(scratch) / "bundle"
        draft.mkdir()
        (gather or _gather)(draft, target)
        wheels = {wheel.name: sha256_of(wheel) for wheel in sorted(draft.glob("*.whl"))}
        version = next((name.split("-")[1] for name in wheels if name.startswith("gridfleet-")), None)
        if version is None:
            raise CommandError(path, "got no wheel of GridFleet itself")
        bundle = Bundle(path, version, target.machine, target.python, int(time.time()), wheels)
        (draft / MANIFEST).write_bytes(bundle.to_json())
        (draft / REQUIREMENTS).write_bytes(bundle.requirements())
        if path.exists():
            shutil.rmtree(path)
        draft.replace(path)
    return bundle


def _gather(folder: Path, target: Platform) -> None:
    if not (ROOT / LOCK).is_file():
        raise CommandError("gridfleet bundle", f"needs the sources with {LOCK}: run it in a checkout")
    _fetch(folder, target)
    _build(folder)


def _fetch(folder: Path, target: Platform) -> None:
    """Fetch what the lock file pins, by its hashes, as wheels for the target."""
    options = [f"--platform={tag}" for tag in TAGS[target.machine]]
    options += [f"--abi={abi}" for abi in (f"cp{target.python.replace('.', '')}", "abi3", "none")]
    options += ["--implementation=cp", f"--python-version={target.python}"]
    _pip("download", *options, "--only-binary=:all:", "--no-deps", "--require-hashes", folder=folder)


def _build(folder: Path) -> None:
    """Build our own wheel, from a copy: setuptools leaves its traces where it works."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "gridfleet"
        source.mkdir()
        for name in SOURCES:
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        for name in ("pyproject.toml", "LICENSE"):
            shutil.copy(ROOT / name, source)
        _run(["wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(source)])


def _pip(word: str, *options: str, folder: Path) -> None:
    _run([word, *options, f"--requirement={ROOT / LOCK}", f"--dest={folder}"])


def _run(words: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    same = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(command, env=same, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        raise CommandError(
            f"pip {words[0]}", f"failed ({said}): is there a network, or a wheel for that target?"
        )
