"""The figure of the storages, such as batteries: what each keeps, and what they buy and sell together."""

import numpy as np
from matplotlib.figure import Figure

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import band, energy_unit, legend, per_tick_label, time_axis
from gridfleet.dashboards.plots.figures.batteries import natural_key
from gridfleet.dashboards.plots.figures.power import single_point_marker, ticks_per_bin
from gridfleet.dashboards.plots.timeline import Timeline

MAX_LINES = 6
"""More storages than this are drawn as their mean, with the range around it."""


def storages(timeline: Timeline) -> Figure:
    """Draw each storage's state of charge, and below it the energy that all of them bought and sold."""
    figure = style.new_figure("Storages", 4.4)
    charge, flows = figure.subplots(2, 1, sharex=True, height_ratios=(1.3, 1))
    levels = timeline.read_by("storage", "100.0 * avg(stored_wh * 1.0 / nullif(capacity_wh, 0))", "storages")
    names = sorted(levels, key=natural_key)
    marker = single_point_marker(timeline)
    if len(names) > MAX_LINES:
        all_levels = np.array([levels[name] for name in names])
        known = np.isfinite(all_levels).any(axis=0)
        low, mean, high = (timeline.empty_series() for _ in range(3))
        low[known], high[known] = (
            np.nanmin(all_levels[:, known], axis=0),
            np.nanmax(all_levels[:, known], axis=0),
        )
        mean[known] = np.nanmean(all_levels[:, known], axis=0)
        charge.fill_between(
            timeline.ends, low, high, color=style.STORAGE, alpha=0.2, linewidth=0, label="range"
        )
        charge.plot(
            timeline.ends, mean, color=style.STORAGE, label=f"mean of {len(names)} storages", **marker
        )
    else:
        for index, name in enumerate(names):
            dash = style.DASHES[index % len(style.DASHES)]
            charge.plot(
                timeline.ends, levels[name], color=style.STORAGE, ls=dash, label=style.label(name), **marker
            )
    charge.set_ylim(0, 104)
    charge.set_ylabel("state of charge, %")
    legend(charge, timeline)
    per_tick = ticks_per_bin(timeline)
    bought, sold = (
        timeline.read(f"sum({quantity}_wh)", "storages") / per_tick for quantity in ("bought", "sold")
    )
    divisor, unit = energy_unit(bought, sold)
    zero = np.zeros(timeline.bins)
    band(flows, timeline, zero, sold / divisor, color=style.STORAGE, alpha=0.85, label="sold")
    band(flows, timeline, -bought / divisor, zero, color=style.STORAGE, alpha=0.35, label="bought")
    flows.axhline(0, color=style.INK, linewidth=0.9)
    flows.set_ylabel(per_tick_label(timeline, unit).replace(" of ", "\nof ", 1))
    legend(flows, timeline, top=False)
    time_axis(charge, timeline, bottom=False)
    time_axis(flows, timeline, top=False)
    figure.align_ylabels([charge, flows])
    return figure
