"""The points of simulated runs: as the table defines them, each once, with the store's sums."""

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest
from influxdb_client.client.write import point as client

from gridfleet.broker.protocol.messages import Figure, Presence, Role, Tick, VehicleState
from gridfleet.broker.protocol.topics import TOPIC_TABLE
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.collector import run_name
from gridfleet.dashboards.telemetry.points import Point, line_protocol
from gridfleet.dashboards.telemetry.table import BY_NAME, MEASUREMENTS
from gridfleet.dashboards.telemetry.table.fields import FieldType, PointTime
from gridfleet.dashboards.telemetry.tags import (
    BANDS,
    EVENTS,
    MAX_FIGURE_NAMES,
    MAX_KINDS,
    MAX_UNITS,
    OUTCOMES,
    REASONS,
    STATUSES,
)
from tests.dashboards.runs import SMALL, message_log, record
from tests.telemetry.collected import messages_of_all_roles, points, points_of, points_of_all_roles

TYPES = {FieldType.FLOAT: float, FieldType.INTEGER: int, FieldType.TEXT: str, FieldType.FLAG: bool}
FAULTS = ("loss=0.1", "crash=0.02", "keep_state=false")


def runs() -> list[tuple[Point, ...]]:
    return [
        points(),
        points("normal", SMALL),
        points("storm", ticks=64),
        points("normal", (), FAULTS, 40),
        points_of_all_roles(),
    ]


def test_every_point_matches_the_table() -> None:
    assert all(len(run) > 100 for run in runs())
    for point in (point for run in runs() for point in run):
        measurement = BY_NAME[point.measurement]
        assert set(point.tags) == set(measurement.tags)
        assert all(point.tags.values())
        for name, value in point.fields.items():
            expected = TYPES[measurement.field(name).type]
            assert value is None or type(value) is expected, f"{point.measurement}.{name} = {value!r}"


def test_every_field_of_the_table_has_a_value_in_a_run() -> None:
    arrived: dict[str, set[str]] = defaultdict(set)
    for point in (point for run in runs() for point in run):
        arrived[point.measurement] |= {name for name, value in point.fields.items() if value is not None}
    missing = {
        each.name: {field.name for field in each.fields} - arrived[each.name]
        for each in MEASUREMENTS
        if each.time is not PointTime.WALL
    }
    assert missing == {name: set() for name in missing}


def test_the_same_messages_make_the_same_points() -> None:
    log = message_log(ticks=12)
    once = [line_protocol(point) for point in points_of(log) if point.measurement != "clock"]
    assert once == [line_protocol(point) for point in points_of(log) if point.measurement != "clock"]


@pytest.mark.parametrize("index", range(5))
def test_no_two_points_share_tags_and_time_and_differ(index: int) -> None:
    """A point that is written again with other values is a correction: only a tick's market is corrected."""
    named: dict[object, set[str]] = defaultdict(set)
    for point in runs()[index]:
        if point.measurement not in {"grid", "market", "merit"}:
            named[point.measurement, tuple(sorted(point.tags.items())), point.time_ms].add(
                line_protocol(point)
            )
    assert [texts for texts in named.values() if len(texts) > 1] == []


def test_points_add_up_to_the_local_store() -> None:
    for changes, faults in ((SMALL, ()), ((), FAULTS)):
        last: dict[object, Point] = {}
        for point in points("normal", changes, faults, 40):
            last[point.measurement, tuple(sorted(point.tags.items())), point.time_ms] = point
        sums: Counter[str] = Counter()
        for point in last.values():
            if point.measurement == "grid":
                sums.update({name: value for name, value in point.fields.items() if isinstance(value, int)})
            elif point.measurement == "merit":
                merit = {name: value for name, value in point.fields.items() if isinstance(value, int)}
                sums["merit_wh"] += merit["sold_wh"] + merit["reactor_wh"]
            elif point.measurement == "market":
                sums["trades"] += int(point.fields["trades"] or 0)
        with record(message_log("normal", changes, faults, 40)) as store:
            rows = list(store.ticks())
            trades = list(store.trades())
        for name in ("demand_wh", "generated_wh", "reactor_wh", "sold_wh", "curtailed_wh", "messages"):
            assert sums[name] == sum(getattr(row, name) for row in rows)
        assert sums["merit_wh"] == sums["sold_wh"]
        assert sums["trades"] == len(trades)


def test_points_have_the_simulated_time_of_ticks_and_events() -> None:
    run = points()
    begins = {point.time_ms for point in run if point.measurement == "grid"}
    assert len(begins) == 24
    of_ticks = {point.time_ms for point in run if BY_NAME[point.measurement].time is PointTime.TICK}
    assert of_ticks == begins


def test_tags_are_bounded() -> None:
    """However long it runs: series follow from devices, cells and the closed lists alone."""
    log = list(message_log("normal", (), FAULTS, 40))
    for index, (now_ms, scope, sender, message) in enumerate(log):
        if isinstance(message, VehicleState):
            hostile = replace(message, status=f"word {index}", refused={f"reason {index}": 1})
            log[index] = (now_ms, scope, sender, hostile)
    series = Counter(
        measurement
        for measurement, _ in {(p.measurement, tuple(sorted(p.tags.items()))) for p in points_of(log)}
    )
    devices, cells = 57 + 1, 2 + 1  # the clock is a device too; and there may be `unknown`
    assert series["device"] == 57
    assert series["vehicles"] <= cells * (len(STATUSES) + 1)
    assert series["rejects"] <= cells * len(Role) * (len(REASONS) + 1)
    assert series["reservation"] <= devices * (len(OUTCOMES) + 1)
    assert series["event"] <= 2 * devices + len(EVENTS)
    assert series["messages"] <= cells * len(TOPIC_TABLE)
    assert series["merit"] <= cells * len(BANDS)


def test_kinds_figures_and_units_are_bounded() -> None:
    """Other packages bring kinds; a device that invents new ones all the time does not fill the database."""
    log = list(messages_of_all_roles())
    for index, (now_ms, scope, sender, message) in enumerate(log):
        if isinstance(message, Presence) and message.online:
            figures = tuple(Figure(f"f{index}_{each}", f"unit {index} {each}") for each in range(8))
            log[index] = (now_ms, scope, sender, replace(message, kind=f"kind-{index}", figures=figures))
        elif isinstance(message, VehicleState):
            figures_now = {f"f{index}_{each}": 1.0 for each in range(8)}
            hostile = replace(message, kind=f"kind-{index}", figures=figures_now, refused={"late": 1})
            log[index] = (now_ms, scope, sender, hostile)
    values: dict[str, set[str]] = defaultdict(set)
    for point in points_of(log):
        for name, value in point.tags.items():
            values[name].add(value)
    assert len(values["kind"]) == MAX_KINDS + 1
    assert len(values["figure"]) <= MAX_FIGURE_NAMES + 1
    assert len(values["unit"]) <= MAX_UNITS + 1
    assert values["role"] <= {*Role, "other"}


def test_a_figure_has_a_point_of_its_own_with_the_unit_of_the_birth() -> None:
    found = [point for point in points_of_all_roles() if point.measurement == "figure"]
    assert {(p.tags["kind"], p.tags["device"], p.tags["figure"], p.tags["unit"]) for p in found} == {
        ("heat-pump", f"heat-pump-{number}", name, unit)
        for number in (1, 2)
        for name, unit in (("indoor_c", "°C"), ("cop", "1"))
    }
    assert [p.fields["value"] for p in found if p.tags["figure"] == "indoor_c"][:2] == [20.5, 21.5]


def test_a_run_is_named_after_the_beginning_of_its_clock() -> None:
    assert run_name("storm", 1_795_347_296) == "storm-20261122T113456"
    assert {point.tags["run"] for point in points("storm", ticks=64)} == {"storm"}, (
        "a simulation has no epoch"
    )


def test_points_of_a_real_time_clock_have_the_time_of_day() -> None:
    """Each tick is shifted as a whole, by as much as the clock was late."""
    log, now_ms = message_log(ticks=6), [0]
    moved: list[Point] = []
    day_ms = 1_795_000_000_000
    facts = RunFacts("normal", "normal", 1, "0", 0)
    with Recording(None, facts, site="germany", sink=moved.append, wall_ms=lambda: now_ms[0]) as recording:
        for each in log:
            if isinstance(each[3], Tick):
                now_ms[0] = day_ms + each[3].tick * 900_007  # a clock that loses 7 ms in every tick
            recording.receive(*each)
        recording.finish()
    plain = points_of(list(log))
    assert [(p.measurement, p.tags) for p in moved] == [(p.measurement, p.tags) for p in plain]
    begins = sorted({point.time_ms for point in moved if point.measurement == "grid"})
    assert begins == [day_ms + tick * 900_007 for tick in range(6)]
    assert {point.time_ms for point in moved if point.measurement == "device"} == set(begins)
    end_ms = day_ms + 6 * 900_007
    assert [point for point in moved if not day_ms <= point.time_ms <= end_ms] == []


@pytest.mark.parametrize(
    "value", [True, False, 0, -5, 2**40, 0.1, 1e-9, 12345.678, "", 'say "no"', "back\\slash", "ünï"]
)
def test_lines_are_those_of_the_client_library(value: float | str) -> None:
    tags = {"site": "town a", "device": "x=1,y"}
    ours = line_protocol(Point("grid", tags, {"value": value, "none": None}, 1_700_000_000_123))
    point: Any = client.Point
    theirs = point("grid").field("value", value).time(1_700_000_000_123, "ms")
    for name, tag in tags.items():
        theirs = theirs.tag(name, tag)
    if isinstance(value, float):  # other text, the same number
        assert float(ours.split("value=")[1].split()[0]) == value
    else:
        assert ours == theirs.to_line_protocol()


def test_hostile_text_stays_in_its_line() -> None:
    text = line_protocol(Point("event", {"device": "a\nb c"}, {"text": 'x"\ny,z=1i 5'}, 1))
    assert "\n" not in text
    assert text == r'event,device=a\ b\ c text="x\" y,z=1i 5" 1'


def test_a_point_without_values_has_no_line() -> None:
    assert line_protocol(Point("market", {"cell": "a"}, {"lowest": None}, 1)) == ""
