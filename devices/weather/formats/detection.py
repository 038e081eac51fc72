"""Which format a file has, by its first lines."""

from typing import Final

from gridfleet.devices.weather.formats.sample import Format
from gridfleet.devices.weather.formats.services import ERA5, METEOSTAT, NOAA, OPEN_METEO
from gridfleet.devices.weather.formats.table import TABLE
from gridfleet.devices.weather.formats.typical_years import EPW, PVGIS

PUBLISHED: Final = (OPEN_METEO, ERA5, METEOSTAT, NOAA, PVGIS, EPW)
"""Formats of weather services; the files of DWD have a reader of their own."""
FORMATS: Final = {each.name: each for each in (*PUBLISHED, TABLE)}


def detected(text: str) -> Format | None:
    """Return the published format of a text, or None."""
    return next((each for each in PUBLISHED if each.recognises(text)), None)
