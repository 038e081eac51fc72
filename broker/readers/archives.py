"""Reads zip and gzip files, and bounds what they unpack to; the only module that imports `zipfile` and `gzip`."""

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from gridfleet.broker.errors import error_reason
from gridfleet.broker.readers.files import MAX_BYTES, size_text, unreadable
from gridfleet.broker.readers.read_error import ReadError

MAX_LINE_BYTES: Final = 1 << 20
"""Longest line of a packed text."""
GzipFile: Final = gzip.GzipFile
"""Writes a gzip file; see `gzip.GzipFile`."""
_FAILURES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a method of compression that Python does not have
    RuntimeError,  # encrypted
    ValueError,
    KeyError,
    OverflowError,
)


def zip_members(
    path: Path | str, wanted: Callable[[str], bool], max_bytes: int = MAX_BYTES
) -> list[tuple[str, bytes]]:
    """Return name and content of the wanted members of an archive, in its order.

    Raises ReadError for a file that is no zip, is damaged, encrypted or packed in a way that Python cannot unpack, and
    where the members have more than `max_bytes` unpacked, whatever the archive states.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_contents(archive, wanted, max_bytes))
    except ReadError:
        raise
    except OSError as error:
        raise unreadable(error) from None
    except _FAILURES as error:
        raise ReadError(f"cannot be unpacked ({error_reason(error) or type(error).__name__})") from None


def _contents(
    archive: zipfile.ZipFile, wanted: Callable[[str], bool], max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    left = max_bytes
    for name in filter(wanted, archive.namelist()):
        with archive.open(name) as member:
            content = member.read(left + 1)
        left -= len(content)
        if left < 0:
            problem = (
                f"unpacks to more than {size_text(max_bytes)}, the most that is read: give a smaller one"
            )
            raise ReadError(problem)
        yield name, content


def is_zip(path: Path | str) -> bool:
    """Return whether a file ends as a zip does."""
    try:
        return zipfile.is_zipfile(path)
    except (OSError, ValueError):
        return False


def packed_lines(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each line of a file, unpacked where its name ends in `.gz`.

    Raises ReadError with the line where the file cannot be read, ends within packed data, or a line is too long.
    """
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield number, _short(line, number)
    except ReadError:
        raise
    except EOFError:
        raise ReadError("ends in the middle of the compressed data", number + 1) from None
    except zlib.error:
        raise ReadError("is damaged: it cannot be unpacked", number + 1) from None
    except (OSError, ValueError) as error:
        raise ReadError(unreadable(error).problem, number + 1) from None


def _short(line: bytes, number: int) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise ReadError(f"is longer than {size_text(MAX_LINE_BYTES)}", number)
    return line


def _opened(path: Path | str) -> IO[bytes]:
    if Path(path).suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]  # typed by its mode, which mypy does not follow
    return Path(path).open("rb")
