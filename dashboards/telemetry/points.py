"""A point, and its text in InfluxDB's line protocol, which the spool keeps and the server accepts."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import ID_PATTERN

Value = int | float | str | bool
UNKNOWN: Final = "unknown"
PRECISION: Final = "ms"
"""The precision of the times in the lines."""
_LARGEST: Final = 2**63 - 1
_MAX_CACHED: Final = 1 << 14
"""Cached texts: tags and texts that recur in every tick are escaped once."""
_NAME: Final = re.compile(ID_PATTERN)
_IN_TAG: Final = str.maketrans(
    {",": r"\,", "=": r"\=", " ": r"\ ", "\\": "/", "\n": r"\ ", "\r": r"\ ", "\t": r"\ "}
)
_IN_TEXT: Final = str.maketrans({'"': r"\"", "\\": r"\\", "\n": " ", "\r": " "})


class Point(NamedTuple):
    """One point; a measurement of the telemetry table with all of its tags and those fields that have a value."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value | None]
    """None where there is no value."""
    time_ms: int


def line_protocol(point: Point) -> str:
    """Return a point in line protocol, times in milliseconds; empty for a point without any value.

    >>> line_protocol(Point("grid", {"site": "home", "cell": "north"}, {"sold_wh": 500}, 1_748_822_400_000))
    'grid,cell=north,site=home sold_wh=500i 1748822400000'
    """
    fields = ",".join(
        [f"{name}={_value_text(value)}" for name, value in point.fields.items() if value is not None]
    )
    return f"{_series(point.measurement, *point.tags.items())} {fields} {point.time_ms}" if fields else ""


def id_or_unknown(name: str) -> str:
    """Return a name if it is a valid id, else `unknown`, so that no device can invent tags."""
    return name if _NAME.match(name) else UNKNOWN


@lru_cache(_MAX_CACHED)
def _series(measurement: str, *tags: tuple[str, str]) -> str:
    """Return measurement and tags in line protocol, sorted as the server sorts them."""
    return ",".join([measurement, *(f"{name}={value.translate(_IN_TAG)}" for name, value in sorted(tags))])


def _value_text(value: Value) -> str:
    kind = type(value)
    if kind is int:
        return f"{value}i" if -_LARGEST <= value <= _LARGEST else f"{_LARGEST if value > 0 else -_LARGEST}i"  # type: ignore[operator]
    if kind is float:
        return repr(value)
    if kind is bool:
        return "true" if value else "false"
    return _text(str(value))


@lru_cache(_MAX_CACHED)
def _text(value: str) -> str:
    return f'"{value.translate(_IN_TEXT)}"'
