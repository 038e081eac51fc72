"""The kinds of panel our pages are made of, each with a title, a sentence on what it tells, a unit and its queries."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    statetimeline,
)
from grafana_foundation_sdk.builders import (
    common as parts,
)
from grafana_foundation_sdk.builders import (
    dashboard as sdk,
)
from grafana_foundation_sdk.builders import (
    stat as stat_panel,
)
from grafana_foundation_sdk.builders import (
    table as table_panel,
)
from grafana_foundation_sdk.builders import (
    text as text_panel,
)
from grafana_foundation_sdk.builders import (
    timeseries as series_panel,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Property
from grafana_foundation_sdk.models.text import TextMode

from dashboards.grafana.flux import Flux
from dashboards.grafana.paint import PLAIN, tone
from dashboards.grafana.query import DATASOURCE, Query

TICK: Final = "15m"
"""No point of simulated time is nearer to the next."""
NOTHING: Final = "nothing in the time shown"


class Line(NamedTuple):
    """How a field is shown: the name for people, the meaning its colour has, and whether drawn as a plain line."""

    field: str
    name: str
    meaning: str
    unstacked: bool = False
    unit: str = ""


class Column(NamedTuple):
    """A table's column: the name for people, the unit, its width in pixels and where a click on it leads."""

    field: str
    name: str
    unit: str = "none"
    width: int = 0
    link: str = ""
    colours: sdk.ThresholdsConfig | None = None


class _Common(Protocol):
    """What every panel builder of the SDK can do."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: common.DataSourceRef) -> Self: ...
    def with_target(self, target: Builder[Dataquery]) -> Self: ...
    def no_value(self, no_value: str) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def override_by_name(self, name: str, properties: list[Property]) -> Self: ...


P = TypeVar("P", bound=_Common)


def timeseries(  # noqa: PLR0913 - a panel says much
    title: str,
    about: str,
    unit: str,
    *queries: Flux,
    lines: Sequence[Line] = (),
    shades_of: str = "",
    stack: bool = False,
    bars: bool = False,
    colours: sdk.ThresholdsConfig | None = None,
    step: str = TICK,
    floor: float | None = None,
    empty: str = NOTHING,
) -> dashboard.Panel:
    """Curves over time: `lines` for known fields, else all in shades of the colour of one meaning."""
    panel = (
        _begin(series_panel.Panel(), title, about, unit, queries, empty)
        .interval(step)
        .legend(_legend())
        .tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.NONE))
        .line_width(1)
        .fill_opacity(75 if stack or bars else 10)
        .show_points(common.VisibilityMode.NEVER)
        .line_interpolation(common.LineInterpolation.STEP_AFTER)
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .span_nulls(1_800_000)
    )
    if stack:
        panel.stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if floor is not None:
        panel.axis_soft_min(floor)
    if colours is not None:
        panel.thresholds(colours).thresholds_style(
            parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    if shades_of:
        panel.color_scheme(
            sdk.FieldColor().mode(dashboard.FieldColorModeId.SHADES).fixed_color(tone(shades_of))
        )
    for line in lines:
        panel.override_by_name(line.field, _properties(line))
    return panel.build()


def stat(
    title: str,
    about: str,
    unit: str,
    *queries: Flux,
    colours: sdk.ThresholdsConfig = PLAIN,
    lines: Sequence[Line] = (),
    empty: str = "–",
    decimals: int | None = None,
) -> dashboard.Panel:
    """One number, or a few: the last value of each field, coloured by thresholds."""
    panel = (
        _begin(stat_panel.Panel(), title, about, unit, queries, empty)
        .interval(TICK)
        .thresholds(colours)
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME if lines else common.BigValueTextMode.VALUE)
        .reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False).fields(""))
    )
    if decimals is not None:
        panel.decimals(decimals)
    for line in lines:
        panel.override_by_name(line.field, _properties(line))
    return panel.build()


def words(title: str, about: str, *queries: Flux, field: str, unit: str = "none") -> dashboard.Panel:
    """The last word, or time, of a field of a table."""
    return (
        _begin(stat_panel.Panel(), title, about, unit, queries, "–")
        .thresholds(PLAIN)
        .color_mode(common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .reduce_options(
            parts.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False).fields(f"/^{field}$/")
        )
        .build()
    )


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
    """A bar for each row, side by side; `along` is the column that names the rows."""
    panel = (
        _begin(barchart.Panel(), title, about, unit, (query,), empty)
        .x_field(along)
        .orientation(common.VizOrientation.VERTICAL)
        .stacking(common.StackingMode.NONE)
        .show_value(common.VisibilityMode.NEVER)
        .group_width(0.8)
        .bar_width(0.95)
        .fill_opacity(80)
        .line_width(0)
        .x_tick_label_spacing(60)
        .legend(_legend())
        .tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.NONE))
    )
    for line in lines:
        panel.override_by_name(line.field, _properties(line))
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
        _begin(bargauge.Panel(), title, about, unit, queries, empty)
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
    """Rows, with the columns named; a column may lead to another page."""
    panel = (
        _begin(table_panel.Panel(), title, about, "none", (query,), empty)
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
    """A band for each series that tells its state over time; `words` are the states and their colours."""
    mapping = dashboard.ValueMap(
        {
            word: dashboard.ValueMappingResult(text=word, color=colour, index=index)
            for index, (word, colour) in enumerate(words)
        }
    )
    return (
        _begin(statetimeline.Panel(), title, about, "none", queries, empty)
        .interval(TICK)
        .mappings([mapping])
        .show_value(common.VisibilityMode.AUTO)
        .row_height(0.8)
        .merge_values(merge_values=True)
        .legend(_legend())
        .build()
    )


def note(title: str, markdown: str) -> dashboard.Panel:
    """Words for the reader of the page."""
    return text_panel.Panel().title(title).mode(TextMode.MARKDOWN).content(markdown).build()


def alarms(title: str, about: str) -> dashboard.Panel:
    """What Grafana's alert rules say now; the SDK has no builder for this panel."""
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
                "folder": {"title": "GridFleet", "uid": "gridfleet"},
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


def _begin(panel: P, title: str, about: str, unit: str, queries: Iterable[Flux], empty: str) -> P:
    panel.title(title).description(about).datasource(DATASOURCE).unit(unit).no_value(empty)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(Query(letter, query))
    return panel


def _properties(line: Line) -> list[Property]:
    properties = [
        Property("displayName", line.name),
        Property("color", {"mode": "fixed", "fixedColor": tone(line.meaning)}),
    ]
    if line.unit:
        properties.append(Property("unit", line.unit))
    if line.unstacked:
        properties += [
            Property("custom.stacking", {"mode": "none", "group": "A"}),
            Property("custom.fillOpacity", 0),
            Property("custom.lineWidth", 2),
        ]
    return properties


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


def _legend() -> parts.VizLegendOptions:
    return (
        parts.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs([])
    )
