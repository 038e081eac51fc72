"""The downsampling tasks: written from the table, whole, and Flux."""

import re

import pytest

from gridfleet.dashboards.telemetry.influx.downsampling import TASKS, Task, flux_text, path_of
from gridfleet.dashboards.telemetry.table import MEASUREMENTS
from gridfleet.dashboards.telemetry.table.fields import Aggregation, FieldType
from tests.flux.checker import needs_front_end, wrong


@pytest.mark.parametrize("task", TASKS, ids=lambda each: each.name)
def test_the_files_are_written_from_the_table(task: Task) -> None:
    assert path_of(task).read_text(encoding="utf-8") == flux_text(task), "write it again: make reference"


@pytest.mark.node
@needs_front_end
def test_the_tasks_are_flux() -> None:
    assert (
        wrong({task.name: flux_text(task, org="mine", raw="other", prefix="other") for task in TASKS}) == {}
    )


@pytest.mark.parametrize("task", TASKS, ids=lambda each: each.name)
def test_every_field_is_aggregated_once(task: Task) -> None:
    listed = re.findall(r'^    "(\w+)",$', flux_text(task), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {field.name for each in MEASUREMENTS for field in each.fields}


def test_a_field_is_aggregated_alike_everywhere_and_only_numbers_are_added() -> None:
    aggregations: dict[str, set[Aggregation]] = {}
    for measurement in MEASUREMENTS:
        for field in measurement.fields:
            aggregations.setdefault(field.name, set()).add(field.aggregation)
            assert field.aggregation is Aggregation.LAST or field.type in {FieldType.FLOAT, FieldType.INTEGER}
    assert {name: found for name, found in aggregations.items() if len(found) > 1} == {}


@pytest.mark.parametrize("task", TASKS, ids=lambda each: each.name)
def test_windows_are_never_computed_in_part(task: Task) -> None:
    assert f"date.truncate(t: -{task.look_back}, unit: {task.window})" in flux_text(task)
