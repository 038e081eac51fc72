"""EPW files, and the CSV files of PVGIS: hourly series and typical meteorological years.

- EPW (EnergyPlus Weather): the LOCATION line has place and UTC offset; eight header lines; hour 1 is 00:00 to 01:00,
  in local standard time; dry bulb in °C (99.9 missing), wind speed in m/s (999 missing) at 10 m.
- PVGIS: lines with latitude and longitude, then `time,…,T2m,…,WS10m,…` with times such as 20160101:0010 in UTC.
The months of a typical year come from different years: they need one year into which they are put.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import shown
from gridfleet.broker.readers.ranges import number
from gridfleet.broker.readers.ranges import place as place_on_earth
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.delimited import Row, Table, number_of, table_of
from gridfleet.devices.weather.formats.sample import (
    TEMPERATURE_LIMITS,
    TEMPERATURES,
    WIND_LIMITS,
    Format,
    Options,
    Sample,
    column_value,
    fixed_offset,
    in_year,
)

_EPW_HEADER_LINES: Final = 8
_EPW_COLUMNS: Final = tuple(f"column {number}" for number in range(1, 36))
_EPW_DRY_BULB, _EPW_WIND = _EPW_COLUMNS[6], _EPW_COLUMNS[21]
_PVGIS_PLACE: Final = re.compile(r"(Latitude|Longitude) \(decimal degrees\):\s*(-?[\d.]+)", re.IGNORECASE)
_PVGIS_HEADER: Final = re.compile(r"time(?:\(UTC\))?,", re.IGNORECASE)
MOST_AHEAD_H: Final = (-14.0, 14.0)
"""Standard times ahead of UTC, in hours."""
_PVGIS_TIME: Final = re.compile(r"\d{8}:\d{4}")


def _read_epw(file: Path, text: str, options: Options) -> Iterator[Sample]:
    location = text.splitlines()[0].split(",")
    try:
        latitude, longitude = place_on_earth(*(cell.strip() for cell in location[6:8]))
        ahead_h = number(location[8].strip(), MOST_AHEAD_H)
    except (ReadError, TypeError, IndexError) as error:
        remedy = (
            "expected LOCATION,city,state,country,source,number,latitude,longitude,hours ahead of UTC,height"
        )
        raise WeatherFileError(file, 1, None, "the LOCATION line is not one of EPW", remedy) from error
    table = table_of(file, text, _EPW_HEADER_LINES + 1, _EPW_COLUMNS)
    place = options.place or (latitude, longitude)
    station = options.station or location[1].strip() or file.stem
    zone = fixed_offset(ahead_h)

    def begin_of(row: Row) -> datetime:
        parts = [number_of(table, row, name) for name in _EPW_COLUMNS[:4]]
        try:
            year, month, day, hour = (int(part or 0) for part in parts)
            return datetime(year, month, day, tzinfo=zone) + timedelta(hours=hour - 1)
        except (ValueError, OverflowError) as error:
            remedy = "expected year,month,day,hour,… with hours 1 to 24"
            raise WeatherFileError(file, row.line, None, "no date and hour", remedy) from error

    for row, moment in _in_one_year(file, table, begin_of, options):
        yield Sample(
            row.line,
            station,
            *place,
            moment,
            column_value(table, row, _EPW_WIND, lambda value: value, WIND_LIMITS, (999.0,)),
            column_value(table, row, _EPW_DRY_BULB, TEMPERATURES["°C"], TEMPERATURE_LIMITS, (99.9,)),
        )


def _read_pvgis(file: Path, text: str, options: Options) -> Iterator[Sample]:
    found = {name.lower(): value for name, value in _PVGIS_PLACE.findall(text)}
    lines = text.splitlines()
    header = next((number for number, line in enumerate(lines, 1) if _PVGIS_HEADER.match(line)), 0)
    if not header or not (options.place or len(found) == 2):
        remedy = "download the CSV of hourly data or of a typical meteorological year again"
        raise WeatherFileError(file, None, None, "no place or no table of values", remedy)
    end = next(
        (index for index in range(header, len(lines)) if not _PVGIS_TIME.match(lines[index])), len(lines)
    )
    table = table_of(file, "\n".join(lines[:end]), header)
    missing = [name for name in ("T2m", "WS10m") if name not in table.columns]
    if missing:
        remedy = "download hourly data with wind speed (WS10m) and temperature (T2m)"
        raise WeatherFileError(file, header, None, f"no column {', '.join(missing)}", remedy)
    try:
        place = options.place or place_on_earth(found["latitude"], found["longitude"])
    except ReadError as error:
        raise WeatherFileError(file, None, None, error.problem, "download the file again") from error
    station = options.station or file.stem

    def time_of(row: Row) -> datetime:
        written = row.cells[table.columns[0]]
        try:
            return datetime.strptime(written, "%Y%m%d:%H%M").replace(tzinfo=UTC)
        except ValueError as error:
            problem, remedy = f"{shown(written)!r} is no time of PVGIS", "write it like 20160101:0010"
            raise WeatherFileError(file, row.line, None, problem, remedy) from error

    for row, moment in _in_one_year(file, table, time_of, options):
        yield Sample(
            row.line,
            station,
            *place,
            moment,
            column_value(table, row, "WS10m", lambda value: value, WIND_LIMITS),
            column_value(table, row, "T2m", TEMPERATURES["°C"], TEMPERATURE_LIMITS),
        )


def _in_one_year(
    file: Path, table: Table, time_of: Callable[[Row], datetime], options: Options
) -> Iterator[tuple[Row, datetime]]:
    """Yield the rows with their times, in the year of the options if one is given.

    Raises WeatherFileError where the months are of several years, so that times go back.
    """
    last: datetime | None = None
    for row in table.rows():
        moment = in_year(time_of(row), options.year)
        if moment is None:
            continue
        if last is not None and moment <= last:
            problem = (
                f"{moment:%Y-%m-%d %H:%M} comes after {last:%Y-%m-%d %H:%M}: the months are of several years"
            )
            remedy = "put them into one year that is no leap year: --year 2025"
            raise WeatherFileError(file, row.line, None, problem, remedy)
        last = moment
        yield row, moment


EPW: Final = Format("epw", "an EPW file", lambda text: text[:9].upper() == "LOCATION,", _read_epw)
PVGIS: Final = Format(
    "pvgis", "a CSV file of PVGIS", lambda text: _PVGIS_PLACE.search(text[:2000]) is not None, _read_pvgis
)
