"""A document of plain values as YAML text: block style, every string quoted, so that no value is misread."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_PLAIN: Final = re.compile(r"[a-z][a-z0-9_-]*")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""What YAML 1.1 takes for something else than text."""
_BREAKING: Final = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON leaves as it is and YAML does not."""


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return YAML that reads back as the same document; raise TypeError for a value that has no place in it."""
    return "".join(f"{line}\n" for line in _mapping(document))


def _mapping(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        shown = key if _PLAIN.fullmatch(key) and key not in _WORDS else _scalar(key)
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
            text = json.dumps(value, ensure_ascii=False)
            return _BREAKING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
        case Mapping():
            return "{" + ", ".join(f"{_scalar(key)}: {_scalar(each)}" for key, each in value.items()) + "}"
        case Sequence() if not isinstance(value, bytes):
            return "[" + ", ".join(map(_scalar, value)) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in YAML")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
