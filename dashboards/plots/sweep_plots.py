"""The figure of a sweep: each key figure over the values of the first key, with confidence intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.compare_plots import COLUMNS, COMPARED, run_colour, run_dash, wrapped_title
from gridfleet.dashboards.reports.metrics import Metric, metrics_of, page_unit

_BESIDE: Final = 0.12
"""Distance of the points of two lines over a value that is no number; values are 1 apart."""


class SweepLine(NamedTuple):
    """The runs with the same values of all keys but the first."""

    label: str
    """The other keys with their values; empty where there are none."""
    values: tuple[object, ...]
    """The values of the first key."""
    written: tuple[str, ...]
    """The same, as they were given."""
    figures: Mapping[str, tuple[tuple[float, float], ...]]
    """Mean and half of the confidence interval at each value, by the metric's name; NaN where there is none."""


def sweep_figure(key: str, lines: Sequence[SweepLine]) -> Figure:
    """Draw a panel per metric, with a line for each of `lines` over the values of `key`.

    Values that are no numbers stand side by side in the order in which they were given.
    """
    metrics = [metric for metric in metrics_of(lines[0].figures) if metric.name in COMPARED]
    rows = math.ceil(len(metrics) / COLUMNS)
    title = "Key figures: mean of the runs, and its 95 % confidence interval"
    figure = style.new_figure(title, 1.75 * rows + 0.9)
    panels: list[Axes] = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    texts = list(dict.fromkeys(text for line in lines for text in line.written))
    numeric = all(_is_number(value) for line in lines for value in line.values)
    for axes, metric in zip(panels, metrics, strict=False):
        for place, line in enumerate(lines):
            beside = _BESIDE * (place - (len(lines) - 1) / 2)
            positions = line.values if numeric else [texts.index(text) + beside for text in line.written]
            _draw_line(
                axes, metric, line, positions, run_dash(place) if numeric else "none", run_colour(place)
            )
        if not any(mean for line in lines for mean, _ in line.figures[metric.name]):
            axes.set_ylim(0, 1)
        if not numeric:
            axes.set_xticks(range(len(texts)), [style.label(text, 12) for text in texts], rotation=30)
            axes.set_xlim(-0.4, len(texts) - 0.6)
        elif len(texts) > 1:
            axes.locator_params(axis="x", nbins=4)
        axes.locator_params(axis="y", nbins=4)
        unit = f", {page_unit(metric.unit)}" if metric.unit else ""
        axes.set_title(wrapped_title(f"{metric.title}{unit}"), fontsize=8)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    figure.supxlabel(style.label(key, 80), fontsize=9, color=style.MUTED)
    if len(lines) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", ncols=5)
    return figure


def _draw_line(
    axes: Axes,
    metric: Metric,
    line: SweepLine,
    positions: Sequence[object],
    linestyle: Any,  # noqa: ANN401  a name or a pattern, as matplotlib takes it
    colour: str,
) -> None:
    means = [mean for mean, _ in line.figures[metric.name]]
    halves = [0.0 if math.isnan(half) else half for _, half in line.figures[metric.name]]
    axes.errorbar(
        positions,  # type: ignore[arg-type]  # numbers, by the caller
        means,
        yerr=halves,
        color=colour,
        linestyle=linestyle,
        marker="o",
        markersize=3.5,
        elinewidth=1.0,
        capsize=2.5,
        label=style.label(line.label),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
