"""Any delimited file with a header: columns by their usual names, units from the names, both overridable."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.delimited import Table, number_of, table_of
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
    Units,
    column_value,
    place_of,
    unit_of,
)

_TIMES: Final = ("time", "timestamp", "datetime", "date_time", "valid_time", "date")
_WIND: Final = re.compile(
    r"(wind_?speed|wspd|ws)(?:_?(\d+)m)?(?:[ _]*[(\[]?([^()\[\]_]*)[)\]]?)", re.IGNORECASE
)
_AIR: Final = re.compile(
    r"(temperature|temp|t2m|air_temperature)(?:_?(\d+)m)?(?:[ _]*[(\[]?([^()\[\]_]*)[)\]]?)", re.IGNORECASE
)


def read(file: Path, text: str, options: Options) -> Iterator[Sample]:
    """Yield the samples of a file with a header; raise WeatherFileError where a column or unit is not clear."""
    return samples_of(table_of(file, text), options)


def samples_of(table: Table, options: Options, times: LocalTimes | None = None) -> Iterator[Sample]:
    """Yield the samples of a table."""
    time = options.time or _first(table, _TIMES)
    if time not in table.columns:
        remedy = f"name the column with --time; there are {', '.join(table.columns)}"
        raise WeatherFileError(table.file, table.header_line, None, "no column for the time", remedy)
    wind = _column(table, options.wind, _WIND, WIND_TO_MPS, "wind")
    air = _column(table, options.temperature, _AIR, TEMPERATURES, "temperature")
    if wind is None:
        remedy = f"name it with its unit: --wind COLUMN:m/s; there are {', '.join(table.columns)}"
        raise WeatherFileError(table.file, table.header_line, None, "no column for the wind speed", remedy)
    factor = WIND_TO_MPS[wind.unit]
    with_place = {"latitude", "longitude"} <= set(table.columns)
    times = times or LocalTimes(table, options.zone)
    for row in table.rows():
        if with_place and options.place is None:
            latitude, longitude = number_of(table, row, "latitude"), number_of(table, row, "longitude")
            if latitude is None or longitude is None:
                problem, remedy = "no place", "write degrees, or give --place LATITUDE,LONGITUDE"
                raise WeatherFileError(table.file, row.line, "latitude", problem, remedy)
            place = latitude, longitude
        else:
            place = place_of(table.file, options)
        station = options.station or row.cells.get("station") or f"{place[0]:g},{place[1]:g}"
        yield Sample(
            row.line,
            station,
            *place,
            times.parsed(row.line, station, row.cells[time]),
            column_value(table, row, wind.name, lambda value: value * factor, WIND_LIMITS),
            column_value(table, row, air.name, TEMPERATURES[air.unit], TEMPERATURE_LIMITS) if air else None,
        )


def _first(table: Table, names: tuple[str, ...]) -> str:
    lower = {name.lower(): name for name in table.columns}
    return next((lower[name] for name in names if name in lower), "")


def _column(
    table: Table, given: Column | None, pattern: re.Pattern[str], units: Units, what: str
) -> Column | None:
    """Return the column of a quantity with its unit: the one that the user names, else the only one that fits.

    None where there is none. Raises WeatherFileError where several fit, or the unit is not clear.
    """
    option, example = f"--{what}", "wspd:km/h" if what == "wind" else "t2m:K"
    if given is not None:
        if given.name not in table.columns:
            problem, remedy = f"no column {given.name}", f"there are {', '.join(table.columns)}"
            raise WeatherFileError(table.file, table.header_line, given.name, problem, remedy)
        name = given.name
    else:
        fitting = [name for name in table.columns if pattern.fullmatch(name)]
        if len(fitting) > 1:
            problem = f"{' and '.join(fitting)} could be the {what}"
            remedy = f"name the one that counts: {option} '{fitting[0]}'"
            raise WeatherFileError(table.file, table.header_line, None, problem, remedy)
        if not fitting:
            return None
        (name,) = fitting
    match = pattern.fullmatch(name)
    written = given.unit if given is not None and given.unit else (match[3] if match else "")
    unit = unit_of(written, units)
    if not unit:
        problem = f"the unit of {name} is not clear" + (f" ({written!r} is not known)" if written else "")
        remedy = f"name it, one of {', '.join(units)}: {option} {example}"
        raise WeatherFileError(table.file, table.header_line, name, problem, remedy)
    return Column(name, unit)


TABLE: Final = Format("table", "a table with a header", lambda _: True, read)
