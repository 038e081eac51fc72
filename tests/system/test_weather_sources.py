"""A scenario with recorded weather, from its file to the turbines' energy; and the errors for faulty files."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import ProducerState
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from tests.provisioning.shell import gridfleet
from tests.system.message_log import MessageLog, simulate

FLEET = """
start = 2025-01-31T00:00:00
ticks = 4
[turbines]
count = 3
[chargers]
count = 4
[vehicles]
count = 3
"""
HAMBURG, ULM = (53.6, 10.0), (48.4, 9.9)
STATIONS = """\
Stations_id von_datum bis_datum Stationshoehe geoBreite geoLaenge Stationsname Bundesland Abgabe
----------- --------- --------- ------------- --------- --------- ---------------------- ---------- ------
00001 19920517 20251231             11     53.6000   10.0000 Hamburg                Hamburg    Frei
00002 19930501 20251231            500     48.4000    9.9000 Ulm                    Bayern     Frei
"""
CSV_HEADER = "time,station,latitude,longitude,wind_speed_mps,temperature_c"


def csv_text(quarters: int, speed_mps: float = 9.0) -> str:
    begin = datetime.fromisoformat("2025-01-31T00:00")
    rows = [
        f"{begin + timedelta(minutes=15 * quarter):%Y-%m-%dT%H:%M},{name},{place[0]},{place[1]},{speed_mps},1.5"
        for name, place in (("north", HAMBURG), ("south", ULM))
        for quarter in range(quarters)
    ]
    return "\n".join([CSV_HEADER, *rows]) + "\n"


def dwd_text(station: int, speeds_mps: Iterable[float]) -> str:
    """Ten-minute means that end from 23:10 UTC on, which is ten past midnight of the simulated clock."""
    begin = datetime.fromisoformat("2025-01-30T23:10")
    rows = [
        f"{station:>11};{begin + timedelta(minutes=10 * step):%Y%m%d%H%M};    3;{speed:>6}; 250;eor"
        for step, speed in enumerate(speeds_mps)
    ]
    return "\r\n".join(["STATIONS_ID;MESS_DATUM;  QN;FF_10;DD_10;eor", *rows]) + "\r\n"


def scenario_file(folder: Path, weather: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(f"{FLEET}\n[weather]\n{weather}\n")
    return file


def with_csv(folder: Path, text: str) -> Path:
    (folder / "wind.csv").write_text(text)
    return scenario_file(folder, 'source = "csv"\nfiles = ["wind.csv"]')


def with_dwd(folder: Path, north: str, south: str, more: str = 'station_list = "stations.txt"') -> Path:
    (folder / "north.txt").write_text(north)
    (folder / "south.txt").write_text(south)
    (folder / "stations.txt").write_text(STATIONS)
    head = 'source = "dwd"\nfiles = ["north.txt", "south.txt"]\nassumed_temperature_c = 1.5'
    return scenario_file(folder, f"{head}\n{more}")


def simulated(file: Path) -> MessageLog:
    scenario = load(str(file))
    return simulate(scenario, scenario.ticks)


def generated(log: MessageLog) -> dict[int, int]:
    """Wh that the turbines generated, by tick."""
    total: dict[int, int] = {}
    for _, _, state in log.of(ProducerState):
        if state.kind == "turbine":
            total[state.tick] = total.get(state.tick, 0) + state.generated_wh
    return total


def test_a_csv_file_moves_the_turbines(tmp_path: Path) -> None:
    steady = generated(simulated(with_csv(tmp_path, csv_text(4))))
    assert sorted(steady) == [0, 1, 2, 3]
    assert max(steady.values()) - min(steady.values()) <= 3  # fractions of a Wh are carried on
    assert steady[0] > 0
    calm = generated(simulated(with_csv(tmp_path, csv_text(4, speed_mps=0.0))))
    assert set(calm.values()) == {0}


def test_dwd_files_of_the_same_wind_give_the_same_energy(tmp_path: Path) -> None:
    recorded = generated(simulated(with_csv(tmp_path, csv_text(4))))
    measured = generated(simulated(with_dwd(tmp_path, dwd_text(1, [9.0] * 6), dwd_text(2, [9.0] * 6))))
    assert measured == recorded


def test_missing_values_of_a_station_are_bridged(tmp_path: Path) -> None:
    gaps = [9.0, 9.0, -999, -999, -999, -999]
    whole = generated(simulated(with_dwd(tmp_path, dwd_text(1, [9.0] * 6), dwd_text(2, [9.0] * 6))))
    assert generated(simulated(with_dwd(tmp_path, dwd_text(1, gaps), dwd_text(2, gaps)))) == whole


def test_files_are_relative_to_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    file = with_csv(here, csv_text(4))
    monkeypatch.chdir(elsewhere)
    assert generated(simulated(file))[0] > 0


def test_the_command_line_runs_it(tmp_path: Path) -> None:
    file = with_csv(tmp_path, csv_text(4))
    ended = gridfleet("simulate", str(file), "--no-report", "--out", "out", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert len((tmp_path / "out" / "ticks.csv").read_text().splitlines()) == 5


# --- errors ----------------------------------------------------------------------------------------------


def without(column: str) -> str:
    """The CSV file without one of its columns."""
    lines = [line.split(",") for line in csv_text(4).splitlines()]
    place = lines[0].index(column)
    return "\n".join(",".join([*cells[:place], *cells[place + 1 :]]) for cells in lines)


CSV_FAULTS = {
    "column": (without("wind_speed_mps"), ["wind.csv, line 1", "wind_speed_mps"]),
    "empty": ("", ["wind.csv, line 1", "time, latitude"]),
    "header only": (CSV_HEADER + "\n", ["wind.csv", "no row"]),
    "number": (
        csv_text(4).replace("9.0", "fresh", 1),
        ["wind.csv, line 2, column wind_speed_mps", "'fresh'"],
    ),
    "range": (csv_text(4, speed_mps=900.0), ["wind.csv, line 2, column wind_speed_mps", "0 to 100"]),
    "time": (csv_text(4).replace("2025-01-31T00:15", "a quarter past", 1), ["wind.csv, line 3, column time"]),
    "moved": (csv_text(4).replace("53.6", "53.7", 1), ["wind.csv, line 3, column latitude", "'north'"]),
    "short row": (csv_text(4) + "2025-01-31T01:00,north\n", ["wind.csv, line 10"]),
}
DWD_FAULTS = {
    "header": (dwd_text(2, [9.0] * 6).replace("FF_10", "FX_10"), ["south.txt, line 1", "FF_10"]),
    "number": (dwd_text(2, [9.0] * 6).replace("9.0", "x.y", 1), ["south.txt, line 2, column FF_10"]),
    "range": (dwd_text(2, [9.0, 9.0, 900.0]), ["south.txt, line 4, column FF_10", "0 to 100"]),
    "cut off": (dwd_text(2, [9.0] * 2) + "          2;20250130\r\n", ["south.txt, line 4, column FF_10"]),
    "station": (dwd_text(3, [9.0] * 6), ["south.txt", "station 3"]),
    "empty": ("", ["south.txt, line 1"]),
    "no row": (dwd_text(2, []), ["south.txt", "STATIONS_ID"]),
}


def error_of(file: Path) -> str:
    """Return the error of a scenario whose weather cannot be used; one line."""
    scenario = load(str(file))
    with pytest.raises(GridFleetError) as caught:
        Fleet(scenario)
    text = str(caught.value)
    assert "\n" not in text
    assert str(file.parent) in text
    return text


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_a_faulty_csv_file_is_reported_with_its_line(fault: str, tmp_path: Path) -> None:
    text, words = CSV_FAULTS[fault]
    error = error_of(with_csv(tmp_path, text))
    assert all(word in error for word in words), error


@pytest.mark.parametrize("fault", DWD_FAULTS)
def test_a_faulty_dwd_file_is_reported_with_its_line(fault: str, tmp_path: Path) -> None:
    text, words = DWD_FAULTS[fault]
    error = error_of(with_dwd(tmp_path, dwd_text(1, [9.0] * 6), text))
    assert all(word in error for word in words), error


@pytest.mark.parametrize("lost", ["north.txt", "south.txt", "stations.txt"])
def test_a_missing_dwd_file_is_named(lost: str, tmp_path: Path) -> None:
    file = with_dwd(tmp_path, dwd_text(1, [9.0] * 6), dwd_text(2, [9.0] * 6))
    (tmp_path / lost).unlink()
    assert str(tmp_path / lost) in error_of(file)


def test_a_missing_csv_file_is_named(tmp_path: Path) -> None:
    file = with_csv(tmp_path, "")
    (tmp_path / "wind.csv").unlink()
    assert str(tmp_path / "wind.csv") in error_of(file)


def test_several_csv_files_are_all_read_or_rejected(tmp_path: Path) -> None:
    """One file is read; a second one must not be ignored silently."""
    lines = csv_text(4).splitlines()
    (tmp_path / "north.csv").write_text("\n".join(lines[:5]) + "\n")
    (tmp_path / "south.csv").write_text("no weather at all\n")
    file = scenario_file(tmp_path, 'source = "csv"\nfiles = ["north.csv", "south.csv"]')
    with pytest.raises(GridFleetError, match=r"south\.csv|files"):
        Fleet(load(str(file)))


@pytest.mark.parametrize("command", ["scenario check", "simulate"])
def test_the_command_line_reports_it_in_one_line(command: str, tmp_path: Path) -> None:
    file = with_csv(tmp_path, csv_text(4).replace("9.0", "fresh", 1))
    ended = gridfleet(*command.split(), str(file), cwd=tmp_path)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert "wind.csv, line 2, column wind_speed_mps" in ended.err
    assert not (tmp_path / "out").exists()


def test_weather_that_ends_before_the_run_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    """Four quarters and an hour's hold are on record; the run asks for twelve."""
    file = with_csv(tmp_path, csv_text(4))
    ended = gridfleet("simulate", str(file), "--ticks", "12", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "2025-01-31 00:45" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_run_that_begins_before_the_record_is_rejected(tmp_path: Path) -> None:
    file = with_csv(tmp_path, csv_text(4))
    file.write_text(file.read_text().replace("2025-01-31", "2025-01-30"))
    ended = gridfleet("simulate", str(file), cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "the record covers 2025-01-31 00:00 to 2025-01-31 00:45" in ended.err
