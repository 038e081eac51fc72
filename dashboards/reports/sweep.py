"""A sweep: the key figures of runs with several values of one or more keys, as CSV and as a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.dashboards.plots.image_files import save_png
from gridfleet.dashboards.plots.style import house_style
from gridfleet.dashboards.plots.sweep_plots import SweepLine, sweep_figure
from gridfleet.dashboards.reports.comparison import RunResult, Spread, write_runs

CSV_FILE: Final = "sweep.csv"
PLOT_FILE: Final = "sweep.png"


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One combination of values, and its runs."""

    label: str
    """The keys with their values, for people."""
    others: str
    """The keys but the first with their values; empty where there is one key."""
    written: tuple[str, ...]
    """The value of each key, as it was given."""
    first_value: object
    """The value of the first key."""
    runs: tuple[RunResult, ...]


def write_sweep(
    keys: Sequence[str], points: Sequence[SweepPoint], spreads: Sequence[Spread], directory: Path
) -> None:
    """Write sweep.csv, a row for each run, and plots/sweep.png; `spreads` are those of the points, by their labels."""
    rows = ((point.written, run) for point in points for run in point.runs)
    write_runs(directory / CSV_FILE, keys, rows, spreads)
    plots = directory / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    with house_style():
        save_png(sweep_figure(keys[0], _lines(points, spreads)), plots / PLOT_FILE)


def _lines(points: Sequence[SweepPoint], spreads: Sequence[Spread]) -> list[SweepLine]:
    """Return a line for each combination of the other keys' values, over the values of the first key."""
    by_label: dict[str, dict[str, tuple[float, float]]] = {}
    for each in spreads:
        by_label.setdefault(each.label, {})[each.metric.name] = (each.mean, each.half_width)
    found: dict[str, list[SweepPoint]] = {}
    for point in points:
        found.setdefault(point.others, []).append(point)
    return [
        SweepLine(
            label=others,
            values=tuple(point.first_value for point in line),
            written=tuple(point.written[0] for point in line),
            figures=_by_metric([by_label[point.label] for point in line]),
        )
        for others, line in found.items()
    ]


def _by_metric(
    points: Sequence[Mapping[str, tuple[float, float]]],
) -> dict[str, tuple[tuple[float, float], ...]]:
    return {name: tuple(point[name] for point in points) for name in points[0]}
