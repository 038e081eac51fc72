"""`gridfleet weather import`: converts the files of weather services to the CSV file that a scenario reads."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason, shown
from gridfleet.broker.readers.ranges import place
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_result

if TYPE_CHECKING:
    from gridfleet.devices.weather.formats.sample import Column

HELP: Final = "convert files of weather services for a scenario"
DESCRIPTION: Final = (
    "Convert exports of Open-Meteo, ERA5, Meteostat, NOAA (Global Hourly), PVGIS, EPW files, archives of DWD\n"
    '(10 minutes and hourly), or any CSV with a header, to the CSV file that a scenario reads with source = "csv".\n'
    "The format is recognised; columns and their units can be named. Times become UTC; missing values stay empty."
)
EXAMPLES: Final = (
    "gridfleet weather import open-meteo-53.62N10.02E12m.csv --out wind.csv",
    "gridfleet weather import 10147.csv --place 53.63,9.99 --out wind.csv",
    "gridfleet weather import mast.csv --wind v_80:km/h --temperature T:K --time-zone Europe/Berlin",
    "gridfleet weather import stundenwerte_FF_01975_akt.zip stundenwerte_TU_01975_akt.zip --out wind.csv",
)
FORMATS: Final = ("dwd", "open-meteo", "era5", "meteostat", "noaa", "pvgis", "epw", "table")
OUT: Final = "weather.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `weather import`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="files of weather services, of any stations")
    parser.add_argument("--out", metavar="FILE", default=OUT, help=f"the CSV file to write (default: {OUT})")
    parser.add_argument("--force", action="store_true", help="replace that file where it exists")
    parser.add_argument(
        "--format", choices=FORMATS, default="", help="the files' format (default: recognised)"
    )
    parser.add_argument(
        "--place",
        type=_place,
        metavar="LAT,LON",
        help="the station's place in degrees, where the files do not say it",
    )
    parser.add_argument(
        "--station", metavar="NAME", default="", help="the station's name (default: the files')"
    )
    parser.add_argument(
        "--station-list",
        metavar="FILE",
        help="DWD's list of stations, for archives without the station's place",
    )
    parser.add_argument(
        "--time-zone",
        metavar="ZONE",
        default="",
        help="the legal clock of times without an offset, such as Europe/Berlin "
        "(default: what the format says, or UTC)",
    )
    parser.add_argument(
        "--time", metavar="COLUMN", default="", help="the column of the time (default: by its name)"
    )
    parser.add_argument(
        "--wind",
        metavar="COLUMN[:UNIT]",
        help="the column of the wind speed, and its unit: m/s, km/h, kn, mph, ft/s (default: by its name)",
    )
    parser.add_argument(
        "--temperature",
        metavar="COLUMN[:UNIT]",
        help="the column of the temperature, and its unit: °C, K, °F (default: by its name)",
    )
    parser.add_argument(
        "--year",
        type=whole_number(1970, 9000),
        metavar="YEAR",
        help="the year into which a typical year (EPW, PVGIS) is put",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Convert, write the file, and print what it covers; raise CommandError or WeatherFileError for what cannot be."""
    from gridfleet.devices.weather.formats.sample import Options
    from gridfleet.devices.weather.importer import csv_text, imported, summary_lines
    from gridfleet.devices.weather.site_clock import time_zone

    out = Path(arguments.out)
    if out.exists() and not arguments.force:
        raise CommandError(f"--out {out}", "exists already: name another file, or add --force to replace it")
    try:
        zone = time_zone(arguments.time_zone) if arguments.time_zone else None
    except ValueError as error:
        raise CommandError("--time-zone", str(error)) from None
    options = Options(
        place=arguments.place,
        station=arguments.station,
        zone=zone,
        time=arguments.time,
        wind=_column(arguments.wind),
        temperature=_column(arguments.temperature),
        year=arguments.year,
    )
    station_list = Path(arguments.station_list) if arguments.station_list else None
    stations = imported([Path(name) for name in arguments.files], options, arguments.format, station_list)
    try:
        out.write_text(csv_text(stations), encoding="utf-8", newline="\n")
    except OSError as error:
        problem = f"cannot be written ({error_reason(error)}): name a file that can be written to"
        raise CommandError(f"--out {out}", problem) from None
    print_result("\n".join(summary_lines(stations)))
    print_result(f'{out}: for a scenario with [weather] source = "csv" and files = ["{out.name}"] beside it')
    return ExitCode.SUCCESS


def _place(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = text.split(",")
        return place(latitude.strip(), longitude.strip())
    except ReadError as error:
        raise argparse.ArgumentTypeError(f"{error.problem}: write 53.6,10.0") from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is no place; write 53.6,10.0") from None


def _column(text: str | None) -> "Column | None":
    from gridfleet.devices.weather.formats.sample import TEMPERATURES, WIND_TO_MPS, Column, unit_of

    if text is None:
        return None
    name, colon, unit = text.rpartition(":")
    if not colon:
        return Column(text)
    if unit_of(unit, WIND_TO_MPS) or unit_of(unit, TEMPERATURES):
        return Column(name, unit)
    known = ", ".join((*WIND_TO_MPS, *TEMPERATURES))
    raise CommandError(text, f"{unit!r} is no unit that is known: write one of {known}")
