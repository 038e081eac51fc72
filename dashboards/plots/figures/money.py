"""Money: what energy cost, and who earned it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridfleet.broker.protocol.units import NEUR_PER_EUR, UEUR_PER_EUR
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import legend, step_line, time_axis
from gridfleet.dashboards.plots.figures.power import SELLER, SELLERS, seller_lines, single_point_marker
from gridfleet.dashboards.plots.timeline import Timeline


def money_per_producer(timeline: Timeline) -> Figure:
    """Draw each producer's earnings since the start; a storage's are what it earned less what it paid."""
    figure = style.new_figure("Earnings per producer", 3.1)
    axes = figure.add_subplot()
    # A bin shows its last tick: SQLite takes a bare column from the row that holds the max().
    latest = "max(tick * 1.0) * 0 + balance_neur"
    earned = timeline.read_by(SELLER, latest, "agents", SELLERS)
    lines = seller_lines(earned)
    largest = max((float(np.nanmax(neur)) for *_, neur in lines), default=0.0) / NEUR_PER_EUR
    divisor, unit = (1e3 * NEUR_PER_EUR, "thousand €") if largest >= 20_000 else (NEUR_PER_EUR, "€")
    for name, colour, dash, neur in lines:
        axes.plot(
            timeline.ends,
            neur / divisor,
            color=colour,
            linestyle=dash,
            label=name,
            **single_point_marker(timeline),
        )
    if earned:
        legend(axes, timeline)
    else:
        style.note_empty(axes, "no producer in this run")
    axes.set_ylabel(f"earned since the start, {unit}")
    time_axis(axes, timeline)
    return figure


def sell_price(timeline: Timeline) -> Figure:
    """Draw the lowest and the mean price of the energy sold, the chargers' lowest bid and the reactor's price."""
    figure = style.new_figure("Market price: lowest and mean", 3.1)
    axes = figure.add_subplot()
    lowest = timeline.read("min(lowest_price_ueur)", "ticks") / UEUR_PER_EUR
    paid = timeline.read("sum(mean_price_ueur * 1.0 * sold_wh)", "ticks", "mean_price_ueur IS NOT NULL")
    sold = timeline.read("sum(sold_wh * 1.0)", "ticks", "mean_price_ueur IS NOT NULL")
    mean = np.divide(paid, sold, out=timeline.empty_series(), where=sold > 0) / UEUR_PER_EUR
    if np.isfinite(lowest).any():
        step_line(
            axes,
            timeline,
            mean,
            color=style.PRICE,
            linestyle=style.DASHES[2],
            label="mean, weighted by energy",
        )
        step_line(axes, timeline, lowest, color=style.PRICE, label="lowest")
        _mark(axes, timeline.facts.reactor_price_ueur / UEUR_PER_EUR, "reactor, from", style.REACTOR)
        _mark(axes, timeline.facts.price_floor_ueur / UEUR_PER_EUR, "chargers' lowest bid", style.CHARGER)
        legend(axes, timeline)
        axes.set_ylim(0, max(1.0, float(np.nanmax([lowest, mean]))) * 1.08)
    else:
        style.note_empty(axes, "nothing was sold")
    axes.set_ylabel("€/kWh")
    time_axis(axes, timeline)
    return figure


def _mark(axes: Axes, price: float, text: str, colour: str) -> None:
    """Draw a fixed price as a thin line, named in the legend."""
    axes.axhline(
        price, color=colour, linewidth=1.0, linestyle=style.DASHES[4], zorder=0.8, label=f"{text} {price:.2f}"
    )
