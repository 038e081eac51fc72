"""Parts of the plots over time: the axis of simulated hours with days and events, steps, legends, units."""

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.event_labels import FONT_SIZE, place_labels
from gridfleet.dashboards.plots.timeline import Series, Timeline

_THOUSANDS: Final = re.compile(r"(?<=\d)(?=(?:\d{3})+(?!\d))")
_HOUR_STEPS: Final = (0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 720)
_MAX_TICKS: Final = 12
_MAX_SPANS: Final = 40
_MAX_DAY_LINES: Final = 10


class _PageNumbers(ScalarFormatter):
    """Tick labels as the page writes numbers: narrow spaces between thousands."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        whole, point, decimals = super().__call__(x, pos).partition(".")
        return _THOUSANDS.sub("\u202f", whole) + point + decimals


def time_axis(axes: Axes, timeline: Timeline, *, top: bool = True, bottom: bool = True) -> None:
    """Draw hours and dates below the bottom panel, events in every panel, their names above the top one."""
    begin, end = (float(timeline.edges[0]), float(timeline.edges[-1])) if timeline.bins else (0.0, 24.0)
    axes.set_xlim(begin, end)
    step = next((s for s in _HOUR_STEPS if (end - begin) / s <= _MAX_TICKS), _HOUR_STEPS[-1])
    hours = np.arange(math.ceil(begin / step), math.floor(end / step) + 1) * step
    axes.set_xticks(hours, [_clock(timeline, hour, step, is_first=hour == hours[0]) for hour in hours])
    for day in range(math.floor(begin / 24) + 1, math.ceil(end / 24)):
        if end - begin <= _MAX_DAY_LINES * 24:
            axes.axvline(day * 24, color=style.GRID, linewidth=1.4, zorder=0.6)
    if type(axes.yaxis.get_major_formatter()) is ScalarFormatter:
        axes.yaxis.set_major_formatter(_PageNumbers())
    if bottom:
        axes.set_xlabel("simulated time, hour of the day" if step < 24 else "simulated time, days")
    else:
        axes.tick_params(labelbottom=False)
    _events(axes, timeline, begin, end, named=top)


def legend(
    axes: Axes,
    timeline: Timeline,
    handles: Sequence[Artist] | None = None,
    title: str | None = None,
    *,
    top: bool = True,
) -> None:
    """Put the legend above the axes and, in the top panel, above the names of events, where it covers nothing."""
    shown = axes.get_legend_handles_labels()[0] if handles is None else handles
    if shown:
        room = 1.7 if top and timeline.spans else 0.2
        box = axes.legend(
            handles=shown, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=6, borderaxespad=room
        )
        if title is not None:
            box.set_title(title)
            box.set_alignment("left")


def step_line(axes: Axes, timeline: Timeline, values: Series, **line: object) -> None:
    """Draw a stepped line, one level per bin."""
    axes.stairs(values, timeline.edges, baseline=None, **line)  # type: ignore[arg-type]


def band(axes: Axes, timeline: Timeline, low: Series, high: Series, **fill: object) -> None:
    """Fill between two stepped lines."""
    edges = np.repeat(timeline.edges, 2)[1:-1]
    low2, high2 = np.repeat(np.nan_to_num(low), 2), np.repeat(np.nan_to_num(high), 2)
    axes.fill_between(edges, low2, high2, linewidth=0, **fill)  # type: ignore[arg-type]


def rolling(values: Series, weights: Series, width: int) -> Series:
    """Return the weighted mean of the last `width` values at each place; NaN where there is none."""
    known = np.nan_to_num(weights)
    totals = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values) * known)])
    counts = np.concatenate([[0.0], np.cumsum(known)])
    last = np.arange(1, len(values) + 1)
    begin = np.maximum(0, last - width)
    count = counts[last] - counts[begin]
    mean: Series = np.divide(
        totals[last] - totals[begin], count, out=np.full(len(values), np.nan), where=count > 0
    )
    return mean


def energy_unit(*values_wh: Series) -> tuple[float, str]:
    """Return the divisor of Wh and the unit that keep the largest value readable."""
    largest = max((float(np.nanmax(np.abs(v))) for v in values_wh if np.isfinite(v).any()), default=0.0)
    for divisor, unit in ((1e9, "GWh"), (1e6, "MWh")):
        if largest >= 20 * divisor:
            return divisor, unit
    return 1e3, "kWh"


def per_tick_label(timeline: Timeline, unit: str) -> str:
    """Return the label of an energy axis; it says when bins are means of several ticks."""
    minutes = timeline.facts.tick_ms / 60_000
    mean = f", mean of {timeline.step}" if timeline.step > 1 else ""
    return f"{unit} per tick of {minutes:g} min{mean}"


def _clock(timeline: Timeline, hour: float, step: float, *, is_first: bool) -> str:
    """Return 06:00, with the date below at midnight and at the first tick; the date alone on a long axis."""
    day, rest = divmod(round(hour * 60), 24 * 60)
    if step >= 24:
        return timeline.day_name(day)
    date = f"\n{timeline.day_name(day)}" if rest == 0 or is_first else ""
    return f"{rest // 60:02d}:{rest % 60:02d}{date}"


def _events(axes: Axes, timeline: Timeline, begin: float, end: float, *, named: bool) -> None:
    """Shade spans and mark instants; write their names above the axes, none over another."""
    width = _width_points(axes)
    names: list[tuple[float, str]] = []
    for span in timeline.spans[:_MAX_SPANS]:
        if span.begin_hour > end or (span.end_hour or span.begin_hour) < begin:
            continue
        if span.end_hour is None:
            axes.axvline(span.begin_hour, color=style.EVENT, linewidth=1.3, zorder=0.7)
        else:
            axes.axvspan(
                span.begin_hour, span.end_hour, color=style.EVENT, alpha=0.22, linewidth=0, zorder=0.5
            )
        place = max(0.0, (span.begin_hour - begin) / (end - begin))
        names.append((place * width, span.text))
    for found in place_labels(names, width) if named else []:
        axes.annotate(
            found.text,
            (found.place / width, 1.0),
            (0, 3),
            "axes fraction",
            "offset points",
            ha=found.side,
            va="bottom",
            fontsize=FONT_SIZE,
            color=style.MUTED,
            annotation_clip=False,
        )


def _width_points(axes: Axes) -> float:
    """Return the width of axes in points, before they are laid out: they get wider by that, never narrower."""
    figure = axes.figure
    inches = figure.get_figwidth() if isinstance(figure, Figure) else style.WIDTH_INCHES
    return 72 * inches * axes.get_position().width
