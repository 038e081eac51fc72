"""Panels of rows: tables, bars, states over time, and the list of alerts."""

from collections.abc import Iterable
from typing import NamedTuple

from grafana_foundation_sdk.builders import barchart, bargauge, statetimeline
from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as sdk
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Property

from gridfleet.dashboards.grafana.builders.flux import Flux
from gridfleet.dashboards.grafana.builders.page import FOLDER, FOLDER_UID
from gridfleet.dashboards.grafana.builders.panels import (
    NOTHING,
    TICK,
    Line,
    begin,
    legend_below,
    properties_of,
)
from gridfleet.dashboards.grafana.builders.theme import PLAIN, tone


class Column(NamedTuple):
    """A table's column: field, shown name, unit, width in pixels, and the link that a click opens."""

    field: str
    name: str
    unit: str = "none"
    width: int = 0
    link: str = ""
    colours: sdk.ThresholdsConfig | None = None


def bars(
    title: str,
    about: str,
    unit: str,
    query: Flux,
    *,
    along: str,
    lines: Iterable[Line],
    empty: str = NOTHING,
) -> dashboard.Panel:
    """Bars side by side, one for each row; `along` is the column that names the rows."""
    panel = (
        begin(barchart.Panel(), title, about, unit, (query,), empty)
        .x_field(along)
        .orientation(common.VizOrientation.VERTICAL)
        .stacking(common.StackingMode.NONE)
        .show_value(common.VisibilityMode.NEVER)
        .group_width(0.8)
        .bar_width(0.95)
        .fill_opacity(80)
        .line_width(0)
        .x_tick_label_spacing(60)
        .legend(legend_below())
        .tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.NONE))
    )
    for line in lines:
        panel.override_by_name(line.field, properties_of(line))
    return panel.build()


def ranking(
    title: str,
    about: str,
    unit: str,
    *queries: Flux,
    colours: sdk.ThresholdsConfig = PLAIN,
    meaning: str = "",
    empty: str = NOTHING,
) -> dashboard.Panel:
    """A horizontal bar for each row of tables with the columns `name` and `value`."""
    panel = (
        begin(bargauge.Panel(), title, about, unit, queries, empty)
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .show_unfilled(show_unfilled=True)
        .min(0)
        .thresholds(colours)
        .reduce_options(
            parts.ReduceDataOptions().calcs(["lastNotNull"]).values(values=True).limit(40).fields("")
        )
    )
    if meaning:
        panel.color_scheme(sdk.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(tone(meaning)))
    return panel.build()


def table(
    title: str,
    about: str,
    query: Flux,
    *,
    columns: Iterable[Column],
    empty: str = NOTHING,
) -> dashboard.Panel:
    """A table; a column may link to another page."""
    panel = (
        begin(table_panel.Panel(), title, about, "none", (query,), empty)
        .cell_height(common.TableCellHeight.SM)
        .thresholds(PLAIN)
        .filterable(filterable=True)
    )
    for column in columns:
        panel.override_by_name(column.field, _cell(column))
    return panel.build()


def states(
    title: str,
    about: str,
    *queries: Flux,
    words: Iterable[tuple[str, str]],
    empty: str = NOTHING,
) -> dashboard.Panel:
    """A band for each series with its state over time; `words` are the states and their colours."""
    mapping = dashboard.ValueMap(
        {
            word: dashboard.ValueMappingResult(text=word, color=colour, index=index)
            for index, (word, colour) in enumerate(words)
        }
    )
    return (
        begin(statetimeline.Panel(), title, about, "none", queries, empty)
        .interval(TICK)
        .mappings([mapping])
        .show_value(common.VisibilityMode.AUTO)
        .row_height(0.8)
        .merge_values(merge_values=True)
        .legend(legend_below())
        .build()
    )


def alert_list(title: str, about: str) -> dashboard.Panel:
    """The present state of the alert rules; the SDK has no builder for this panel."""
    return (
        sdk.Panel()
        .type("alertlist")
        .title(title)
        .description(about)
        .options(
            {
                "viewMode": "list",
                "groupMode": "default",
                "sortOrder": 3,
                "maxItems": 20,
                "dashboardAlerts": False,
                "alertInstanceLabelFilter": "",
                "alertName": "",
                "folder": {"title": FOLDER, "uid": FOLDER_UID},
                "stateFilter": {
                    "firing": True,
                    "pending": True,
                    "noData": True,
                    "normal": True,
                    "error": True,
                    "recovering": True,
                },
            }
        )
        .build()
    )


def _cell(column: Column) -> list[Property]:
    properties = [Property("displayName", column.name), Property("unit", column.unit)]
    if column.width:
        properties.append(Property("custom.width", column.width))
    if column.link:
        properties.append(Property("links", [{"title": f"Open {column.name}", "url": column.link}]))
    if column.colours is not None:
        properties += [
            Property("thresholds", column.colours.build()),
            Property("custom.cellOptions", {"type": "color-text"}),
            Property("color", {"mode": "thresholds"}),
        ]
    return properties
