"""A free part of a fleet, taken by a lock file: the kernel gives it back when the process ends, however it ends."""

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
    """One of `parts` lock files in a directory that all processes of a fleet share on one machine."""

    def __init__(self, directory: Path, parts: int) -> None:
        """Take nothing yet; raise CommandError for a directory that cannot be used."""
        self._directory = directory
        self._parts = parts
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(directory, error) from None

    def take(self) -> int | None:
        """Take the first free part and return its number, from 1; None while others hold them all."""
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
            return number  # the lock lasts as long as the descriptor, and that as long as the process
        return None

    def wait(self, asked_to_end: Callable[[], bool], tell: Callable[[str], None]) -> int | None:
        """Take a part as soon as one is free; None if asked to end before."""
        number = self.take()
        if number is None:
            tell(f"all {self._parts} parts are taken: stands by for one that ends")
        while number is None and not asked_to_end():
            sleep(POLL_S)
            number = self.take()
        return number


def _unusable(directory: Path, error: OSError) -> CommandError:
    return CommandError(
        f"--claim {directory}",
        f"cannot be used ({error_reason(error)}): name a directory that can be written to",
    )
