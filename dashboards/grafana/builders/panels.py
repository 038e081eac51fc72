"""Panels of curves and of single figures, each with a title, a description, a unit and its queries."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as sdk
from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import timeseries as series_panel
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Property

from gridfleet.dashboards.grafana.builders.flux import Flux
from gridfleet.dashboards.grafana.builders.query import DATASOURCE, Query
from gridfleet.dashboards.grafana.builders.theme import UNCOLOURED, colour

MIN_INTERVAL: Final = "15m"
"""The smallest interval between two points of simulated time."""
NO_DATA: Final = "no data in the time range shown"


class FieldStyle(NamedTuple):
    """How a field is shown: its name, the quantity whose colour it has, and whether it is a line beside a stack."""

    field: str
    name: str
    quantity: str
    unstacked: bool = False
    unit: str = ""


class _Common(Protocol):
    """The methods that all panel builders of the SDK have."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: common.DataSourceRef) -> Self: ...
    def with_target(self, target: Builder[Dataquery]) -> Self: ...
    def no_value(self, no_value: str) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def override_by_name(self, name: str, properties: list[Property]) -> Self: ...


P = TypeVar("P", bound=_Common)


def timeseries(  # noqa: PLR0913 - a panel has many settings
    title: str,
    description: str,
    unit: str,
    *queries: Flux,
    fields: Sequence[FieldStyle] = (),
    shades_of: str = "",
    stack: bool = False,
    bars: bool = False,
    thresholds: sdk.ThresholdsConfig | None = None,
    interval: str = MIN_INTERVAL,
    soft_min: float | None = None,
    empty: str = NO_DATA,
) -> dashboard.Panel:
    """Curves over time: `fields` for known fields, else all in shades of one colour."""
    panel = (
        configure(series_panel.Panel(), title, description, unit, queries, empty)
        .interval(interval)
        .legend(legend_below())
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
    if soft_min is not None:
        panel.axis_soft_min(soft_min)
    if thresholds is not None:
        panel.thresholds(thresholds).thresholds_style(
            parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    if shades_of:
        panel.color_scheme(
            sdk.FieldColor().mode(dashboard.FieldColorModeId.SHADES).fixed_color(colour(shades_of))
        )
    for style in fields:
        panel.override_by_name(style.field, overrides_of(style))
    return panel.build()


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: Flux,
    thresholds: sdk.ThresholdsConfig = UNCOLOURED,
    fields: Sequence[FieldStyle] = (),
    empty: str = "–",
    decimals: int | None = None,
) -> dashboard.Panel:
    """One number, or a few: the last value of each field, coloured by thresholds."""
    panel = (
        configure(stat_panel.Panel(), title, description, unit, queries, empty)
        .interval(MIN_INTERVAL)
        .thresholds(thresholds)
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME if fields else common.BigValueTextMode.VALUE)
        .reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False).fields(""))
    )
    if decimals is not None:
        panel.decimals(decimals)
    for style in fields:
        panel.override_by_name(style.field, overrides_of(style))
    return panel.build()


def text_stat(
    title: str, description: str, *queries: Flux, field: str, unit: str = "none"
) -> dashboard.Panel:
    """The last text, or time, of a field of a table."""
    return (
        configure(stat_panel.Panel(), title, description, unit, queries, "–")
        .thresholds(UNCOLOURED)
        .color_mode(common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .reduce_options(
            parts.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False).fields(f"/^{field}$/")
        )
        .build()
    )


def configure(panel: P, title: str, description: str, unit: str, queries: Iterable[Flux], empty: str) -> P:
    """Set the properties that every panel has."""
    panel.title(title).description(description).datasource(DATASOURCE).unit(unit).no_value(empty)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(Query(letter, query))
    return panel


def overrides_of(style: FieldStyle) -> list[Property]:
    """Return how a field is shown, as overrides."""
    properties = [
        Property("displayName", style.name),
        Property("color", {"mode": "fixed", "fixedColor": colour(style.quantity)}),
    ]
    if style.unit:
        properties.append(Property("unit", style.unit))
    if style.unstacked:
        properties += [
            Property("custom.stacking", {"mode": "none", "group": "A"}),
            Property("custom.fillOpacity", 0),
            Property("custom.lineWidth", 2),
        ]
    return properties


def legend_below() -> parts.VizLegendOptions:
    """Return a legend in a line below the panel."""
    return (
        parts.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs([])
    )
