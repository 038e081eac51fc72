"""All pages, in the order a reader meets them."""

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.pages.charging import charging
from dashboards.grafana.pages.comparison import comparison
from dashboards.grafana.pages.device import device
from dashboards.grafana.pages.health import health
from dashboards.grafana.pages.market import market
from dashboards.grafana.pages.overview import overview


def pages() -> list[Dashboard]:
    """Return every page."""
    return [overview(), market(), charging(), device(), health(), comparison()]


def as_json(page: Dashboard) -> str:
    """Return a page as Grafana reads it, with a line for each value so that changes can be read."""
    return json.dumps(page, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
