"""The report's section on the figures that kinds of device report of their own."""

import math
from typing import Final

from gridfleet.dashboards.kind_names import plural
from gridfleet.dashboards.reports.html_page import table
from gridfleet.dashboards.reports.metrics import number_text
from gridfleet.dashboards.store.database import Store

MAX_ROWS: Final = 100
DIGITS: Final = 4
SMALLEST_EXPONENT: Final = -3
LARGEST_EXPONENT: Final = 12
"""Numbers beyond these powers of ten are written as 1e-07."""
_FOUND: Final = (
    "SELECT kind, figures.name, coalesce(unit, ''), coalesce(description, ''), count(DISTINCT agent), min(value), "
    "avg(value), max(value) FROM figures "
    "JOIN (SELECT agent, max(kind) AS kind FROM agents GROUP BY agent) USING (agent) "
    "LEFT JOIN figure_meanings USING (kind, name) GROUP BY kind, figures.name ORDER BY kind, figures.name"
)


def own_figures_html(store: Store) -> str:
    """Return the section: each figure of each kind with unit, description, and its values over the run."""
    found = list(store.select(_FOUND))
    if not found:
        return ""
    rows = [
        (plural(kind), name, unit, description, number_text(devices, 0), *map(significant_text, values))
        for kind, name, unit, description, devices, *values in found[:MAX_ROWS]
    ]
    heads = ("Kind", "Figure", "Unit", "Description", "Devices", "Minimum", "Mean", "Maximum")
    more = f"<p>… and {len(found) - MAX_ROWS} more.</p>" if len(found) > MAX_ROWS else ""
    note = "<p>Over the devices of the kind and the ticks of the run. Source: agents.csv, run.sqlite.</p>"
    title = "<h2>Figures that devices report of their own</h2>"
    return f"{title}\n{note}" + table(heads, rows, numbers=range(4, 8)) + more


def significant_text(value: float) -> str:
    """Return a number with four significant digits, as pages write it.

    >>> significant_text(20.53333), significant_text(3.0), significant_text(1e-7), significant_text(1234567.0)
    ('20.53', '3', '1e-07', '1\u202f234\u202f567')
    """
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not SMALLEST_EXPONENT <= exponent <= LARGEST_EXPONENT:
        return f"{value:.{DIGITS}g}".replace("-", "−", 1) if value < 0 else f"{value:.{DIGITS}g}"
    text = number_text(value, max(0, DIGITS - 1 - exponent))
    return text.rstrip("0").rstrip(".") if "." in text else text
