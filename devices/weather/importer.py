"""Convert files of weather services to the CSV file that a scenario reads."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from gridfleet.broker.readers.csv_rows import csv_writer
from gridfleet.broker.readers.ranges import check_place, utc_ms
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.coverage import duration_text
from gridfleet.devices.weather.delimited import read_text
from gridfleet.devices.weather.dwd import read_dwd
from gridfleet.devices.weather.formats.detection import FORMATS, detected
from gridfleet.devices.weather.formats.sample import Format, Options, Sample
from gridfleet.devices.weather.formats.table import TABLE
from gridfleet.devices.weather.recorded import COLUMNS
from gridfleet.devices.weather.site_clock import SiteClock

DWD: Final = "dwd"
FORMAT_NAMES: Final = (DWD, *FORMATS)
_DWD_HEADER: Final = "STATIONS_ID;MESS_DATUM"
_UTC: Final = SiteClock("UTC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = 3


class Station(NamedTuple):
    """A station, and its values by moment."""

    latitude: float
    longitude: float
    values: dict[datetime, tuple[float | None, float | None]]
    """Wind speed in m/s and temperature in °C; None where missing."""


def imported(
    files: Sequence[Path], options: Options, format_name: str = "", station_list: Path | None = None
) -> dict[str, Station]:
    """Return the stations in files of weather services, by name; the format is recognised where none is named.

    Raises WeatherFileError for a file that cannot be read, two values for one moment, or a place that changes.
    """
    archives = [file for file in files if format_name == DWD or (not format_name and _is_dwd(file))]
    stations = _from_dwd(archives, options, station_list) if archives else {}
    for file in files:
        if file in archives:
            continue
        text = read_text(file, ("utf-8-sig", "latin-1"))
        form = FORMATS[format_name] if format_name else detected(text) or TABLE
        _add(stations, file, form, form.read(file, text, options))
    for file in files[:1] if not any(station.values for station in stations.values()) else ():
        raise WeatherFileError(file, None, None, "no row with values", "download the file again")
    return stations


def csv_text(stations: dict[str, Station]) -> str:
    """Return stations as the CSV text that a scenario reads, with times in UTC."""
    stream = StringIO()
    writer = csv_writer(stream, lineterminator="\n")
    writer.writerow(("time", "station", *COLUMNS[1:]))
    for name, station in sorted(stations.items()):
        for moment, values in sorted(station.values.items()):
            written = ("" if value is None else round(value, _DIGITS) for value in values)
            time = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
            writer.writerow((f"{time}Z", name, station.latitude, station.longitude, *written))
    return stream.getvalue()


def summary_lines(stations: dict[str, Station]) -> list[str]:
    """Return a line for each station: how many values, from when to when, and the longest time between two."""
    lines = []
    for name, station in sorted(stations.items()):
        moments = sorted(moment for moment, (wind, _) in station.values.items() if wind is not None)
        if not moments:
            lines.append(f"{name}: no wind speed")
            continue
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        text = f"{name}: {len(moments)} wind speeds, {moments[0]:%Y-%m-%d %H:%M} to {moments[-1]:%Y-%m-%d %H:%M} UTC"
        if gaps:
            longest = max(gaps)
            begin = moments[gaps.index(longest)]
            text += f", a value every {_gap_text(sorted(gaps)[len(gaps) // 2])}"
            text += f", longest gap {_gap_text(longest)} from {begin:%Y-%m-%d %H:%M}"
        lines.append(text)
    return lines


def _add(stations: dict[str, Station], file: Path, form: Format, samples: Iterable[Sample]) -> None:
    for sample in samples:
        try:
            check_place(sample.latitude, sample.longitude)
            utc_ms(sample.moment)
        except ReadError as error:
            raise WeatherFileError(
                file, sample.line, None, error.problem, "correct it in the file"
            ) from error
        place = sample.latitude, sample.longitude
        station = stations.setdefault(sample.station, Station(*place, {}))
        if (station.latitude, station.longitude) != place:
            problem = f"station {sample.station!r} has moved from {station.latitude},{station.longitude}"
            remedy = "import the files of each place by itself, or give one with --place"
            raise WeatherFileError(file, sample.line, None, problem, remedy)
        moment, found = sample.moment.astimezone(UTC), (sample.wind_mps, sample.temperature_c)
        known = station.values.get(moment)
        if known is None:
            station.values[moment] = found
        elif form.name == "noaa":  # several reports of one moment are usual: the first value counts
            station.values[moment] = (
                known[0] if known[0] is not None else found[0],
                known[1] if known[1] is not None else found[1],
            )
        else:
            problem = f"{moment:%Y-%m-%d %H:%M} UTC occurs twice for station {sample.station}"
            remedy = "remove one row; where the times are those of a legal clock, name it with --time-zone"
            raise WeatherFileError(file, sample.line, None, problem, remedy)


def _is_dwd(file: Path) -> bool:
    if file.suffix.lower() == ".zip":
        return True
    return read_text(file, ("utf-8-sig", "latin-1")).replace(" ", "").startswith(_DWD_HEADER)


def _from_dwd(files: Sequence[Path], options: Options, station_list: Path | None) -> dict[str, Station]:
    weather = read_dwd(files, station_list, place=options.place, clock=_UTC)
    stations = {}
    for site in weather.sites:
        values = {
            _EPOCH + timedelta(milliseconds=time_ms): (
                site.wind_mps.value_at(time_ms),
                site.temperature_c.value_at(time_ms),
            )
            for time_ms in sorted({*site.wind_mps.times_ms, *site.temperature_c.times_ms})
        }
        stations[options.station or site.name] = Station(site.latitude, site.longitude, values)
    return stations


def _gap_text(span: timedelta) -> str:
    return duration_text(span // timedelta(milliseconds=1))
