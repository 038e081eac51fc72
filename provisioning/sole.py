"""A file that one process holds: as long as it is locked, the process id that stands in it is a live one."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from provisioning.exits import CommandError


class Sole:
    """Context manager: holds a file with this process's id; raises CommandError when another process does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        file = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise CommandError(
                self._path, f"is held by process {holder_of(self._path)}: end that first"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def holder_of(path: Path) -> int | None:
    """Return the id of the process that holds a file; None when nobody does."""
    try:
        with path.open(encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or 0) or None
    except FileNotFoundError:
        pass
    return None
