"""DWD 10-minute files in the form DWD publishes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from gridfleet.devices.weather import WeatherFileError, WeatherSpanError, WindReading
from gridfleet.devices.weather.dwd import quarter_means, read_dwd, read_station_list

WIND_HEADER = "STATIONS_ID;MESS_DATUM;  QN;FF_10;DD_10;eor"
AIR_HEADER = "STATIONS_ID;MESS_DATUM;  QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor"
STATION_LIST = """\
Stations_id von_datum bis_datum Stationshoehe geoBreite geoLaenge Stationsname Bundesland Abgabe
----------- --------- --------- ------------- --------- --------- ---------------------- ---------- ------
01262 19920517 20251231            446     48.3477   11.8134 München-Flughafen      Bayern     Frei
02932 19930501 20251231            131     51.4347   12.2396 Leipzig/Halle          Sachsen    Frei
13667 269 48.0006 7.8342 Freiburg-Mitte
"""
LEIPZIG = (51.4347, 12.2396)
MUNICH = (48.3477, 11.8134)
COORDINATES = {2932: LEIPZIG, 1262: MUNICH}


def clock_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def stamps(begin: str, count: int) -> list[str]:
    first = datetime.fromisoformat(begin)
    return [(first + timedelta(minutes=10 * step)).strftime("%Y%m%d%H%M") for step in range(count)]


def wind_text(begin: str, values: list[str], station: int = 2932, header: str = WIND_HEADER) -> str:
    ending = ";eor" if header.endswith("eor") else ""
    rows = [
        f"{station:>11};{stamp};    3;{value:>6}; 250{ending}"
        for stamp, value in zip(stamps(begin, len(values)), values, strict=True)
    ]
    return "\r\n".join([header, *rows]) + "\r\n"


def air_text(begin: str, values: list[str], station: int = 2932) -> str:
    rows = [
        f"{station:>11};{stamp};    3;   -999;{value:>6};   2.5;  82.6;   2.4;eor"
        for stamp, value in zip(stamps(begin, len(values)), values, strict=True)
    ]
    return "\r\n".join([AIR_HEADER, *rows]) + "\r\n"


def written(file: Path, text: str) -> Path:
    file.write_bytes(text.encode("latin-1"))
    return file


def test_ten_minutes_become_quarter_hours_by_overlap_and_utc_becomes_standard_time(tmp_path: Path) -> None:
    # The intervals end at 10:10, 10:20 and 10:30 UTC, so at 11:10 to 11:30 of the simulated clock.
    wind = written(
        tmp_path / "produkt_zehn_min_ff_x.txt", wind_text("2025-01-31T10:10", ["3.0", "6.0", "9.0"])
    )
    air = written(tmp_path / "produkt_zehn_min_tu_x.txt", air_text("2025-01-31T10:10", ["1.0", "4.0", "7.0"]))
    weather = read_dwd([wind, air], coordinates=COORDINATES)
    assert weather.at(clock_ms("2025-01-31T11:00"), *LEIPZIG) == WindReading(4.0, 2.0)
    assert weather.at(clock_ms("2025-01-31T11:15"), *LEIPZIG) == WindReading(8.0, 6.0)
    with pytest.raises(WeatherSpanError, match="covers 2025-01-31 11:00 to 2025-01-31 11:15"):
        weather.at(clock_ms("2025-01-31T10:45"), *LEIPZIG)


def test_missing_values_are_bridged_for_an_hour_then_other_stations_serve(tmp_path: Path) -> None:
    leipzig = wind_text("2025-01-31T10:10", ["5.0"] * 6 + ["-999"] * 18)
    munich = wind_text("2025-01-31T10:10", ["9.0"] * 24, station=1262)
    files = [written(tmp_path / "a.txt", leipzig), written(tmp_path / "b.txt", munich)]
    weather = read_dwd(files, coordinates=COORDINATES, assumed_temperature_c=5.0)
    speeds = [
        weather.at(clock_ms(f"2025-01-31T{time}"), *LEIPZIG).speed_mps for time in ("11:45", "12:45", "13:00")
    ]
    assert speeds == [5.0, 5.0, 9.0]


def test_a_quarter_hour_needs_half_of_it_measured() -> None:
    ten, twenty = 600_000, 1_200_000
    assert quarter_means({ten: 3.0}) == {0: 3.0}
    assert quarter_means({twenty: 3.0}) == {}
    assert quarter_means({ten: 3.0, twenty: 6.0}) == {0: 4.0}


def test_files_that_end_before_2000_are_in_standard_time_already(tmp_path: Path) -> None:
    header = "STATIONS_ID;MESS_DATUM;QN;FF_10;DD_10"
    old = written(tmp_path / "old.txt", wind_text("1999-06-01T10:10", ["3.0", "3.0", "3.0"], header=header))
    weather = read_dwd([old], coordinates=COORDINATES, assumed_temperature_c=5.0)
    assert weather.at(clock_ms("1999-06-01T10:00"), *LEIPZIG).speed_mps == 3.0


def test_the_file_from_2000_on_begins_in_1999_and_is_utc_throughout(tmp_path: Path) -> None:
    new = written(tmp_path / "new.txt", wind_text("1999-12-31T23:00", ["3.0"] * 12))
    weather = read_dwd([new], coordinates=COORDINATES, assumed_temperature_c=5.0)
    assert weather.at(clock_ms("2000-01-01T00:00"), *LEIPZIG).speed_mps == 3.0


def test_archives_bring_their_own_place(tmp_path: Path) -> None:
    archive = tmp_path / "10minutenwerte_wind_02932_akt.zip"
    geography = (
        "Stations_id;Stationshoehe;Geogr.Breite;Geogr.Laenge;von_datum;bis_datum;Stationsname\r\n"
        "       2932; 141.00;  51.4000;  12.2000;19740101;19930430;Leipzig-Schkeuditz\r\n"
        "       2932; 131.00;  51.4347;  12.2396;19930501;        ;Leipzig/Halle\r\n"
    )
    with ZipFile(archive, "w") as content:
        content.writestr("Metadaten_Geographie_02932.txt", geography)
        content.writestr("Metadaten_Parameter_02932.txt", "of no interest")
        content.writestr(
            "produkt_zehn_min_ff_20250131_20250131_02932.txt", wind_text("2025-01-31T10:10", ["3.0"] * 3)
        )
    weather = read_dwd([archive], assumed_temperature_c=5.0)
    site = weather.sites[0]
    assert (site.name, site.latitude, site.longitude) == ("02932", *LEIPZIG)


def test_the_station_list_knows_places_with_and_without_dates(tmp_path: Path) -> None:
    stations = written(tmp_path / "zehn_min_ff_Beschreibung_Stationen.txt", STATION_LIST)
    assert read_station_list(stations) == {1262: MUNICH, 2932: LEIPZIG, 13667: (48.0006, 7.8342)}
    wind = written(tmp_path / "wind.txt", wind_text("2025-01-31T10:10", ["3.0"] * 3))
    assert read_dwd([wind], station_list=stations).sites[0].latitude == LEIPZIG[0]


def test_where_files_overlap_the_later_one_counts(tmp_path: Path) -> None:
    recent = written(tmp_path / "a.txt", wind_text("2025-01-31T10:10", ["3.0"] * 3))
    checked = written(tmp_path / "b.txt", wind_text("2025-01-31T10:10", ["6.0"] * 3))
    weather = read_dwd([recent, checked], coordinates=COORDINATES, assumed_temperature_c=5.0)
    assert weather.at(clock_ms("2025-01-31T11:00"), *LEIPZIG).speed_mps == 6.0


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 1, "give a produkt_zehn_min_ff_"),
        ("STATIONS_ID;MESS_DATUM;QN_3;   X;   D;eor\n", 1, "the header is not"),
        (WIND_HEADER + "\n", None, "holds 0 stations"),
        (WIND_HEADER + "\n2932;20250131;3; 3.0;250;eor\n", 2, "is not a row of STATIONS_ID"),
        (
            WIND_HEADER + "\n2932;202501311010;3; 3.0;250;eor\n2932;202501311020;3\n",
            3,
            "is not a row of STATIONS_ID",
        ),
        (WIND_HEADER + "\n2932;202501311010;3; x;250;eor\n", 2, "fetch the file again"),
        (WIND_HEADER + "\n2932;202501311010;3; nan;250;eor\n", 2, "FF_10 is 0 to 100"),
        (WIND_HEADER + "\n2932;202501311010;3;-3.0;250;eor\n", 2, "FF_10 is 0 to 100"),
        (
            WIND_HEADER + "\n1;202501311010;3;3;250;eor\n2;202501311020;3;3;250;eor\n",
            None,
            "holds 2 stations",
        ),
        (WIND_HEADER + "\n7;202501311010;3;3;250;eor\n", None, "no coordinates of station 7"),
    ],
)
def test_a_wrong_file_gets_one_clear_error(tmp_path: Path, text: str, line: int | None, part: str) -> None:
    file = written(tmp_path / "produkt_zehn_min_ff_x.txt", text)
    with pytest.raises(WeatherFileError) as caught:
        read_dwd([file], coordinates=COORDINATES)
    assert (caught.value.file, caught.value.line) == (file, line)
    assert part in str(caught.value)


def test_archives_and_lists_that_are_none(tmp_path: Path) -> None:
    broken = written(tmp_path / "broken.zip", "no archive")
    with pytest.raises(WeatherFileError, match="cannot be unpacked"):
        read_dwd([broken])
    empty = tmp_path / "empty.zip"
    with ZipFile(empty, "w") as content:
        content.writestr("readme.txt", "nothing")
    with pytest.raises(WeatherFileError, match="holds no produkt_zehn_min_"):
        read_dwd([empty])
    with pytest.raises(WeatherFileError, match="check the path"):
        read_dwd([tmp_path / "missing.txt"])
    with pytest.raises(WeatherFileError, match="has no line for a station"):
        read_station_list(written(tmp_path / "list.txt", "Stations_id von_datum\n"))
    bad = tmp_path / "bad.zip"
    with ZipFile(bad, "w") as content:
        content.writestr("Metadaten_Geographie_1.txt", "header\n1;x;y;z;\n")
        content.writestr("produkt_zehn_min_ff_1.txt", wind_text("2025-01-31T10:10", ["3.0"]))
    with pytest.raises(WeatherFileError, match="Metadaten_Geographie_"):
        read_dwd([bad])
