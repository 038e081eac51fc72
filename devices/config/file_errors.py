"""Mistakes in a TOML file in words: the key, its value, what is allowed. Every schema of ours tells them by this."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from gridfleet.broker.errors import GridFleetError

ABSENT: Final = object()


class FileError(GridFleetError, ValueError):
    """A file that cannot be used; the text has one line for each mistake."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))
        self.source = source
        self.problems = tuple(problems)


def unknown_key(key: object, known: Sequence[str]) -> str:
    """Say that a key is unknown, and which was meant, or which there are."""
    close = get_close_matches(str(key), known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"allowed are {', '.join(known)}"
    return f"unknown key; {hint}"


def value_at(document: object, place: Sequence[Any]) -> object:
    """Return the value at a place of a document, or ABSENT."""
    for part in place:
        try:
            document = document[part]  # type: ignore[index] # whatever the file holds; the error is what we want
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return document


def wrong_value(
    document: object, place: Sequence[Any], message: str, hidden: tuple[type, ...] = (dict,)
) -> str:
    """Return ` = value: message`, to follow the key; without the value where it is absent or of a hidden type."""
    value = value_at(document, place)
    shown = "" if value is ABSENT or isinstance(value, hidden) else f" = {value!r}"
    return f"{shown}: {message.removeprefix('Value error, ')}"
