"""Every query on a real InfluxDB 2.7, over recorded runs; `make influxdb` builds the server."""

import csv
import io
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gridfleet.broker.protocol.messages import Sample
from gridfleet.dashboards.telemetry.live_status import LiveStatus
from gridfleet.dashboards.telemetry.points import Point, line_protocol
from gridfleet.dashboards.telemetry.sensor_points import incident_point, sample_point
from tests.grafana.pages import VALUES, Text, pages, rule_texts, texts
from tests.grafana.test_reads import FAULTS, FROM_PINS, controlled
from tests.heat_pumps import KIND
from tests.ports import accepts, free_port
from tests.telemetry.collected import points, points_of_all_roles
from tests.waiting import wait_until

pytestmark = [pytest.mark.influxdb2]
TOKEN: Final = "throw-away"
START: Final = "2025-06-02T00:00:00Z"
START_MS: Final = 1_748_822_400_000
STOP: Final = "2025-06-04T12:00:00Z"
RECORDER: Final = (
    "recorder,site=germany connected=true,connections=1i,received={n}i,refused=0i,redelivered=0i,silent_s=0.5,"
    "points={n}i,backlog={n}i,backlog_bytes=10i,oldest_s=0.0,sent={n}i,rejected=0i,dropped=0i,failures=0i,"
    "rss_bytes=50000000i {ms}"
)
"""A point of the recorder, as in the telemetry table."""
NOW_MS: Final = int(time.time() * 1000)


class InfluxDB:
    """A server for the tests, empty at first."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, body: str, kind: str = "text/plain") -> str:
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": kind, "Accept": "application/csv"}
        request = Request(f"{self.url}{path}", body.encode(), headers)  # noqa: S310 - our own server
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            return str(answer.read().decode())

    def write(self, lines: list[str]) -> None:
        for first in range(0, len(lines), 5000):
            self.post(
                "/api/v2/write?org=gridfleet&bucket=gridfleet&precision=ms",
                "\n".join(lines[first : first + 5000]),
            )

    def rows(self, flux: str) -> list[list[str]]:
        """Return the rows of an answer without their heads; raise AssertionError for an error."""
        try:
            answer = self.post("/api/v2/query?org=gridfleet", flux, "application/vnd.flux")
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        tables = [row for row in csv.reader(io.StringIO(answer)) if row]
        assert not any("error" in row[:2] for row in tables), answer
        return [row for row in tables if row[1] != "result"]


@pytest.fixture(scope="module")
def influxdb(influxdb2_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    folder = tmp_path_factory.mktemp("influxdb")
    port = free_port()
    places = [f"--{name}-path={folder / name}" for name in ("bolt", "engine", "sqlite")]
    command = [
        str(influxdb2_program),
        *places,
        f"--http-bind-address=127.0.0.1:{port}",
        "--reporting-disabled",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            server = InfluxDB(f"http://127.0.0.1:{port}")
            wait_until(lambda: accepts(port) or process.poll() is not None)
            first = {
                "username": "gridfleet",
                "password": "throw-away",
                "org": "gridfleet",
                "bucket": "gridfleet",
            }
            server.post("/api/v2/setup", json.dumps({**first, "token": TOKEN}), "application/json")
            server.write(recorded())
            yield server
        finally:
            process.terminate()


def from_pins(run: str) -> list[Point]:
    """Points of sensors and switches of two devices, with the time of the run in place of real time."""
    found = []
    for device, message in FROM_PINS:
        tags = {
            "site": "germany",
            "run": run,
            "cell": "germany",
            "role": "producer" if device.startswith("turbine") else "charger",
            "kind": device.split("-")[0],
            "device": device,
        }
        if isinstance(message, Sample):
            found.append(sample_point(tags, replace(message, at_ms=START_MS, synchronised=True), None))
        else:
            found += [incident_point(tags, replace(message, at_ms=at), None) for at in (START_MS, NOW_MS)]
    return found


def recorded() -> list[str]:
    """Runs under the names that the tests query, and the figures that a recorder writes in real time."""
    found: list[Point] = []
    others = [each for each in points_of_all_roles() if each.tags.get("kind") in {"battery", KIND}]
    for name, run in {
        "normal": [*points("normal", (), FAULTS, 40), *others],
        "storm": [*points("storm", ticks=64)],
        "controlled": controlled(),
    }.items():
        live_status = LiveStatus()
        named = [point._replace(tags={**point.tags, "run": name}) for point in run]
        for point in named[:-100]:  # before its end
            live_status(point)
        found += [point for point in named if point.time_ms > 100]
        found += from_pins(name)
        found += [now for seconds in range(60) if (now := live_status.point(NOW_MS - 1000 * seconds))]
    wall = [RECORDER.format(n=1000 - seconds, ms=NOW_MS - 1000 * seconds) for seconds in range(0, 600, 10)]
    return [*filter(None, map(line_protocol, found)), *wall]


def sent(text: Text, **values: str) -> str:
    """The query as InfluxDB receives it, for the time range of its page."""
    is_real = text.page not in pages() or pages()[text.page]["time"]["from"].startswith("now")
    if is_real:
        stamps = [time.gmtime(NOW_MS / 1000 - 3600), time.gmtime(NOW_MS / 1000 + 60)]
        start, stop = (time.strftime("%Y-%m-%dT%H:%M:%SZ", stamp) for stamp in stamps)
        return text.sent({**VALUES, **values}, start=start, stop=stop, window="10s")
    return text.sent({**VALUES, **values}, start=START, stop=STOP)


SERIES: Final = {"timeseries", "state-timeline"}
TABLES: Final = {"table", "barchart", "bargauge", "geomap"}
OWN: Final = {"", "result", "table", "_time", "_value", "_field", "_start", "_stop"}


def test_grafana_shows_each_answer_as_its_panel_expects(influxdb: InfluxDB) -> None:
    """Grafana: `_value` and a time make a series, its labels are the other columns; all else is a table."""
    for name, page in pages().items():
        for panel in page["panels"]:
            for target in panel.get("targets", []):
                text = Text(name, panel["title"], target["refId"], target["query"])
                device = "charger-01" if panel["title"] == "Ports" else VALUES["device"]
                answer = influxdb.post(
                    "/api/v2/query?org=gridfleet", sent(text, device=device), "application/vnd.flux"
                )
                head = set(answer.splitlines()[0].split(",")) if answer.strip() else set()
                is_series = "_value" in head and bool(head & {"_time", "_start", "_stop"})
                if panel["type"] in SERIES and head:
                    is_wide = "_time" in head and "_value" not in head  # a time, and a column for each curve
                    assert is_series or is_wide, text.name
                    assert is_wide or head <= OWN, f"{text.name}: the legend would show {head - OWN}"
                if panel["type"] in TABLES:
                    assert not is_series, text.name


DEVICES: Final = (
    "vehicle-01", "charger-01", "turbine-1", "household-1", "reactor-1", "battery-1", "heat-pump-1",
)  # fmt: skip


def panel_queries() -> dict[tuple[str, str], list[Text]]:
    found: dict[tuple[str, str], list[Text]] = {}
    for text in texts():
        if text.ref not in {"", "Anno"}:
            found.setdefault((text.page, text.place), []).append(text)
    return found


def test_every_panel_has_values(influxdb: InfluxDB) -> None:
    without_values = []
    for (page, place), queries in panel_queries().items():
        devices = DEVICES if page == "gridfleet-device" else DEVICES[:1]
        answers = [influxdb.rows(sent(text, device=device)) for text in queries for device in devices]
        if not any(answers):
            without_values.append(f"{page}: {place}")
    assert without_values == []


def test_every_kind_of_device_fills_its_panels(influxdb: InfluxDB) -> None:
    for device in DEVICES:
        empty = [
            text.place
            for text in texts()
            if text.page == "gridfleet-device"
            and text.ref == "A"
            and not influxdb.rows(sent(text, device=device))
        ]
        battery = {"State of charge", "Capacity"}
        vehicle = {"Speed", "Model", "Consumption", "Deadline", "Charger"}
        sensors = {"Wind at the turbine", "Current and voltage at the charger", "Plug, contactor, brake"}
        expected = set() if device.startswith("vehicle") else vehicle
        if not device.startswith(("vehicle", "charger", "battery")):
            expected |= battery
        if device != "heat-pump-1":
            expected |= {"Figures of its own"}
        if not device.startswith("charger"):
            expected |= {"Ports", "Contactor", "Contactor opened because"}
        if not device.startswith(("charger", "turbine", "reactor", "battery")):
            expected |= {"Faults"}
        if device == "turbine-1":
            sensors -= {"Wind at the turbine", "Plug, contactor, brake"}
        elif device == "charger-01":
            sensors -= {"Current and voltage at the charger", "Plug, contactor, brake"}
        else:
            sensors |= {"Switches and sensors"}
        expected |= sensors
        assert set(empty) == expected, device


def test_annotations_and_variables_have_values(influxdb: InfluxDB) -> None:
    for text in texts():
        if not text.ref:
            assert influxdb.rows(sent(text)), text.name
    notes = [text for text in texts() if text.page == "gridfleet-overview" and text.ref == "Anno"]
    expected = {
        "annotation Storm": "storm",
        "annotation Settings and algorithm": "controlled",
        "annotation Incident": "controlled",
        "annotation Suspension": "controlled",
    }
    for text in notes:
        rows = influxdb.rows(sent(text, run=expected.get(text.place, "normal")))
        assert rows, text.name


def test_alert_rules_get_a_series_with_the_labels_they_name(influxdb: InfluxDB) -> None:
    for text in rule_texts():
        answer = influxdb.post("/api/v2/query?org=gridfleet", sent(text), "application/vnd.flux")
        head = answer.splitlines()[0].split(",")
        assert {"_time", "_value", "site"} <= set(head), text.name
        assert influxdb.rows(sent(text)), text.name


def test_the_backlog_rule_sees_growth(influxdb: InfluxDB) -> None:
    (rule,) = [text for text in rule_texts() if "backlog" in text.place]
    (row,) = influxdb.rows(sent(rule))
    assert "590" in row  # from 410 to 1000 in ten minutes


def figure(influxdb: InfluxDB, name: str) -> float:
    """The number that a panel shows for the run `storm`."""
    (text,) = [each for each in texts() if each.name == name]
    ((*_, first, second),) = influxdb.rows(sent(text, run="storm"))
    return float(second if first.isidentifier() else first)


def test_figures_are_those_of_the_run(influxdb: InfluxDB) -> None:
    """A sum by a query of a page equals the sum of the points."""
    grid = [point.fields for point in points("storm", ticks=64) if point.measurement == "grid"]
    sold, paid = (sum(float(fields[name] or 0) for fields in grid) for name in ("sold_wh", "paid_eur"))
    assert figure(influxdb, "gridfleet-market: Energy bought [A]") == sold
    assert figure(influxdb, "gridfleet-market: Paid [A]") == pytest.approx(paid)
    assert figure(influxdb, "gridfleet-overview: Mean price [A]") == pytest.approx(1000 * paid / sold)


def test_a_new_run_fills_the_pages(influxdb: InfluxDB, tmp_path: Path) -> None:
    """After two ticks only panels on accepted offers, faults, neighbouring cells or storages may be empty."""
    fresh = [point._replace(tags={**point.tags, "run": "fresh"}) for point in points(ticks=24)]
    first = min(point.time_ms for point in fresh if point.measurement == "grid")
    influxdb.write(
        [*filter(None, (line_protocol(point) for point in fresh if point.time_ms < first + 2 * 900_000))]
    )
    empty = set()
    for (page, place), queries in panel_queries().items():
        if page in {"gridfleet-health", "gridfleet-device", "gridfleet-comparison"}:
            continue
        if not any(influxdb.rows(sent(text, run="fresh")) for text in queries):
            empty.add(place)
    may_be_empty = {
        "Price",
        "Distance",
        "Cost",
        "Outcomes of calls",
        "Calls declined, by reason",
        "Driving and charging times",
        "Offers accepted",
        "Stored energy per storage",
        "Bought and sold by storages",
        "Storages' earnings and payments",
    }
    assert empty <= may_be_empty
