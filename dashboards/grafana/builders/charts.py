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
from gridfleet.dashboards.grafana.builders.panels import (
    MIN_INTERVAL,
    NO_DATA,
    FieldStyle,
    configure,
    legend_below,
    overrides_of,
)
from gridfleet.dashboards.grafana.builders.theme import UNCOLOURED, colour
from gridfleet.dashboards.grafana.names import FOLDER, FOLDER_UID


class Column(NamedTuple):
    """A table's column: field, shown name, unit, width in pixels, and the link that a click opens."""

    field: str
    name: str
    unit: str = "none"
    width: int = 0
    link: str = ""
    thresholds: sdk.ThresholdsConfig | None = None


def bar_chart(
    title: str,
    description: str,
    unit: str,
    query: Flux,
    *,
    x_field: str,
    fields: Iterable[FieldStyle],
    empty: str = NO_DATA,
) -> dashboard.Panel:
    """Bars side by side, one for each row; `x_field` is the column that names the rows."""
    panel = (
        configure(barchart.Panel(), title, description, unit, (query,), empty)
        .x_field(x_field)
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
    for style in fields:
        panel.override_by_name(style.field, overrides_of(style))
    return panel.build()


def bar_gauge(
    title: str,
    description: str,
    unit: str,
    *queries: Flux,
    thresholds: sdk.ThresholdsConfig = UNCOLOURED,
    quantity: str = "",
    empty: str = NO_DATA,
) -> dashboard.Panel:
    """A horizontal bar for each row of tables with the columns `name` and `value`."""
    panel = (
        configure(bargauge.Panel(), title, description, unit, queries, empty)
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .show_unfilled(show_unfilled=True)
        .min(0)
        .thresholds(thresholds)
        .reduce_options(
            parts.ReduceDataOptions().calcs(["lastNotNull"]).values(values=True).limit(40).fields("")
        )
    )
    if quantity:
        panel.color_scheme(
            sdk.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(colour(quantity))
        )
    return panel.build()


def table(
    title: str,
    description: str,
    query: Flux,
    *,
    columns: Iterable[Column],
    empty: str = NO_DATA,
) -> dashboard.Panel:
    """A table; a column may link to another page."""
    panel = (
        configure(table_panel.Panel(), title, description, "none", (query,), empty)
        .cell_height(common.TableCellHeight.SM)
        .thresholds(UNCOLOURED)
        .filterable(filterable=True)
    )
    for column in columns:
        panel.override_by_name(column.field, _cell(column))
    return panel.build()


def state_timeline(
    title: str,
    description: str,
    *queries: Flux,
    state_colours: Iterable[tuple[str, str]],
    empty: str = NO_DATA,
) -> dashboard.Panel:
    """A band for each series with its state over time; `state_colours` are the states and their colours."""
    mapping = dashboard.ValueMap(
        {
            word: dashboard.ValueMappingResult(text=word, color=colour, index=index)
            for index, (word, colour) in enumerate(state_colours)
        }
    )
    return (
        configure(statetimeline.Panel(), title, description, "none", queries, empty)
        .interval(MIN_INTERVAL)
        .mappings([mapping])
        .show_value(common.VisibilityMode.AUTO)
        .row_height(0.8)
        .merge_values(merge_values=True)
        .legend(legend_below())
        .build()
    )


def alert_list(title: str, description: str) -> dashboard.Panel:
    """The present state of the alert rules; the SDK has no builder for this panel."""
    return (
        sdk.Panel()
        .type("alertlist")
        .title(title)
        .description(description)
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
    if column.thresholds is not None:
        properties += [
            Property("thresholds", column.thresholds.build()),
            Property("custom.cellOptions", {"type": "color-text"}),
            Property("color", {"mode": "thresholds"}),
        ]
    return properties
