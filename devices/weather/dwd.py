"""Recorded weather from the station files of the German weather service (DWD), of 10 minutes and of hours.

Read as published under opendata.dwd.de, CDC/observations_germany/climate/10_minutes, `wind` and
`air_temperature`: `produkt_zehn_min_ff_*.txt` (wind speed FF_10 in m/s) and `produkt_zehn_min_tu_*.txt`
(temperature TT_10 in °C); and under …/climate/hourly: `produkt_ff_stunde_*.txt` (F in m/s) and
`produkt_tu_stunde_*.txt` (TT_TU in °C); plain or within their .zip. Latin-1, cells between semicolons padded with
blanks, header `STATIONS_ID;MESS_DATUM;  QN;FF_10;DD_10;eor`, in files before 2000 without `eor`; −999 is missing.

An hourly value has the time yyyymmddhh and holds from then on.

Time: MESS_DATUM (yyyymmddhhmm) ends the ten minutes measured. It is UTC, in files that end before 2000 German
standard time (DWD's data set description). A quarter hour takes the mean of what overlaps it, weighted by the
overlap, and needs half of it covered. A gap is bridged for an hour; after that, other stations are used.

Place: from a station list (`zehn_min_ff_Beschreibung_Stationen.txt`), or the archive's own
`Metadaten_Geographie_*.txt` (its last line, the present site), or coordinates given by station number.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import shown
from gridfleet.broker.protocol.units import QUARTER_HOUR_MS
from gridfleet.broker.readers.archives import zip_members
from gridfleet.broker.readers.files import read_bytes
from gridfleet.broker.readers.ranges import number, utc_ms, whole_number
from gridfleet.broker.readers.ranges import place as place_on_earth
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.site_clock import GERMAN_STANDARD_TIME_MS, STANDARD_CLOCK, SiteClock
from gridfleet.devices.weather.stations import REFUSED, Gaps, Series, SiteSeries, SiteWeather

MISSING: Final = -999.0
_PRODUCT_PREFIXES = ("produkt_zehn_min_", "produkt_ff_stunde_", "produkt_tu_stunde_")
_GEOGRAPHY_PREFIX = "Metadaten_Geographie_"
_COLUMNS = {"FF_10": "wind", "TT_10": "temperature", "F": "wind", "TT_TU": "temperature"}
_HOURLY = frozenset({"F", "TT_TU"})
_LIMITS = {"wind": (0.0, 100.0), "temperature": (-60.0, 60.0)}
_INTERVAL_MS = 600_000
_MIN_COVERED_MS = QUARTER_HOUR_MS // 2
_STATIONS: Final = (0, 99_999)
_YEAR_2000_MS: Final = utc_ms(datetime(2000, 1, 1))  # noqa: DTZ001 - UTC
_STATION_LINE = re.compile(
    r"\s*(\d{1,5})(?:\s+\d{8}){0,2}\s+-?\d+(?:\.\d+)?\s+(-?\d+\.\d+)\s+(-?\d+\.\d+)\s+\S", re.ASCII
)
_GEOGRAPHY_CELLS = 4

Coordinates = Mapping[int, tuple[float, float]]


def read_dwd(
    files: Iterable[Path],
    station_list: Path | None = None,
    coordinates: Coordinates | None = None,
    assumed_temperature_c: float | None = None,
    *,
    place: tuple[float, float] | None = None,
    clock: SiteClock = STANDARD_CLOCK,
    gaps: Gaps = REFUSED,
) -> SiteWeather:
    """Return the weather of DWD files of any stations; where files overlap, the later one in the list counts.

    Places come from `coordinates` (latitude, longitude by station number), else from the station list, else from
    the archives, else `place` is that of every station. `gaps` says how gaps of more than an hour are filled. Raise
    WeatherFileError with file, line, column, problem and remedy.
    """
    places: dict[int, tuple[float, float]] = {}
    samples: dict[tuple[int, str], dict[int, float]] = {}
    ahead_ms = clock.ahead_of_utc_ms
    station_file: dict[int, Path] = {}
    for file in files:
        for name, text in _members(file):
            if name.startswith(_GEOGRAPHY_PREFIX):
                places.update(_geography(file, text))
                continue
            station, quantity, values = _product(file, text, ahead_ms)
            samples.setdefault((station, quantity), {}).update(values)
            station_file.setdefault(station, file)
    if station_list is not None:
        places.update(read_station_list(station_list))
    places.update(coordinates or {})
    sites = []
    for station, file in sorted(station_file.items()):
        where = places.get(station, place)
        if where is None:
            remedy = (
                "add a station list, or the .zip with the station's metadata, or convert the file with"
                " `gridfleet weather import --place LATITUDE,LONGITUDE`"
            )
            raise WeatherFileError(file, None, None, f"no coordinates of station {station}", remedy)
        wind, temperature = (Series(samples.get((station, quantity), {}), gaps) for quantity in _LIMITS)
        sites.append(SiteSeries(f"{station:05d}", *where, wind, temperature))
    return SiteWeather(sites, assumed_temperature_c, clock)


def read_station_list(file: Path) -> dict[int, tuple[float, float]]:
    """Return latitude and longitude by station number from a `…_Beschreibung_Stationen.txt`."""
    places = {}
    for line, text in enumerate(_bytes(file).decode("latin-1").splitlines(), 1):
        match = _STATION_LINE.match(text)
        if match is None:
            continue
        try:
            places[int(match[1])] = place_on_earth(match[2], match[3])
        except ReadError as error:
            raise WeatherFileError(file, line, None, error.problem, "fetch the file again") from error
    if not places:
        remedy = "give DWD's zehn_min_ff_Beschreibung_Stationen.txt"
        raise WeatherFileError(file, None, None, "has no line for a station", remedy)
    return places


def quarter_means(samples: Mapping[int, float]) -> dict[int, float]:
    """Return quarter-hour means by their beginning, from ten-minute means by their end; times in ms."""
    covered: dict[int, int] = {}
    sums: dict[int, float] = {}
    for end_ms, value in sorted(samples.items()):
        begin_ms = end_ms - _INTERVAL_MS
        while begin_ms < end_ms:
            quarter_ms = begin_ms - begin_ms % QUARTER_HOUR_MS
            part_ms = min(end_ms, quarter_ms + QUARTER_HOUR_MS) - begin_ms
            covered[quarter_ms] = covered.get(quarter_ms, 0) + part_ms
            sums[quarter_ms] = sums.get(quarter_ms, 0.0) + part_ms * value
            begin_ms += part_ms
    return {
        quarter_ms: sums[quarter_ms] / part_ms
        for quarter_ms, part_ms in covered.items()
        if part_ms >= _MIN_COVERED_MS
    }


def _members(file: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of the file, or of the product and geography files in the archive."""
    if file.suffix.lower() != ".zip":
        yield file.name, _bytes(file).decode("latin-1")
        return
    try:
        members = zip_members(file, lambda name: name.startswith((*_PRODUCT_PREFIXES, _GEOGRAPHY_PREFIX)))
    except ReadError as error:
        remedy = "fetch it again from opendata.dwd.de"
        raise WeatherFileError(file, None, None, error.problem, remedy) from error
    texts = [(name, content.decode("latin-1")) for name, content in members]
    if not any(name.startswith(_PRODUCT_PREFIXES) for name, _ in texts):
        remedy = "give a 10minutenwerte_… or stundenwerte_… archive of wind or temperature"
        problem = f"holds no {_PRODUCT_PREFIXES[0]}*.txt or produkt_*_stunde_*.txt"
        raise WeatherFileError(file, None, None, problem, remedy)
    yield from texts


def _product(file: Path, text: str, ahead_ms: int) -> tuple[int, str, dict[int, float]]:
    """Return station, quantity, and values by quarter hour or hour in simulated time, of a product file."""
    lines = text.splitlines()
    header = [cell.strip() for cell in lines[0].split(";")] if lines else []
    column = next((name for name in _COLUMNS if name in header), None)
    if column is None or header[:2] != ["STATIONS_ID", "MESS_DATUM"]:
        remedy = "give a produkt_zehn_min_ff_*.txt or produkt_zehn_min_tu_*.txt of DWD, or an hourly one"
        problem = "the header is not STATIONS_ID;MESS_DATUM;… with FF_10, TT_10, F or TT_TU"
        raise WeatherFileError(file, 1, None, problem, remedy)
    place, quantity = header.index(column), _COLUMNS[column]
    stamp = "%Y%m%d%H" if column in _HOURLY else "%Y%m%d%H%M"
    stations: set[int] = set()
    values: dict[int, float] = {}
    last_ms = 0
    for line_number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split(";")
        try:
            station = whole_number(cells[0].strip(), _STATIONS)
            value = _value(quantity, cells[place].strip())
            time_ms = _stamp_ms(cells[1].strip(), stamp)
        except (ReadError, ValueError, IndexError) as error:
            low, high = _LIMITS[quantity]
            problem = f"{shown(line.strip())!r} is not a row of {shown(';'.join(header))}"
            remedy = f"{column} is {low:g} to {high:g}, or {MISSING:g} where missing; fetch the file again"
            raise WeatherFileError(file, line_number, column, problem, remedy) from error
        stations.add(station)
        last_ms = max(last_ms, time_ms)
        if value is not None:
            values[time_ms] = value
    if len(stations) != 1:
        problem = f"holds {len(stations)} stations"
        raise WeatherFileError(file, None, "STATIONS_ID", problem, "use one file per station, with rows")
    utc = last_ms >= _YEAR_2000_MS or column in _HOURLY
    shift_ms = ahead_ms if utc else ahead_ms - GERMAN_STANDARD_TIME_MS
    shifted = {time_ms + shift_ms: value for time_ms, value in values.items()}
    return stations.pop(), quantity, shifted if column in _HOURLY else quarter_means(shifted)


def _value(quantity: str, text: str) -> float | None:
    return None if number(text) == MISSING else number(text, _LIMITS[quantity])


def _stamp_ms(text: str, form: str) -> int:
    return utc_ms(datetime.strptime(text, form))  # noqa: DTZ007 - UTC


def _geography(file: Path, text: str) -> dict[int, tuple[float, float]]:
    """Return latitude and longitude by station of a Metadaten_Geographie file; the last line of a station counts."""
    places = {}
    for line_number, line in enumerate(text.splitlines()[1:], start=2):
        cells = line.split(";")
        if len(cells) < _GEOGRAPHY_CELLS:
            continue
        try:
            station = whole_number(cells[0].strip(), _STATIONS)
            places[station] = place_on_earth(cells[2].strip(), cells[3].strip())
        except ReadError as error:
            problem = f"{shown(line)!r} in its {_GEOGRAPHY_PREFIX}*.txt is not a row of the table"
            remedy = "expected Stations_id;Stationshoehe;Geogr.Breite;Geogr.Laenge;…; fetch the file again"
            raise WeatherFileError(file, line_number, None, problem, remedy) from error
    return places


def _bytes(file: Path) -> bytes:
    try:
        return read_bytes(file)
    except ReadError as error:
        raise WeatherFileError(file, None, None, error.problem, "check the path") from error
