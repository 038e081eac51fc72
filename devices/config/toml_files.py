"""Reads the text of TOML files: files that come with the product, by name, and users' files, by path."""

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gridfleet.broker.readers.files import MIB, is_file, read_text
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.config.toml_errors import FileError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


MAX_BYTES: Final = MIB
"""Largest TOML file that is read, in bytes."""


class TomlSource(NamedTuple):
    """The text of a TOML file, and where it comes from."""

    text: str
    source: str
    """The file's name in errors."""
    folder: str
    """The folder of a user's file; empty for a shipped one."""


def read_toml(path: Path | str, error: type[FileError], max_bytes: int = MAX_BYTES) -> TomlSource:
    """Return a user's file; raise `error` where it cannot be read, is too large or is not UTF-8."""
    source = str(path)
    try:
        text = read_text(path, max_bytes)
    except ReadError as mistake:
        raise error(source, [mistake.problem]) from None
    return TomlSource(text, source, str(Path(path).parent))


def shipped_names(folder: "Traversable") -> list[str]:
    """Return the names of the shipped files in a folder, without `.toml`, sorted."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def read_shipped_or_own(
    name_or_path: str, folder: "Traversable", what: str, error: type[FileError]
) -> TomlSource:
    """Return a shipped file by its name, or a user's file by its path; `what` it is goes into the error for neither."""
    names = shipped_names(folder)
    if name_or_path in names:
        source = f"{name_or_path}.toml"
        return TomlSource((folder / source).read_text(encoding="utf-8"), source, "")
    if is_file(name_or_path):
        return read_toml(name_or_path, error)
    close = get_close_matches(name_or_path, names, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise error(name_or_path, [f"no such {what} or file{hint} (shipped: {', '.join(names)})"])
