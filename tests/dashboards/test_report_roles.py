"""The report of a run with storages and with a kind that no module knows: grouped by role, shown by kind."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gridfleet
from gridfleet.dashboards.plots.catalog import plots_of, render_all
from gridfleet.dashboards.plots.compare_plots import bars
from gridfleet.dashboards.plots.figures.power import seller_lines
from gridfleet.dashboards.plots.style import REACTOR, STORAGE, WIND, house_style
from gridfleet.dashboards.plots.timeline import read_timeline
from gridfleet.dashboards.reports.comparison import compare, result_of
from gridfleet.dashboards.reports.metrics import METRICS, STORAGE_METRICS, metric_values
from gridfleet.dashboards.reports.report import report_html
from gridfleet.dashboards.reports.summary import summarise
from gridfleet.dashboards.reports.summary_text import summary_sentences
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import FigureMeaning, FigureRow
from gridfleet.provisioning.runs.comparison_table import table_text
from gridfleet.provisioning.runs.key_figures import key_figures
from tests.dashboards.synthetic import Fleet, build
from tests.dashboards.test_report import ALWAYS, HOSTILE
from tests.heat_pumps import scenario_with_all_roles


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with scenario_with_all_roles("normal") as scenario:
        result = gridfleet.simulate(scenario, ticks=12)
    with Store.open(result.save(tmp_path_factory.mktemp("run"), report=False) / "run.sqlite") as opened:
        yield opened


def words(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_devices_are_counted_by_kind_with_their_role(store: Store) -> None:
    text = words(report_html(store, {}))
    assert "61 devices in 1 cell" in text
    for count in ("Batteries (storage) 2", "Heat pumps (consumer) 2", "Turbines (producer) 3", "Chargers 20"):
        assert count in text


def test_figures_have_a_table_and_a_picture(store: Store) -> None:
    pictures = render_all(store)
    assert {"figures", "storages"} <= set(pictures)
    assert list(pictures) == [plot.name for plot in plots_of(store)]
    assert "heat pumps: indoor_c" in pictures["figures"]
    text = words(report_html(store, pictures))
    assert "heat pumps indoor_c °C temperature of the house 2 20.5 21.71 23.25" in text


def test_a_report_without_them_has_neither() -> None:
    with build(Fleet(ticks=3)) as store:
        assert plots_of(store) == ALWAYS
        assert "Figures that devices report of their own" not in report_html(store, {})
        assert set(metric_values(store)) == {metric.name for metric in METRICS}


def test_storages_are_in_the_key_figures_and_the_summary(store: Store) -> None:
    values, totals = metric_values(store), summarise(store)["totals"]
    rows = list(store.storages())
    last = max(row.tick for row in rows)
    for name, energy_wh in (
        ("storage_bought_kwh", sum(row.bought_wh for row in rows)),
        ("storage_sold_kwh", sum(row.sold_wh for row in rows)),
        ("storage_loss_kwh", sum(row.loss_wh for row in rows)),
    ):
        assert energy_wh > 0
        assert values[name] == totals[name] == energy_wh / 1000
    stored_wh = sum(row.stored_wh for row in rows if row.tick == last)
    assert values["storage_stored_end_kwh"] == totals["storage_stored_kwh"] == stored_wh / 1000
    assert {metric.name for metric in STORAGE_METRICS} <= set(values)
    assert summary_sentences(store)[3].startswith("Storages bought ")
    assert "Sold by storages" in key_figures(store)


def test_a_comparison_shows_storages_of_those_runs_that_have_some(store: Store) -> None:
    with build(Fleet(ticks=6)) as without:
        spreads = compare({"with": [result_of(store)], "without": [result_of(without)]})
    runs = {(each.metric.name, each.label): each.runs for each in spreads}
    assert (runs["storage_sold_kwh", "with"], runs["storage_sold_kwh", "without"]) == (1, 0)
    assert "Stored in storages at the end, kWh" in table_text(spreads, ["with", "without"])


def test_the_bars_of_a_comparison_have_a_panel_for_storages(store: Store) -> None:
    row = [("with", 5.0, 0.0, 5.0, 5.0)]
    names = {metric.name: row for metric in (*METRICS, *STORAGE_METRICS)}
    with house_style():
        titles = [axes.get_title(loc="left") for axes in bars(names, {}).axes]
        others = [axes.get_title(loc="left") for axes in bars({m.name: row for m in METRICS}, {}).axes]
    assert any(title.startswith("Sold by storages") for title in titles)
    assert not any("storages" in title for title in others)


def test_a_sellers_colour_is_that_of_its_role(store: Store) -> None:
    ones = np.ones(read_timeline(store).bins)
    many = {f"producer\tsolar\tsolar-{number}": ones for number in range(9)}
    found = seller_lines({**many, "storage\tb\tb-1": ones, "grid-supply\tr\tr-1": ones})
    assert [(name, colour) for name, colour, *_ in found] == [
        ("9 solars, sum", WIND),
        ("b-1", STORAGE),
        ("r-1", REACTOR),
    ]
    assert found[0][3].max() == 9


def test_text_of_figures_is_not_markup(tmp_path: Path) -> None:
    with build(Fleet(ticks=2)) as store, house_style():
        store.add_figures([FigureRow(1, "consumer-0", "x", 1.0)])
        store.add_figure_meanings([FigureMeaning("consumer", "x", HOSTILE[:60], HOSTILE)])
        pictures = render_all(store, tmp_path)
        assert "<script" not in report_html(store, pictures)
