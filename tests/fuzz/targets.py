"""What is fuzzed: every reader of what comes from outside, with real inputs to begin from."""

import gzip
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.topics import TOPIC_TABLE, parse_topic
from gridfleet.broker.readers.http_answers import http_address, json_answer, retry_after_s
from gridfleet.broker.readers.json_values import parse_json
from gridfleet.broker.readers.toml_text import parse_toml, toml_value
from gridfleet.broker.storage.segment_log import SegmentLog
from gridfleet.dashboards.recording.durable.journal import Journal
from gridfleet.dashboards.recording.durable.status import had_session
from gridfleet.dashboards.recording.trace import read_head, read_trace
from gridfleet.dashboards.reports.export import write_exports
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.telemetry.influx.spool import Spool, inspect_spool, read_state
from gridfleet.devices.config import device_file, scenario
from gridfleet.devices.edge.offline_queue import OfflineQueue
from gridfleet.devices.physics.time_series import read_series
from gridfleet.devices.weather.dwd import read_dwd, read_station_list
from gridfleet.devices.weather.formats.sample import Options
from gridfleet.devices.weather.importer import csv_text, imported, summary_lines
from gridfleet.devices.weather.recorded import read_weather_csv
from gridfleet.devices.weather.site_clock import STANDARD_CLOCK
from gridfleet.provisioning.chaos.plan import load_plan
from gridfleet.provisioning.flash.fleet_file import read_fleet
from gridfleet.provisioning.processes.heartbeat import health_problem
from gridfleet.provisioning.processes.recorder_status import read_status
from gridfleet.provisioning.runs.key_figures import key_figures
from gridfleet.provisioning.runs.live_run import live_run
from gridfleet.provisioning.upgrade.bundle import Bundle
from tests.broker.test_codec import WIRE
from tests.dashboards.synthetic import Fleet, build
from tests.physics.test_weather_formats import ERA5, METEOSTAT, NOAA, OPEN_METEO, PVGIS, epw
from tests.readers.cases import CORPUS, PRODUCT, ROWS, dwd_zip, toml_cases

ROOT = Path(__file__).resolve().parents[2]
HAMBURG = (53.6, 10.0)


class Target(NamedTuple):
    """A reader: real inputs, the name of the file that it reads, and the reading itself."""

    name: str
    make_seeds: Callable[[], tuple[bytes, ...]]
    read: Callable[[Path, bytes], object]
    """Gets an empty folder and the content; raises a GridFleetError for what it refuses, and nothing else."""
    weight: int = 10
    """How often it is tried beside the others."""

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """The real inputs, made when they are first needed."""
        return _made(self.make_seeds)


@cache
def _made(make: Callable[[], tuple[bytes, ...]]) -> tuple[bytes, ...]:
    return make()


def of_file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """Return a reading of a file of that name in the folder."""

    def write_and_read(folder: Path, content: bytes) -> object:
        path = folder / name
        path.write_bytes(content)
        return read(path)

    return write_and_read


def of_text(read: Callable[[str], object]) -> Callable[[Path, bytes], object]:
    return lambda _, content: read(content.decode("utf-8", "surrogateescape"))


def _scenario(path: Path) -> None:
    scenario.load(str(path)).groups  # noqa: B018 - computed when it is read


def _use_store(path: Path) -> None:
    with Store.open(path) as store:
        write_exports(store, path.parent / "out")
        key_figures(store)


def _trace(path: Path) -> None:
    read_head(path)
    for _ in read_trace(path, whole=True):
        pass


def _import(path: Path) -> None:
    stations = imported([path], Options(place=HAMBURG))
    csv_text(stations)
    summary_lines(stations)


def _segments(folder: Path, content: bytes) -> None:
    (folder / "000000000001.log").write_bytes(content)
    list(Journal(folder).read())
    inspect_spool(folder, 1.0)
    with Spool(folder) as spool:
        spool.batch()
        spool.status()
    with closing(OfflineQueue(folder, max_bytes=1 << 20)) as queue:
        queue.oldest()


def _decode(_: Path, content: bytes) -> None:
    name, _blank, payload = content.partition(b" ")
    types = sorted(row.name for row in TOPIC_TABLE)
    text = name.decode("utf-8", "replace")
    decode(text if text in types else types[len(name) % len(types)], payload)  # others have no topic


def _answers(_: Path, content: bytes) -> None:
    retry_after_s(content.decode("latin-1"))
    text = content.decode("utf-8", "replace")
    for read in (
        lambda: json_answer(content, "InfluxDB"),
        lambda: http_address(text),
        lambda: parse_json(content),
    ):
        _refused(read)


def _small_files(folder: Path, content: bytes) -> None:
    for name in ("status.json", "state.json", "broker.json", "bundle.json", "beat"):
        (folder / name).write_bytes(content)
    had_session(folder)
    read_state(folder)
    live_run(folder)
    health_problem(folder / "beat", time.monotonic())
    _refused(lambda: read_status(folder, 1.0))
    _refused(lambda: Bundle.load(folder))


def _refused(read: Callable[[], object]) -> None:
    """Read, and let a refusal pass, so that the next reader has its turn."""
    try:
        read()
    except GridFleetError:
        return


def _toml_seeds() -> Iterator[bytes]:
    yield from (path.read_bytes() for path in toml_cases())
    for folder in ("devices/config/scenarios", "examples/devices", "provisioning/chaos/plans"):
        yield from (path.read_bytes() for path in sorted((ROOT / folder).glob("*.toml")))


def _store_seed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.sqlite"
        build(Fleet(ticks=3, chargers=2, vehicles=2), Store.create(path)).close()
        return path.read_bytes()


def _trace_seed() -> bytes:
    from gridfleet.provisioning.cli.main import main

    with tempfile.TemporaryDirectory() as folder:
        trace = f"{folder}/trace.jsonl"
        small = ("vehicles.count=1", "chargers.count=1", "turbines.count=1", "ticks=1")
        main(
            ["simulate", "normal", "--no-report", "--out", f"{folder}/run", "--trace", trace, "--set", *small]
        )
        return Path(trace).read_bytes()


def _segment_seed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with SegmentLog(Path(folder)) as log:
            log.append(b'["samples", {"a": 1}, "boot", 7]', 1, 5)
            log.append(b"gridfleet,site=s v=1i 1", 1, 5)
        journal = Journal(Path(folder) / "journal")
        journal.append("gridfleet/s/tick/clock", b"{}", 5)
        journal.sync()
        journal.abandon()
        return b"".join(path.read_bytes() for path in sorted(Path(folder).rglob("*.log")))


TOML = cache(lambda: tuple(_toml_seeds()))
TRACE = cache(_trace_seed)
WEATHER = (
    b"time,station,latitude,longitude,wind_speed_mps,temperature_c\n"
    b"2025-06-02,a,50,9,5,1\n2025-06-02T01:00Z,a,50,9,,\n"
)
SERVICES = (OPEN_METEO.format(offset=3600), ERA5, METEOSTAT, NOAA, PVGIS, epw((2025, 3, 1, 1, 5.0, 4.0)))
PRICES = (
    b"MTU (CET/CEST),Day-ahead Price [EUR/MWh]\n01.03.2025 00:00 - 01.03.2025 01:00,12.5\n"
    b"01.03.2025 01:00 - 01.03.2025 02:00,n/e\n"
)
SERIES = (b"time,load_kw\n2025-06-02T00:00,5.0\n2025-06-02T01:00,6\n", PRICES)
STATIONS = (
    b"Stations_id von_datum bis_datum hoehe breite laenge name land\n"
    b"01975 20250101 20250102 11 53.6332 9.9881 Hamburg-Fuhlsbuettel Hamburg\n"
)
SMALL_FILE = json.dumps(
    {
        "time": 1.0, "pid": 1, "site": "s", "run": "r", "has_spool": False, "connected": True, "offline_reason": "",
        "influx_error": "", "received": 1, "refused": 0, "redelivered": 0, "journal_bytes": 1, "rejected": 0,
        "dropped": 0, "breaches": {"a": 1}, "flooding": {}, "segment": 1, "offset": 0, "sent": 1, "login": False,
        "broker": "mqtt://b", "at_s": 1.0, "trouble": "", "version": "1", "machine": "m", "python": "3.13",
        "made_s": 1, "wheels": {"a-1-py3-none-any.whl": "00"},
    }
).encode()  # fmt: skip
"""What status, state, heartbeat, address of a broker and manifest of a bundle have, all in one."""


def _wire() -> tuple[bytes, ...]:
    return tuple(f"{type(message).TYPE} ".encode() + encode(message) for message, _ in WIRE)


def _topics() -> tuple[bytes, ...]:
    return tuple(f"gridfleet/germany/{row.name}/a/b/c".encode() for row in TOPIC_TABLE)


def _archives() -> tuple[bytes, ...]:
    return (dwd_zip(), *(path.read_bytes() for path in sorted((CORPUS / "zip").glob("*.zip"))))


def _plan(path: Path) -> None:
    load_plan(str(path))


def _load(path: Path) -> None:
    read_series(path, "load", STANDARD_CLOCK)


def _price(path: Path) -> None:
    read_series(path, "price", STANDARD_CLOCK)


def _dwd(path: Path) -> None:
    read_dwd([path], None, {1975: HAMBURG})


def _set(text: str) -> None:
    scenario.load("normal", [text])


def _topic(text: str) -> None:
    parse_topic("germany", text)


def targets() -> list[Target]:
    """Return everything that is fuzzed."""
    return [
        Target("scenario", TOML, of_file("mine.toml", _scenario), 4),
        Target("device", TOML, of_file("mine.toml", device_file.load), 4),
        Target("plan", TOML, of_file("mine.toml", _plan), 4),
        Target("fleet-file", TOML, of_file("mine.toml", read_fleet), 4),
        Target("toml", TOML, of_text(parse_toml), 8),
        Target("toml-value", lambda: (b"0.5", b'"best"', b"[1, 2]", b"2025-06-02"), of_text(toml_value), 20),
        Target("set", lambda: (b"ticks=4", b"settings.turbine_scale=0.5"), of_text(_set), 6),
        Target("weather-csv", lambda: (WEATHER,), of_file("w.csv", read_weather_csv)),
        Target("weather-import", lambda: tuple(map(str.encode, SERVICES)), of_file("w.csv", _import)),
        Target("load", lambda: SERIES, of_file("l.csv", _load)),
        Target("price", lambda: SERIES, of_file("p.csv", _price)),
        Target("dwd-text", lambda: (ROWS[:600].encode(),), of_file(PRODUCT, _dwd)),
        Target("dwd-zip", _archives, of_file("w.zip", lambda path: read_dwd([path])), 6),
        Target("station-list", lambda: (STATIONS,), of_file("s.txt", read_station_list)),
        Target("trace", lambda: (TRACE(),), of_file("t.jsonl", _trace), 4),
        Target("trace-gz", lambda: (gzip.compress(TRACE()),), of_file("t.jsonl.gz", _trace), 3),
        Target("store", lambda: (_store_seed(),), of_file("run.sqlite", _use_store), 1),
        Target("small-files", lambda: (SMALL_FILE, b"[]", b"{}"), _small_files, 6),
        Target("segments", lambda: (_segment_seed(),), _segments, 2),
        Target("codec", _wire, _decode, 40),
        Target("topic", _topics, of_text(_topic), 40),
        Target("answers", lambda: (b'{"name": "influxdb"}', b"7", b"https://a.example:8086/x"), _answers, 30),
    ]


def emptied(folder: Path) -> None:
    """Delete what a target has left in its folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
