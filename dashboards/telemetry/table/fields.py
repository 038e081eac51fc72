"""Measurements and their fields: types, units, tags, and how the values of a longer time become one."""

from enum import Enum
from typing import Final, NamedTuple


class PointTime(Enum):
    """Which time a point has; with a clock in real-time mode, simulated time is the time of day."""

    TICK = "simulated time at which the tick begins"
    INSTANT = "simulated time of the event"
    WALL = "real time (UTC)"


class FieldType(Enum):
    """The type of a field in InfluxDB; it never changes."""

    FLOAT = "float"
    INTEGER = "integer"
    TEXT = "string"
    FLAG = "boolean"


class Aggregation(Enum):
    """How the values of a longer time become one, in the buckets for 15 minutes and for days."""

    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"


class Field(NamedTuple):
    """A field; whole numbers such as Wh are exact, floats such as EUR are for reading."""

    name: str
    type: FieldType
    unit: str
    what: str
    aggregation: Aggregation


class Measurement(NamedTuple):
    """A kind of point; a point with the same tags and time as an earlier one replaces it."""

    name: str
    what: str
    time: PointTime
    tags: tuple[str, ...]
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """Return a field by its name; raise KeyError where there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def wh(name: str, what: str, aggregation: Aggregation = Aggregation.SUM) -> Field:
    """Return a field of an energy in whole Wh."""
    return Field(name, FieldType.INTEGER, "Wh", what, aggregation)


def eur(name: str, what: str, aggregation: Aggregation = Aggregation.SUM) -> Field:
    """Return a field of an amount of money in EUR."""
    return Field(name, FieldType.FLOAT, "EUR", what, aggregation)


def price(name: str, what: str, aggregation: Aggregation = Aggregation.MEAN) -> Field:
    """Return a field of a price in EUR/kWh."""
    return Field(name, FieldType.FLOAT, "EUR/kWh", what, aggregation)


def count(name: str, what: str, aggregation: Aggregation = Aggregation.SUM, unit: str = "1") -> Field:
    """Return a field of a whole number."""
    return Field(name, FieldType.INTEGER, unit, what, aggregation)


def number(name: str, unit: str, what: str, aggregation: Aggregation = Aggregation.MEAN) -> Field:
    """Return a field of a number with a unit."""
    return Field(name, FieldType.FLOAT, unit, what, aggregation)


def text(name: str, what: str) -> Field:
    """Return a field of a text."""
    return Field(name, FieldType.TEXT, "", what, Aggregation.LAST)


def flag(name: str, what: str) -> Field:
    """Return a field of a truth value."""
    return Field(name, FieldType.FLAG, "", what, Aggregation.LAST)


RUN_TAGS: Final = ("site", "run")
CELL_TAGS: Final = (*RUN_TAGS, "cell", "algorithm")
TICK: Final = count("tick", "number of the tick", Aggregation.LAST)
