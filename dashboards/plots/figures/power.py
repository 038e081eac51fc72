"""Figures of energy per tick: generated, used, and by whom."""

from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.kind_names import counted
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import band, energy_unit, legend, per_tick_label, step_line, time_axis
from gridfleet.dashboards.plots.timeline import Series, Timeline

MAX_PRODUCERS = 6
"""More producers than this are drawn together."""
NO_TICKS = "no tick was recorded"
BUYERS: Final = (
    (Role.CONSUMER, "consumers", style.CONSUMER),
    (Role.CHARGER, "chargers", style.CHARGER),
    (Role.STORAGE, "storages", style.STORAGE),
)
"""Who buys in a cell's market, in the order of the stack."""
SELLING: Final = (
    (Role.PRODUCER, style.WIND),
    (Role.STORAGE, style.STORAGE),
    (Role.GRID_SUPPLY, style.REACTOR),
)
SELLERS: Final = f"role IN ({', '.join(repr(role.value) for role, _ in SELLING)})"
"""The rows of those that sell, as SQL."""
SELLER: Final = "role || char(9) || kind || char(9) || agent"
"""What `seller_lines` needs to know of a device, as SQL."""


def consumption_and_generation(timeline: Timeline) -> Figure:
    """Stack the energy used by source, curtailed energy on top, and draw the demand as a line."""
    figure = style.new_figure("Consumption and generation", 3.6)
    axes = figure.add_subplot()
    total = {
        name: per_bin(timeline, name)
        for name in ("generated", "reactor", "imported", "exported", "curtailed")
    }
    demand = per_bin(timeline, "demand")
    divisor, unit = energy_unit(demand, total["generated"] + total["reactor"])
    own = total["generated"] - total["curtailed"] - total["exported"]
    layers = [
        ("used in the own cell", style.WIND, own),
        ("imported from other cells", style.IMPORTED, total["imported"]),
        ("reactor", style.REACTOR, total["reactor"]),
        ("curtailed", style.CURTAILED, total["curtailed"]),
    ]
    floor = np.zeros(timeline.bins)
    for name, colour, values in layers:
        if np.nan_to_num(values).any():
            top = floor + np.nan_to_num(values) / divisor
            alpha = 0.5 if colour == style.CURTAILED else 0.85
            band(axes, timeline, floor, top, color=colour, alpha=alpha, label=name)
            floor = top
    if timeline.bins:
        step_line(axes, timeline, demand / divisor, color=style.INK, label="demand (bids)")
        axes.set_ylim(bottom=0)
        legend(axes, timeline)
    else:
        style.note_empty(axes, NO_TICKS)
    axes.set_ylabel(per_tick_label(timeline, unit))
    time_axis(axes, timeline)
    return figure


def power_difference(timeline: Timeline) -> Figure:
    """Draw generation minus demand: a surplus above zero, a shortfall below."""
    figure = style.new_figure("Power difference: generation minus demand", 2.9)
    axes = figure.add_subplot()
    difference = per_bin(timeline, "generated") - per_bin(timeline, "demand")
    divisor, unit = energy_unit(difference)
    zero = np.zeros(timeline.bins)
    if timeline.bins:
        above, below = np.fmax(difference, 0) / divisor, np.fmin(difference, 0) / divisor
        band(axes, timeline, zero, above, color=style.WIND, alpha=0.75, label="surplus")
        band(axes, timeline, below, zero, color=style.REACTOR, alpha=0.75, label="shortfall")
        axes.axhline(0, color=style.INK, linewidth=0.9)
        legend(axes, timeline)
    else:
        style.note_empty(axes, NO_TICKS)
    axes.set_ylabel(per_tick_label(timeline, unit))
    time_axis(axes, timeline)
    return figure


def bought_by_role(timeline: Timeline) -> Figure:
    """Stack the energy that consumers, chargers and storages bought."""
    figure = style.new_figure("Energy bought, by role", 3.1)
    axes = figure.add_subplot()
    roles = "(SELECT agent, max(role) AS role FROM agents GROUP BY agent)"
    bought = timeline.read_by(
        f"coalesce(role, '{Role.CONSUMER}')",
        "sum(energy_wh)",
        f"trades LEFT JOIN {roles} ON agent = consumer",
    )
    divisor, unit = energy_unit(*bought.values())
    floor = np.zeros(timeline.bins)
    for role, name, colour in BUYERS:
        if role in bought:
            top = floor + np.nan_to_num(bought[role]) / divisor / ticks_per_bin(timeline)
            band(axes, timeline, floor, top, color=colour, alpha=0.85, label=name)
            floor = top
    if bought:
        axes.set_ylim(bottom=0)
        legend(axes, timeline)
    else:
        style.note_empty(axes, "nothing was bought")
    axes.set_ylabel(per_tick_label(timeline, unit))
    time_axis(axes, timeline)
    return figure


def generation_per_producer(timeline: Timeline) -> Figure:
    """Draw each producer's mean power; a grid supply's is what it sold, a storage's what it delivered."""
    figure = style.new_figure("Generation per producer", 3.3)
    axes = figure.add_subplot()
    power = timeline.read_by(SELLER, "avg(max(power_w, 0))", "agents", SELLERS)
    lines = seller_lines(power)
    divisor, unit = (1e6, "MW") if any(np.nanmax(watts) >= 2e7 for *_, watts in lines) else (1e3, "kW")
    for name, colour, dash, watts in lines:
        step_line(axes, timeline, watts / divisor, color=colour, linestyle=dash, label=name)
    if power:
        axes.set_ylim(bottom=0)
        legend(axes, timeline)
    else:
        style.note_empty(axes, "no producer in this run")
    axes.set_ylabel(f"mean power, {unit}")
    time_axis(axes, timeline)
    return figure


def reactor_share(timeline: Timeline) -> Figure:
    """Draw the reactor's share of the energy bought, per tick and since the start."""
    figure = style.new_figure("Share of the reactor in consumption", 2.7)
    axes = figure.add_subplot()
    reactor, sold = per_bin(timeline, "reactor"), per_bin(timeline, "sold")
    if np.nan_to_num(sold).any():
        share = 100 * np.divide(reactor, sold, out=timeline.empty_series(), where=sold > 0)
        band(
            axes,
            timeline,
            np.zeros(timeline.bins),
            share,
            color=style.REACTOR,
            alpha=0.55,
            label="in the tick",
        )
        so_far = np.cumsum(np.nan_to_num(sold))
        mean = 100 * np.divide(
            np.cumsum(np.nan_to_num(reactor)), so_far, out=timeline.empty_series(), where=so_far > 0
        )
        axes.plot(
            timeline.ends, mean, color=style.INK, label="since the start", **single_point_marker(timeline)
        )
        axes.set_ylim(0, 104)
        legend(axes, timeline)
    else:
        style.note_empty(axes, "nothing was bought")
    axes.set_ylabel("share of energy bought, %")
    time_axis(axes, timeline)
    return figure


def per_bin(timeline: Timeline, quantity: str) -> Series:
    """Return an energy of ticks.csv in Wh per tick, summed over cells."""
    return timeline.read(f"sum({quantity}_wh)", "ticks") / ticks_per_bin(timeline)


def ticks_per_bin(timeline: Timeline) -> Series:
    """Return how many ticks each bin holds; the last may hold fewer."""
    counts: Series = np.round(np.diff(timeline.edges) * 3_600_000 / timeline.facts.tick_ms)
    return counts


def seller_lines(found: dict[str, Series]) -> list[tuple[str, str, Any, Series]]:
    """Return name, colour, dash and values of each seller by role; many of one kind are summed.

    `found` has a series by `SELLER`.
    """
    groups: dict[str, dict[str, list[tuple[str, Series]]]] = {}
    for key, values in found.items():
        role, kind, name = key.split("\t", 2)
        groups.setdefault(role, {}).setdefault(kind, []).append((name, values))
    lines = []
    for role, colour in SELLING:
        shown: list[tuple[str, Series]] = []
        for kind, devices in groups.get(role, {}).items():
            if len(devices) <= MAX_PRODUCERS:
                shown += devices
            else:
                total = np.nansum([values for _, values in devices], axis=0)
                shown.append((f"{counted(len(devices), kind)}, sum", total))
        lines += [
            (style.label(name), colour, style.DASHES[index % len(style.DASHES)], values)
            for index, (name, values) in enumerate(shown)
        ]
    return lines


def single_point_marker(timeline: Timeline) -> dict[str, Any]:
    """Return a marker for a line with a single point, which would be invisible."""
    return {"marker": "o", "clip_on": False} if timeline.bins == 1 else {}
