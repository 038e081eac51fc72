"""Reads TOML; the only module that imports `tomllib`."""

import re
import tomllib
from typing import Any, Final

from gridfleet.broker.readers.read_error import MAX_DEPTH, ReadError, check_depth

_PLACE: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_KEY: Final = re.compile(r"""[\s\[]*[\w.\s"'-]*""")
"""What may be the key at the beginning of a line, or the name of a table."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return the document of a TOML text; raise ReadError with the line where one is known."""
    for number, line in enumerate(
        text.split("\n"), 1
    ):  # tomllib takes the square of this number of steps for each
        key = _KEY.match(line)
        if key is not None and key[0].count(".") > MAX_DEPTH:
            raise ReadError(f"is TOML with a key of more than {MAX_DEPTH} parts: use fewer", number)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as mistake:
        raise _syntax_error(str(mistake), text) from None
    except RecursionError:
        raise ReadError("is not TOML that can be read: too many lists or tables within each other") from None
    except (ValueError, OverflowError):  # of Python's types: a number with thousands of digits, the year 0
        raise ReadError(
            "is not TOML that can be read: a number has too many digits, or a date does not exist"
        ) from None
    check_depth(document, "is TOML")
    return document


def toml_value(text: str) -> Any:  # noqa: ANN401  any value of TOML
    """Return the value that a TOML text stands for; raise ReadError where it is none, or more than one.

    >>> toml_value("[1, 2]")
    [1, 2]
    """
    document = parse_toml(f"value = {text}")
    if len(document) != 1:
        raise ReadError("is more than one TOML value")
    return document["value"]


def _syntax_error(mistake: str, text: str) -> ReadError:
    """Return the error behind a message of `tomllib`, which ends with the place in brackets."""
    found = _PLACE.fullmatch(mistake)
    if found is None:
        return ReadError(f"is not TOML: {mistake}")
    what, line, column = found.groups()
    what = f"{what[:1].lower()}{what[1:]}"
    if line is None:
        return ReadError(f"is not TOML: {what} at the end", text.count("\n") + 1)
    return ReadError(f"is not TOML: {what} in column {column}", int(line))
