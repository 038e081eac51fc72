"""Frozen dataclasses with a fast constructor, because simulations make messages by the million.

A frozen dataclass of the standard library sets its fields through `object.__setattr__`. Setting them through the slot
descriptors takes a third less time, and 7 % less for a whole simulation. Everything else is the standard library's.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def frozen(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass with slots; defaults must be plain values."""
    made = dataclass(frozen=True, slots=True)(cls)
    setattr(made, "__init__", _initializer(made))  # noqa: B010 - mypy knows __init__ from dataclass_transform
    return made


def _initializer(made: type[Any]) -> Callable[..., None]:
    """Return an `__init__` that sets the fields of the class."""
    names: dict[str, Any] = {}
    parameters = ["self"]
    body = []
    for field in fields(made):
        names[f"set_{field.name}"] = getattr(made, field.name).__set__
        if field.default is MISSING:
            parameters.append(field.name)
        else:
            names[f"default_{field.name}"] = field.default
            parameters.append(f"{field.name}=default_{field.name}")
        body.append(f"    set_{field.name}(self, {field.name})")
    lines = [f"def __init__({', '.join(parameters)}):", *(body or ["    pass"])]
    exec("\n".join(lines), names)  # noqa: S102 - as dataclasses does, from our own field names only
    initializer: Callable[..., None] = names["__init__"]
    initializer.__qualname__ = f"{made.__qualname__}.__init__"
    return initializer
