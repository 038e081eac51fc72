"""The file `broker.json` in the folder of a run in progress: `set`, `watch` and `console` find its broker there.

The run locks the file while it is in progress, and deletes it at the end; a killed run leaves an unlocked one. The file
has no user name or password, because results are passed on.
"""

import contextlib
import fcntl
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.readers.json_values import checked_object, json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError

BROKER_FILE: Final = "broker.json"
MAX_CHARACTERS: Final = 4096
"""Longest such file."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run in progress: its broker's URL without login, whether that needs one, its site and its process."""

    broker: str
    login: bool
    site: str
    pid: int


class LiveRunFile:
    """Context manager: while it is open, the run is found in its folder."""

    def __init__(self, folder: Path, address: BrokerAddress, site: str, *, login: bool) -> None:
        """Prepare; `login` says that clients log in at the broker."""
        self._path = folder / BROKER_FILE
        self._run = LiveRun(str(address), login or address.username is not None, site, os.getpid())
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        draft = self._path.with_name(f".{BROKER_FILE}")
        self._file = draft.open("w", encoding="utf-8")
        with contextlib.suppress(OSError):  # a file system without locks: the run is not found
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.write(json_text(asdict(self._run)))
        self._file.flush()
        draft.replace(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()


def live_run(folder: Path) -> LiveRun | None:
    """Return the run in progress in a folder; None where no process runs one."""
    try:
        with (folder / BROKER_FILE).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                keys = {"broker": str, "login": bool, "site": str, "pid": int}
                found = checked_object(parse_json(file.read(MAX_CHARACTERS)), keys, ReadError)
                return LiveRun(**{key: found[key] for key in keys})
    except (OSError, ValueError):
        return None
    return None
