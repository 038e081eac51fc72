"""Everything that a panel reads is in the telemetry table, and occurs in runs of the scenarios."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import pytest

from gridfleet.broker.protocol.messages import Incident, Sample, Suspension
from gridfleet.broker.protocol.topics import RECORDER_ID
from gridfleet.dashboards.telemetry.live_status import LiveStatus
from gridfleet.dashboards.telemetry.points import Point
from gridfleet.dashboards.telemetry.sensor_points import FIELDS, incident_point, sample_point
from gridfleet.dashboards.telemetry.table import BY_NAME, DEVICE, FLEET, GRID, MEASUREMENTS, RECORDER
from gridfleet.devices.config.scenario import parse
from gridfleet.devices.runtime.simulation import Simulation
from tests.dashboards.runs import SMALL, Logged
from tests.grafana.pages import Text, pages, panels, rule_texts, texts
from tests.grafana.reads import reads
from tests.telemetry.collected import points, points_of, points_of_all_roles

CONTROLLED = """
ticks = 12
[[events]]
hour = 1.0
title = "Chosen by chance"
algorithm = "random"
"""
What = Literal["opened", "closed", "failed", "recovered"]
FROM_PINS: tuple[tuple[str, Sample | Incident], ...] = (
    (
        "turbine-1",
        Sample(
            1, True, True, {"wind_m_per_s": 7, "gust_m_per_s": 9, "direction_deg": 90, "brake_applied": 0}
        ),
    ),
    (
        "charger-01",
        Sample(
            1,
            False,
            True,
            {
                "plugged": 1,
                "contactor_closed": 1,
                "current_a": 16,
                "voltage_v": 230,
                "power_w": 3680,
                "energy_wh": 5,
            },
            ("adc: missing",),
        ),
    ),
    ("charger-01", Incident(1, True, True, "contactor", "opened", "over-current")),
    ("charger-02", Incident(1, True, True, "contactor", "opened", "no lease")),
    ("turbine-1", Incident(1, True, False, "whistle", "failed", "stuck")),
)
FAULTS = ("loss=0.1", "crash=0.02", "keep_state=false")
PANELS = [text for text in texts() if text.ref]
"""Queries of panels and annotations; those of variables read no fields."""


def controlled() -> list[Point]:
    """A run in which the algorithm changes, a turbine and a charger have sensors, and a charger is suspended."""
    log: list[Logged] = []
    scenario = parse(CONTROLLED, "controlled.toml")
    Simulation(scenario, receivers=(lambda *logged: log.append(logged),)).run()
    middle = len(log) // 2
    suspension = Suspension("offer beyond call", "offers 9 Wh", 1, 1_000)
    log[middle:middle] = [
        *((log[middle][0], "", *each) for each in FROM_PINS),
        (log[middle][0], "charger-02", RECORDER_ID, suspension),
    ]
    return points_of(log, "controlled")


@cache
def recorded() -> tuple[Point, ...]:
    """The points of short runs of the scenarios, one with faults, and the live status of each run."""
    found: list[Point] = []
    for run in (
        controlled(),
        points(),
        points("scarce"),
        points("storm", ticks=64),
        points("normal", SMALL),
        points("normal", (), FAULTS, 40),
        points_of_all_roles(),
    ):
        live_status = LiveStatus()
        for point in run[:-100]:  # before its end
            live_status(point)
        now = live_status.point(0)
        found += [*run, *([now] if now else [])]
    return tuple(found)


@cache
def by_measurement() -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {each.name: [] for each in MEASUREMENTS}
    for point in recorded():
        found[point.measurement].append(point)
    return found


@pytest.mark.parametrize("page", sorted(pages()))
def test_all_that_a_page_reads_is_in_the_table(page: str) -> None:
    unknown = {text.name: reads(text.flux).unknown() for text in texts() if text.page == page}
    assert len(unknown) > 5
    assert unknown == {name: set() for name in unknown}


def test_all_that_an_alert_rule_reads_is_in_the_table() -> None:
    assert {reads(text.flux).measurement for text in rule_texts()} == {"live_status", "recorder", "incident"}
    for text in rule_texts():
        assert reads(text.flux).unknown() == set(), text.name


def missing(text: Text) -> set[str]:
    """The fields of a query that no point of the runs has."""
    what = reads(text.flux)
    run = by_measurement()[what.measurement]
    return {field for field in what.fields if not any(what.hits(point, field) for point in run)}


@pytest.mark.parametrize("page", sorted(pages()))
def test_every_field_that_a_panel_reads_occurs_in_a_run(page: str) -> None:
    checked = 0
    for text in PANELS:
        # The recorder's own health is written by its process, not in a run; the tests of the recorder check it.
        if text.page == page and reads(text.flux).measurement != RECORDER.name:
            assert missing(text) == set(), text.name
            checked += 1
    assert checked > 5


def test_no_query_depends_on_the_name_of_a_kind() -> None:
    assert [text.name for text in texts() if "r.kind ==" in text.flux or "r.kind =~" in text.flux] == []


def test_every_panel_but_texts_and_the_alert_list_has_a_query() -> None:
    for name, page in pages().items():
        for panel in panels(page):
            assert panel.get("targets") or panel["type"] in {"alertlist", "text"}, f"{name}: {panel['title']}"


def test_every_measurement_is_on_some_page() -> None:
    read = {reads(text.flux).measurement for text in PANELS} | {
        reads(text.flux).measurement for text in rule_texts()
    }
    assert read == set(BY_NAME)


def test_the_check_finds_missing_names() -> None:
    (text,) = [each for each in PANELS if each.name == "gridfleet-overview: Reactor share [A]"][:1]
    assert reads(text.flux.replace('"grid"', '"grit"')).unknown() == {"grit"}
    assert reads(text.flux.replace("reactor_wh", "reaktor_wh")).unknown() == {"reaktor_wh"}
    assert reads(text.flux.replace("r.cell", "r.sell")).unknown() == {"sell"}
    never = (
        'filter(fn: (r) => r._measurement == "device" and r.role == "producer")\n r._field == "speed_km_h"'
    )
    assert missing(Text("", "", "", never)) == {"speed_km_h"}
    with pytest.raises(ValueError, match="reads"):
        reads("from(bucket: v.defaultBucket)")


# --- live status ---


def point(
    measurement: str, time_ms: int, fields: Mapping[str, int | str], run: str = "a", **tags: str
) -> Point:
    return Point(measurement, {"site": "s", "run": run, **tags}, dict(fields), time_ms)


def test_live_status_comes_from_the_last_points_of_a_run() -> None:
    live_status = LiveStatus()
    assert live_status.point(5) is None
    for tick in range(20):
        sold = {"sold_wh": 1000, "reactor_wh": 1000 if tick < 4 else 250}
        live_status(point(GRID.name, tick, sold, cell="x"))
    live_status(point(FLEET.name, 19, {"devices": 5, "online": 3}, cell="x", role="producer", kind="turbine"))
    live_status(point(FLEET.name, 19, {"devices": 2, "online": 2}, cell="y", role="producer", kind="turbine"))
    live_status(
        point(DEVICE.name, 19, {"status": "faulted"}, cell="x", role="charger", kind="charger", device="c-1")
    )
    live_status(
        point(DEVICE.name, 19, {"status": "free"}, cell="x", role="charger", kind="charger", device="c-2")
    )
    live_status(point("audit", 19, {"breaches": 2}, invariant="money"))
    for what, device in (("suspended", "c-1"), ("suspended", "c-2"), ("reinstated", "c-2")):
        live_status(point("event", 19, {"text": "a lie"}, what=what, device=device))
    now = live_status.point(7)
    assert now is not None
    assert (now.time_ms, now.tags) == (7, {"site": "s", "run": "a"})
    assert now.fields == {
        "simulated_ms": 19, "devices": 7, "online": 5, "missing": 2, "faulty": 1, "suspended": 1, "breaches": 2,
        "reactor_share": 0.25,
    }  # fmt: skip
    live_status(
        point(DEVICE.name, 20, {"status": "free"}, cell="x", role="charger", kind="charger", device="c-1")
    )
    live_status(point(RECORDER.name, 20, {"backlog": 1}, run=""))
    again = live_status.point(8)
    assert again is not None
    assert again.fields["faulty"] == 0
    live_status(point("event", 21, {"text": "the run ends"}, what="end", device="site"))
    assert live_status.point(9) is None


def test_a_new_run_resets_the_live_status() -> None:
    live_status = LiveStatus()
    live_status(point(GRID.name, 0, {"sold_wh": 10, "reactor_wh": 10}, cell="x"))
    live_status(point("audit", 0, {"breaches": 2}, invariant="money"))
    live_status(point(GRID.name, 0, {"sold_wh": 0, "reactor_wh": 0}, run="b", cell="x"))
    now = live_status.point(1)
    assert now is not None
    assert now.tags["run"] == "b"
    assert (now.fields["breaches"], now.fields["reactor_share"]) == (0, 0.0)


# --- sensors and switches ---


def test_known_readings_become_fields_and_others_are_left_out() -> None:
    sample = Sample(
        5, True, True, {"power_w": 3.5, "wind_m_per_s": 7, "magic": 1}, ("adc: missing", "vane: stuck")
    )
    made = sample_point({"device": "x"}, sample, None)
    assert made.time_ms == 5
    assert made.fields["meter_w"] == 3.5
    assert made.fields["wind_m_per_s"] == 7.0
    assert made.fields["faults"] == "adc: missing, vane: stuck"
    assert "magic" not in made.fields
    assert set(FIELDS.values()) <= {field.name for field in BY_NAME["sample"].fields}


def test_the_time_of_an_unsynchronised_clock_is_replaced() -> None:
    assert sample_point({}, Sample(5, False, True, {}), lambda: 99).time_ms == 99
    assert sample_point({}, Sample(5, True, True, {}), lambda: 99).time_ms == 5
    assert incident_point({}, Incident(5, False, True, "brake", "applied", "gust"), lambda: 99).time_ms == 99


@pytest.mark.parametrize(
    ("part", "what", "reason", "fault"),
    [
        ("contactor", "opened", "over-current", True),
        ("contactor", "opened", "no lease", False),
        ("contactor", "opened", "unplugged", False),
        ("contactor", "closed", "", False),
        ("anemometer", "failed", "stuck", True),
        ("anemometer", "recovered", "stuck", False),
    ],
)
def test_an_incident_is_a_fault_or_normal_operation(part: str, what: What, reason: str, fault: bool) -> None:
    made = incident_point({"device": "x"}, Incident(5, True, True, part, what, reason), None)
    assert made.fields["fault"] is fault
    assert (made.tags["part"], made.tags["what"]) == (part, what)
