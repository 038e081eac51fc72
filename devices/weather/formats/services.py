"""The exports of Open-Meteo, ERA5, Meteostat and NOAA.

- Open-Meteo: lines about the place and `utc_offset_seconds`, a blank line, a table with units in its header.
- ERA5: u10, v10 (or u100, v100) in m/s and t2m in K; the wind speed is √(u² + v²); times are UTC.
- Meteostat, hourly: `wspd` in km/h, `temp` in °C; as published without a header, or with one; times are UTC.
- NOAA Global Hourly (ISD): WND `direction,quality,type,speed,quality` in 0.1 m/s, TMP `value,quality` in 0.1 °C;
  9999 is missing, qualities 3 and 7 are errors (ISD format document).
"""

import re
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import shown
from gridfleet.broker.readers.ranges import whole_number
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.delimited import Row, Table, number_of, table_of
from gridfleet.devices.weather.formats.sample import (
    TEMPERATURE_LIMITS,
    TEMPERATURES,
    WIND_LIMITS,
    WIND_TO_MPS,
    Column,
    Format,
    LocalTimes,
    Options,
    Sample,
    column_value,
    fixed_offset,
    place_of,
)
from gridfleet.devices.weather.formats.table import samples_of

_SECONDS_PER_HOUR: Final = 3600
_MOST_AHEAD_S: Final = 14 * _SECONDS_PER_HOUR
_METEOSTAT: Final = (
    "date", "hour", "temp", "dwpt", "rhum", "prcp", "snow", "wdir", "wspd", "wpgt", "pres", "tsun", "coco",
)  # fmt: skip
_METEOSTAT_ROW: Final = re.compile(r"\d{4}-\d\d-\d\d,\d{1,2},[^,\n]*(?:,[^,\n]*){10}")
_NOAA_ERRORS: Final = frozenset("37")
_OPEN_METEO_HEAD: Final = "utc_offset_seconds"


def _head(text: str) -> str:
    """Return the first line that is not blank, without quotes, in lower case."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return first.replace('"', "").lower()


def _read_open_meteo(file: Path, text: str, options: Options) -> Iterator[Sample]:
    lines = text.splitlines()
    blank = next((index for index, line in enumerate(lines) if not line.strip()), len(lines))
    head = table_of(file, "\n".join(lines[:blank]))
    places: dict[str, tuple[float, float, float]] = {}
    for row in head.rows():
        values = [number_of(head, row, name) for name in ("latitude", "longitude", _OPEN_METEO_HEAD)]
        latitude, longitude, ahead_s = (value if value is not None else 0.0 for value in values)
        if abs(ahead_s) > _MOST_AHEAD_S:
            problem, remedy = f"{ahead_s:g} s ahead of UTC", "download the file again"
            raise WeatherFileError(file, row.line, _OPEN_METEO_HEAD, problem, remedy)
        places[row.cells.get("location_id", "")] = latitude, longitude, ahead_s / _SECONDS_PER_HOUR
    table = table_of(file, text, blank + 2)
    if not places or "time" not in table.columns:
        remedy = "export it again as CSV, with hourly wind speed and temperature"
        raise WeatherFileError(file, blank + 1, None, "no table of values after the blank line", remedy)
    for location, (latitude, longitude, ahead_h) in places.items():
        rows = table
        if location and "location_id" in table.columns:
            place = table.columns.index("location_id")
            kept = tuple(
                line if line.split(table.separator)[place : place + 1] == [location] else ""
                for line in table.lines
            )
            rows = table._replace(lines=kept)
        chosen = Options(
            place=options.place or (latitude, longitude),
            station=options.station or (f"location {location}" if location else ""),
            time="time",
            wind=options.wind or _lowest(table, r"wind_?speed_(\d+)m\b.*"),
            temperature=options.temperature or _lowest(table, r"temperature_(\d+)m\b.*"),
        )
        yield from samples_of(rows, chosen, LocalTimes(rows, options.zone, fixed_offset(ahead_h)))


def _lowest(table: Table, pattern: str) -> Column | None:
    """Return the column of the lowest height, of those that match."""
    found = [(int(match[1]), match[0]) for name in table.columns if (match := re.fullmatch(pattern, name))]
    return Column(min(found)[1]) if found else None


def _read_era5(file: Path, text: str, options: Options) -> Iterator[Sample]:
    table = table_of(file, text)
    names = {name.lower(): name for name in table.columns}
    time = options.time or names.get("valid_time") or names.get("time", "")
    height = "10" if "u10" in names else "100"
    missing = [name for name in (f"u{height}", f"v{height}", "latitude", "longitude") if name not in names]
    if missing or not time:
        problem = f"no column {', '.join(missing) or 'valid_time'}"
        remedy = "download both components of the wind, u and v, of one height"
        raise WeatherFileError(file, 1, None, problem, remedy)
    times = LocalTimes(table, options.zone)
    for row in table.rows():
        u, v, latitude, longitude = (
            number_of(table, row, names[name])
            for name in (f"u{height}", f"v{height}", "latitude", "longitude")
        )
        if latitude is None or longitude is None:
            raise WeatherFileError(file, row.line, "latitude", "no place", "download the file again")
        station = options.station or f"{latitude:g},{longitude:g}"
        wind = None if u is None or v is None else hypot(u, v)
        if wind is not None and wind > WIND_LIMITS[1]:
            problem = f"a wind of {wind:g} m/s"
            raise WeatherFileError(file, row.line, f"u{height}", problem, "check that u and v are in m/s")
        air = (
            column_value(table, row, names["t2m"], TEMPERATURES["K"], TEMPERATURE_LIMITS)
            if "t2m" in names
            else None
        )
        moment = times.parsed(row.line, station, row.cells[time])
        yield Sample(row.line, station, latitude, longitude, moment, wind, air)


def _read_meteostat(file: Path, text: str, options: Options) -> Iterator[Sample]:
    bare = _METEOSTAT_ROW.match(text) is not None
    table = table_of(file, text, columns=_METEOSTAT) if bare else table_of(file, text)
    place = place_of(file, options)
    station = options.station or file.stem
    times = LocalTimes(table, options.zone)
    for row in table.rows():
        if bare:
            written = f"{row.cells['date']}T{row.cells['hour']:0>2}:00"
        elif {"year", "month", "day", "hour"} <= set(table.columns):
            year, month, day, hour = (row.cells[name] for name in ("year", "month", "day", "hour"))
            written = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:00"
        else:
            written = row.cells["time" if "time" in table.columns else table.columns[0]]
        yield Sample(
            row.line,
            station,
            *place,
            times.parsed(row.line, station, written),
            column_value(table, row, "wspd", lambda value: value * WIND_TO_MPS["km/h"], WIND_LIMITS),
            column_value(table, row, "temp", TEMPERATURES["°C"], TEMPERATURE_LIMITS),
        )


def _read_noaa(file: Path, text: str, options: Options) -> Iterator[Sample]:
    table = table_of(file, text)
    times = LocalTimes(table, options.zone)
    for row in table.rows():
        latitude, longitude = number_of(table, row, "LATITUDE"), number_of(table, row, "LONGITUDE")
        if options.place is not None:
            latitude, longitude = options.place
        if latitude is None or longitude is None:
            remedy = "add the station's place: --place LATITUDE,LONGITUDE"
            raise WeatherFileError(file, row.line, "LATITUDE", "no place", remedy)
        station = options.station or row.cells["STATION"]
        moment = times.parsed(row.line, station, row.cells["DATE"])
        wind = _tenths(table, row, "WND", 3, 4)
        air = _tenths(table, row, "TMP", 0, 1)
        yield Sample(row.line, station, latitude, longitude, moment, wind, air)


def _tenths(table: Table, row: Row, column: str, place: int, quality: int) -> float | None:
    """Return a value in tenths from a cell with several parts; None where it is missing or marked as an error."""
    text = row.cells[column]
    parts = text.split(",")
    try:
        value = whole_number(parts[place], (-9999, 9999))
        if abs(value) == 9999 or parts[quality] in _NOAA_ERRORS:
            return None
    except (ReadError, IndexError) as error:
        if not text:
            return None
        problem, remedy = f"{shown(text)!r} is no {column} of NOAA's Global Hourly", "download the file again"
        raise WeatherFileError(table.file, row.line, column, problem, remedy) from error
    return value / 10


def _is_meteostat(text: str) -> bool:
    names = set(_head(text).split(","))
    return _METEOSTAT_ROW.match(text) is not None or {"temp", "wspd"} <= names


OPEN_METEO: Final = Format(
    "open-meteo", "an export of Open-Meteo", lambda text: _OPEN_METEO_HEAD in _head(text), _read_open_meteo
)
ERA5: Final = Format(
    "era5",
    "an export of ERA5",
    lambda text: bool({"u10", "v10", "u100", "v100", "t2m"} & set(re.split("[,;\t]", _head(text)))),
    _read_era5,
)
METEOSTAT: Final = Format("meteostat", "hourly data of Meteostat", _is_meteostat, _read_meteostat)
NOAA: Final = Format(
    "noaa",
    "a Global Hourly file of NOAA",
    lambda text: {"station", "date", "wnd", "tmp"} <= set(_head(text).split(",")),
    _read_noaa,
)
