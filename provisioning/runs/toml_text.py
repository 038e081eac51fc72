"""A document of plain values as TOML text; the standard library reads TOML but does not write it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def toml_text(document: Mapping[str, Any]) -> str:
    """Return TOML that `tomllib` reads back as the same document; a value of None has no place in it."""
    return "\n".join(_table(document, ())) + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        inner = (*path, key)
        if isinstance(value, Mapping):
            lines += ["", f"[{'.'.join(inner)}]", *_table(value, inner)]
        elif _is_table(value):
            for each in value:
                lines += ["", f"[[{'.'.join(inner)}]]", *_table(each, inner)]
    return lines


def _is_table(value: object) -> bool:
    """Tell whether a value stands in a table, or an array of tables, of its own."""
    if isinstance(value, Mapping):
        return True
    return (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Mapping) for each in value)
    )


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case datetime():
            return value.isoformat()
        case str():
            # JSON and TOML spell strings alike, but for DEL.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case Sequence():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in TOML")
