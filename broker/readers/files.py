"""Reads files of users and of other programs: any name, any content, up to a size."""

from pathlib import Path
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.broker.readers.read_error import ReadError

MIB: Final = 1 << 20
MAX_BYTES: Final = 256 * MIB
"""Largest file that is read at once, unless the caller allows less."""


def read_bytes(path: Path | str, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a file; raise ReadError where it cannot be read or is larger."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(error) from None
    if len(content) > max_bytes:
        raise ReadError(f"has more than {size_text(max_bytes)}, the most that is read: give a smaller file")
    return content


def read_text(path: Path | str, max_bytes: int = MAX_BYTES) -> str:
    """Return the content of a UTF-8 file without a byte order mark; raise ReadError as `read_bytes` does."""
    return utf8(read_bytes(path, max_bytes))


def utf8(content: bytes) -> str:
    """Return UTF-8 text without a byte order mark; raise ReadError where it is other text or none."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"cannot be read as UTF-8 text (byte {error.start + 1}): save the file as UTF-8"
        raise ReadError(found) from None


def is_file(path: Path | str) -> bool:
    """Return whether there is a file of that name; False for what is no name of a file."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def unreadable(error: Exception) -> ReadError:
    """Return the error of a file that cannot be opened or read."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return ReadError("cannot be read: the name of a file must have no NUL character")
    return ReadError(f"cannot be read: {error_reason(error)}")


def size_text(size: float) -> str:
    """Return a number of bytes for people.

    >>> size_text(65_536), size_text(1 << 20), size_text(3_200_000_000)
    ('64 KiB', '1 MiB', '3 GiB')
    """
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.3g} {unit}"
    return f"{size:.0f} bytes"
