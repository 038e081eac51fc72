"""Which processes use a folder: each keeps a file there, named after its process id and locked while it runs.

The file may hold a note, such as the address of a broker.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class FolderUser:
    """Context manager: registers this process as a user of a folder; ignores None, and one that cannot be written."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / str(os.getpid())
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = self._path.open("w", encoding="ascii")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def note(self, text: str) -> None:
        """Write a line of text for who looks at the folder's users."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.write(f"{text}\n")
                self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


def folder_users(folder: Path) -> dict[int, str]:
    """Return the notes of the running processes that use a folder, by process id; those of ended ones are ignored."""
    found = {}
    for path in sorted(folder.glob("[0-9]*")):
        with contextlib.suppress(OSError), path.open(encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found[int(path.name)] = file.readline().strip()
    return found
