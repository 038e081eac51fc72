"""How long the payload of a message can be: the upper bound that follows from the bounds of its fields.

A receiver refuses what is longer before it reads it: a sender cannot make others read 20 KiB of mistakes where a
valid message has 300 bytes.
"""

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

MAX_PAYLOAD: Final = 20_480
"""The largest payload in bytes that is decoded, whatever the message type: a bid or award of 256 packages
has up to 18 345."""
_FLOAT_BYTES: Final = 25
_ESCAPED_BYTES: Final = 6
r"""The most bytes of one character of a text: `\u0000`."""
_BLANKS: Final = 1.5, 64
"""Room for the blanks of payloads that other programs write: a factor, and bytes."""


@cache
def max_payload(message_class: Any) -> int:  # noqa: ANN401 - a class, or a union of classes
    """Return the most bytes that a valid payload of a message class, or of one of a union, can have.

    >>> from gridfleet.broker.protocol.messages import Supply
    >>> max_payload(Supply)
    133
    """
    factor, more = _BLANKS
    return min(int(_bytes_of(message_class, {}) * factor) + more, MAX_PAYLOAD)


def _bytes_of(hint: Any, bounds: dict[str, Any]) -> int:  # noqa: ANN401, PLR0911 - a hint is anything
    """Return the longest encoding of a type within bounds; MAX_PAYLOAD where it has none."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bytes_of(args[0], {**bounds, **_bounds_in(args[1:])})
    if origin is Literal:
        return max(len(str(each)) for each in args) + 2
    if origin in (Union, types.UnionType):
        return max(_bytes_of(each, bounds) for each in args)
    if origin is tuple:
        return _bytes_of_tuple(args, bounds)
    if origin is dict:
        pair = sum(_bytes_of(each, {}) for each in args) + 2
        return int(bounds.get("max_length", MAX_PAYLOAD)) * pair + 2
    if isinstance(hint, type) and issubclass(hint, Enum):
        return max(len(str(each.value)) for each in hint) + 2
    if is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        return sum(len(each.name) + 4 + _bytes_of(hints[each.name], {}) for each in fields(hint)) + 2
    return _bytes_of_value(hint, bounds)


def _bytes_of_tuple(args: tuple[Any, ...], bounds: dict[str, Any]) -> int:
    if args[-1] is Ellipsis:
        return int(bounds.get("max_length", MAX_PAYLOAD)) * (_bytes_of(args[0], {}) + 1) + 2
    return sum(_bytes_of(each, {}) + 1 for each in args) + 2


def _bytes_of_value(hint: Any, bounds: dict[str, Any]) -> int:  # noqa: ANN401 - a hint is anything
    if hint is bool:
        return 5
    if hint is type(None):
        return 4
    if hint is float:
        return _FLOAT_BYTES
    if hint is int:
        limits = [bounds[name] for name in ("ge", "gt", "le", "lt") if name in bounds]
        return max((len(str(int(each))) for each in limits), default=MAX_PAYLOAD)
    if hint is str:
        length = bounds.get("max_length")
        if length is None and "pattern" in bounds:
            # A pattern's characters are written as they are; `{0,47}` follows one more.
            found = str(bounds["pattern"]).rpartition("{0,")[2].partition("}")[0]
            return int(found) + 3 if found.isdigit() else MAX_PAYLOAD
        return MAX_PAYLOAD if length is None else int(length) * _ESCAPED_BYTES + 2
    raise TypeError(f"{hint!r} is no type of a message's field")


def _bounds_in(annotations: tuple[Any, ...]) -> dict[str, Any]:
    """Return the bounds of pydantic's Field annotations by their names."""
    rules = [rule for each in annotations if isinstance(each, FieldInfo) for rule in each.metadata]
    names = ("ge", "gt", "le", "lt", "max_length", "pattern")
    return {
        name: getattr(rule, name) for rule in rules for name in names if getattr(rule, name, None) is not None
    }
