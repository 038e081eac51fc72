"""Hypothesis strategies that draw messages, within the bounds in their annotations."""

import types
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from gridfleet.broker.protocol import messages
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import TOPIC_TABLE

Overrides = Mapping[str, st.SearchStrategy[Any]]
"""Field name -> strategy that is used instead, some of the time."""
STATES = get_args(get_args(messages.AnyState)[0])
CLASSES: list[type[Any]] = [
    message_type.message_class
    for message_type in TOPIC_TABLE
    if message_type.message_class is not messages.State
] + [*STATES]
"""All classes of messages."""


def anything(kind: type[Any], overrides: Overrides | None = None) -> st.SearchStrategy[Any]:
    """Return a strategy for a message class, drawn from the bounds in its annotations."""
    hints = get_type_hints(kind, include_extras=True)
    parts = {}
    for field in fields(kind):
        drawn = _of(hints[field.name], overrides)
        if overrides and field.name in overrides:
            drawn = overrides[field.name] | drawn
        parts[field.name] = drawn
    return st.builds(kind, **parts)


def any_message(overrides: Overrides | None = None) -> st.SearchStrategy[Message]:
    return st.one_of([anything(kind, overrides) for kind in CLASSES])


def _of(hint: Any, overrides: Overrides | None) -> st.SearchStrategy[Any]:  # noqa: ANN401, PLR0911 - a hint is anything
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        rules = [rule for info in args[1:] if isinstance(info, FieldInfo) for rule in info.metadata]
        return _bounded(args[0], rules, overrides)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of([_of(arg, overrides) for arg in args])
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(_of(args[0], overrides), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(_of(arg, overrides) for arg in args))
    if origin is dict:
        return st.dictionaries(_of(args[0], overrides), _of(args[1], overrides), max_size=3)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if hint in (bool, type(None)):
        return st.booleans() if hint is bool else st.none()
    return anything(hint, overrides)


def _bounded(inner: Any, rules: list[Any], overrides: Overrides | None) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a hint is anything
    """Return a strategy within the bounds of a Field."""
    found: dict[str, Any] = {}
    for rule in rules:
        for name in ("ge", "gt", "le", "lt", "max_length", "pattern"):
            if getattr(rule, name, None) is not None:
                found[name] = getattr(rule, name)
    if inner is int:
        low = found["gt"] + 1 if "gt" in found else found["ge"]
        return st.integers(low, found["lt"] - 1 if "lt" in found else found["le"])
    if inner is float:
        low = found.get("gt", found.get("ge"))
        return st.floats(
            low, found.get("le"), exclude_min="gt" in found, allow_nan=False, allow_infinity=False
        )
    if inner is str and "pattern" in found:
        return st.from_regex(found["pattern"].replace("$", r"\Z"), fullmatch=True)
    if inner is str:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=found.get("max_length"))
    return _of(inner, overrides)
