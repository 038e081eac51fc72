"""Which processes use a folder: each keeps a file there, named after its process id and locked while it runs."""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class FolderUser:
    """Context manager: registers this process as a user of a folder; ignores a folder that cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / str(os.getpid())
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = self._path.open("w", encoding="ascii")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


def folder_users(folder: Path) -> list[int]:
    """Return the ids of the running processes that use a folder; files of ended processes are ignored."""
    found = []
    for path in sorted(folder.glob("[0-9]*")):
        with contextlib.suppress(OSError), path.open(encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(int(path.name))
    return found
