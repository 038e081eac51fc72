"""The figures that kinds of device report of their own, over time."""

from typing import Final

from matplotlib.figure import Figure

from gridfleet.dashboards.kind_names import plural
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.axes import time_axis
from gridfleet.dashboards.plots.figures.power import single_point_marker
from gridfleet.dashboards.plots.timeline import Timeline

MAX_PANELS: Final = 16
"""The most figures that are drawn; the report's table and agents.csv have all."""
_KINDS: Final = "(SELECT agent, max(kind) AS kind, max(role) AS role FROM agents GROUP BY agent)"
_SOURCE: Final = f"figures JOIN {_KINDS} USING (agent)"
_KEY: Final = "kind || char(9) || role || char(9) || name"


def own_figures(timeline: Timeline) -> Figure:
    """Draw a panel for each figure of each kind: the mean over its devices, and the range as a band."""
    mean, low, high = (
        timeline.read_by(_KEY, f"{aggregate}(value)", _SOURCE) for aggregate in ("avg", "min", "max")
    )
    units = {(each.kind, each.name): each.unit for each in timeline.store.figure_meanings()}
    shown = list(mean)[:MAX_PANELS]
    more = f" ({len(shown)} of {len(mean)})" if len(mean) > len(shown) else ""
    figure = style.new_figure(f"Figures that devices report of their own{more}", 1.0 + 1.45 * len(shown))
    panels = list(figure.subplots(len(shown), 1, sharex=True, squeeze=False).flat)
    for place, (axes, key) in enumerate(zip(panels, shown, strict=True)):
        kind, role, name = key.split("\t", 2)
        colour = style.ROLE_COLOURS.get(role, style.MUTED)
        axes.fill_between(timeline.ends, low[key], high[key], color=colour, alpha=0.25, linewidth=0)
        axes.plot(timeline.ends, mean[key], color=colour, **single_point_marker(timeline))
        unit = units.get((kind, name), "")
        axes.set_title(
            style.label(f"{plural(kind)}: {name}", 60),
            fontsize=8.5,
            pad=16 if place == 0 and timeline.spans else 3,
        )
        axes.set_ylabel(style.label(unit, 16))
        time_axis(axes, timeline, top=place == 0, bottom=place == len(shown) - 1)
    figure.align_ylabels(panels)
    return figure
