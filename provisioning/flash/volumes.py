"""A boot partition to write to: a mounted folder, or a FAT partition inside an image or on a card.

The latter needs no mounting and so no root: GNU mtools reads and writes FAT where it lies.
"""

import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.partitions import fat_partition

INSTALL: Final = "sudo apt-get install mtools"


class Volume(Protocol):
    """A boot partition."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None when there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file, with the folders it lies in, in place of the one that is there."""

    def clear(self, folder: str) -> None:
        """Delete a folder and all in it, if it is there."""

    def sync(self) -> None:
        """Have all that was written on the medium, and what is read next come from there."""


class FolderVolume:
    """A boot partition that is mounted, or a folder whose content is to be copied to one."""

    def __init__(self, folder: Path) -> None:
        """Raise CommandError unless the folder is there."""
        if not folder.is_dir():
            raise CommandError(folder, "is no folder: name where the card's boot partition is mounted")
        self._folder = folder
        self._written: list[Path] = []

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None when there is none."""
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write a file, readable by its owner alone where the file system knows owners."""
        target = self._folder / path
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except OSError as error:
            raise CommandError(target, f"cannot be written ({error_reason(error)})") from None
        self._written.append(target)

    def clear(self, folder: str) -> None:
        """Delete a folder and all in it."""
        if (self._folder / folder).is_dir():
            shutil.rmtree(self._folder / folder)

    def sync(self) -> None:
        """Flush each file, and drop it from the cache."""
        for path in self._written:
            with path.open("rb") as file:
                _flush(file.fileno())


class FatVolume:
    """The FAT partition of an image or of a card, by mtools."""

    def __init__(self, disk: Path) -> None:
        """Raise CommandError when the disk has no FAT partition, or mtools is missing."""
        if shutil.which("mcopy") is None:
            raise CommandError("mtools", f"writes FAT partitions, and is not installed: {INSTALL}")
        try:
            with disk.open("rb") as file:
                partition = fat_partition(file)
        except OSError as error:
            raise CommandError(disk, f"cannot be read ({error_reason(error)})") from None
        if partition is None:
            raise CommandError(disk, "has no FAT partition: is it an image of Raspberry Pi OS?")
        self._disk = disk
        self._image = f"{disk}@@{partition.start}"

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None when there is none."""
        done = self._run("mtype", f"::/{path}", check=False)
        if done.returncode == 0:
            return done.stdout
        if b"not found" in done.stderr or b"No such file" in done.stderr:
            return None
        raise self._failed(done)

    def write(self, path: str, content: bytes) -> None:
        """Write a file, with the folders it lies in."""
        parents = [str(each) for each in reversed(PurePosixPath(path).parents) if str(each) != "."]
        for parent in parents:
            if self._run("mdir", "-b", f"::/{parent}", check=False).returncode != 0:
                self._run("mmd", f"::/{parent}")
        # From memory, so that no secret touches this machine's disk; from a pipe mcopy would not tell a full disk.
        with os.fdopen(os.memfd_create("content"), "wb") as file:
            file.write(content)
            file.flush()
            self._run("mcopy", "-o", "-n", f"/proc/self/fd/{file.fileno()}", f"::/{path}", kept=file.fileno())

    def clear(self, folder: str) -> None:
        """Delete a folder and all in it."""
        if self._run("mdir", "-b", f"::/{folder}", check=False).returncode == 0:
            self._run("mdeltree", f"::/{folder}")

    def sync(self) -> None:
        """Flush the disk, and drop it from the cache."""
        with self._disk.open("rb") as file:
            _flush(file.fileno())

    def _run(
        self, program: str, *words: str, kept: int | None = None, check: bool = True
    ) -> "subprocess.CompletedProcess[bytes]":
        command = [program, "-i", self._image, *words]
        settings = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull, "LC_ALL": "C"}
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=settings,
            pass_fds=() if kept is None else (kept,),
            check=False,
        )
        if check and done.returncode != 0:
            raise self._failed(done)
        return done

    def _failed(self, done: "subprocess.CompletedProcess[bytes]") -> CommandError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return CommandError(self._disk, f"cannot be used ({said[-1] if said else 'mtools failed'})")


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
