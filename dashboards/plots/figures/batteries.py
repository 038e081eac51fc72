"""Figures of stored energy: the chargers' buffers one by one, and all that chargers and storages keep."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import energy_unit, legend, time_axis
from gridfleet.dashboards.plots.figures.power import NO_TICKS, single_point_marker
from gridfleet.dashboards.plots.timeline import Series, Timeline

MAX_PANELS = 12
MAX_NAMES = 25
MAX_ROWS = 400
"""More chargers than this are drawn as means of neighbours."""


def charger_batteries(timeline: Timeline) -> Figure:
    """Draw each charger's state of charge: a panel each for a few, a row each for many."""
    levels = timeline.read_by("agent", "avg(state_of_charge)", "agents", f"role = '{Role.CHARGER}'")
    title = "Battery of each charger"
    if not levels:
        figure = style.new_figure(title, 2.2)
        axes = figure.add_subplot()
        style.note_empty(axes, "no charger in this run")
        time_axis(axes, timeline)
        return figure
    names = sorted(levels, key=natural_key)
    if len(names) <= MAX_PANELS:
        return _panels(timeline, title, {name: levels[name] for name in names})
    return _heat_map(timeline, title, {name: levels[name] for name in names})


def stored_total(timeline: Timeline) -> Figure:
    """Draw the energy in all chargers' buffers at the end of each tick, and on top of it that in storages."""
    sums = "(SELECT tick, sum(charger_stored_wh) AS stored_wh FROM ticks GROUP BY tick)"
    chargers = timeline.read("avg(stored_wh)", sums)
    storages = timeline.read(
        "avg(stored_wh)", "(SELECT tick, sum(stored_wh) AS stored_wh FROM storages GROUP BY tick)"
    )
    has_storages = bool(np.isfinite(storages).any())
    where = "chargers and storages" if has_storages else "all chargers"
    figure = style.new_figure(f"Energy stored in {where}", 2.7)
    axes = figure.add_subplot()
    both = np.nan_to_num(chargers) + np.nan_to_num(storages) if has_storages else chargers
    divisor, unit = energy_unit(both)
    if timeline.bins:
        floor = np.zeros(timeline.bins)
        layers = [("chargers", style.CHARGER, chargers)]
        layers += [("storages", style.STORAGE, both)] if has_storages else []
        for name, colour, top in layers:
            values = top / divisor
            axes.fill_between(timeline.ends, floor, values, color=colour, alpha=0.25, linewidth=0)
            axes.plot(timeline.ends, values, color=colour, label=name, **single_point_marker(timeline))
            floor = values
        if has_storages:
            legend(axes, timeline)
        axes.set_ylim(0, max(1.0, float(np.nanmax(both)) / divisor * 1.08))
    else:
        style.note_empty(axes, NO_TICKS)
    axes.set_ylabel(f"stored, {unit}")
    time_axis(axes, timeline)
    return figure


def natural_key(name: str) -> tuple[str, int, str]:
    """Return a sort key by which charger-9 comes before charger-10."""
    head = name.rstrip("0123456789")
    tail = name[len(head) :]
    return head, int(tail) if tail.isascii() and tail else -1, name


def _panels(timeline: Timeline, title: str, levels: dict[str, Series]) -> Figure:
    columns = min(4, len(levels))
    rows = math.ceil(len(levels) / columns)
    figure = style.new_figure(title, 1.1 + 1.35 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for index, (axes, (name, level)) in enumerate(zip(panels, levels.items(), strict=False)):
        axes.fill_between(timeline.ends, 100 * level, color=style.CHARGER, alpha=0.3, linewidth=0)
        axes.plot(timeline.ends, 100 * level, color=style.CHARGER, **single_point_marker(timeline))
        axes.set_title(style.label(name), fontsize=8.5, pad=3)
        axes.set_ylim(0, 104)
        time_axis(axes, timeline, top=False, bottom=index + columns >= len(levels))
        axes.set_xlabel("")
        axes.set_xticks(axes.get_xticks()[:: 4 if columns > 2 else 2])
        axes.xaxis.set_major_formatter(lambda hour, _: f"{round(hour) % 24:02d} h")
    for axes in panels[len(levels) :]:
        axes.set_visible(False)
    figure.supylabel("state of charge, %", fontsize=8.5, color=style.MUTED)
    figure.supxlabel("simulated time, hour of the day", fontsize=8.5, color=style.MUTED)
    return figure


def _heat_map(timeline: Timeline, title: str, levels: dict[str, Series]) -> Figure:
    names = list(levels)
    cells = np.array([levels[name] for name in names])
    together = math.ceil(len(names) / MAX_ROWS)
    if together > 1:
        cells = np.array(
            [np.nanmean(cells[i : i + together], axis=0) for i in range(0, len(names), together)]
        )
    figure = style.new_figure(title, min(6.0, 1.5 + 0.145 * max(12, len(cells))))
    axes = figure.add_subplot()
    colour = to_rgba(style.CHARGER)[:3]
    fade = LinearSegmentedColormap.from_list("charge", [(*colour, 0.03), (*colour, 1.0)])
    left, right = float(timeline.edges[0]), float(timeline.edges[-1])
    image = axes.imshow(
        100 * cells,
        aspect="auto",
        cmap=fade,
        vmin=0,
        vmax=100,
        interpolation="none",
        extent=(left, right, len(cells) - 0.5, -0.5),
    )
    every = math.ceil(len(cells) / MAX_NAMES)
    shown = range(0, len(cells), every)
    axes.set_yticks(list(shown), [style.label(names[place * together]) for place in shown], fontsize=7)
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, pad=0.012, aspect=30)
    mean = f", mean of {together} chargers" if together > 1 else ""
    bar.set_label(f"state of charge, %{mean}", color=style.MUTED, fontsize=8.5)
    bar.outline.set_visible(False)
    time_axis(axes, timeline, top=False)
    return figure
