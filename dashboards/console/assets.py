"""The files that the live page's server hands out: the built page, compressed, and the files of a run's folder."""

import hashlib
import zlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from gridfleet.dashboards.console.errors import ConsoleError
from gridfleet.dashboards.console.history.replay_link import REPLAY_ADDRESS

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
OTHER_TYPE: Final = "application/octet-stream"
_COMPRESSED: Final = frozenset({".html", ".js", ".css", ".csv", ".json", ".svg"})
_GZIP: Final = 31
"""The window of zlib that writes gzip's format."""
_MIN_COMPRESSED: Final = 1_000
"""Shorter files gain nothing."""
_FOLDER_FILES: Final = frozenset({".html", ".csv", ".json", ".png"})
"""The files of a run's folder that are handed out: never its store or a trace."""


class Asset(NamedTuple):
    """A file as it is sent."""

    kind: str
    """Its media type."""
    body: bytes
    packed: bytes | None
    """Compressed with gzip, where that is shorter."""
    tag: str
    """Changes with the content: a browser that has it asks whether it is still the same."""


def asset(name: str, body: bytes, level: int = 9) -> Asset:
    """Return a file as it is sent, compressed where that helps."""
    suffix = PurePosixPath(name).suffix
    packed = None
    if suffix in _COMPRESSED and len(body) >= _MIN_COMPRESSED:
        packing = zlib.compressobj(level, wbits=_GZIP)
        packed = packing.compress(body) + packing.flush()
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return Asset(TYPES.get(suffix, OTHER_TYPE), body, packed, tag)


def page_files() -> dict[str, bytes]:
    """Return the built page, path by path; raise ConsoleError when it has not been built."""
    found: dict[str, bytes] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            else:
                found[f"{prefix}{entry.name}"] = entry.read_bytes()

    page = files("gridfleet.dashboards.console") / "page"
    if page.is_dir():
        walk(page, "/")
    if "/index.html" not in found:
        raise ConsoleError("the console's page is missing from this installation: build it with `make page`")
    return found


def folder_file(folder: Path, name: str) -> Asset | None:
    """Return a file of a run's folder, or of its folder of plots; None for any other path."""
    parts = PurePosixPath(name).parts
    path = folder.joinpath(*parts)
    allowed = len(parts) == 1 or (len(parts) == 2 and parts[0] == "plots")
    if not allowed or ".." in parts or "/" in parts or path.suffix not in _FOLDER_FILES or path.is_symlink():
        return None
    try:
        body = path.read_bytes()
    except OSError:
        return None
    if name == "report.html":  # its links to the replay lead to this page
        body = body.replace(f'href="{REPLAY_ADDRESS}#'.encode(), b'href="../#')
    return asset(name, body, level=6)
