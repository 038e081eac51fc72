"""Writes a file whole or not at all: into a draft beside it, which then takes its name."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.readers.files import size_text


@contextmanager
def replacing(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Context manager: a file to write, UTF-8 with line feeds unless `binary`; at its end it replaces `path`.

    Where it cannot be written, an earlier file of that name stays as it was, and an OSError names the file; of a full
    disk it says how much space is left.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") if binary else draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, GridFleetError):
            raise named(error, path) from None
        raise


def named(error: OSError, path: Path) -> OSError:
    """Return an error that names its file; of a full disk it says how much space is left there."""
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        with contextlib.suppress(OSError):
            reason += f", {size_text(shutil.disk_usage(path.parent).free)} free"
    return OSError(error.errno or errno.EIO, reason, os.fspath(path))
