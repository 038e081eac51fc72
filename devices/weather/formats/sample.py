"""Samples, options and units of the readers of weather formats."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from gridfleet.broker.readers.ranges import moment_of, utc_ms
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.delimited import Row, Table, number_of

WIND_TO_MPS: Final[dict[str, float]] = {
    "m/s": 1.0, "km/h": 1 / 3.6, "kn": 1852 / 3600, "mph": 0.44704, "ft/s": 0.3048,
}  # fmt: skip
"""Metres per second in one unit of wind speed; the knot is a nautical mile (1852 m) per hour."""
TEMPERATURES: Final[dict[str, Callable[[float], float]]] = {
    "°C": lambda value: value,
    "K": lambda value: value - 273.15,
    "°F": lambda value: (value - 32) / 1.8,
}
Units: TypeAlias = dict[str, float] | dict[str, Callable[[float], float]]
"""What is known of each unit, by its name."""
_ALIASES: Final = {
    "mps": "m/s", "ms": "m/s", "m s-1": "m/s", "m s**-1": "m/s", "kmh": "km/h", "kph": "km/h", "knots": "kn",
    "kt": "kn", "mp/h": "mph", "c": "°C", "degc": "°C", "celsius": "°C", "f": "°F", "°f": "°F", "degf": "°F",
    "fahrenheit": "°F", "k": "K", "kelvin": "K", "°c": "°C",
}  # fmt: skip
WIND_LIMITS: Final = (0.0, 100.0)
TEMPERATURE_LIMITS: Final = (-60.0, 60.0)


class Sample(NamedTuple):
    """A measurement of one station: a moment, a place, and what was measured; None where a value is missing."""

    line: int
    station: str
    latitude: float
    longitude: float
    moment: datetime
    """With its UTC offset."""
    wind_mps: float | None
    temperature_c: float | None


class Column(NamedTuple):
    """A column that the user names, and the unit of its values where the file does not say it."""

    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What a file does not say of itself."""

    place: tuple[float, float] | None = None
    """Latitude and longitude of the station."""
    station: str = ""
    zone: tzinfo | None = None
    """The legal clock that the times without an offset are of."""
    time: str = ""
    wind: Column | None = None
    temperature: Column | None = None
    year: int | None = None
    """The year into which the months of a typical year are put."""


class Format(NamedTuple):
    """A file format: its name on the command line, what it is called, how it is recognised and read."""

    name: str
    title: str
    recognises: Callable[[str], bool]
    read: Callable[[Path, str, Options], Iterator[Sample]]


def place_of(file: Path, options: Options) -> tuple[float, float]:
    """Return the place that the user gave; raise WeatherFileError where the format needs one."""
    if options.place is None:
        problem = "does not say where it was measured"
        raise WeatherFileError(
            file, None, None, problem, "add the station's place: --place LATITUDE,LONGITUDE"
        )
    return options.place


def unit_of(text: str, known: Units) -> str:
    """Return the name of a unit, however it is written; empty for one that is not known."""
    plain = text.strip().strip("()[]").strip()
    name = plain if plain in known else _ALIASES.get(plain.lower(), "")
    return name if name in known else ""


def column_value(
    table: Table,
    row: Row,
    column: str,
    convert: Callable[[float], float],
    limits: tuple[float, float],
    missing: tuple[float, ...] = (),
) -> float | None:
    """Return a cell as a converted number, None where it is empty or stands for a missing value.

    Raises WeatherFileError where the converted number is outside the limits, which often means another unit.
    """
    value = number_of(table, row, column)
    if value is None or value in missing:
        return None
    converted = convert(value)
    low, high = limits
    if not low <= converted <= high:
        problem = f"{row.cells[column]} is {converted:g} after conversion, allowed is {low:g} to {high:g}"
        remedy = "check the unit of the column, or leave the cell empty where the value is missing"
        raise WeatherFileError(table.file, row.line, column, problem, remedy)
    return converted


class LocalTimes:
    """Turns the times of one file into moments: with an offset as they are, without one by zone, else as UTC."""

    def __init__(self, table: Table, zone: tzinfo | None, fallback: tzinfo = UTC) -> None:
        self._table = table
        self._zone = zone
        self._fallback = fallback
        self._seen: set[tuple[str, datetime]] = set()

    def moment(self, line: int, station: str, naive: datetime) -> datetime:
        """Return the moment of a time; the second of two equal legal times in autumn is the later one.

        Raises WeatherFileError for a legal time that does not exist in spring.
        """
        try:
            utc_ms(naive)
        except ReadError as error:
            raise WeatherFileError(self._table.file, line, None, error.problem, "correct the time") from error
        if naive.tzinfo is not None:
            return naive
        if self._zone is None:
            return naive.replace(tzinfo=self._fallback)
        repeated = (station, naive) in self._seen
        self._seen.add((station, naive))
        moment = naive.replace(tzinfo=self._zone, fold=int(repeated))
        if moment.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None, fold=0) != naive:
            problem = f"{naive:%Y-%m-%d %H:%M} does not exist in {self._zone}: the clock is put forward then"
            remedy = "name the time zone that the file is in, or write the offset of each time"
            raise WeatherFileError(self._table.file, line, None, problem, remedy)
        return moment

    def parsed(self, line: int, station: str, text: str) -> datetime:
        """Return the moment of a time in ISO 8601."""
        try:
            naive = moment_of(text)
        except ReadError as error:
            remedy = "write it like 2025-01-31T13:45 or 2025-01-31T12:45Z"
            raise WeatherFileError(self._table.file, line, None, error.problem, remedy) from error
        return self.moment(line, station, naive)


def fixed_offset(hours: float) -> timezone:
    """Return the time zone that is so many hours ahead of UTC all year."""
    return timezone(timedelta(hours=hours))


def in_year(moment: datetime, year: int | None) -> datetime | None:
    """Return a moment of a typical year in the year that the user chose; None for a 29 February that it lacks."""
    if year is None:
        return moment
    try:
        return moment.replace(year=year)
    except ValueError:
        return None
