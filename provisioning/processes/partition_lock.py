"""Lock files by which the processes of a fleet on one machine share its parts.

The kernel releases a lock when its process ends, however it ends.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError

POLL_S: Final = 0.5


class PartitionLock:
    """The lock files of all parts, in a directory that the processes share; each process holds at most one."""

    def __init__(self, directory: Path, parts: int) -> None:
        """Create the directory if missing, and lock nothing; raise CommandError when it cannot be used."""
        self._directory = directory
        self._parts = parts
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(directory, error) from None

    def acquire(self) -> int | None:
        """Lock the first free part and return its number, from 1; return None while all are locked."""
        for number in range(1, self._parts + 1):
            path = self._directory / f"part-{number}-of-{self._parts}.lock"
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise _unusable(self._directory, error) from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            return number  # the descriptor stays open, so the lock lasts until the process ends
        return None

    def wait(self, stop_requested: Callable[[], bool], report: Callable[[str], None]) -> int | None:
        """Lock a part as soon as one is free and return its number; return None if asked to stop before."""
        number = self.acquire()
        if number is None:
            report(f"all {self._parts} parts are taken: standing by until one is free")
        while number is None and not stop_requested():
            sleep(POLL_S)
            number = self.acquire()
        return number


def _unusable(directory: Path, error: OSError) -> CommandError:
    return CommandError(
        f"--part-locks {directory}",
        f"cannot be used ({error_reason(error)}): name a directory that can be written to",
    )
