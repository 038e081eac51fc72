"""Files of others: every failure is one line that names the file, whatever the file contains."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.readers.archives import zip_members
from gridfleet.broker.readers.json_values import parse_json
from gridfleet.broker.readers.ranges import moment_of, number, place, whole_number
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.readers.toml_text import parse_toml, toml_value
from gridfleet.devices.config import device_file
from gridfleet.devices.config.scenario import ScenarioError, load
from gridfleet.devices.weather import WeatherFileError
from gridfleet.devices.weather.dwd import read_dwd, read_station_list
from gridfleet.devices.weather.recorded import read_weather_csv
from gridfleet.provisioning.chaos.plan import load_plan
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.flash.fleet_file import read_fleet
from tests.readers.cases import CORPUS, PRODUCT, ROWS, dwd_zip, toml_cases, zip_bomb

TOML_READERS: tuple[Callable[[str], object], ...] = (
    load,
    device_file.load,
    load_plan,
    lambda name: read_fleet(Path(name)),
)
HEADER = "time,station,latitude,longitude,wind_speed_mps,temperature_c\n"
MOST_SHOWN = 10_000


@pytest.mark.parametrize("path", toml_cases(), ids=lambda path: path.stem)
def test_every_reader_of_toml_says_in_short_what_is_wrong(path: Path) -> None:
    for read in TOML_READERS:
        try:
            read(str(path))
        except GridFleetError as error:
            text = str(error)
            assert len(text) < MOST_SHOWN
            assert all(line.isprintable() for line in text.split("\n"))
            assert text.startswith(str(path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hugeint", "a number has too many digits"),
        ("deep", "too many lists or tables within each other"),
        ("deepkey", "line 1: is TOML with a key of more than 32 parts"),
        ("esc", "line 1: title = '\\x1b[31mred\\x07': must have no control characters"),
        ("nlkey", "a?b: unknown key"),
        ("nulfile", "line 3: weather.files: must have no control characters"),
        ("nuldwd", "must have no control characters"),
        ("nulzip", "must have no control characters"),
        ("big_hub", "turbines.hub_height_m = 5e-324: must be at least 1"),
        ("big_measured", "weather.measured_at_m = 5e-324: must be at least 0.5"),
        ("manyerr", "2980 more mistakes; correct these first"),
    ],
)
def test_a_scenario_says_what_is_wrong_and_where(name: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(str(CORPUS / "toml" / f"{name}.toml"))
    assert words in str(caught.value)


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert load(str(CORPUS / "toml" / "bom.toml")).title == "x"


@pytest.mark.parametrize("text", ["9" * 5000, "0x" + "f" * 100, "[" * 2000 + "]" * 2000, "1\nb = 2", "{a = "])
def test_a_value_of_an_option_that_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(ReadError):
        toml_value(text)


def test_a_toml_file_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text(f'title = "{"x" * (1 << 20)}"')
    with pytest.raises(ScenarioError, match=r"large\.toml: has more than 1 MiB, the most that is read"):
        load(str(path))


@pytest.mark.parametrize(
    "text", ["9" * 5000, "[" * 5000, '{"a": NaN}', "[1e999, Infinity]", b"\xff", "", "1" * 30]
)
def test_what_is_no_json_is_a_read_error(text: str | bytes) -> None:
    with pytest.raises(ReadError):
        parse_json(text)


def test_a_place_in_toml_is_that_of_its_mistake() -> None:
    with pytest.raises(ReadError) as caught:
        parse_toml('a = 1\nb = "\x01"')
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "text", ["5_2", "٣", "nan", "inf", "1e999", "9" * 5000, "", " 5", "0x5", "5,2", "101"]
)
def test_what_is_no_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(ReadError) as caught:
        number(text, (0, 100))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["5_2", "٣", "5.0", "9" * 5000, "-1", "100", ""])
def test_what_is_no_whole_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(ReadError):
        whole_number(text, (0, 99))


@pytest.mark.parametrize("text", ["5_2", "٣", "9" * 5000])
def test_an_option_is_a_whole_number_as_a_file_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "normal", "--ticks", text])
    assert "is not a whole number from 1 to 1000000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("latitude", "longitude"), [("nan", "0"), ("90.1", "0"), ("0", "999"), ("inf", "0"), ("1e99", "0")]
)
def test_a_place_is_on_earth(latitude: str, longitude: str) -> None:
    with pytest.raises(ReadError):
        place(latitude, longitude)


EDGES = (
    "0001-01-01T00:00+14:00",
    "9999-12-31T23:59-14:00",
    "1799-12-31T23:45",
    "9001-01-01",
    "0000-01-01",
    "2025-02-30",
)


@pytest.mark.parametrize("text", EDGES)
def test_dates_at_the_edges_of_the_calendar_are_refused_everywhere(text: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        moment_of(text)
    path = tmp_path / "weather.csv"
    path.write_text(f"{HEADER}{text},a,50,9,5,1\n")
    with pytest.raises(WeatherFileError, match=r"line 2, column time"):
        read_weather_csv(path)


@pytest.mark.parametrize("name", ["encrypted", "method99", "zlib_error", "geoinf"])
def test_an_archive_that_cannot_be_used_is_named(name: str) -> None:
    path = CORPUS / "zip" / f"{name}.zip"
    with pytest.raises(WeatherFileError) as caught:
        read_dwd([path])
    assert str(caught.value).startswith(str(path))
    assert "fetch" in str(caught.value)


def test_an_archive_with_the_files_of_dwd_is_read(tmp_path: Path) -> None:
    path = tmp_path / "wind.zip"
    path.write_bytes(dwd_zip())
    assert [site.name for site in read_dwd([path]).sites] == ["01975"]


def test_an_archive_unpacks_to_so_much_at_most(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    zip_bomb(path, 8 << 20)
    assert path.stat().st_size < 20_000
    with pytest.raises(ReadError, match="unpacks to more than 1 MiB, the most that is read"):
        zip_members(path, lambda _: True, 1 << 20)
    assert len(zip_members(path, lambda _: True, 8 << 20)[0][1]) == 8 << 20


@pytest.mark.parametrize(
    "line",
    [
        "9" * 5000 + " 20250101 20250102 10 50.0 9.0 x",
        "01975 20250101 20250102 10 999.0 9.0 x",
        "01975 20250101 20250102 10 50.0 " + "9" * 400 + ".0 x",
    ],
)
def test_a_station_list_has_stations_on_earth(line: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"head\n{line}\n")
    with pytest.raises(WeatherFileError) as caught:
        read_station_list(path)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "row",
    [
        "9" * 5000 + ";202506020000; 3; 5.2; 200;eor",
        "1975;000101010000; 3; 5.2; 200;eor",
        "1975;202506020000; 3; 5_2; 200;eor",
    ],
)
def test_a_product_has_one_station_dates_and_numbers(row: str, tmp_path: Path) -> None:
    path = tmp_path / PRODUCT
    path.write_text(ROWS + row + "\n")
    with pytest.raises(WeatherFileError, match="line 146") as caught:
        read_dwd([path])
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2025-06-02,a\0b,50,9,5,1", "no text"),
        ("2025-06-02,a\x1b[31m,50,9,5,1", "station"),
        ("2025-06-02,a,50,9,5_2,1", "column wind_speed_mps: '5_2' is not a number"),
        ("2025-06-02," + "a" * 1_000_000 + ",50,9,5,1", "field larger than field limit"),
        ("2025-06-02," + "a" * 100_000 + ",50,9,5,1", "is no name; write at most 64 characters"),
        ("2025-06-02,a,inf,9,5,1", "column latitude"),
    ],
)
def test_a_cell_of_csv_is_escaped_and_bounded(row: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "weather.csv"
    path.write_text(f"{HEADER}{row}\n")
    with pytest.raises(WeatherFileError) as caught:
        read_weather_csv(path)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800


def test_what_check_accepts_can_be_shown_and_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('title = "a \\"quoted\\" \\\\ title – ü"\nabout = "two\\nlines\\tand a tab"\n')
    assert main(["scenario", "show", str(mine)]) == ExitCode.SUCCESS
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out)
    first, second = load(str(mine)), load(str(again), ["name=mine"])
    assert second.model_copy(update={"folder": first.folder}) == first


def test_a_wheel_that_is_no_zip_inside_is_named(tmp_path: Path) -> None:
    from gridfleet.provisioning.cli.exit_codes import CommandError
    from gridfleet.provisioning.deploy.added_wheels import kinds_in

    wheel = tmp_path / "mine-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mine-1.dist-info/entry_points.txt", b"\xff\xfe")
    with pytest.raises(CommandError, match="cannot be read as UTF-8"):
        kinds_in([wheel])
