"""The telemetry table: bounded tags, unique names, and the page written from it."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gridfleet.dashboards.telemetry import tags
from gridfleet.dashboards.telemetry.document import document
from gridfleet.dashboards.telemetry.table import MEASUREMENTS
from gridfleet.dashboards.telemetry.table.fields import Measurement
from gridfleet.dashboards.telemetry.tags import TAGS
from gridfleet.devices.agents.trip import VehicleStatus

ROOT = Path(__file__).parents[2]
REWRITTEN = {
    "bucket", "organization", "defaultBucket", "windowPeriod", "timeRangeStart", "timeRangeStop", "interval",
    "__interval", "time", "_time", "_value", "_field", "_measurement", "_start", "_stop",
}  # fmt: skip
"""What Grafana's macro engine or Flux itself would take for something else."""


def test_the_page_is_written_from_the_table() -> None:
    assert (ROOT / "docs/reference/telemetry.md").read_text(encoding="utf-8") == document(), (
        "write it again: make reference"
    )


@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda each: each.name)
def test_names_are_plain_and_unique(measurement: Measurement) -> None:
    names = [measurement.name, *measurement.tags, *(field.name for field in measurement.fields)]
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    assert not REWRITTEN & set(names)
    columns = names[1:]
    assert len(columns) == len(set(columns))
    assert set(measurement.tags) <= set(TAGS)
    for field in measurement.fields:
        assert measurement.field(field.name) is field
        assert field.what


def test_a_field_has_one_type_and_unit_everywhere() -> None:
    meanings: dict[str, set[tuple[object, str]]] = {}
    for measurement in MEASUREMENTS:
        for field in measurement.fields:
            meanings.setdefault(field.name, set()).add((field.type, field.unit))
    assert {name: each for name, each in meanings.items() if len(each) > 1} == {}
    assert len({each.name for each in MEASUREMENTS}) == len(MEASUREMENTS)


def test_numbers_that_grow_are_no_tags() -> None:
    used = {tag for measurement in MEASUREMENTS for tag in measurement.tags}
    assert used == set(TAGS)
    assert not {"tick", "call", "serial", "package", "charger"} & used


def test_closed_lists_know_the_states_of_the_devices() -> None:
    assert set(tags.STATUSES) == set(VehicleStatus)


def test_every_reason_for_which_a_message_is_refused_is_in_the_closed_list() -> None:
    trees = [
        ast.parse(file.read_text(encoding="utf-8"))
        for folder in ("broker", "devices")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ]
    constants = {name: text for tree in trees for name, text in _text_constants(tree)}
    found = {reason for tree in trees for reason in _reasons(tree, constants)}
    assert {"late", "sensor", "weather", "broken promise", "malformed", "port", "sender", "flood"} <= found
    assert found <= tags.REASONS, "add them to REASONS in dashboards/telemetry/tags.py"


def _text_constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield name and text of the constants of a module."""
    for line in tree.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            value = line.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield line.target.id, value.value


def _reasons(tree: ast.AST, constants: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts in calls of `refuse`, and the second argument of PayloadError and Decline."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        given = {"refuse": call.args, "PayloadError": call.args[1:2], "Decline": call.args[1:2]}.get(name, [])
        for argument in given:
            branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
            for each in branches:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value
                elif isinstance(each, ast.Name) and each.id in constants:
                    yield constants[each.id]


@pytest.mark.parametrize(
    ("price", "band"),
    [
        (0, "0.00"),
        (49_999, "0.00"),
        (50_000, "0.05"),
        (999_999, "0.95"),
        (1_000_000, "1.00"),
        (10**9, "1.00"),
    ],
)
def test_every_price_is_in_a_band(price: int, band: str) -> None:
    assert tags.band_of(price) == band
