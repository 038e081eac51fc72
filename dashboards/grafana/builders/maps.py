"""Maps of the devices' positions, each kind in its colour."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import geomap
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.geomap import TooltipMode

from gridfleet.dashboards.grafana.builders.flux import Flux
from gridfleet.dashboards.grafana.builders.query import DATASOURCE, Query
from gridfleet.dashboards.grafana.builders.theme import colour

COUNTRY_BORDERS: Final = (
    parts.MapLayerOptions()
    .type("geojson")
    .name("countries")
    .config(
        {
            "src": "public/maps/countries.geojson",
            "rules": [],
            "style": {"color": {"fixed": colour("grid")}, "opacity": 0.4, "lineWidth": 1},
        }
    )
    .tooltip(tooltip=False)
)
"""Part of Grafana: without the internet the map shows at least the borders."""
FIT_VIEW: Final = geomap.MapViewConfig().id("fit").lat(51).lon(10).zoom(6).all_layers(all_layers=True)
COORDINATES: Final = (
    parts.FrameGeometrySource()
    .mode(common.FrameGeometrySourceMode.COORDS)
    .latitude("latitude")
    .longitude("longitude")
)


class MarkerLayer(NamedTuple):
    """A layer of marks: its name, the query that gives `latitude` and `longitude`, its colour, and its sizes."""

    name: str
    query: Flux
    quantity: str
    pixels: float = 5
    sized_by: str = ""
    """A column from 0 to 1 that makes marks grow to twice the size."""


def device_map(
    title: str, description: str, layers: Iterable[MarkerLayer], *, path: Flux | None = None
) -> dashboard.Panel:
    """Return a map of marks, and of a path if given."""
    drawn: list[Builder[common.MapLayerOptions]] = [COUNTRY_BORDERS]
    panel = (
        geomap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .no_value("no device reported")
    )
    letters = iter("ABCDEFGH")
    for marks in layers:
        letter = next(letters)
        panel.with_target(Query(letter, marks.query))
        drawn.append(_layer("markers", marks.name, letter, {"style": _style(marks), "showLegend": False}))
    if path is not None:
        letter = next(letters)
        panel.with_target(Query(letter, path))
        style = {"color": {"fixed": colour("muted")}, "lineWidth": 2, "opacity": 0.8}
        drawn.insert(1, _layer("route", "path", letter, {"style": style, "arrow": 1}))
    return (
        panel.view(FIT_VIEW)
        .controls(
            geomap.ControlsOptions()
            .show_zoom(show_zoom=True)
            .mouse_wheel_zoom(mouse_wheel_zoom=True)
            .show_attribution(show_attribution=True)
            .show_scale(show_scale=True)
        )
        .basemap(parts.MapLayerOptions().type("default").name("land").config({}))
        .tooltip(geomap.TooltipOptions().mode(TooltipMode.DETAILS))
        .layers(drawn)
        .build()
    )


def _layer(kind: str, name: str, letter: str, config: dict[str, object]) -> parts.MapLayerOptions:
    return (
        parts.MapLayerOptions()
        .type(kind)
        .name(name)
        .config(config)
        .location(COORDINATES)
        .filter_data({"id": "byRefId", "options": letter})
        .tooltip(tooltip=True)
    )


def _style(marks: MarkerLayer) -> dict[str, object]:
    size: dict[str, object] = {"fixed": marks.pixels, "min": marks.pixels, "max": 2 * marks.pixels}
    if marks.sized_by:
        size["field"] = marks.sized_by
    return {
        "size": size,
        "color": {"fixed": colour(marks.quantity)},
        "opacity": 0.8,
        "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
    }
