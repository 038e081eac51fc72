"""Recorded weather from CSV: interpolation, gaps, span, and errors with a remedy."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridfleet.devices.weather import WeatherFileError, WeatherSpanError, WindReading
from gridfleet.devices.weather.recorded import read_weather_csv

HEADER = "time,station,latitude,longitude,wind_speed_mps,temperature_c\n"


def clock_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weather.csv"


def test_a_value_holds_until_the_next_one(file: Path) -> None:
    file.write_text(
        HEADER
        + "2025-01-31T10:00,a,50,9,5.0,1.0\n2025-01-31T10:15,a,50,9,7.5,2.5\n2025-01-31T10:30,a,50,9,9,3\n"
    )
    weather = read_weather_csv(file)
    assert weather.at(clock_ms("2025-01-31T10:00"), 52, 10) == WindReading(5.0, 1.0)
    assert weather.at(clock_ms("2025-01-31T10:29"), 52, 10) == WindReading(7.5, 2.5)
    assert weather.at(clock_ms("2025-01-31T11:30"), 52, 10) == WindReading(9.0, 3.0)


def test_outside_the_record_the_error_names_what_is_covered(file: Path) -> None:
    file.write_text(HEADER + "2025-01-31T10:00,a,50,9,5,1\n2025-01-31T11:00,a,50,9,6,1\n")
    weather = read_weather_csv(file)
    for moment in ("2025-01-31T09:45", "2025-01-31T12:15"):
        with pytest.raises(WeatherSpanError, match="covers 2025-01-31 10:00 to 2025-01-31 11:00"):
            weather.at(clock_ms(moment), 50, 9)


def test_a_place_takes_its_three_nearest_sites_by_inverse_distance(file: Path) -> None:
    rows = [("a", 51, 6), ("b", 52, 12), ("c", 53, 18), ("far", 40, 100)]
    file.write_text(HEADER + "".join(f"2025-01-31T10:00,{n},{lat},10,{v},10\n" for n, lat, v in rows))
    reading = read_weather_csv(file).at(clock_ms("2025-01-31T10:00"), 50, 10)
    assert reading.speed_mps == pytest.approx((6 / 1 + 12 / 2 + 18 / 3) / (1 + 1 / 2 + 1 / 3), abs=0.001)


def test_a_site_in_a_gap_gives_way_after_an_hour(file: Path) -> None:
    near = "2025-01-31T10:00,near,50,9,4,1\n2025-01-31T11:30,near,50,9,,\n"
    far = "".join(f"2025-01-31T{hour}:00,far,51,9,8,5\n" for hour in (10, 11, 12))
    file.write_text(HEADER + near + far)
    weather = read_weather_csv(file)
    assert weather.at(clock_ms("2025-01-31T11:00"), 50, 9) == WindReading(4.0, 1.0)
    assert weather.at(clock_ms("2025-01-31T11:15"), 50, 9) == WindReading(8.0, 5.0)


def test_times_with_an_offset_become_german_standard_time(file: Path) -> None:
    file.write_text(HEADER + "2025-07-31T10:00Z,a,50,9,5,1\n2025-07-31T12:15+02:00,a,50,9,6,1\n")
    weather = read_weather_csv(file)
    assert weather.at(clock_ms("2025-07-31T11:00"), 50, 9).speed_mps == 5
    assert weather.at(clock_ms("2025-07-31T11:15"), 50, 9).speed_mps == 6


def test_the_station_column_may_be_missing_and_the_order_is_free(file: Path) -> None:
    header = "\ufefftemperature_c, wind_speed_mps ,longitude,latitude,time,gusts\n"
    file.write_text(header + "1,5,9,50,2025-01-31T10:00,12\n3,7,9,51,2025-01-31T10:00,\n")
    weather = read_weather_csv(file)
    assert [site.name for site in weather.sites] == ["50.0,9.0", "51.0,9.0"]
    assert weather.at(clock_ms("2025-01-31T10:00"), 51, 9) == WindReading(7.0, 3.0)


def test_without_any_temperature_one_must_be_assumed(file: Path) -> None:
    file.write_text(HEADER + "2025-01-31T10:00,a,50,9,5,\n")
    with pytest.raises(WeatherSpanError, match="assumed temperature"):
        read_weather_csv(file).at(clock_ms("2025-01-31T10:00"), 50, 9)
    assumed = read_weather_csv(file, assumed_temperature_c=10.0)
    assert assumed.at(clock_ms("2025-01-31T10:00"), 50, 9) == WindReading(5.0, 10.0)


@pytest.mark.parametrize(
    ("content", "line", "column", "part"),
    [
        ("", 1, None, "no column time, latitude"),
        ("time,latitude,longitude,wind_speed_mps\n", 1, None, "no column temperature_c"),
        (HEADER, None, None, "no row"),
        (HEADER + "yesterday,a,50,9,5,1\n", 2, "time", "'yesterday' is not an ISO 8601 time; write it like"),
        (
            HEADER + "2025-01-31,a,50,9,5,1\n2025-02-01,a,50,9,x,1\n",
            3,
            "wind_speed_mps",
            "'x' is not a number",
        ),
        (HEADER + "2025-01-31,a,50,9,-1,1\n", 2, "wind_speed_mps", "allowed is 0 to 100"),
        (HEADER + "2025-01-31,a,50,9,nan,1\n", 2, "wind_speed_mps", "not a number"),
        (HEADER + "2025-01-31,a,50,9,5,451\n", 2, "temperature_c", "allowed is -60 to 60"),
        (HEADER + "2025-01-31,a,,9,5,1\n", 2, "latitude", "is empty"),
        (HEADER + "2025-01-31,a,50,999,5,1\n", 2, "longitude", "out of range"),
        (HEADER + "2025-01-31,a,50,9,5,1\n2025-01-31,a,50,9,5,1\n", 3, "time", "occurs twice"),
        (HEADER + "2025-01-31,a,50,9,5,1\n2025-02-01,a,51,9,5,1\n", 3, "latitude", "has moved"),
        (HEADER + "2025-01-31\n", 2, "latitude", "is empty"),
    ],
)
def test_a_wrong_file_gets_one_clear_error(
    file: Path, content: str, line: int | None, column: str | None, part: str
) -> None:
    file.write_text(content)
    with pytest.raises(WeatherFileError) as caught:
        read_weather_csv(file)
    error = caught.value
    assert (error.file, error.line, error.column) == (file, line, column)
    assert part in str(error)
    assert str(file) in str(error)


def test_a_file_that_is_not_there_or_not_text(file: Path) -> None:
    with pytest.raises(WeatherFileError, match="cannot be read"):
        read_weather_csv(file)
    file.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(WeatherFileError, match="UTF-8"):
        read_weather_csv(file)
