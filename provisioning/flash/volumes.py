"""Reads and writes a boot partition: a mounted folder, or a FAT partition in an image or on a card.

A FAT partition is not mounted, so that no root is needed: GNU mtools reads and writes it in place.
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
    """A boot partition; paths are relative to its root. Its text is the folder or disk, for people."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where it does not exist."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file and its parent folders; an existing file is replaced."""

    def clear(self, folder: str) -> None:
        """Delete a folder and everything in it, if it exists."""

    def sync(self) -> None:
        """Flush everything to the medium, and make the next reads come from there."""


class FolderVolume:
    """A mounted boot partition, or a folder whose content is to be copied to one."""

    def __init__(self, folder: Path) -> None:
        """Raise CommandError unless the folder exists."""
        if not folder.is_dir():
            raise CommandError(folder, "is not a folder: give the mount point of the card's boot partition")
        self._folder = folder
        self._written: list[Path] = []

    def __str__(self) -> str:
        return str(self._folder)

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where it does not exist."""
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write a file that only its owner can read, where the file system has owners."""
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
        """Delete a folder and everything in it."""
        if (self._folder / folder).is_dir():
            shutil.rmtree(self._folder / folder)

    def sync(self) -> None:
        """Flush each file, and drop it from the page cache."""
        for path in self._written:
            with path.open("rb") as file:
                _flush(file.fileno())


class FatVolume:
    """The FAT partition of an image or a card, accessed with mtools."""

    def __init__(self, disk: Path) -> None:
        """Raise CommandError where the disk has no FAT partition, or mtools is missing."""
        if shutil.which("mcopy") is None:
            raise CommandError("mtools", f"is needed to write FAT partitions and is not installed: {INSTALL}")
        try:
            with disk.open("rb") as file:
                partition = fat_partition(file)
        except OSError as error:
            raise CommandError(disk, f"cannot be read ({error_reason(error)})") from None
        if partition is None:
            raise CommandError(disk, "has no FAT partition: is it an image of Raspberry Pi OS?")
        self._disk = disk
        self._image = f"{disk}@@{partition.start}"

    def __str__(self) -> str:
        return str(self._disk)

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where it does not exist."""
        done = self._run("mtype", f"::/{path}", check=False)
        if done.returncode == 0:
            return done.stdout
        if b"not found" in done.stderr or b"No such file" in done.stderr:
            return None
        raise self._failed(done)

    def write(self, path: str, content: bytes) -> None:
        """Write a file and its parent folders."""
        parents = [str(each) for each in reversed(PurePosixPath(path).parents) if str(each) != "."]
        for parent in parents:
            if self._run("mdir", "-b", f"::/{parent}", check=False).returncode != 0:
                self._run("mmd", f"::/{parent}")
        # From memory, so that no secret gets onto this machine's disk; from a pipe mcopy would not report a full disk.
        with os.fdopen(os.memfd_create("content"), "wb") as file:
            file.write(content)
            file.flush()
            self._run(
                "mcopy", "-o", "-n", f"/proc/self/fd/{file.fileno()}", f"::/{path}", pass_fd=file.fileno()
            )

    def clear(self, folder: str) -> None:
        """Delete a folder and everything in it."""
        if self._run("mdir", "-b", f"::/{folder}", check=False).returncode == 0:
            self._run("mdeltree", f"::/{folder}")

    def sync(self) -> None:
        """Flush the disk, and drop it from the page cache."""
        with self._disk.open("rb") as file:
            _flush(file.fileno())

    def _run(
        self, program: str, *arguments: str, pass_fd: int | None = None, check: bool = True
    ) -> "subprocess.CompletedProcess[bytes]":
        command = [program, "-i", self._image, *arguments]
        settings = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull, "LC_ALL": "C"}
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=settings,
            pass_fds=() if pass_fd is None else (pass_fd,),
            check=False,
        )
        if check and done.returncode != 0:
            raise self._failed(done)
        return done

    def _failed(self, done: "subprocess.CompletedProcess[bytes]") -> CommandError:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return CommandError(self._disk, f"cannot be used ({lines[-1] if lines else 'mtools failed'})")


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
