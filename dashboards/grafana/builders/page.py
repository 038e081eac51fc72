"""Build a page: variables, annotations, links to the other pages, and rows of panels in order."""

from collections.abc import Sequence
from copy import copy
from datetime import timedelta
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard as sdk
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from gridfleet.dashboards.grafana.builders.flux import RUN, SITE, Flux, read, values_of
from gridfleet.dashboards.grafana.builders.query import DATASOURCE, Query
from gridfleet.dashboards.grafana.builders.theme import colour
from gridfleet.devices.config.scenario import Scenario

TAG: Final = "gridfleet"
COLUMNS: Final = 24
"""Width of a page in Grafana's grid units."""
ALL: Final = VariableOption(selected=True, text="All", value="$__all")

SHIPPED_FROM: Final = Scenario().start
SHIPPED_TO: Final = SHIPPED_FROM + timedelta(minutes=15) * Scenario().ticks
"""The simulated time of a scenario with the default settings: what a page shows at first."""


class Row(NamedTuple):
    """Panels side by side under a heading; without `widths` they are equally wide."""

    heading: str
    height: int
    panels: Sequence[dashboard.Panel]
    widths: Sequence[int] = ()


class TimeRange(NamedTuple):
    """The time range that a page shows at first, and its refresh interval."""

    begin: str
    end: str
    refresh: str


SIMULATED_TIME: Final = TimeRange(f"{SHIPPED_FROM.isoformat()}.000Z", f"{SHIPPED_TO.isoformat()}.000Z", "30s")
REAL_TIME: Final = TimeRange("now-1h", "now", "10s")

SITES: Final = values_of("site", "grid")
RUNS: Final = values_of("run", "grid", SITE)


def query_variable(
    name: str, label: str, query: str, description: str, *, multiple: bool = False
) -> sdk.QueryVariable:
    """Return a variable whose values a query gives; `multiple`: several of them, or all."""
    variable = (
        sdk.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_DESC if name.startswith("run") else VariableSort.NATURAL_ASC)
    )
    if multiple:
        variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(ALL)
    return variable


SITE_VARIABLE: Final = query_variable("site", "Site", SITES, "The site, as in the MQTT topics.")
RUN_VARIABLE: Final = query_variable("run", "Run", RUNS, "A run of the site.")
CELL_VARIABLE: Final = query_variable(
    "cell", "Cells", values_of("cell", "grid", RUN), "The cells whose figures are added up.", multiple=True
)

EVENTS: Final = (
    ("Storm", "event", ("storm", "storm-end")),
    ("Settings and algorithm", "price", ("settings",)),
    ("Outage", "reactor", ("offline", "online")),
    ("Suspension", "reactor", ("suspended", "reinstated")),
    ("Incident", "vehicle", ("incident",)),
    ("Start and end", "muted", ("begin", "end")),
)
"""Annotations: name, the quantity whose colour is used, and the events shown."""


def events(run: str, *kinds: str) -> Flux:
    """Return the query of annotations: time, text and tags of events."""
    wanted = " or ".join(f'r.what == "{kind}"' for kind in kinds)
    return read("event", "text", where=f"{run} and ({wanted})").then(
        "group()",
        'rename(columns: {_time: "time", _value: "text", what: "tags"})',
        'keep(columns: ["time", "text", "tags"])',
        'sort(columns: ["time"])',
    )


def page(
    uid: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    *,
    variables: Sequence[sdk.QueryVariable] = (SITE_VARIABLE, RUN_VARIABLE, CELL_VARIABLE),
    time_range: TimeRange = SIMULATED_TIME,
    annotated_runs: Sequence[tuple[str, str]] = (("", RUN),),
) -> dashboard.Dashboard:
    """Return a page; `annotated_runs` are the runs whose events it marks: prefix of the name, and condition in Flux."""
    builder = (
        sdk.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("utc")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time(time_range.begin, time_range.end)
        .refresh(time_range.refresh)
        .variables(list(variables))
        .editable()
        .version(1)
    )
    for prefix, run in annotated_runs:
        for name, quantity, kinds in EVENTS:
            builder.annotation(
                sdk.AnnotationQuery()
                .name(f"{prefix}{name}")
                .datasource(DATASOURCE)
                .enable(enable=True)
                .hide(hide=False)
                .icon_color(colour(quantity))
                .target(Query("Anno", events(run, *kinds)))
            )
    builder.link(
        sdk.DashboardLink("Pages")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=False)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )
    builder.link(
        sdk.DashboardLink("Last 24 hours")
        .type(DashboardLinkType.LINK)
        .icon("bolt")
        .tooltip("For a site in real time; simulated runs have the scenario's time")
        .url(f"/d/{uid}?from=now-24h&to=now")
        .include_vars(include_vars=True)
    )
    built = builder.build()
    built.panels = _lay_out(rows)
    return built


def page_link(uid: str, **variables: str) -> str:
    """Return the link to a page for the same site, run and time; `variables` are further ones."""
    more = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?${{site:queryparam}}&${{run:queryparam}}&${{__url_time_range}}{more}"


def with_link(panel: dashboard.Panel, title: str, url: str) -> dashboard.Panel:
    """Return the panel with a link in its corner."""
    link = sdk.DashboardLink(title).type(DashboardLinkType.LINK).url(url).build()
    more = copy(panel)
    more.links = [*(panel.links or []), link]
    return more


def _lay_out(rows: Sequence[Row]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """Number the panels and place them; the numbers are stable as long as the order is, for links name them."""
    placed: list[dashboard.Panel | dashboard.RowPanel] = []
    y = 0
    for row in rows:
        if row.heading:
            heading = sdk.Row(row.heading).build()
            heading.id_val = len(placed) + 1
            heading.grid_pos = GridPos(h=1, w=COLUMNS, x=0, y=y)
            placed.append(heading)
            y += 1
        widths = row.widths or _equal_widths(len(row.panels))
        if sum(widths) != COLUMNS or len(widths) != len(row.panels):
            raise ValueError(f"row {row.heading!r}: widths {widths} do not fill {COLUMNS} columns")
        x = 0
        for panel, width in zip(row.panels, widths, strict=True):
            panel.id_val = len(placed) + 1
            panel.grid_pos = GridPos(h=row.height, w=width, x=x, y=y)
            placed.append(panel)
            x += width
        y += row.height
    return placed


def _equal_widths(count: int) -> list[int]:
    share, rest = divmod(COLUMNS, count)
    return [share + (1 if index < rest else 0) for index in range(count)]
