"""Whatever a panel reads is in the telemetry table, and arrives in a run of the scenarios."""

from collections.abc import Mapping
from functools import cache

import pytest

from dashboards.telemetry.points import Point
from dashboards.telemetry.standing import Standing
from dashboards.telemetry.table import BY_NAME, DEVICE, FLEET, GRID, MEASUREMENTS, RECORDER
from devices.scenario import parse
from devices.simulation import Simulation
from tests.dashboards.runs import SMALL, Heard
from tests.grafana.pages import Text, pages, panels, rule_texts, texts
from tests.grafana.reads import reads
from tests.telemetry.collected import points, points_of

STEERED = """
ticks = 12
[[events]]
hour = 1.0
title = "Chosen by chance"
algorithm = "random"
"""
FAULTS = ("loss=0.1", "crash=0.02", "keep_state=false")
PANELS = [text for text in texts() if text.ref]
"""Queries of panels and annotations; those of variables read no fields."""


def steered() -> list[Point]:
    """A run in which the algorithm changes."""
    log: list[Heard] = []
    scenario = parse(STEERED, "steered.toml")
    Simulation(scenario, taps=(lambda *heard: log.append(heard),)).run()
    return points_of(log, "steered")


@cache
def recorded() -> tuple[Point, ...]:
    """The points of short runs of the scenarios, one with faults, and how each run stands."""
    found: list[Point] = []
    for run in (
        steered(),
        points(),
        points("scarce"),
        points("storm", ticks=64),
        points("normal", SMALL),
        points("normal", (), FAULTS, 40),
    ):
        standing = Standing()
        for point in run[:-100]:  # before its end
            standing(point)
        now = standing.point(0)
        found += [*run, *([now] if now else [])]
    return tuple(found)


@cache
def by_measurement() -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {each.name: [] for each in MEASUREMENTS}
    for point in recorded():
        found[point.measurement].append(point)
    return found


@pytest.mark.parametrize("page", sorted(pages()))
def test_whatever_a_page_reads_is_in_the_table(page: str) -> None:
    for text in texts():
        if text.page == page:
            assert reads(text.flux).unknown() == set(), text.name


def test_whatever_an_alert_rule_reads_is_in_the_table() -> None:
    assert {reads(text.flux).measurement for text in rule_texts()} == {"standing", "recorder"}
    for text in rule_texts():
        assert reads(text.flux).unknown() == set(), text.name


def missing(text: Text) -> set[str]:
    """The fields of a query that no point of the runs has."""
    what = reads(text.flux)
    run = by_measurement()[what.measurement]
    return {field for field in what.fields if not any(what.hits(point, field) for point in run)}


@pytest.mark.parametrize("page", sorted(pages()))
def test_every_field_that_a_panel_reads_arrives_in_a_run(page: str) -> None:
    asked = 0
    for text in PANELS:
        # The recorder's own health is not of a run: its process says it, and its tests hold that.
        if text.page == page and reads(text.flux).measurement != RECORDER.name:
            assert missing(text) == set(), text.name
            asked += 1
    assert asked > 5


def test_every_panel_but_words_and_alarms_asks_something() -> None:
    for name, page in pages().items():
        for panel in panels(page):
            assert panel.get("targets") or panel["type"] in {"alertlist", "text"}, f"{name}: {panel['title']}"


def test_every_measurement_is_on_some_page() -> None:
    read = {reads(text.flux).measurement for text in PANELS} | {
        reads(text.flux).measurement for text in rule_texts()
    }
    assert read == set(BY_NAME)


def test_the_check_finds_what_is_not_there() -> None:
    (text,) = [each for each in PANELS if each.name == "gridfleet-overview: Reactor share [A]"][:1]
    assert reads(text.flux.replace('"grid"', '"grit"')).unknown() == {"grit"}
    assert reads(text.flux.replace("reactor_wh", "reaktor_wh")).unknown() == {"reaktor_wh"}
    assert reads(text.flux.replace("r.cell", "r.sell")).unknown() == {"sell"}
    never = 'filter(fn: (r) => r._measurement == "device" and r.kind == "turbine")\n r._field == "speed_km_h"'
    assert missing(Text("", "", "", never)) == {"speed_km_h"}
    with pytest.raises(ValueError, match="reads"):
        reads("from(bucket: v.defaultBucket)")


# --- how the site stands now ---


def point(
    measurement: str, time_ms: int, fields: Mapping[str, int | str], run: str = "a", **tags: str
) -> Point:
    return Point(measurement, {"site": "s", "run": run, **tags}, dict(fields), time_ms)


def test_how_the_run_stands_is_what_its_last_points_say() -> None:
    standing = Standing()
    assert standing.point(5) is None
    for tick in range(20):
        sold = {"sold_wh": 1000, "reactor_wh": 1000 if tick < 4 else 250}
        standing(point(GRID.name, tick, sold, cell="x"))
    standing(point(FLEET.name, 19, {"devices": 5, "online": 3}, cell="x", kind="turbine"))
    standing(point(FLEET.name, 19, {"devices": 2, "online": 2}, cell="y", kind="turbine"))
    standing(point(DEVICE.name, 19, {"status": "faulted"}, cell="x", kind="charger", device="c-1"))
    standing(point(DEVICE.name, 19, {"status": "free"}, cell="x", kind="charger", device="c-2"))
    standing(point("audit", 19, {"breaches": 2}, invariant="money"))
    now = standing.point(7)
    assert now is not None
    assert (now.time_ms, now.tags) == (7, {"site": "s", "run": "a"})
    assert now.fields == {
        "simulated_ms": 19, "devices": 7, "online": 5, "missing": 2, "faults": 1, "breaches": 2, "reactor_share": 0.25,
    }  # fmt: skip
    standing(point(DEVICE.name, 20, {"status": "free"}, cell="x", kind="charger", device="c-1"))
    standing(point(RECORDER.name, 20, {"backlog": 1}, run=""))
    again = standing.point(8)
    assert again is not None
    assert again.fields["faults"] == 0
    standing(point("event", 21, {"text": "the run ends"}, what="end", device="site"))
    assert standing.point(9) is None


def test_another_run_begins_anew() -> None:
    standing = Standing()
    standing(point(GRID.name, 0, {"sold_wh": 10, "reactor_wh": 10}, cell="x"))
    standing(point("audit", 0, {"breaches": 2}, invariant="money"))
    standing(point(GRID.name, 0, {"sold_wh": 0, "reactor_wh": 0}, run="b", cell="x"))
    now = standing.point(1)
    assert now is not None
    assert now.tags["run"] == "b"
    assert (now.fields["breaches"], now.fields["reactor_share"]) == (0, 0.0)
