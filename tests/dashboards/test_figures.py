"""A kind's own figures appear in the store, in agents.csv and in the API by themselves."""

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import gridfleet
from gridfleet.broker.protocol.messages import ConsumerState
from gridfleet.dashboards.recording.account_rows import account_rows
from gridfleet.dashboards.reports.agents_table import MAX_FIGURES, agents_table
from gridfleet.dashboards.reports.columns import AGENTS
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, FigureMeaning, FigureRow
from tests.dashboards.runs import message_log
from tests.heat_pumps import FIGURES, KIND, scenario_with_all_roles

TICKS = 6


@pytest.fixture(scope="module")
def result() -> Iterator[gridfleet.Result]:
    with scenario_with_all_roles() as scenario:
        yield gridfleet.simulate(scenario, ticks=TICKS)


def agent(tick: int, name: str) -> AgentRow:
    return AgentRow(tick, name, KIND, "consumer", 50.0, 9.0, None, -8_000, 0)


def test_columns_follow_those_of_every_device_sorted_by_name(
    result: gridfleet.Result, tmp_path: Path
) -> None:
    with (result.save(tmp_path, report=False) / "agents.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*(column.name for column in AGENTS.columns), "cop", "indoor_c"]
    pumps = [row for row in rows if row["kind"] == KIND]
    assert len(pumps) == 2 * TICKS
    assert {row["cop"] for row in pumps} == {"3.25"}
    assert [row["indoor_c"] for row in pumps if row["tick"] == "1"] == ["20.75", "21.75"]
    assert {(row["cop"], row["indoor_c"]) for row in rows if row["kind"] != KIND} == {("", "")}


def test_the_api_has_the_same_columns(result: gridfleet.Result) -> None:
    table = result.agents
    assert table.types["cop"] == table.types["indoor_c"] == "float"
    pumps = [row for row in table if row["kind"] == KIND]
    assert [row["indoor_c"] for row in pumps[:2]] == [20.5, 21.5]
    assert all(row["cop"] is None for row in table if row["kind"] != KIND)


def test_a_run_without_figures_has_the_columns_of_every_device_alone() -> None:
    assert list(gridfleet.simulate("storm", ticks=1).agents.columns) == [each.name for each in AGENTS.columns]


def test_the_store_keeps_what_the_births_say_of_the_figures(result: gridfleet.Result, tmp_path: Path) -> None:
    with Store.open(result.save(tmp_path, report=False) / "run.sqlite") as store:
        assert list(store.figure_meanings()) == [
            FigureMeaning(KIND, each.name, each.unit, each.description)
            for each in sorted(FIGURES, key=lambda figure: figure.name)
        ]
        assert len(list(store.figures())) == 2 * 2 * TICKS


def test_kinds_with_a_figure_of_the_same_name_share_its_column() -> None:
    with Store.create() as store:
        store.add_agents([agent(0, "a-1"), agent(0, "b-1"), agent(1, "a-1")])
        store.add_figures([FigureRow(0, "b-1", "indoor_c", 0.1), FigureRow(0, "a-1", "indoor_c", 21.0)])
        store.add_figures([FigureRow(0, "lost", "indoor_c", 1.0)])  # a device without an account
        values = agents_table(store).values(store)
    assert values["indoor_c"] == [21.0, 0.1, None]


def test_a_figure_that_is_called_like_a_column_of_every_device_gets_another_name() -> None:
    with Store.create() as store:
        store.add_agents([agent(0, "a-1")])
        store.add_figures([FigureRow(0, "a-1", "tick", 7.5), FigureRow(0, "a-1", "tick_figure", 8.5)])
        values = agents_table(store).values(store)
    assert (values["tick"], values["tick_figure"], values["tick_figure_figure"]) == ([0], [7.5], [8.5])


def test_a_device_that_invents_names_does_not_crowd_out_the_figures_of_others() -> None:
    with Store.create() as store:
        store.add_agents([agent(tick, "a-1") for tick in range(2)])
        store.add_figures(FigureRow(tick, "a-1", "zeal", 1.0) for tick in range(2))
        store.add_figures(FigureRow(0, "a-1", f"invented_{number}", 1.0) for number in range(2 * MAX_FIGURES))
        names = [column.name for column in agents_table(store).columns[len(AGENTS.columns) :]]
    assert len(names) == MAX_FIGURES
    assert names == sorted(names)
    assert "zeal" in names


def test_figures_that_are_no_numbers_are_left_out() -> None:
    state = next(each for *_, each in message_log(ticks=2) if isinstance(each, ConsumerState))
    rows = account_rows(0, {"a-1": replace(state, figures={"good": 1.0, "bad": math.nan, "worse": math.inf})})
    assert rows.figures == [FigureRow(0, "a-1", "good", 1.0)]
