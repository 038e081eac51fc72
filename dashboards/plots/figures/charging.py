"""Figures of charging: price, distance and cost of accepted offers, and how reservations ended."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridfleet.broker.protocol.units import NEUR_PER_EUR, UEUR_PER_EUR
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import legend, rolling, time_axis
from gridfleet.dashboards.plots.timeline import Series, Timeline

ROLLING_HOURS = 3
OUTCOMES_FIRST = ("charged", "interrupted", "cancelled", "expired", "refused", "open")
MAX_OUTCOMES = 10
STEPS_OF_CALLS = ("requested", "offered")
STEPS_OF_RESERVATIONS = ("accepted", "arrived", "released")


def accepted_offers(timeline: Timeline) -> Figure:
    """Draw price, distance and cost of the offers that vehicles accepted: per tick, and as a rolling mean."""
    figure = style.new_figure("Accepted charging offers: price, distance, cost", 5.4)
    panels: list[Axes] = list(figure.subplots(3, 1, sharex=True))
    quantities = (
        ("price, €/kWh", "price_ueur", UEUR_PER_EUR),
        ("distance, km", "distance_km", 1),
        ("cost, €", "1.0 * price_ueur * energy_wh", NEUR_PER_EUR),
    )
    for index, (axes, (unit, column, divisor)) in enumerate(zip(panels, quantities, strict=True)):
        mean, count = accepted(timeline, column)
        if np.nan_to_num(count).any():
            hours = (timeline.edges[:-1] + timeline.ends) / 2
            axes.scatter(
                hours, mean / divisor, s=11, color=style.VEHICLE, alpha=0.5, lw=0, label="mean of the tick"
            )
            width = max(1, round(ROLLING_HOURS * 3_600_000 / timeline.facts.tick_ms / timeline.step))
            smooth = rolling(mean / divisor, count, width)
            name = f"mean of the last {ROLLING_HOURS} h, by offer"
            axes.plot(timeline.ends, smooth, color=style.VEHICLE, linewidth=1.9, label=name)
            axes.set_ylim(bottom=0)
            if index == 0:
                legend(axes, timeline)
        else:
            style.note_empty(axes, "no offer was accepted")
        axes.set_ylabel(unit)
        time_axis(axes, timeline, top=index == 0, bottom=index == 2)
    figure.align_ylabels(panels)
    return figure


def reservation_outcomes(timeline: Timeline) -> Figure:
    """Draw how many calls and reservations reached each step, and how the accepted reservations ended.

    The counts are those of the key figures: a reservation is an accepted offer, and a call may lead to several.
    """
    figure = style.new_figure("Charging reservations: steps that were reached, and how they ended", 2.9)
    left, right = figure.subplots(1, 2)
    calls = "count(DISTINCT CASE WHEN {}_ms IS NOT NULL THEN vehicle || char(9) || call END)"
    reservations = "count(CASE WHEN accepted_ms IS NOT NULL THEN {}_ms END)"
    counts = ", ".join(
        (calls if step in STEPS_OF_CALLS else reservations).format(step)
        for step in (*STEPS_OF_CALLS, *STEPS_OF_RESERVATIONS)
    )
    (reached,) = timeline.store.select(f"SELECT {counts} FROM reservations")  # noqa: S608  constants above
    outcomes = dict(
        timeline.store.select(
            "SELECT outcome, count(*) FROM reservations WHERE accepted_ms IS NOT NULL "
            "GROUP BY outcome ORDER BY outcome"
        )
    )
    names_of_steps = [
        *(f"calls {step}" for step in STEPS_OF_CALLS),
        *(f"reservations {step}" for step in STEPS_OF_RESERVATIONS),
    ]
    _bars(
        left, [(name, count, 1.0) for name, count in zip(names_of_steps, reached, strict=True)], style.VEHICLE
    )
    left.set_xlabel("vehicles' calls, and reservations")
    names = [name for name in OUTCOMES_FIRST if name in outcomes]
    names += sorted(
        (name for name in outcomes if name not in names), key=lambda name: (-outcomes[name], name)
    )
    shown = [(name, outcomes[name], 1.0 if name == "charged" else 0.5) for name in names[:MAX_OUTCOMES]]
    rest = sum(outcomes[name] for name in names[MAX_OUTCOMES:])
    if rest:
        shown.append(("others", rest, 0.5))
    _bars(right, shown, style.CHARGER)
    right.set_xlabel("accepted reservations, by outcome")
    return figure


def _bars(axes: Axes, rows: list[tuple[str, int, float]], colour: str) -> None:
    """Draw counts as bars from the top down, each with its number."""
    if not any(count for _, count, _ in rows):
        style.note_empty(axes, "no reservation was requested")
        axes.set_xticks([])
        return
    for place, (_, count, alpha) in enumerate(rows):
        axes.barh(place, count, height=0.68, color=colour, alpha=alpha)
        axes.annotate(
            f"{count:,}".replace(",", "\u202f"),
            (count, place),
            (4, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(rows)), [style.label(name) for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.16 * max(count for _, count, _ in rows))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")


def accepted(timeline: Timeline, column: str) -> tuple[Series, Series]:
    """Return the mean of a column over the offers accepted in each bin, and their number."""
    rows = list(
        timeline.store.select(
            f"SELECT (accepted_ms - ?) / ? AS bin, avg({column}), count({column}) FROM reservations "  # noqa: S608
            "WHERE accepted_ms >= ? GROUP BY 1 ORDER BY 1",
            (timeline.start_ms, timeline.facts.tick_ms * timeline.step, timeline.start_ms),
        )
    )
    mean = timeline.series_by_name(("", index, value) for index, value, _ in rows).get(
        "", timeline.empty_series()
    )
    count = timeline.series_by_name(("", index, value) for index, _, value in rows).get(
        "", timeline.empty_series()
    )
    return mean, count
