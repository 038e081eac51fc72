"""The map: Germany's outline and the last position of every device."""

import math
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.path import Path

from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.readers.json_values import parse_json
from gridfleet.dashboards.kind_names import counted
from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.timeline import Timeline

Line = list[tuple[float, float]]

WIDTH_INCHES: Final = 6.6
MAX_VECTORS: Final = 400
"""More marks of a kind than this are drawn as pixels, to keep the page small."""
_UPRIGHT: Final = Path([(-0.6, -1.0), (0.6, -1.0), (0.6, 1.0), (-0.6, 1.0), (-0.6, -1.0)], closed=True)
MARKS: Final[Mapping[str, tuple[str | Path, int]]] = {
    Role.VEHICLE: ("D", 13),
    Role.CHARGER: ("o", 24),
    Role.CONSUMER: ("s", 36),
    Role.STORAGE: (_UPRIGHT, 62),
    Role.PRODUCER: ("^", 58),
    Role.GRID_SUPPLY: ("*", 130),
}
"""Mark and size of a role's devices, in the order of drawing: numerous ones first, rare ones on top."""
_UNKNOWN_MARK: Final = ("X", 24)
CITIES: Final = (
    ("Berlin", 52.52, 13.405),
    ("Hamburg", 53.551, 9.994),
    ("München", 48.137, 11.575),
    ("Köln", 50.938, 6.957),
    ("Frankfurt", 50.111, 8.682),
    ("Leipzig", 51.340, 12.375),
)
_LAST: Final = (
    "SELECT role, kind, longitude, latitude, max(tick) FROM agents GROUP BY agent ORDER BY role, kind, agent"
)
_ROUTES: Final = (
    "SELECT longitude, latitude, next_longitude, next_latitude, destination_longitude, destination_latitude "
    "FROM vehicles JOIN agents ON agent = vehicle AND agents.tick = vehicles.tick "
    "WHERE vehicles.tick = (SELECT max(tick) FROM vehicles) ORDER BY vehicle"
)


@cache
def outline() -> tuple[Line, ...]:
    """Return Germany's borders as rings of longitude, latitude."""
    text = (
        resources.files("gridfleet.dashboards.plots.data")
        .joinpath("germany.json")
        .read_text(encoding="utf-8")
    )
    return tuple(
        [(longitude, latitude) for longitude, latitude in ring] for ring in parse_json(text)["rings"]
    )


def map_of_devices(timeline: Timeline) -> Figure:
    """Draw all devices at their last position, and each vehicle's route to its next stop and destination."""
    figure = style.new_figure("Positions at the end of the run", 7.4, WIDTH_INCHES)
    axes = figure.add_subplot()
    axes.add_collection(
        PolyCollection(outline(), facecolors=to_rgba(style.GRID, 0.4), edgecolors="none", zorder=0.5)
    )
    axes.add_collection(LineCollection(outline(), colors=style.MUTED, linewidths=0.8, zorder=1))
    for name, latitude, longitude in CITIES:
        axes.plot(longitude, latitude, ".", color=style.CURTAILED, markersize=2.5, zorder=1)
        axes.annotate(
            name, (longitude, latitude), (3, 2), textcoords="offset points", fontsize=7, color=style.CURTAILED
        )
    _routes(axes, timeline)
    found: dict[str, dict[str, Line]] = {}
    for role, kind, longitude, latitude, _ in timeline.store.select(_LAST):
        found.setdefault(role, {}).setdefault(kind, []).append((longitude, latitude))
    for role in sorted(found, key=lambda role: (_rank(role), role)):
        kinds = sorted(found[role], key=lambda kind: (-len(found[role][kind]), kind))
        for place, kind in enumerate(kinds):
            _kind(axes, role, kind, found[role][kind], hollow=place % 2 == 1)
    axes.set_xlim(5.4, 15.6)
    axes.set_ylim(47.05, 55.25)
    axes.set_aspect(1 / math.cos(math.radians(51.2)))
    axes.grid(visible=False)
    axes.set_xlabel("longitude, ° east")
    axes.set_ylabel("latitude, ° north")
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    return figure


def _rank(role: str) -> int:
    """Return the order of drawing."""
    return list(MARKS).index(role) if role in MARKS else -1


def _kind(axes: Axes, role: str, kind: str, places: Line, *, hollow: bool) -> None:
    """Draw all devices of a kind with the mark of their role; hollow for every second kind of a role."""
    mark, size = MARKS.get(role, _UNKNOWN_MARK)
    colour = style.ROLE_COLOURS.get(role, style.MUTED)
    axes.scatter(
        [longitude for longitude, _ in places],
        [latitude for _, latitude in places],
        marker=mark,
        s=size if len(places) <= MAX_VECTORS else size / 3,
        facecolors="none" if hollow else colour,
        edgecolors=colour if hollow else style.GRID,
        linewidths=1.3 if hollow else 0.5,
        zorder=4 + _rank(role),
        label=style.label(counted(len(places), kind)),
        rasterized=len(places) > MAX_VECTORS,
    )


def _routes(axes: Axes, timeline: Timeline) -> None:
    """Draw a solid line to each vehicle's next stop and a dotted one from there to its destination."""
    stops: list[Line] = []
    goals: list[Line] = []
    for x, y, next_x, next_y, goal_x, goal_y in timeline.store.select(_ROUTES):
        here = (x, y)
        if next_x is not None and next_y is not None:
            stops.append([here, (next_x, next_y)])
            here = (next_x, next_y)
        if goal_x is not None and goal_y is not None and (goal_x, goal_y) != here:
            goals.append([here, (goal_x, goal_y)])
    for lines, dash, width, name in (
        (stops, "-", 0.9, "route to the next stop"),
        (goals, (0, (1.2, 1.6)), 0.9, "from there to the destination"),
    ):
        if lines:
            many = len(lines) > MAX_VECTORS
            axes.add_collection(
                LineCollection(
                    lines,
                    colors=style.VEHICLE,
                    linewidths=width if not many else 0.4,
                    linestyles=[dash],
                    alpha=0.75 if not many else 0.35,
                    zorder=2,
                    label=name,
                    rasterized=many,
                ),
                autolim=False,
            )
