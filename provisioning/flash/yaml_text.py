"""A document of plain values as YAML text: block style, every string quoted, so that no value is misread."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return YAML that reads back as the same document; raise TypeError for a value that has no place in it."""
    return "".join(f"{line}\n" for line in _mapping(document))


def _mapping(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        shown = key if key.replace("_", "").replace("-", "").isalnum() and key[0].isalpha() else _scalar(key)
        if isinstance(value, Mapping) and value:
            yield f"{shown}:"
            yield from (f"  {line}" for line in _mapping(value))
        elif _is_list(value) and value:
            yield f"{shown}:"
            yield from _items(value)
        else:
            yield f"{shown}: {_scalar(value)}"


def _items(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            first, *rest = _mapping(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
        else:
            yield f"- {_scalar(value)}"


def _scalar(value: object) -> str:
    """Return what stands on one line: JSON, which is YAML too."""
    match value:
        case None | bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\x7f")
        case Mapping():
            return "{" + ", ".join(f"{_scalar(key)}: {_scalar(each)}" for key, each in value.items()) + "}"
        case Sequence():
            return "[" + ", ".join(map(_scalar, value)) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in YAML")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
