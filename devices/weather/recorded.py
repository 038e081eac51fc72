"""Recorded weather from a CSV file.

The first line names the columns; their order is free and further columns are ignored.
- time: ISO 8601, e.g. 2025-01-31T13:45; standard time of the site (UTC+1 where the scenario has no time zone), also
  in summer, unless it has a UTC offset.
- latitude, longitude: place of the site, in degrees.
- wind_speed_mps: at hub height, 0 to 100 m/s; empty where missing.
- temperature_c: -60 to 60 °C; empty where missing.
- station (optional): the site's name. Without it, rows of the same position are one site.
Columns are separated by commas, or by semicolons or tabs, where a decimal comma is allowed.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import has_control_characters, shown
from gridfleet.broker.readers.ranges import LATITUDE, LONGITUDE, moment_of
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.delimited import Row, Table, number_of, read_text, table_of
from gridfleet.devices.weather.site_clock import STANDARD_CLOCK, SiteClock
from gridfleet.devices.weather.stations import REFUSED, Gaps, Series, SiteSeries, SiteWeather

COLUMNS: Final = ("time", "latitude", "longitude", "wind_speed_mps", "temperature_c")
_LIMITS: Final = {
    "latitude": LATITUDE,
    "longitude": LONGITUDE,
    "wind_speed_mps": (0.0, 100.0),
    "temperature_c": (-60.0, 60.0),
}

MAX_STATION: Final = 64
"""Most characters of a station's name."""
_HEADER_REMEDY: Final = (
    f"the first line must name {', '.join(COLUMNS)} (and may name station); `gridfleet weather import` converts "
    "files with other columns and units"
)


class _Site:
    """The values of one site, by time."""

    def __init__(self, latitude: float, longitude: float) -> None:
        self.latitude = latitude
        self.longitude = longitude
        self.times_ms: set[int] = set()
        self.wind_mps: dict[int, float] = {}
        self.temperature_c: dict[int, float] = {}


def read_weather_csv(
    file: Path,
    assumed_temperature_c: float | None = None,
    clock: SiteClock = STANDARD_CLOCK,
    gaps: Gaps = REFUSED,
) -> SiteWeather:
    """Return the weather of a CSV file; raise WeatherFileError with file, line, column, problem and remedy.

    Times without an offset are standard time of `clock`; `gaps` says how longer gaps are filled.
    """
    table = _table(file)
    sites: dict[str, _Site] = {}
    for row in table.rows():
        time_ms = _time_ms(table, row, clock)
        latitude = _required(table, row, "latitude")
        longitude = _required(table, row, "longitude")
        name = row.cells.get("station") or f"{latitude},{longitude}"
        if len(name) > MAX_STATION or has_control_characters(name):
            remedy = f"write at most {MAX_STATION} characters, none of them a control character"
            raise WeatherFileError(file, row.line, "station", f"{shown(name)!r} is no name", remedy)
        site = sites.setdefault(name, _Site(latitude, longitude))
        if (site.latitude, site.longitude) != (latitude, longitude):
            remedy = f"keep {site.latitude},{site.longitude} or name another station"
            raise WeatherFileError(file, row.line, "latitude", f"station {name!r} has moved", remedy)
        if time_ms in site.times_ms:
            raise _repeated(table, row, name, clock)
        site.times_ms.add(time_ms)
        for column, values in (("wind_speed_mps", site.wind_mps), ("temperature_c", site.temperature_c)):
            value = _number(table, row, column)
            if value is not None:
                values[time_ms] = value
    if not sites:
        raise WeatherFileError(file, None, None, "no row below the header", "add at least one")
    series = [
        SiteSeries(
            name, site.latitude, site.longitude, Series(site.wind_mps, gaps), Series(site.temperature_c, gaps)
        )
        for name, site in sites.items()
    ]
    return SiteWeather(series, assumed_temperature_c, clock)


def _table(file: Path) -> Table:
    """Return the file as a table that has all columns."""
    from gridfleet.devices.weather.formats.detection import detected

    text = read_text(file)
    if not text.strip():
        raise WeatherFileError(file, 1, None, f"no column {', '.join(COLUMNS)}", _HEADER_REMEDY)
    found = detected(text)
    if found is not None:
        remedy = f"convert it with `gridfleet weather import {file} --out weather.csv`"
        raise WeatherFileError(file, 1, None, f"this is {found.title}, not the columns of GridFleet", remedy)
    table = table_of(file, text)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise WeatherFileError(file, 1, None, f"no column {', '.join(missing)}", _HEADER_REMEDY)
    return table


def _repeated(table: Table, row: Row, station: str, clock: SiteClock) -> WeatherFileError:
    """Return the error for a second row of a station and time: often an hour that the legal clock shows twice."""
    written = row.cells["time"]
    problem = f"{written} occurs twice for station {station}"
    if datetime.fromisoformat(written).tzinfo is not None:
        return WeatherFileError(table.file, row.line, "time", problem, "remove one row")
    problem += f"; a time without an offset is {clock.name}, all year"
    remedy = (
        "if the times are those of the legal clock, write the offset, e.g. 2025-10-26T02:00+02:00, or convert"
        " the file with `gridfleet weather import --time-zone Europe/Berlin`; else remove one row"
    )
    return WeatherFileError(table.file, row.line, "time", problem, remedy)


def _time_ms(table: Table, row: Row, clock: SiteClock) -> int:
    text = row.cells["time"]
    try:
        return clock.simulated_ms(moment_of(text))
    except ReadError as error:
        remedy = "write it like 2025-01-31T13:45 or 2025-01-31T12:45Z"
        raise WeatherFileError(table.file, row.line, "time", error.problem, remedy) from error


def _required(table: Table, row: Row, column: str) -> float:
    value = _number(table, row, column)
    if value is None:
        raise WeatherFileError(table.file, row.line, column, "is empty", "write degrees with a decimal point")
    return value


def _number(table: Table, row: Row, column: str) -> float | None:
    """Return the number of a cell, None where it is empty; raise WeatherFileError if it is out of range."""
    low, high = _LIMITS[column]
    value = number_of(table, row, column)
    if value is not None and not low <= value <= high:
        remedy = f"allowed is {low:g} to {high:g}, or empty"
        problem = f"{shown(row.cells[column])} is out of range"
        raise WeatherFileError(table.file, row.line, column, problem, remedy)
    return value
