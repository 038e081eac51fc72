"""Finds the line of each key in a TOML text: the standard library's parser gives the values only."""

import re
from collections.abc import Sequence
from typing import Final

_TABLE: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*="""
)


def lines_of(text: str) -> dict[tuple[str | int, ...], int]:
    r"""Return the line of every table and key, counted from 1.

    Tables in double brackets are numbered from 0, as in ("events", 1, "hour"). A line inside of a text over several
    lines is taken for a key when it looks like one.

    >>> lines_of("seed = 1\n[[events]]\nhour = 2")
    {('seed',): 1, ('events',): 2, ('events', 0): 2, ('events', 0, 'hour'): 3}
    """
    found: dict[tuple[str | int, ...], int] = {}
    sizes: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = ()
            *outer, last = _parts(match[2])
            for name in outer:
                table = _newest((*table, name), sizes)
            table = (*table, last)
            found.setdefault(table, number)
            if match[1] == "[[":
                sizes[table] = sizes.get(table, 0) + 1
                table = _newest(table, sizes)
                found[table] = number
        elif match := _KEY.match(line):
            key = (*table, *_parts(match[1]))
            for length in range(len(table) + 1, len(key) + 1):
                found.setdefault(key[:length], number)
    return found


def line_of(lines: dict[tuple[str | int, ...], int], key: Sequence[str | int]) -> int | None:
    """Return the line of a key, or else of the nearest table around it; None where the text has neither."""
    for length in range(len(key), 0, -1):
        if tuple(key[:length]) in lines:
            return lines[tuple(key[:length])]
    return None


def _newest(table: tuple[str | int, ...], sizes: dict[tuple[str | int, ...], int]) -> tuple[str | int, ...]:
    """Return the last element of a list of tables; any other table as it is."""
    return (*table, sizes[table] - 1) if table in sizes else table


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
