"""The segments of a run in which settings changed."""

import pytest

from gridfleet.dashboards.plots.catalog import PLOTS
from gridfleet.dashboards.reports.report import report_html
from gridfleet.dashboards.reports.run_segments import run_segments
from tests.dashboards.runs import message_log, record


def test_a_run_without_changes_has_no_segments() -> None:
    with record(message_log(ticks=8)) as store:
        assert run_segments(store) == []


def test_a_storm_divides_a_run_into_three_that_add_up_to_it() -> None:
    with record(message_log("storm", ticks=64)) as store:
        found = run_segments(store)
        assert [each.title for each in found] == [
            "Start of the scenario",
            "Gale",
            "Storm damage: turbines off",
        ]
        assert [each.end_ms for each in found[:-1]] == [each.begin_ms for each in found[1:]]
        before, gale, after = found
        assert gale.generated_kw > before.generated_kw > after.generated_kw == 0
        assert after.reactor_share == 1.0
        assert after.curtailed_share is None
        hours = [(each.end_ms - each.begin_ms) / 3_600_000 for each in found]
        assert sum(hours) == 16
        rows = list(store.ticks())
        generated_kwh = sum(each.generated_kw * length for each, length in zip(found, hours, strict=True))
        assert generated_kwh == pytest.approx(sum(row.generated_wh for row in rows) / 1000)
        assert after.stored_kwh == rows[-1].charger_stored_wh / 1000


def test_the_page_shows_the_segments_with_units_and_source() -> None:
    with record(message_log("storm", ticks=64)) as store:
        page = report_html(store, {plot.name: "" for plot in PLOTS})
    for words in ("Segments of the run", "Storm damage: turbines off", "Price, €/kWh", "Source: ticks.csv"):
        assert words in page
