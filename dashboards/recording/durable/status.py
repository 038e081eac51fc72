"""The recorder's status file, which `gridfleet site status` reads, and the lock of its folder."""

import fcntl
import logging
import os
import resource
from pathlib import Path
from typing import IO, Any, Final

from gridfleet.broker.errors import StoreError, error_reason
from gridfleet.broker.readers.json_values import checked_object, json_text, read_json
from gridfleet.broker.readers.read_error import ReadError

LOG: Final = logging.getLogger(__name__)
STATUS: Final = "status.json"
LOCK: Final = "lock"


def write_status(folder: Path, status: dict[str, Any]) -> None:
    """Replace the status file; a failure is only logged."""
    draft = folder / f".{STATUS}"
    try:
        draft.write_text(json_text(status, indent=1), encoding="utf-8")
        draft.replace(folder / STATUS)
    except OSError as error:
        LOG.warning("%s cannot be written (%s)", folder / STATUS, error_reason(error))


def had_session(folder: Path) -> bool:
    """Return whether a recorder of this folder was ever connected, so that the broker has kept messages for it.

    True for a status file that does not say it, or cannot be read.
    """
    try:
        status = checked_object(read_json(folder / STATUS), {}, ReadError)
    except ReadError:
        return (folder / STATUS).exists()
    return bool(status.get("had_session", True))


def lock_folder(folder: Path) -> IO[str]:
    """Return the lock file of a folder, locked for as long as it is open; the folder is made where it is missing.

    Raises StoreError where the folder cannot be used or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w", encoding="ascii")
    except OSError as error:
        raise StoreError(
            folder,
            f"cannot be used ({error_reason(error)})",
            "make sure that it is writable and has free space",
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(
            folder, "another recorder writes there", "choose another folder with --out"
        ) from None
    except OSError as error:
        reason = error_reason(error)
        LOG.warning("%s cannot be locked (%s): no other recorder may write there", folder, reason)
    return file


def rss_bytes() -> int:
    """Return this process's resident memory in bytes: the current one on Linux, elsewhere the highest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
