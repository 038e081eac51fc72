"""Runs side by side: means and spreads, as data, as a file, and as a page."""

import csv
import math
import pickle
from pathlib import Path

import pytest

from gridfleet.dashboards.errors import ComparisonError
from gridfleet.dashboards.plots.curves import Curves, mean_and_range
from gridfleet.dashboards.reports.comparison import RunResult, compare, result_of, write_comparison
from gridfleet.dashboards.reports.metrics import METRICS, metric_values
from gridfleet.dashboards.store.database import Store
from tests.dashboards.synthetic import Fleet, build


def _results(**fleet: float) -> list[RunResult]:
    found = []
    for seed in range(3):
        with build(Fleet(ticks=24, chargers=4, vehicles=6, seed=seed, **fleet)) as store:  # type: ignore[arg-type]
            found.append(result_of(store))
    return found


def _run(value: float) -> RunResult:
    return RunResult(0, {"messages": value}, Curves((), {}))


def test_a_store_has_every_metric() -> None:
    with build(Fleet(ticks=24)) as store:
        assert set(metric_values(store)) == {metric.name for metric in METRICS}
    with Store.create() as store:
        assert set(metric_values(store)) == {metric.name for metric in METRICS}


def test_mean_standard_deviation_and_range() -> None:
    (messages,) = [s for s in compare({"a": [_run(2), _run(4), _run(9)]}) if s.metric.name == "messages"]
    assert (messages.runs, messages.mean, messages.min, messages.max) == (3, 5, 2, 9)
    assert messages.sd == pytest.approx(math.sqrt(13))
    assert messages.text() == "5 ± 3.6\n(2 to 9)"


def test_one_run_has_no_spread_and_a_missing_figure_is_a_dash() -> None:
    spreads = {s.metric.name: s for s in compare({"a": [_run(2)]})}
    assert spreads["messages"].text() == "2"
    assert spreads["sold_kwh"].text() == "–"


@pytest.mark.parametrize("nothing", [{}, {"a": []}])
def test_an_empty_comparison_is_refused(nothing: dict[str, list[RunResult]]) -> None:
    with pytest.raises(ComparisonError, match="at least one"):
        compare(nothing)


def test_curves_go_as_far_as_the_shortest_run_and_skip_what_is_missing() -> None:
    runs = [Curves((1.0, 2.0, 3.0), {"x": (1.0, math.nan, 5.0)}), Curves((1.0, 2.0), {"x": (3.0, math.nan)})]
    hours, mean, low, high = mean_and_range(runs, "x")
    assert hours.tolist() == [1.0, 2.0]
    assert (mean[0], low[0], high[0]) == (2.0, 1.0, 3.0)
    assert math.isnan(mean[1])
    assert math.isnan(low[1])


def test_results_pass_between_processes() -> None:
    result = _results()[0]
    assert pickle.loads(pickle.dumps(result)).curves.hours == result.curves.hours  # noqa: S301  our own bytes


def test_page_csv_and_figures(tmp_path: Path) -> None:
    results = {"normal & <b>": _results(), "scarce": _results(wind=0.0)}
    page = write_comparison(results, tmp_path, png=True)
    text = page.read_text(encoding="utf-8")
    assert "normal &amp; &lt;b&gt;" in text
    assert "<b>" not in text.replace("<b>Unit:</b>", "")
    with (tmp_path / "compare.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(METRICS)
    shares = {row["label"]: float(row["mean"]) for row in rows if row["metric"] == "reactor_share"}
    assert shares["scarce"] == 100
    assert shares["normal & <b>"] < 100
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "compare-bars.png",
        "compare-curves.png",
    ]


def test_runs_in_which_nothing_happened(tmp_path: Path) -> None:
    with Store.create() as store:
        assert write_comparison({"idle": [result_of(store)]}, tmp_path).is_file()
    assert not (tmp_path / "plots").exists()
