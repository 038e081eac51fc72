"""Figures and pages: they render any run, escape what devices publish, and are equal to the byte."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gridfleet.dashboards.console.history.replay_link import REPLAY_ADDRESS
from gridfleet.dashboards.plots.catalog import PLOTS, render_all
from gridfleet.dashboards.plots.figures.batteries import charger_batteries
from gridfleet.dashboards.plots.figures.device_map import outline
from gridfleet.dashboards.plots.style import COLOURS, house_style
from gridfleet.dashboards.plots.timeline import MAX_BINS, read_timeline
from gridfleet.dashboards.reports.html_page import document
from gridfleet.dashboards.reports.metrics import METRICS, metric_values
from gridfleet.dashboards.reports.report import report_html, write_report
from gridfleet.dashboards.reports.summary_text import summary_sentences
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, CellArea, EventRow, Invariant, RunFacts
from tests.dashboards.synthetic import START_MS, TICK_MS, Fleet, build

ALWAYS = [plot for plot in PLOTS if not plot.rows]
"""The figures that every report has."""
HOSTILE = '<script>alert("x")</script>&$\\frac{1}$ 🔋\u202e'

FLEETS = {
    "empty": Fleet(ticks=0),
    "one tick": Fleet(ticks=1),
    "default": Fleet(),
    "bare": Fleet(ticks=5, turbines=0, chargers=0, vehicles=0),
    "crowd": Fleet(ticks=8, turbines=9, consumers=12, chargers=450, vehicles=450, cells=4),
    "long": Fleet(ticks=1_200, chargers=3, vehicles=2),
}


@pytest.mark.parametrize("name", FLEETS)
def test_every_figure_renders(name: str, tmp_path: Path) -> None:
    with build(FLEETS[name]) as store:
        pictures = render_all(store, tmp_path)
    assert list(pictures) == [plot.name for plot in ALWAYS]
    for plot in ALWAYS:
        assert (tmp_path / f"{plot.name}.png").read_bytes().startswith(b"\x89PNG")
        assert pictures[plot.name].startswith("<svg ")
        assert len(pictures[plot.name]) < 300_000


def test_a_few_chargers_have_a_panel_each() -> None:
    with build(Fleet(ticks=9, chargers=5)) as store, house_style():
        figure = charger_batteries(read_timeline(store))
    assert [axes.get_title(loc="left") for axes in figure.axes[:5]] == [
        f"charger-{number}" for number in range(5)
    ]


def test_every_plot_has_title_description_unit_and_source() -> None:
    assert len({plot.name for plot in PLOTS}) == len(PLOTS)
    assert all(plot.title and plot.shows and plot.unit and ".csv" in plot.source for plot in PLOTS)


def test_an_empty_store_has_a_report(tmp_path: Path) -> None:
    with Store.create() as store:
        text = write_report(store, tmp_path).read_text(encoding="utf-8")
    assert "No tick was recorded." in text
    assert "This run was not audited." in text


def test_ticks_of_long_runs_are_grouped_into_bins() -> None:
    with build(FLEETS["long"]) as store:
        timeline = read_timeline(store)
        assert timeline.step == 3
        assert timeline.bins <= MAX_BINS
        assert timeline.edges[-1] == 1_200 * TICK_MS / 3_600_000


def test_text_of_devices_is_not_markup(tmp_path: Path) -> None:
    with build(Fleet(ticks=3, cell_name=HOSTILE, title=HOSTILE, cells=2)) as store:
        store.put_facts(RunFacts(HOSTILE, HOSTILE, 1, HOSTILE, START_MS, cells=(CellArea(HOSTILE),)))
        store.add_events([EventRow(1, START_MS, HOSTILE, HOSTILE, HOSTILE)])
        store.add_agents(
            [AgentRow(2, HOSTILE, HOSTILE, role, 50.0, 9.0, 0.5, 1, 1) for role in ("producer", "charger")]
        )
        store.add_agents([AgentRow(2, HOSTILE + "2", HOSTILE, HOSTILE, 50.0, 9.0, 0.5, 1, 1)])
        cars = [car._replace(model=HOSTILE, status=HOSTILE) for car in store.vehicles()]
        store.add_vehicles(cars)
        store.add_reservations([r._replace(outcome=HOSTILE) for r in store.reservations()])
        store.put_invariants([Invariant(HOSTILE, HOSTILE, 1, 1)])
        text = write_report(store, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


class _Tags(HTMLParser):
    """Collects ids and references, and checks that tags are closed in order."""

    void = frozenset({"meta", "br", "img", "path", "use", "rect", "image", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.wanted: set[str] = set()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link that a reader may follow to the replay of the run loads nothing."""
        for name, value in attrs:
            text = value or ""
            if name == "id":
                self.ids.append(text)
            if name in ("href", "xlink:href", "src") and text.startswith("#"):
                self.wanted.add(text[1:])
            elif tag == "a" and text.startswith(f"{REPLAY_ADDRESS}#t="):
                continue
            elif name in ("href", "xlink:href", "src") and ":" in text and not text.startswith("data:"):
                self.outside.append(text)
            self.wanted.update(re.findall(r"url\(#([^)]+)\)", text))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


def test_the_page_is_complete_and_loads_no_other_file(tmp_path: Path) -> None:
    with build(Fleet(storm=(40, 60))) as store:
        path = write_report(store, tmp_path, png=True)
    text = path.read_text(encoding="utf-8")
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert tags.wanted <= set(tags.ids)
    assert tags.outside == []
    assert "@import" not in text
    assert path.stat().st_size < 3_000_000
    for plot in ALWAYS:
        assert plot.title in text
        assert plot.unit in text
        assert (tmp_path / "plots" / f"{plot.name}.png").is_file()
    for metric in METRICS:
        assert metric.title in text


def test_a_figure_is_laid_out_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Laying out costs as much as drawing, and a figure is drawn once for each file."""
    done: Counter[str] = Counter()

    def counted(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def call(*arguments: object) -> object:
            done[name] += 1
            return original(*arguments)

        monkeypatch.setattr(owner, name, call)

    counted(ConstrainedLayoutEngine, "execute")
    counted(Figure, "draw")
    with build(Fleet(ticks=12)) as store:
        render_all(store)
        assert done == {"execute": len(ALWAYS), "draw": len(ALWAYS)}
        render_all(store, tmp_path)
    assert done == {"execute": 2 * len(ALWAYS), "draw": 3 * len(ALWAYS)}


def test_figures_follow_the_page_from_light_to_dark() -> None:
    with build(Fleet(ticks=12)) as store:
        pictures = render_all(store)
    for picture in pictures.values():
        assert not [colour.light for colour in COLOURS.values() if colour.light in picture]
    assert "var(--wind)" in pictures["consumption-generation"]
    page = document("x", "")
    assert all(f"--{token}:{colour.dark};" in page for token, colour in COLOURS.items())


def test_a_breach_is_named_in_words() -> None:
    broken = (Invariant("energy", "in = out", 120, 0), Invariant("money", "paid = earned", 120, 2))
    with build(Fleet(ticks=2, invariants=broken)) as store:
        text = report_html(store, {plot.name: "" for plot in ALWAYS})
    assert "✗ 1 of 2 invariants breached in 240 checks." in text
    assert "<b>money</b>: paid = earned <small>120 checks, 2 breaches</small>" in text


def test_the_summary_is_three_sentences_from_the_data() -> None:
    with build(Fleet()) as store:
        sentences = summary_sentences(store)
        figures = metric_values(store)
    assert len(sentences) == 3
    assert sentences[0].startswith("In 30 hours of simulated time 57 devices in 1 cell traded 21.7 MWh for ")
    assert f"The reactor supplied {figures['reactor_share']:.1f}\u00a0%" in sentences[1]
    assert "buffers were full after" in sentences[2]


def test_without_wind_the_reactor_supplies_everything() -> None:
    with build(Fleet(wind=0, ticks=20)) as store:
        figures = metric_values(store)
        assert figures["reactor_share"] == 100
        assert figures["curtailed_kwh"] == 0
        assert "nothing was generated" in summary_sentences(store)[1]


def test_the_outline_is_germany() -> None:
    longitudes = [longitude for ring in outline() for longitude, _ in ring]
    latitudes = [latitude for ring in outline() for _, latitude in ring]
    assert (min(longitudes), max(longitudes)) == pytest.approx((5.87, 15.04), abs=0.05)
    assert (min(latitudes), max(latitudes)) == pytest.approx((47.27, 55.06), abs=0.05)


def test_matplotlibs_settings_are_restored() -> None:
    before = dict(mpl.rcParams)
    with house_style():
        assert mpl.rcParams["svg.hashsalt"] == "gridfleet"
    assert dict(mpl.rcParams) == before


WRITE_ALL = """
import sys
from pathlib import Path
from gridfleet.dashboards.reports.comparison import result_of, write_comparison
from gridfleet.dashboards.reports.export import write_exports
from gridfleet.dashboards.reports.report import write_report
from tests.dashboards.synthetic import Fleet, build
out = Path(sys.argv[1])
with build(Fleet(ticks=30, storm=(10, 20))) as store:
    write_exports(store, out)
    write_report(store, out, png=True)
    write_comparison({"a": [result_of(store)], "b": [result_of(store)]}, out, png=True)
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    running = []
    for seed, zone in (("1", "UTC"), ("4711", "Asia/Tokyo")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
        running.append(
            subprocess.Popen([sys.executable, "-c", WRITE_ALL, str(tmp_path / seed)], env=environment)
        )
    assert [process.wait() for process in running] == [0, 0]
    found = []
    for out in (tmp_path / "1", tmp_path / "4711"):
        files = sorted(path for path in out.rglob("*") if path.is_file())
        found.append({str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    of_the_comparison = {"compare.csv", "compare.html", "differences.csv", "runs.csv"}
    assert of_the_comparison <= set(found[0])
    assert len(found[0]) == 8 + 1 + len(ALWAYS) + 2 + len(of_the_comparison)
    assert found[0] == found[1]
