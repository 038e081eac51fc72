"""Where a key stands in a TOML text: the standard library reads the values, and forgets the lines."""

import re
from collections.abc import Sequence
from typing import Final

_TABLE: Final = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*="""
)


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every table and key, counted from 1; good for files as people write them.

    A line within a text over several lines that looks like a key is taken for one: it is only pointed at.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = _parts(match[1])
            found.setdefault(table, number)
        elif match := _KEY.match(line):
            key = (*table, *_parts(match[1]))
            for length in range(len(table) + 1, len(key) + 1):
                found.setdefault(key[:length], number)
    return found


def line_of(lines: dict[tuple[str, ...], int], place: Sequence[object]) -> int | None:
    """Return the line of a key, or of the nearest table around it; None where the file says nothing of it."""
    names = tuple(part for part in place if isinstance(part, str))
    for length in range(len(names), 0, -1):
        if names[:length] in lines:
            return lines[names[:length]]
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
