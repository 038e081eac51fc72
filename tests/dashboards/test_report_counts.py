"""Key figures, figures and events of a report agree, and its events lead to the replay."""

import re
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from gridfleet.dashboards.console.assets import folder_file
from gridfleet.dashboards.plots.figures.charging import reservation_outcomes
from gridfleet.dashboards.plots.timeline import read_timeline
from gridfleet.dashboards.reports.metrics import metric_values
from gridfleet.dashboards.reports.report import report_html
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import CellArea, EventRow, ReservationRow, RunFacts, TickRow

START_MS = 1_748_822_400_000


def row(charger: str, call: int, outcome: str, *, accepted: bool) -> ReservationRow:
    at_ms = START_MS + 60_000
    ends_ms = at_ms if accepted and outcome != "open" else None
    return ReservationRow(
        "car-1",
        charger,
        call,
        at_ms,
        at_ms,
        at_ms if accepted else None,
        ends_ms,
        ends_ms,
        10,
        5,
        1.0,
        outcome,
    )


@pytest.fixture
def store() -> Store:
    made = Store.create()
    made.put_facts(RunFacts("normal", "A run", 1, "", START_MS, cells=(CellArea("germany"),)))
    made.add_ticks([TickRow(0, "germany", START_MS, 0, 0, 0, 0, 0, 0, 0, None, None, 0, 0)])
    made.add_reservations(
        [
            row("charger-1", 1, "charged", accepted=True),
            row(
                "charger-2", 1, "cancelled", accepted=True
            ),  # the same call accepted twice, as after a lost message
            row("charger-1", 2, "expired", accepted=False),
            row("charger-1", 3, "open", accepted=True),
            row("", 4, "unserved", accepted=False),
        ]
    )
    made.add_events([EventRow(0, START_MS, "offline", "charger-1", "charger-1 is offline")])
    return made


def rectangles(axes: Axes) -> list[Rectangle]:
    return [each for each in axes.patches if isinstance(each, Rectangle)]


def test_the_figure_of_reservations_has_the_counts_of_the_key_figures(store: Store) -> None:
    found = metric_values(store)
    steps, outcomes = (
        {
            label.get_text(): bar.get_width()
            for label, bar in zip(axes.get_yticklabels(), rectangles(axes), strict=True)
        }
        for axes in reservation_outcomes(read_timeline(store)).axes
    )
    assert steps["calls requested"] == 4
    assert steps["reservations accepted"] == found["accepted_offers"] == 3
    assert outcomes["charged"] == found["reservations_charged"] == 1
    others = sum(count for name, count in outcomes.items() if name not in {"charged", "open"})
    assert others == found["reservations_failed"] == 1
    assert sum(outcomes.values()) == found["accepted_offers"]


def test_an_event_leads_to_its_tick_in_the_replay(store: Store, tmp_path: Path) -> None:
    page = report_html(store, {})
    [link] = re.findall(r'href="(http[^"]+)"', page)
    assert link == "http://127.0.0.1:8470/#t=1&amp;device=charger-1"
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    served = folder_file(tmp_path, "report.html")
    assert served is not None
    assert b'href="../#t=1&amp;device=charger-1"' in served.body
    assert b"http://127.0.0.1" not in served.body
