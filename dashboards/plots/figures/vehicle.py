"""The history of one vehicle: the one with the most reservations."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gridfleet.broker.protocol.units import MS_PER_HOUR
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import legend, time_axis
from gridfleet.dashboards.plots.figures.power import single_point_marker
from gridfleet.dashboards.plots.timeline import Series, Timeline
from gridfleet.dashboards.store.rows import VehicleRow

_CHOICE = (
    "SELECT vehicle FROM (SELECT DISTINCT vehicle FROM vehicles) AS known LEFT JOIN "
    "(SELECT vehicle AS customer, count(accepted_ms) AS visits FROM reservations GROUP BY vehicle) "
    "ON customer = vehicle ORDER BY coalesce(visits, 0) DESC, vehicle LIMIT 1"
)
_ROWS = f"SELECT {', '.join(VehicleRow._fields)} FROM vehicles WHERE vehicle = ? ORDER BY tick"  # noqa: S608
_SHADES = (0.85, 0.5, 0.3, 0.15, 0.7, 0.4)


def vehicle_history(timeline: Timeline) -> Figure:
    """Draw state of charge over the vehicle's status, its speed, and the time left to its deadline."""
    rows = _history(timeline)
    if not rows:
        figure = style.new_figure("History of one vehicle", 2.2)
        axes = figure.add_subplot()
        style.note_empty(axes, "no vehicle in this run")
        time_axis(axes, timeline)
        return figure
    car = rows[0]
    use = f"{car.consumption_wh_per_km / 10:.1f} kWh/100 km, {car.capacity_wh / 1000:g} kWh"
    figure = style.new_figure("History of one vehicle", 5.3)
    name = f"{style.label(car.vehicle)}: {style.label(car.model, 40)}, {use}"
    charge, speed, deadline = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 1, 1))
    panels: list[Axes] = [charge, speed, deadline]
    tick_hours = timeline.facts.tick_ms / MS_PER_HOUR
    hours = np.array([timeline.edges[0] + (row.tick - timeline.first_tick) * tick_hours for row in rows])
    ends = hours + tick_hours
    _status(charge, timeline, rows, hours, name)
    level = np.array([100 * row.stored_wh / row.capacity_wh if row.capacity_wh else np.nan for row in rows])
    charge.plot(ends, level, color=style.INK, **single_point_marker(timeline))
    charge.set_ylim(0, 104)
    charge.set_ylabel("state of charge, %")
    speed.stairs(
        [row.speed_km_h for row in rows], [*hours, ends[-1]], color=style.VEHICLE, fill=True, alpha=0.6
    )
    speed.set_ylim(0, max(100.0, 1.1 * max(row.speed_km_h for row in rows)))
    speed.set_ylabel("speed, km/h")
    left = [max(0.0, timeline.hour(row.deadline_ms) - end) for row, end in zip(rows, ends, strict=True)]
    deadline.plot(ends, np.minimum(left, 24 * 365), color=style.VEHICLE, **single_point_marker(timeline))
    deadline.set_ylim(bottom=0)
    deadline.set_ylabel("time to deadline, h")
    for axes in panels:
        time_axis(axes, timeline, top=axes is charge, bottom=axes is deadline)
    figure.align_ylabels(panels)
    return figure


def _history(timeline: Timeline) -> list[VehicleRow]:
    """Return the rows of that vehicle, at most as many as a figure can show."""
    for (name,) in timeline.store.select(_CHOICE):
        rows = [VehicleRow._make(row) for row in timeline.store.select(_ROWS, (name,))]
        last = timeline.first_tick + timeline.ticks
        return [row for row in rows if timeline.first_tick <= row.tick < last][:: timeline.step]
    return []


def _status(axes: Axes, timeline: Timeline, rows: list[VehicleRow], hours: Series, name: str) -> None:
    """Shade the background by status; charging has the chargers' colour."""
    words = sorted({row.status for row in rows})
    others = [word for word in words if "charging" not in word.lower()]
    looks = {word: (style.VEHICLE, _SHADES[i % len(_SHADES)] * 0.5) for i, word in enumerate(others)}
    looks.update({word: (style.CHARGER, 0.55) for word in words if word not in looks})
    begin = 0
    for index in range(1, len(rows) + 1):
        if index == len(rows) or rows[index].status != rows[begin].status:
            colour, alpha = looks[rows[begin].status]
            end = hours[index] if index < len(rows) else hours[-1] + timeline.facts.tick_ms / MS_PER_HOUR
            axes.axvspan(hours[begin], end, color=colour, alpha=alpha, linewidth=0)
            begin = index
    handles = [
        Patch(color=looks[word][0], alpha=looks[word][1], label=style.label(word)) for word in words[:6]
    ]
    legend(axes, timeline, handles, title=name)
