"""The names of events above a plot: none over another, none beyond the axis, none lost without a word."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.catalog import plots_of
from gridfleet.dashboards.plots.event_labels import GAP, EventLabel, place_labels
from gridfleet.dashboards.plots.timeline import read_timeline
from gridfleet.dashboards.recording.recorder import Recorder
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import CellArea, EventRow, RunFacts
from tests.dashboards.runs import SMALL, message_log

WIDTH = 500.0


def span(label: EventLabel) -> tuple[float, float]:
    width = 4.0 * len(label.text)
    return (label.place - width, label.place) if label.side == "right" else (label.place, label.place + width)


@given(
    st.lists(st.tuples(st.floats(0, WIDTH), st.text("abc de", min_size=1, max_size=60)), max_size=30).map(
        lambda events: sorted(events, key=lambda event: event[0])
    )
)
def test_no_name_is_over_another_or_beyond_the_axis(events: list[tuple[float, str]]) -> None:
    labels = place_labels(events, WIDTH, lambda text: 4.0 * len(text))
    spans = [span(label) for label in labels]
    for (_, end), (begin, _) in pairwise(spans):
        assert begin - end >= GAP - 1e-6
    assert all(begin + 1e-6 >= 0 and end <= WIDTH + 1e-6 for begin, end in spans)
    assert bool(labels) == bool(events)


@pytest.mark.parametrize("hours", [(0, 1, 2, 3, 8, 8.5, 9.8, 9.9)])
def test_in_no_figure_names_of_events_overlap(hours: tuple[float, ...]) -> None:
    log = message_log("normal", SMALL, (), ticks=40)
    start_ms = log[0][0]
    with Store.create() as store:
        store.put_facts(RunFacts("normal", "A run", 1, "", start_ms, cells=(CellArea("germany"),)))
        recorder = Recorder(store)
        for message in log:
            recorder.receive(*message)
        recorder.finish()
        store.add_events(
            EventRow(
                round(4 * at),
                start_ms + round(at * 3_600_000),
                f"kind-{n}",
                "site",
                f"A long name of event {n}",
            )
            for n, at in enumerate(hours)
        )
        timeline = read_timeline(store)
        drawn = 0
        with style.house_style():
            for plot in plots_of(store):
                figure = plot.draw(timeline)
                names = [[text for text in axes.texts if "event" in text.get_text()] for axes in figure.axes]
                if any(names):
                    figure.draw_without_rendering()
                for texts in names:
                    boxes = [text.get_window_extent() for text in texts]
                    drawn += len(boxes)
                    for one, other in combinations(boxes, 2):
                        assert not one.overlaps(other), plot.name
                    assert all(box.x1 <= figure.bbox.x1 for box in boxes)
    assert drawn > 10
