"""The publications of every tick of a run, compressed, in a file: the live page rewinds and replays from it.

The file begins with a line that says what it is and which site it is of. Each tick follows as a head of fixed length
and its lines, compressed with zlib; an incomplete tick at the end, of a run that was killed, is left out.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct, error
from typing import BinaryIO, Final, NamedTuple

from gridfleet.broker.errors import GridFleetError, error_reason
from gridfleet.broker.readers.json_values import json_text, parse_json

HISTORY_FILE: Final = "page.history"
"""The name of the file in the folder of a run."""
FORMAT: Final = "gridfleet-page-history-1"
MAX_BYTES: Final = 1_000_000_000
"""The longest file in bytes; the ticks after it cannot be shown again."""
_LEVEL: Final = 3
_HEAD: Final = Struct(">iII")
"""Tick, whether it is whole, and length in bytes."""


class HistoryError(GridFleetError, ValueError):
    """A history that cannot be read; the text gives the file and a remedy."""


class Segment(NamedTuple):
    """Where the lines of a tick are in the file."""

    tick: int
    whole: bool
    at: int
    length: int


class SegmentFile:
    """The lines of each tick; closing twice is safe."""

    def __init__(self, file: BinaryIO, site: str) -> None:
        """Begin a history in an empty file, which this object closes."""
        self._file = file
        self._size = file.write(json_text({"format": FORMAT, "site": site}).encode() + b"\n")
        self.site = site
        self.segments: list[Segment] = []

    def add(self, tick: int, lines: Sequence[str], *, whole: bool) -> None:
        """Append the lines of a tick; nothing once the file is too long."""
        packed = zlib.compress("\n".join(lines).encode(), _LEVEL)
        if self._size + len(packed) > MAX_BYTES or self._file.closed:
            return
        self._file.seek(self._size)
        self._file.write(_HEAD.pack(tick, whole, len(packed)) + packed)
        self._file.flush()
        self.segments.append(Segment(tick, whole, self._size + _HEAD.size, len(packed)))
        self._size += _HEAD.size + len(packed)

    def lines(self, segment: Segment) -> list[str]:
        """Return the lines of a tick."""
        self._file.seek(segment.at)
        return zlib.decompress(self._file.read(segment.length)).decode().split("\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_segments(path: Path) -> Iterator[tuple[int, bool, list[str]]]:
    """Yield tick, completeness and lines of each tick of a history; raise HistoryError where it cannot be read."""
    site_of(path)
    with path.open("rb") as file:
        file.readline()
        while head := file.read(_HEAD.size):
            try:
                tick, whole, length = _HEAD.unpack(head)
                packed = file.read(length)
                if len(packed) < length:
                    return
                lines = zlib.decompress(packed).decode().split("\n")
            except (error, zlib.error, UnicodeDecodeError):
                raise HistoryError(
                    f"{path}: is damaged: run the scenario again, or show what its store has with --from-store"
                ) from None
            yield tick, bool(whole), lines


def site_of(path: Path) -> str:
    """Return the site that a history is of; raise HistoryError where the file is none."""
    try:
        with path.open("rb") as file:
            head = parse_json(file.readline(4096))
        if head["format"] == FORMAT:
            return str(head["site"])
    except OSError as problem:
        raise HistoryError(f"{path}: cannot be read ({error_reason(problem)})") from problem
    except (ValueError, KeyError, TypeError):
        pass
    raise HistoryError(f"{path}: is not a history that `gridfleet run` has written: run the scenario again")
