"""The columns of telemetry measurements: types, units, and how the values of a longer time become one."""

from enum import Enum
from typing import NamedTuple


class Time(Enum):
    """Which time a point has; with a clock in real-time mode, simulated time is the time of day."""

    TICK = "simulated time at which the tick begins"
    INSTANT = "simulated time of the event"
    WALL = "real time (UTC)"


class Type(Enum):
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


class Column(NamedTuple):
    """A field; whole numbers such as Wh are exact, floats such as EUR are for reading."""

    name: str
    type: Type
    unit: str
    what: str
    aggregation: Aggregation


class Measurement(NamedTuple):
    """A kind of point: one for every set of tags and time; one written again replaces the former."""

    name: str
    what: str
    time: Time
    tags: tuple[str, ...]
    fields: tuple[Column, ...]

    def field(self, name: str) -> Column:
        """Return a field by its name; raise KeyError where there is none."""
        for column in self.fields:
            if column.name == name:
                return column
        raise KeyError(name)


def wh(name: str, what: str, aggregation: Aggregation = Aggregation.SUM) -> Column:
    """Return a field of an energy in whole Wh."""
    return Column(name, Type.INTEGER, "Wh", what, aggregation)


def eur(name: str, what: str, aggregation: Aggregation = Aggregation.SUM) -> Column:
    """Return a field of an amount of money in EUR."""
    return Column(name, Type.FLOAT, "EUR", what, aggregation)


def price(name: str, what: str, aggregation: Aggregation = Aggregation.MEAN) -> Column:
    """Return a field of a price in EUR/kWh."""
    return Column(name, Type.FLOAT, "EUR/kWh", what, aggregation)


def count(name: str, what: str, aggregation: Aggregation = Aggregation.SUM, unit: str = "1") -> Column:
    """Return a field of a whole number."""
    return Column(name, Type.INTEGER, unit, what, aggregation)


def number(name: str, unit: str, what: str, aggregation: Aggregation = Aggregation.MEAN) -> Column:
    """Return a field of a number with a unit."""
    return Column(name, Type.FLOAT, unit, what, aggregation)


def text(name: str, what: str) -> Column:
    """Return a field of a text."""
    return Column(name, Type.TEXT, "", what, Aggregation.LAST)


def flag(name: str, what: str) -> Column:
    """Return a field of a truth value."""
    return Column(name, Type.FLAG, "", what, Aggregation.LAST)
