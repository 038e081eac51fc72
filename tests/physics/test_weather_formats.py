"""The files of weather services, and what is wrong in them: the right values, or a message with cause and remedy."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.formats.sample import Column, Options
from gridfleet.devices.weather.importer import Station, csv_text, imported, summary_lines
from gridfleet.devices.weather.recorded import read_weather_csv
from tests.provisioning.shell import gridfleet

HAMBURG = (53.6, 10.0)
NATIVE = "time,latitude,longitude,wind_speed_mps,temperature_c\n"
BERLIN = ZoneInfo("Europe/Berlin")

OPEN_METEO = """latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation
53.62,10.02,12.0,{offset},GMT,GMT

time,temperature_2m (°C),wind_speed_10m (km/h),wind_speed_100m (km/h)
2025-03-01T00:00,5.0,18.0,36.0
2025-03-01T01:00,,21.6,
"""
ERA5 = """valid_time,latitude,longitude,u10,v10,t2m
2025-03-01 00:00:00,53.5,10.0,3.0,-4.0,278.15
2025-03-01 01:00:00,53.5,10.0,,2.0,278.15
"""
METEOSTAT = "2025-03-01,00,5.0,3.0,80,0.0,,250,18.0,,1012.0,,3\n2025-03-01,01,,3.0,80,0.0,,250,,,1012.0,,3\n"
NOAA = (
    '"STATION","DATE","SOURCE","LATITUDE","LONGITUDE","WND","TMP"\n'
    '"10147099999","2025-03-01T00:00:00","4","53.63","9.99","210,1,N,0051,1","-0012,1"\n'
    '"10147099999","2025-03-01T00:00:00","4","53.63","9.99","210,1,N,9999,9","+9999,9"\n'
    '"10147099999","2025-03-01T01:00:00","4","53.63","9.99","210,1,N,0070,3","+0020,1"\n'
)
PVGIS = (
    "Latitude (decimal degrees):\t53.6\nLongitude (decimal degrees):\t10.0\nElevation (m):\t12\n\n"
    "time,G(i),H_sun,T2m,WS10m,Int\n20250301:0010,0.0,0.0,5.0,5.1,0.0\n20250301:0110,0.0,0.0,4.0,6.0,0.0\n\n"
    "G(i): Global irradiance\n"
)
EPW_HEAD = "LOCATION,Hamburg,-,DEU,TMYx,101470,53.63,9.99,1.0,11.0\n" + "HEADER\n" * 7
EPW_REST = ",0,?9?9,{air},1,50,101300,0,0,0,0,0,0,0,0,0,0,210,{wind}" + ",0" * 13


def epw(*rows: tuple[int, int, int, int, float, float]) -> str:
    """An EPW file with rows of year, month, day, hour, dry bulb and wind speed."""
    lines = [f"{y},{m},{d},{h}" + EPW_REST.format(air=air, wind=wind) for y, m, d, h, air, wind in rows]
    return EPW_HEAD + "\n".join(lines) + "\n"


def read(
    folder: Path, text: str, options: Options | None = None, name: str = "file.csv"
) -> dict[str, Station]:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return imported([file], options or Options())


def values(stations: dict[str, Station]) -> dict[str, tuple[float | None, float | None]]:
    """The rounded values of the only station, by moment in UTC."""
    (station,) = stations.values()
    return {
        f"{moment:%m-%d %H:%M}": tuple(None if v is None else round(v, 3) for v in found)  # type: ignore[misc]
        for moment, found in station.values.items()
    }


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (OPEN_METEO.format(offset=0), Options(), {"03-01 00:00": (5.0, 5.0), "03-01 01:00": (6.0, None)}),
        (OPEN_METEO.format(offset=3600), Options(), {"02-28 23:00": (5.0, 5.0), "03-01 00:00": (6.0, None)}),
        (
            OPEN_METEO.format(offset=0),
            Options(wind=Column("wind_speed_100m (km/h)")),
            {"03-01 00:00": (10.0, 5.0), "03-01 01:00": (None, None)},
        ),
        (ERA5, Options(), {"03-01 00:00": (5.0, 5.0), "03-01 01:00": (None, 5.0)}),
        (METEOSTAT, Options(place=HAMBURG), {"03-01 00:00": (5.0, 5.0), "03-01 01:00": (None, None)}),
        (NOAA, Options(), {"03-01 00:00": (5.1, -1.2), "03-01 01:00": (None, 2.0)}),
        (PVGIS, Options(), {"03-01 00:10": (5.1, 5.0), "03-01 01:10": (6.0, 4.0)}),
        (
            epw((2025, 3, 1, 1, 5.0, 4.0), (2025, 3, 1, 2, 99.9, 999)),
            Options(),
            {"02-28 23:00": (4.0, 5.0), "03-01 00:00": (None, None)},
        ),
    ],
)  # fmt: skip
def test_a_published_file_gives_its_values_in_our_units_and_in_utc(
    tmp_path: Path, text: str, options: Options, expected: dict[str, tuple[float | None, float | None]]
) -> None:
    assert values(read(tmp_path, text, options)) == expected


def test_a_typical_year_is_put_into_one_year(tmp_path: Path) -> None:
    text = epw((2012, 1, 31, 24, 1.0, 3.0), (2012, 2, 29, 1, 1.0, 3.0), (2003, 3, 1, 1, 2.0, 4.0))
    with pytest.raises(WeatherFileError, match=r"the months are of several years; .*--year 2025"):
        read(tmp_path, text)
    found = values(read(tmp_path, text, Options(year=2025)))
    assert found == {"01-31 22:00": (3.0, 1.0), "02-28 23:00": (4.0, 2.0)}


def test_semicolons_tabs_decimal_commas_and_units_in_names(tmp_path: Path) -> None:
    row = "2025-03-01T00:00:00,53.6,10.0,36,5\n"
    kmh = NATIVE.replace("mps", "kmh") + row
    assert values(read(tmp_path, kmh)) == {"03-01 00:00": (10.0, 5.0)}
    tabs = (NATIVE + row).replace(",", "\t")
    assert values(read(tmp_path, tabs)) == {"03-01 00:00": (36.0, 5.0)}
    comma = (NATIVE + row).replace(",", ";").replace("53.6", "53,6").replace("36", "7,25")
    stations = read(tmp_path, comma)
    assert values(stations) == {"03-01 00:00": (7.25, 5.0)}
    assert next(iter(stations.values())).latitude == 53.6
    mapped = Options(place=HAMBURG, time="t", wind=Column("v", "kn"), temperature=Column("T", "°F"))
    assert values(read(tmp_path, "t,v,T\n2025-03-01,10,41\n", mapped)) == {"03-01 00:00": (5.144, 5.0)}


def test_legal_times_over_both_changes_are_an_hour_apart_in_utc(tmp_path: Path) -> None:
    autumn = [22, 23, 0, 1, 2, 2, 3, 4]
    days = [25, 25, *[26] * 6]
    rows = [f"2025-10-{day}T{hour:02}:00:00,53.6,10,8,5" for day, hour in zip(days, autumn, strict=True)]
    text = NATIVE + "\n".join(rows) + "\n"
    with pytest.raises(WeatherFileError, match=r"occurs twice .*--time-zone"):
        read(tmp_path, text)
    (station,) = read(tmp_path, text, Options(zone=BERLIN)).values()
    first = datetime(2025, 10, 25, 20, tzinfo=UTC)
    assert sorted(station.values) == [first + timedelta(hours=hour) for hour in range(8)]
    spring = NATIVE + "2025-03-30T02:30:00,53.6,10,8,5\n"
    with pytest.raises(WeatherFileError, match="2025-03-30 02:30 does not exist in Europe/Berlin"):
        read(tmp_path, spring, Options(zone=BERLIN))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            NATIVE.strip() + ",wind_speed_mps\n2025-03-01,53.6,10,8,5,1\n",
            Options(),
            r"line 1, column wind_speed_mps: the column wind_speed_mps is there 2 times \(columns 4 and 6\); remove",
        ),
        (METEOSTAT, Options(), "does not say where it was measured; add the station's place: --place"),
        ("time,wind\n2025-03-01,3\n", Options(place=HAMBURG), "no column for the wind speed; .*--wind"),
        ("time,wind_speed\n2025-03-01,3\n", Options(place=HAMBURG), "the unit of wind_speed is not clear"),
        (
            "time,ws_10m (m/s),ws_80m (m/s)\n2025-03-01,3,4\n",
            Options(place=HAMBURG),
            "could be the wind; name the one that counts: --wind",
        ),
        (
            NATIVE + "2025-03-01,53.6,10,400,5\n",
            Options(),
            "400 is 400 after conversion, allowed is 0 to 100",
        ),
        (NATIVE + "2025-03-01,53,6,10,0,8,0,5,0\n", Options(), "9 cells, but the header names 5 columns"),
        (NATIVE + "2025-03-01,53.6,10,1_0,5\n", Options(), "'1_0' is not a number"),
        (NATIVE, Options(), "no row with values"),
        (ERA5.replace("v10", "w10"), Options(), "no column v10; download both components"),
        (NOAA.replace("210,1,N,0051,1", "calm"), Options(), "'calm' is no WND of NOAA"),
        (PVGIS.replace("WS10m", "W"), Options(), "no column WS10m; download hourly data"),
        ("LOCATION,x\n", Options(), "the LOCATION line is not one of EPW; expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(
    tmp_path: Path, text: str, options: Options, message: str
) -> None:
    with pytest.raises(WeatherFileError, match=message) as caught:
        read(tmp_path, text, options)
    assert str(caught.value).startswith(str(tmp_path / "file.csv"))


@pytest.mark.parametrize("text", [OPEN_METEO.format(offset=0), ERA5, METEOSTAT, NOAA, PVGIS, epw()])
def test_a_scenario_names_the_service_and_the_command_that_converts(tmp_path: Path, text: str) -> None:
    file = tmp_path / "export.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WeatherFileError, match=r"not the columns of GridFleet; .*gridfleet weather import"):
        read_weather_csv(file)


def test_hourly_archives_of_dwd_are_read_with_the_place_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(
        "STATIONS_ID;MESS_DATUM;QN_3;   F;   D;eor\n 1975;2025030100;3; 8.4; 210;eor\n 1975;2025030101;3;-999;210;eor\n"
    )
    (tmp_path / "t.txt").write_text(
        "STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor\n 1975;2025030100;3; 5.2; 80;eor\n"
    )
    stations = imported([tmp_path / "f.txt", tmp_path / "t.txt"], Options(place=HAMBURG))
    assert values(stations) == {"03-01 00:00": (8.4, 5.2)}
    assert list(stations) == ["01975"]


def test_what_is_written_is_read_again_by_a_scenario(tmp_path: Path) -> None:
    stations = read(tmp_path, OPEN_METEO.format(offset=0))
    (line,) = summary_lines(stations)
    assert line == (
        "53.62,10.02: 2 wind speeds, 2025-03-01 00:00 to 2025-03-01 01:00 UTC, a value every 1 h, "
        "longest gap 1 h from 2025-03-01 00:00"
    )
    out = tmp_path / "out.csv"
    out.write_text(csv_text(stations), encoding="utf-8")
    midnight_utc = 1_740_787_200_000 + 3_600_000  # on the simulated clock, which is UTC+1
    assert read_weather_csv(out).at(midnight_utc, 53.6, 10.0).speed_mps == 5.0


def test_the_command_writes_the_file_and_does_not_replace_it_unasked(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(METEOSTAT)
    command = ("weather", "import", "export.csv", "--place", "53.6,10", "--out", "wind.csv")
    ended = gridfleet(*command, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "export: 1 wind speeds" in ended.out
    assert (tmp_path / "wind.csv").read_text().splitlines()[
        1
    ] == "2025-03-01T00:00:00Z,export,53.6,10.0,5.0,5.0"
    again = gridfleet(*command, cwd=tmp_path)
    assert again.code == 2
    assert "exists already" in again.err
    wrong = gridfleet(*command, "--force", "--time-zone", "Europe/Berln", cwd=tmp_path)
    assert wrong.code == 2
    assert "Europe/Berln" in wrong.err
