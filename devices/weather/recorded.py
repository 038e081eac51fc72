"""Recorded weather from a CSV file.

The first line names the columns; their order is free and further columns are ignored.
- time: ISO 8601, e.g. 2025-01-31T13:45; German standard time unless it has a UTC offset.
- latitude, longitude: place of the site, in degrees.
- wind_speed_mps: at hub height, 0 to 100 m/s; empty where missing.
- temperature_c: -60 to 60 °C; empty where missing.
- station (optional): the site's name. Without it, rows of the same position are one site.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.devices.weather import STANDARD_TIME_AHEAD_OF_UTC_MS, WeatherFileError
from gridfleet.devices.weather.stations import Series, SiteSeries, SiteWeather

COLUMNS: Final = ("time", "latitude", "longitude", "wind_speed_mps", "temperature_c")
_LIMITS: Final = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "wind_speed_mps": (0.0, 100.0),
    "temperature_c": (-60.0, 60.0),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class _Site:
    """The values of one site, by time."""

    def __init__(self, latitude: float, longitude: float) -> None:
        self.latitude = latitude
        self.longitude = longitude
        self.times_ms: set[int] = set()
        self.wind_mps: dict[int, float] = {}
        self.temperature_c: dict[int, float] = {}


def read_weather_csv(file: Path, assumed_temperature_c: float | None = None) -> SiteWeather:
    """Return the weather of a CSV file; raise WeatherFileError with file, line, column, problem and remedy."""
    sites: dict[str, _Site] = {}
    for line, row in _rows(file):
        time_ms = _time_ms(file, line, row["time"])
        latitude = _required(file, line, "latitude", row)
        longitude = _required(file, line, "longitude", row)
        name = row.get("station") or f"{latitude},{longitude}"
        site = sites.setdefault(name, _Site(latitude, longitude))
        if (site.latitude, site.longitude) != (latitude, longitude):
            remedy = f"keep {site.latitude},{site.longitude} or name another station"
            raise WeatherFileError(file, line, "latitude", f"station {name!r} has moved", remedy)
        if time_ms in site.times_ms:
            problem = f"{row['time']} occurs twice for station {name}"
            raise WeatherFileError(file, line, "time", problem, "remove one row")
        site.times_ms.add(time_ms)
        for column, values in (("wind_speed_mps", site.wind_mps), ("temperature_c", site.temperature_c)):
            value = _number(file, line, column, row[column])
            if value is not None:
                values[time_ms] = value
    if not sites:
        raise WeatherFileError(file, None, None, "no row below the header", "add at least one")
    series = [
        SiteSeries(name, site.latitude, site.longitude, Series(site.wind_mps), Series(site.temperature_c))
        for name, site in sites.items()
    ]
    return SiteWeather(series, assumed_temperature_c)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and stripped cells of every row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="", skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                remedy = f"the first line must name {', '.join(COLUMNS)} (and may name station)"
                raise WeatherFileError(file, 1, None, f"no column {', '.join(missing)}", remedy)
            reader.fieldnames = header
            for row in reader:
                yield reader.line_num, {name: row[name].strip() for name in header}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "give a readable CSV file in UTF-8"
        raise WeatherFileError(file, None, None, f"cannot be read ({error_reason(error)})", remedy) from error


def _time_ms(file: Path, line: int, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        remedy = "write it like 2025-01-31T13:45 or 2025-01-31T12:45Z"
        raise WeatherFileError(file, line, "time", f"{text!r} is not an ISO 8601 time", remedy) from error
    if moment.tzinfo is None:
        return (moment.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
    return (moment - _EPOCH) // _MILLISECOND + STANDARD_TIME_AHEAD_OF_UTC_MS


def _required(file: Path, line: int, column: str, row: dict[str, str]) -> float:
    value = _number(file, line, column, row[column])
    if value is None:
        raise WeatherFileError(file, line, column, "is empty", "write degrees with a decimal point")
    return value


def _number(file: Path, line: int, column: str, text: str) -> float | None:
    """Return the number of a cell, None where it is empty; raise WeatherFileError if it is out of range."""
    if not text:
        return None
    low, high = _LIMITS[column]
    try:
        value = float(text)
    except ValueError as error:
        remedy = "write a number with a decimal point, or leave it empty"
        raise WeatherFileError(file, line, column, f"{text!r} is not a number", remedy) from error
    if not (isfinite(value) and low <= value <= high):
        remedy = f"allowed is {low:g} to {high:g}, or empty"
        raise WeatherFileError(file, line, column, f"{text} is out of range", remedy)
    return value
