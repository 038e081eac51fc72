"""Figures of a comparison: bars with their spread, and mean curves over the range of their runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.curves import CURVES, Curves, mean_and_range
from gridfleet.dashboards.reports.metrics import metrics_of, page_unit

Bars: TypeAlias = Mapping[str, Sequence[tuple[str, float, float, float, float]]]
"""Label, mean, standard deviation, smallest and largest value, by the metric's name."""
RunCurves: TypeAlias = Mapping[str, list[Curves]]

COLUMNS: Final = 4
COMPARED: Final = (
    "reactor_kwh",
    "reactor_share",
    "curtailed_kwh",
    "mean_price",
    "lowest_price",
    "charger_stored_mean_kwh",
    "accepted_price",
    "accepted_distance_km",
    "accepted_cost_eur",
    "reservations_charged",
    "reservations_failed",
    "stranded_vehicles",
    "messages",
    "storage_sold_kwh",
    "storage_stored_mean_kwh",
)


class ComparePlot(NamedTuple):
    """One figure of the comparison."""

    name: str
    title: str
    shows: str
    unit: str
    draw: Callable[[Bars, RunCurves], Figure]


def bars(figures: Bars, curves: RunCurves) -> Figure:
    """Draw a panel per metric, a bar per label; the line is the range, its thick part is ± sd."""
    del curves
    metrics = [metric for metric in metrics_of(figures) if metric.name in COMPARED]
    labels = [row[0] for row in figures[metrics[0].name]]
    rows = math.ceil(len(metrics) / COLUMNS)
    figure = style.new_figure("Key figures with their spread", rows * (0.85 + 0.21 * len(labels)) + 0.5)
    panels: list[Axes] = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for index, (axes, metric) in enumerate(zip(panels, metrics, strict=False)):
        for place, (_, mean, sd, low, high) in enumerate(figures[metric.name]):
            if math.isnan(mean):
                continue
            axes.barh(place, mean, height=0.66, color=run_colour(place), alpha=0.55)
            axes.plot([low, high], [place, place], color=style.INK, linewidth=0.8)
            axes.plot(
                [max(low, mean - sd), min(high, mean + sd)], [place, place], color=style.INK, linewidth=2.4
            )
        names = [style.label(text, 18) for text in labels] if index % COLUMNS == 0 else []
        axes.set_yticks(range(len(labels)) if names else [], names)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        is_zero = not any(high > 0 for *_, high in figures[metric.name])
        axes.set_xlim(0, 1 if is_zero else None)
        axes.locator_params(axis="x", nbins=3)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        unit = f", {page_unit(metric.unit)}" if metric.unit else ""
        axes.set_title(wrapped_title(f"{metric.title}{unit}"), fontsize=8)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    return figure


def overlay(figures: Bars, curves: RunCurves) -> Figure:
    """Draw a panel per curve, a line per label, over a band that is the range of its runs."""
    del figures
    figure = style.new_figure("Over time: mean of the runs, and their range", 1.95 * len(CURVES) + 0.9)
    panels: list[Axes] = list(figure.subplots(len(CURVES), 1, sharex=True))
    for axes, (name, title, unit) in zip(panels, CURVES, strict=True):
        for place, runs in enumerate(curves.values()):
            hours, mean, low, high = mean_and_range(runs, name)
            if not np.isfinite(mean).any():
                continue
            if len(runs) > 1:
                axes.fill_between(hours, low, high, color=run_colour(place), alpha=0.16, linewidth=0)
            single: dict[str, Any] = {"marker": "o"} if len(hours) == 1 else {}
            axes.plot(hours, mean, color=run_colour(place), linestyle=run_dash(place), **single)
        axes.set_title(title, fontsize=8.5)
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
    panels[-1].set_xlabel("simulated time since the start, h")
    longest = max((run.hours[-1] for runs in curves.values() for run in runs if run.hours), default=1.0)
    panels[-1].set_xlim(0, longest)
    handles = [
        Line2D([], [], color=run_colour(place), linestyle=run_dash(place), label=style.label(label))
        for place, label in enumerate(curves)
    ]
    panels[0].legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, borderaxespad=2.0)
    figure.align_ylabels(panels)
    return figure


def run_colour(place: int) -> str:
    """Return the colour of the set at a place."""
    return style.RUN_COLOURS[place % len(style.RUN_COLOURS)]


def run_dash(place: int) -> Any:  # noqa: ANN401  a name or a pattern, as matplotlib takes it
    """Return the line style of the set at a place."""
    return style.DASHES[place % len(style.DASHES)]


def wrapped_title(text: str) -> str:
    """Break a title that is too long for its panel at the space nearest to its middle."""
    spaces = [place for place, letter in enumerate(text) if letter == " "]
    if len(text) <= 30 or not spaces:
        return text
    middle = min(spaces, key=lambda place: (abs(place - len(text) / 2), place))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


COMPARE_PLOTS: Final = (
    ComparePlot(
        "compare-bars",
        "Key figures with their spread",
        "A bar is the mean of a set's runs; the thin line is their range, its thick part is the mean ± one "
        "standard deviation.",
        "in the title of each panel",
        bars,
    ),
    ComparePlot(
        "compare-curves",
        "Over time",
        "A line is the mean of a set's runs, the band around it is their range.",
        "on each axis",
        overlay,
    ),
)
