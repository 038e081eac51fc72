"""Reads and writes JSON; the only module that imports `json`."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from gridfleet.broker.readers.files import read_bytes, utf8
from gridfleet.broker.readers.read_error import ReadError, check_depth

MAX_BYTES: Final = 16 << 20
json_text: Final = json.dumps
"""Writes a value as JSON text; see `json.dumps`."""


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401  JSON may be anything
    """Return the value of a JSON text; raise ReadError for what is none, for NaN, infinity and very long numbers.

    >>> parse_json(b'{"tick": 7}')
    {'tick': 7}
    """
    try:
        value = json.loads(utf8(text) if isinstance(text, bytes) else text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ReadError(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except ReadError:
        raise
    except RecursionError:
        raise ReadError("is not JSON that can be read: too many lists or objects within each other") from None
    except ValueError:  # a number with thousands of digits
        raise ReadError("is not JSON that can be read: a number has too many digits") from None
    check_depth(value, "is JSON")
    return value


def read_json(path: Any, max_bytes: int = MAX_BYTES) -> Any:  # noqa: ANN401  JSON may be anything
    """Return the value in a JSON file; raise ReadError where it cannot be read, is larger, or is no JSON."""
    return parse_json(read_bytes(path, max_bytes))


def checked_object(
    value: object, required: Mapping[str, type | tuple[type, ...]], problem: Callable[[str], Exception]
) -> dict[str, Any]:
    """Return a JSON object that has the required keys, each of a type; raise what `problem` makes of its mistake.

    True and false are no numbers.
    """
    if not isinstance(value, dict):
        raise problem("is no JSON object")
    for key, kinds in required.items():
        if key not in value:
            raise problem(f"has no key {key!r}")
        found = value[key]
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(found, allowed) or (isinstance(found, bool) and bool not in allowed):
            raise problem(f"key {key!r} is of another type")
    return value


def _refuse_constant(name: str) -> None:
    raise ReadError(f"is not JSON: {name} is no number")
