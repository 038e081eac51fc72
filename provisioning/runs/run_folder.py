"""The folder of a run: each run has one with a name of its own, and the link `latest` leads to the newest.

`out/normal-2026-11-26T141500` is the scenario and the local time of the start, so names sort by age. `mkdir` makes a
folder exactly once: of two runs that start in the same second the later one gets `…-2`. The name is in no file, so the
files of equal runs are equal to the byte.
"""

import contextlib
import errno
import fcntl
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from gridfleet.broker.errors import error_reason
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.provisioning.cli.terminal import print_message
from gridfleet.provisioning.runs.live_run import live_run
from gridfleet.provisioning.runs.results import FolderError, clear_results, results_in

OUT: Final = Path("out")
LATEST: Final = "latest"
JOURNAL: Final = "journal"
"""What only a recorder's folder contains."""
_BUSY: Final = "another run is writing there: name another directory, or wait until that run has ended"
TIME_FORMAT: Final = "%Y-%m-%dT%H%M%S"


class Terms(NamedTuple):
    """How the errors name the option for the folder, and the one that replaces results."""

    folder: str
    replace: str


COMMAND_TERMS: Final = Terms("--out ", "add --force")
API_TERMS: Final = Terms("", "set replace=True")


class RunFolder:
    """Context manager: the folder for the results of one run; `path` exists when it is entered.

    A run that ends with an error before `begin` leaves nothing behind.
    """

    def __init__(self, path: Path, *, created: bool, link: str = LATEST) -> None:
        """Take a folder that exists; with `created` it was made for this run. `link` is the name of its link.

        The folder is locked until the end, so that no other run writes there. Raises BlockingIOError where one does.
        """
        self.path = path
        self._lock = lock_of(path)
        self._created = created
        self._link = path.parent / link if path.parent.resolve() == OUT.resolve() else None
        self._begun = False

    def begin(self) -> None:
        """Make `latest` lead here, where the folder is in `out/`; a link that cannot be made gives a message."""
        if self._begun:
            return
        self._begun = True
        if self._link is not None and (problem := replace_link(self._link, self.path.name)):
            print_message(f"{self._link} does not lead to this run: {problem}")

    def check(self) -> None:
        """Raise FolderError when the store of the run in progress has been deleted or moved."""
        if not (self.path / STORE).is_file():
            problem = (
                "was deleted or moved during the run: run again, and leave the folder until the run has ended"
            )
            raise FolderError(self.path, problem)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            if error is not None and not self._begun:
                clear_results(self.path)
            if self._created:
                self.path.rmdir()  # refused unless it is empty
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def claim_run_folder(
    given: str | None, name: str, *, force: bool = False, link: str = LATEST, terms: Terms = COMMAND_TERMS
) -> RunFolder:
    """Return the folder for the results of a run, created if missing.

    `given` is the user's folder, which must hold no results unless `force` is set; without it, the folder is
    `out/NAME-TIME`. `terms` are those of the errors. Raises FolderError, before anything has changed, for a folder that
    holds results or that a run in progress uses, and for one that cannot be created or written.
    """
    if given is None:
        path = _new_folder(OUT, f"{name}-{local_time():{TIME_FORMAT}}")
        return RunFolder(path, created=True, link=link)
    path = Path(given)
    try:
        problem = _in_use(path, terms, force=force)
        created = not path.exists()
        if not problem:
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unusable(path, error, terms) from None
    if problem:
        raise FolderError(f"{terms.folder}{path}", problem)
    try:
        return RunFolder(path, created=created, link=link)
    except BlockingIOError:
        raise FolderError(f"{terms.folder}{path}", _BUSY) from None


def lock_of(folder: Path) -> int:
    """Return the open file of a folder, locked; the kernel unlocks it when this process ends, however it does.

    Raises BlockingIOError where another process has locked it, and returns -1 on a file system without locks.
    """
    number = -1
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise
    except OSError:
        if number >= 0:
            os.close(number)
        return -1
    return number


def is_locked(folder: Path) -> bool:
    """Return whether a run writes into a folder."""
    try:
        number = lock_of(folder)
    except BlockingIOError:
        return True
    if number >= 0:
        os.close(number)
    return False


def _in_use(path: Path, terms: Terms, *, force: bool) -> str:
    """Return why a folder cannot be used for new results: those it holds, or who writes there; nothing if it can."""
    if (path / JOURNAL).is_dir():
        return "is the folder of a recorder, which keeps each run apart in runs/: name another directory"
    running = live_run(path)
    if running is not None:
        return f"process {running.pid} is writing a run there: name another directory, or stop that run first"
    if is_locked(path):
        return _BUSY
    found = results_in(path)
    if found and not force:
        shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        return f"holds results already ({shown}): name another directory, or {terms.replace} to replace them"
    return ""


def latest_folder() -> Path | None:
    """Return the folder of the newest run in `out/`; None where there is no link to it."""
    link = OUT / LATEST
    return OUT / link.readlink() if link.is_symlink() else None


def replace_link(link: Path, target: str) -> str:
    """Make a link lead to a target in its own folder, in one step; return why it is not possible, or nothing."""
    if link.exists() and not link.is_symlink():
        kind = "folder" if link.is_dir() else "file"
        return f"it is a {kind}, not a link, and is left as it is; rename it, and the next run makes the link"
    draft = link.with_name(f".{link.name}-{secrets.token_hex(4)}")
    try:
        draft.symlink_to(target)
        draft.replace(link)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        return f"the link cannot be made here ({error_reason(error)}); the folder of the run is {link.parent / target}"
    return ""


def local_time() -> datetime:
    """Return the time of day that this machine shows."""
    return datetime.now(UTC).astimezone()


def _new_folder(parent: Path, name: str) -> Path:
    """Create a folder that did not exist, with a number after its name where the name is taken."""
    path, number = parent / name, 1
    while True:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            if not parent.is_dir():
                raise _unusable(
                    parent, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                ) from None
            number += 1
            path = parent / f"{name}-{number}"
        except OSError as error:
            raise _unusable(path, error) from None
        else:
            return path


def _unusable(path: Path, error: OSError, terms: Terms = COMMAND_TERMS) -> FolderError:
    problem = f"cannot be used as a directory ({error_reason(error)}): name another"
    return FolderError(f"{terms.folder}{path}", problem)
