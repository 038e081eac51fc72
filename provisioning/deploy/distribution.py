"""Build GridFleet's own distributions from a checkout: the wheel and the source distribution (sdist).

`make dist` (`python -m gridfleet.provisioning.deploy.distribution FOLDER`) writes both; a bundle for devices contains
the wheel. Equal sources give equal files, to the byte, on every machine with the same setuptools.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from gridfleet.broker.readers.archives import GzipFile
from gridfleet.provisioning.cli.exit_codes import CommandError

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout, where this module runs from one."""
FOLDERS: Final = ("broker", "devices", "dashboards", "provisioning", "src")
"""The folders that the distributions are built from."""
FILES: Final = ("pyproject.toml", "MANIFEST.in", "LICENSE", "README.md", "CHANGELOG.md")
SOURCE_DATE_EPOCH: Final = 946_684_800
"""The date of all files in the distributions, 2000-01-01, in seconds since 1970."""
UMASK: Final = 0o022
"""Gives packed files the same permissions whatever those in the checkout are."""


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder and return its path; raise CommandError when it cannot be built."""
    return _build("wheel", folder)


def build_sdist(folder: Path) -> Path:
    """Build the source distribution into a folder and return its path; raise CommandError when it cannot be built."""
    path = _build("sdist", folder)
    _normalize(path)
    return path


def build_all(folder: Path) -> list[Path]:
    """Build both into a folder and return their paths; files of other versions there are removed.

    So the folder has one wheel, which the container image is built from. Raises CommandError when one cannot be built.
    """
    built = [build_wheel(folder), build_sdist(folder)]
    for path in (*folder.glob("gridfleet-*.whl"), *folder.glob("gridfleet-*.tar.gz")):
        if path not in built:
            path.unlink()
    return built


def _build(kind: str, folder: Path) -> Path:
    """Call the build back end on a copy of the sources, because it writes into the folder that it builds."""
    missing = [name for name in (*FOLDERS, *FILES) if not (ROOT / name).exists()]
    if missing:
        raise CommandError(f"the {kind}", f"is built from a git checkout, and {ROOT} has no {missing[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "gridfleet"
        source.mkdir()
        for name in FOLDERS:
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        for name in FILES:
            shutil.copy(ROOT / name, source)
        call = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
        built = Path(scratch) / "built"
        done = subprocess.run(
            [sys.executable, "-c", call, str(built)],
            cwd=source,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)},
            umask=UMASK,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            output = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
            raise CommandError(
                f"building the {kind}", f"failed ({output}): is setuptools of the extra [install] installed?"
            )
        (path,) = built.iterdir()
        return Path(shutil.move(path, folder / path.name))


def _normalize(sdist: Path) -> None:
    """Write an sdist again with its members sorted, and without the time, owners and permissions of this build."""
    draft = sdist.with_suffix(".new")
    with (
        tarfile.open(sdist) as packed,
        draft.open("wb") as raw,
        GzipFile("", "wb", fileobj=raw, mtime=SOURCE_DATE_EPOCH) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in sorted(packed, key=lambda member: member.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.linkname = member.type, member.size, member.linkname
            plain.mtime = SOURCE_DATE_EPOCH
            plain.mode = 0o755 if member.isdir() else 0o644
            archive.addfile(plain, packed.extractfile(member) if member.isreg() else None)
    draft.replace(sdist)


if __name__ == "__main__":
    for distribution in build_all(Path(sys.argv[1])):
        sys.stdout.write(f"{distribution}\n")
