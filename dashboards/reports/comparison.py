"""Compare sets of runs: mean and spread of each key figure over the seeds, and each run, as CSV and as a page."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Final

from gridfleet.broker.readers.csv_rows import csv_writer
from gridfleet.broker.storage.replacing import replacing
from gridfleet.dashboards.errors import ComparisonError
from gridfleet.dashboards.plots.compare_plots import COMPARE_PLOTS
from gridfleet.dashboards.plots.curves import Curves, curves_of
from gridfleet.dashboards.plots.image_files import inline_svg, save_png
from gridfleet.dashboards.plots.style import house_style
from gridfleet.dashboards.reports.html_page import document, figure_html, table
from gridfleet.dashboards.reports.metrics import (
    METRIC_BY_NAME,
    Metric,
    metric_values,
    metrics_of,
    number_text,
    page_unit,
)
from gridfleet.dashboards.reports.summary import BROKEN, HOLDS
from gridfleet.dashboards.statistics.paired import Difference, differences, verdict_text
from gridfleet.dashboards.statistics.student import half_width
from gridfleet.dashboards.store.database import Store

CSV_HEADER: Final = "label,metric,unit,runs,mean,sd,min,max"
CSV_FILE: Final = "compare.csv"
DIFFERENCES_FILE: Final = "differences.csv"
DIFFERENCES_HEADER: Final = "base,label,metric,unit,pairs,mean,low,high,verdict"
RUNS_FILE: Final = "runs.csv"
_INTRODUCTION: Final = (
    "Each figure is the mean over the runs of a set ± the standard deviation, with the range in brackets; n is the "
    "number of runs that have the figure, where not all do."
)
_PAIRED: Final = (
    "Runs with equal seeds have the same weather, vehicles and trips; the differences are those of pairs with equal "
    "seeds. Listed are the figures whose interval leaves out 0; of twenty without any difference one is listed by "
    "chance."
)
_FOOTER: Final = (
    'The same figures as a file: <a href="compare.csv">compare.csv</a>; those of each run: '
    '<a href="runs.csv">runs.csv</a>'
)
_PNG_FOOTER: Final = '; each plot as PNG in <a href="plots/">plots/</a>'


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a comparison needs of one run; small enough to pass between processes."""

    seed: int
    figures: dict[str, float]
    """The metrics of `gridfleet.dashboards.reports.metrics`, NaN where there was nothing to measure."""
    curves: Curves
    algorithm: str = ""
    """The offer ranking that the run began with."""
    breached: tuple[str, ...] = ()
    """The names of the invariants that the run breached."""

    @property
    def verdict(self) -> str:
        """The auditor's verdict, as in summary.json."""
        return BROKEN if self.breached else HOLDS


@dataclass(frozen=True, slots=True)
class Spread:
    """One metric of one set of runs; runs without a value are left out, NaN stands where none is left."""

    label: str
    metric: Metric
    runs: int
    mean: float
    sd: float
    """Standard deviation of the sample; 0 for a single run."""
    min: float
    max: float
    of: int
    """How many runs the set has; `runs` of them have a value."""

    @property
    def half_width(self) -> float:
        """Half of the width of the mean's 95 % confidence interval; NaN for fewer than two runs."""
        return half_width(self.sd, self.runs)

    @property
    def count_text(self) -> str:
        """The number of runs with a value, as ` (n=2)`; nothing where all runs have one."""
        return f" (n={self.runs})" if 0 < self.runs < self.of else ""

    def text(self) -> str:
        """Return mean ± standard deviation as text, with the range on a second line."""
        if not self.runs:
            return "–"
        places = self.metric.places
        mean = number_text(self.mean, places)
        if self.runs == 1:
            return f"{mean}{self.count_text}"
        spread = number_text(self.sd, max(places, 1))
        ends = f"({number_text(self.min, places)} to {number_text(self.max, places)})"
        return f"{mean} ± {spread}{self.count_text}\n{ends}"


def result_of(store: Store, algorithm: str = "") -> RunResult:
    """Return what a comparison needs of a run; `algorithm` is the offer ranking that it began with."""
    breached = tuple(found.name for found in store.invariants() if not found.holds)
    return RunResult(store.facts().seed, metric_values(store), curves_of(store), algorithm, breached)


def compare(results: Mapping[str, Sequence[RunResult]]) -> list[Spread]:
    """Return the spread of every metric for every label, in the order of the metrics, then of the labels."""
    if not results or not all(results.values()):
        raise ComparisonError("nothing to compare: give at least one label, and at least one run for each")
    names = {name for runs in results.values() for run in runs for name in run.figures}
    return [spread_of(label, metric, runs) for metric in metrics_of(names) for label, runs in results.items()]


def spread_of(label: str, metric: Metric, runs: Sequence[RunResult]) -> Spread:
    """Return one metric's spread over a set of runs."""
    values = sorted(v for v in (run.figures.get(metric.name, math.nan) for run in runs) if not math.isnan(v))
    if not values:
        return Spread(label, metric, 0, math.nan, math.nan, math.nan, math.nan, len(runs))
    sd = stdev(values) if len(values) > 1 else 0.0
    return Spread(label, metric, len(values), fmean(values), sd, values[0], values[-1], len(runs))


def write_comparison(
    results: Mapping[str, Sequence[RunResult]], directory: Path, *, png: bool = False
) -> Path:
    """Write compare.html, compare.csv, runs.csv, with `png` plots/compare-<name>.png; return the page's path."""
    spreads = compare(results)
    plots = directory / "plots"
    if png:
        plots.mkdir(parents=True, exist_ok=True)
    _write_csv(spreads, directory / CSV_FILE)
    found = differences_of(results)
    if found:
        _write_differences(found, directory / DIFFERENCES_FILE)
    rows = (((label, run.algorithm), run) for label, runs in results.items() for run in runs)
    write_runs(directory / RUNS_FILE, ("set", "algorithm"), rows, spreads)
    figures, curves = (
        _by_metric(spreads),
        {label: [run.curves for run in runs] for label, runs in results.items()},
    )
    pictures = []
    with house_style():
        for plot in COMPARE_PLOTS:
            figure = plot.draw(figures, curves)
            picture = inline_svg(figure, plot.name, plot.title)
            if png:
                save_png(figure, plots / f"{plot.name}.png")
            pictures.append(figure_html(picture, plot.title, (("", plot.shows), ("Unit:", plot.unit))))
    path = directory / "compare.html"
    with replacing(path) as file:
        file.write(_page(results, spreads, pictures, png=png))
    return path


def write_runs(
    path: Path,
    columns: Sequence[str],
    runs: Iterable[tuple[Sequence[str], RunResult]],
    spreads: Iterable[Spread],
) -> None:
    """Write a CSV file with a row for each run: what it belongs to, seed, the metrics of `spreads`, verdict.

    `columns` name what a run belongs to. A metric that the run does not have is empty.
    """
    metrics = list(dict.fromkeys(spread.metric.name for spread in spreads))
    with replacing(path) as file:
        writer = csv_writer(file, lineterminator="\n")
        writer.writerow([*columns, "seed", *metrics, "verdict"])
        for written, run in runs:
            figures = (run.figures.get(name, math.nan) for name in metrics)
            numbers = ("" if math.isnan(n) else f"{n:.6f}" for n in figures)
            writer.writerow([*written, run.seed, *numbers, run.verdict])


def differences_of(results: Mapping[str, Sequence[RunResult]]) -> list[Difference]:
    """Return how each set differs from the first one, in every metric, over the seeds that both have."""
    names = {name for runs in results.values() for run in runs for name in run.figures}
    figures = {label: {run.seed: run.figures for run in runs} for label, runs in results.items()}
    return [
        found
        for metric in metrics_of(names)
        for found in differences(
            metric.name,
            {
                label: {seed: known.get(metric.name, math.nan) for seed, known in runs.items()}
                for label, runs in figures.items()
            },
        )
    ]


def difference_text(difference: Difference) -> str:
    """Return a difference in words, with its interval and the number of equal seeds."""
    metric = METRIC_BY_NAME[difference.name]
    return verdict_text(difference, metric.title, metric.unit, metric.places)


def _write_differences(found: Sequence[Difference], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(DIFFERENCES_HEADER + "\n")
        writer = csv_writer(file, lineterminator="\n")
        for each in found:
            unit = METRIC_BY_NAME[each.name].unit or "count"
            numbers = ("" if math.isnan(n) else f"{n:.6f}" for n in (each.mean, each.low, each.high))
            writer.writerow(
                [each.base, each.label, each.name, unit, each.pairs, *numbers, difference_text(each)]
            )


def _by_metric(spreads: Sequence[Spread]) -> dict[str, list[tuple[str, float, float, float, float]]]:
    """Return label, mean, standard deviation, min and max by the metric's name."""
    found: dict[str, list[tuple[str, float, float, float, float]]] = {}
    for s in spreads:
        found.setdefault(s.metric.name, []).append((s.label, s.mean, s.sd, s.min, s.max))
    return found


def _write_csv(spreads: Sequence[Spread], path: Path) -> None:
    with replacing(path) as file:
        file.write(CSV_HEADER + "\n")
        writer = csv_writer(file, lineterminator="\n")
        for s in spreads:
            numbers = ("" if math.isnan(n) else f"{n:.6f}" for n in (s.mean, s.sd, s.min, s.max))
            writer.writerow([s.label, s.metric.name, s.metric.unit or "count", s.runs, *numbers])


def _differences_html(results: Mapping[str, Sequence[RunResult]]) -> str:
    """Return a table of what the runs show about the differences of the sets; nothing for one set."""
    shown = [each for each in differences_of(results) if each.shown and each.pairs > 1]
    if len(results) < 2:
        return ""
    rows = []
    for each in shown:
        metric = METRIC_BY_NAME[each.name]
        mean, low, high = (number_text(value, metric.places) for value in (each.mean, each.low, each.high))
        rows.append((metric.title, each.label, mean, f"{low} to {high}", difference_text(each)))
    heads = ("Figure", "Set", "Difference", "95 % interval", "In words")
    base = escape(next(iter(results)))
    text = f"<h2>Differences to {base}</h2><p>{_PAIRED}</p>"
    return text + (table(heads, rows, numbers=(2,)) if rows else "<p>None.</p>")


def _page(
    results: Mapping[str, Sequence[RunResult]], spreads: Sequence[Spread], pictures: list[str], *, png: bool
) -> str:
    labels = list(results)
    texts = {(s.label, s.metric.name): s.text() for s in spreads}
    rows = [
        (metric.title, page_unit(metric.unit), *(texts[label, metric.name] for label in labels))
        for metric in dict.fromkeys(spread.metric for spread in spreads)
    ]
    seeds = [
        (label, str(len(runs)), ", ".join(str(run.seed) for run in runs)) for label, runs in results.items()
    ]
    parts = [
        '<header><p class="over">GridFleet · comparison</p><h1>Comparison of runs</h1></header>',
        f'<p class="lead">{_INTRODUCTION}</p>',
        table(("Set", "Runs", "Seeds"), seeds, numbers=(1,)),
        "<h2>Key figures</h2>",
        table(("Figure", "Unit", *labels), rows, numbers=range(2, 2 + len(labels))),
        _differences_html(results),
        "<h2>Figures</h2>",
        *pictures,
        f"<footer>{_FOOTER}{_PNG_FOOTER if png else ''}.</footer>",
    ]
    return document("Comparison of runs – GridFleet", "\n".join(parts))
