"""The list of all pages, and their form as JSON."""

from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.dashboards.grafana.pages.charging import charging
from gridfleet.dashboards.grafana.pages.comparison import comparison
from gridfleet.dashboards.grafana.pages.device import device
from gridfleet.dashboards.grafana.pages.health import health
from gridfleet.dashboards.grafana.pages.market import market
from gridfleet.dashboards.grafana.pages.overview import overview


def pages() -> list[Dashboard]:
    """Return every page."""
    return [overview(), market(), charging(), device(), health(), comparison()]


def as_json(page: Dashboard) -> str:
    """Return a page as JSON, one value per line so that diffs are readable."""
    plain = parse_json(json_text(page, cls=JSONEncoder))
    _tidy(plain)
    return json_text(plain, indent=2, ensure_ascii=False) + "\n"


def _tidy(page: dict[str, Any]) -> None:
    """Remove keys that the SDK adds but this version of Grafana does not use."""
    for shown in (*page["links"], *page["annotations"]["list"], *_panel_links(page)):
        shown.pop("placement", None)
    for variable in page["templating"]["list"]:
        for name in ("auto", "auto_min", "auto_count"):
            variable.pop(name, None)
    for panel in page["panels"]:
        if panel["type"] == "table":
            del panel["options"]["footer"]


def _panel_links(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [link for panel in page["panels"] for link in panel.get("links", ())]
