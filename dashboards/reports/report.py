"""Write the report of a run: one HTML page that opens offline, and where asked for a PNG of each figure.

Text of a device or a scenario is never markup: `html.escape` escapes it here or in
`gridfleet.dashboards.reports.html_page`, and matplotlib escapes it in an SVG.
"""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Final

from gridfleet.broker.protocol.units import WH_PER_KWH
from gridfleet.broker.simulated_time import minute_text
from gridfleet.broker.storage.replacing import replacing
from gridfleet.dashboards.console.history.replay_link import replay_link
from gridfleet.dashboards.kind_names import plural, singular
from gridfleet.dashboards.plots.catalog import plots_of, render_all
from gridfleet.dashboards.recording.events import SITE, SUSPENDED
from gridfleet.dashboards.reports.html_page import document, facts_list, figure_html, table
from gridfleet.dashboards.reports.metrics import metric_values, metrics_of, number_text, page_unit
from gridfleet.dashboards.reports.own_figures import own_figures_html
from gridfleet.dashboards.reports.run_segments import run_segments
from gridfleet.dashboards.reports.summary import summarise
from gridfleet.dashboards.reports.summary_text import summary_sentences
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import Invariant

MAX_CELLS: Final = 30
MAX_EVENTS: Final = 40
FILES: Final = ("ticks.csv", "ledger.csv", "reservations.csv", "agents.csv", "summary.json")

_REPLAY: Final = (
    "<p>While <code>gridfleet replay FOLDER</code> shows this run, with the folder of this report, a time leads "
    "to its tick there.</p>"
)
_SPAN: Final = "SELECT min(simulated_ms), max(simulated_ms), max(tick) FROM ticks"
_DEVICES: Final = (
    "SELECT role, kind, count(DISTINCT agent) FROM agents GROUP BY role, kind ORDER BY role, kind"
)
_CELLS: Final = (
    "SELECT cell, sum(sold_wh), sum(generated_wh), sum(reactor_wh), sum(imported_wh), sum(exported_wh), "
    "sum(curtailed_wh) FROM ticks GROUP BY cell ORDER BY sum(sold_wh) DESC, cell"
)


def write_report(
    store: Store,
    directory: Path,
    *,
    png: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Path:
    """Write report.html into a directory, and with `png` plots/<name>.png; return the page's path.

    PNG files take as long as the page: it has the figures as SVG. `on_progress` is called with how much of it is done,
    from 0 to 1.
    """
    plots = directory / "plots" if png else None
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
    pictures = render_all(store, plots, on_progress)
    path = directory / "report.html"
    with replacing(path) as file:
        file.write(report_html(store, pictures, png=png))
    return path


def report_html(store: Store, pictures: dict[str, str], *, png: bool = False) -> str:
    """Return the page, given each figure's SVG by its name; with `png` it links to the PNG files."""
    facts = store.facts()
    title = facts.title or facts.scenario
    parts = [
        f'<header><p class="over">GridFleet · run report</p><h1>{escape(title)}</h1></header>',
        f'<p class="lead">{escape(" ".join(summary_sentences(store)))}</p>',
        _facts(store),
        verdict_html(store.invariants()),
        _suspensions(store),
        _segments(store),
        "<h2>Key figures</h2>",
        _key_figures(store),
        own_figures_html(store),
        _cells(store),
        _events(store),
        "<h2>Figures</h2>",
        *(
            figure_html(
                pictures[plot.name],
                plot.title,
                (("", plot.shows), ("Unit:", plot.unit), ("Source:", plot.source)),
                "map" if plot.name == "map" else "",
            )
            for plot in plots_of(store)
            if plot.name in pictures
        ),
        _footer(facts.version, png=png),
    ]
    return document(f"{title} – GridFleet", "\n".join(part for part in parts if part))


def verdict_html(invariants: list[Invariant]) -> str:
    """Return the auditor's verdict and each invariant; words and signs repeat the meaning of the colours."""
    if not invariants:
        return '<section class="verdict open"><p>This run was not audited.</p></section>'
    checks = number_text(sum(invariant.checked for invariant in invariants), 0)
    broken = sum(not invariant.holds for invariant in invariants)
    if broken:
        head = f"✗ {broken} of {len(invariants)} invariants breached in {checks} checks."
    elif idle := sum(not invariant.checked for invariant in invariants):
        head = f"✓ {len(invariants) - idle} invariants hold in {checks} checks; {idle} had nothing to check."
    else:
        head = f"✓ All {len(invariants)} invariants hold in {checks} checks."
    items = "".join(
        f'<li class="{"good" if found.holds else "bad"}"><i>{"✓" if found.holds else "✗"}</i>'
        f"<b>{escape(found.name)}</b>: {escape(found.what)} <small>{number_text(found.checked, 0)} checks, "
        f"{number_text(found.breaches, 0)} breaches</small></li>"
        for found in invariants
    )
    look = "bad" if broken else "good"
    fold = "open" if broken else ""
    inner = f"<details {fold}><summary>{head}</summary><ul>{items}</ul></details>"
    return f'<section class="verdict {look}">{inner}</section>'


def _facts(store: Store) -> str:
    """Return the facts of the run: scenario, ticks, simulated time, devices."""
    facts, summary = store.facts(), summarise(store)
    ((begin_ms, end_ms, last_tick),) = store.select(_SPAN)
    rows = [("Scenario", facts.scenario), ("Seed", str(facts.seed)), ("Version", facts.version or "–")]
    rows.append(("Ticks", f"{summary['ticks']} of {facts.tick_ms / 60_000:g} min"))
    if begin_ms is not None:
        rows.append(("From", minute_text(begin_ms)))
        rows.append((f"To the end of tick {last_tick}", minute_text(end_ms + facts.tick_ms)))
    rows.append(("Cells", str(summary["cells"])))
    rows.extend((_devices(role, kind), number_text(count, 0)) for role, kind, count in store.select(_DEVICES))
    return facts_list(rows)


def _devices(role: str, kind: str) -> str:
    """Return a kind in the plural with its role, which is left out where it says the same."""
    name = plural(kind).capitalize()
    return name if role == kind else f"{name} ({singular(role)})"


def _key_figures(store: Store) -> str:
    found = metric_values(store)
    rows = [
        (m.title, number_text(found[m.name], m.places), page_unit(m.unit), m.source)
        for m in metrics_of(found)
    ]
    return table(("Figure", "Value", "Unit", "Source"), rows, numbers=(1,), kind="key")


def _segments(store: Store) -> str:
    """Return a table of the segments of a run, where its settings changed."""
    rows = [
        (
            f"{each.title}\n{_span_text(each.begin_ms, each.end_ms)}",
            number_text(each.generated_kw, 0),
            number_text(each.demand_kw, 0),
            _share(each.curtailed_share),
            "–" if each.price_eur_per_kwh is None else number_text(each.price_eur_per_kwh, 2),
            _share(each.reactor_share),
            number_text(each.stored_kwh, 0),
        )
        for each in run_segments(store)
    ]
    if not rows:
        return ""
    heads = (
        "Segment", "Generation, kW", "Demand, kW", "Curtailed, %", "Price, €/kWh", "Reactor, %",
        "Stored at the end, kWh",
    )  # fmt: skip
    source = (
        "Means over each segment, prices weighted by energy; the reactor's share is of the energy bought. "
        "Source: ticks.csv. A segment begins with an event that is listed below."
    )
    return f"<h2>Segments of the run</h2>\n<p>{source}</p>" + table(heads, rows, numbers=range(1, 7))


def _span_text(begin_ms: int, end_ms: int) -> str:
    """Return a span of simulated time as text, with the date of the end only where it differs."""
    begin, end = minute_text(begin_ms), minute_text(end_ms)
    day, _, _ = begin.partition(" ")
    return f"{begin} to {end.removeprefix(day).lstrip()}"


def _share(share: float | None) -> str:
    return "–" if share is None else number_text(100 * share, 1)


def _cells(store: Store) -> str:
    """Return a table of the cells, the largest first, where there are several; the smallest of many are summed."""
    cells = list(store.select(_CELLS))
    if len(cells) < 2:
        return ""
    heads = ("Cell", "Bought", "Generated", "Reactor", "Imported", "Exported", "Curtailed")
    shown = [(cell[0], *(number_text(wh / WH_PER_KWH, 1) for wh in cell[1:])) for cell in cells[:MAX_CELLS]]
    rest = [sum(column) for column in zip(*(cell[1:] for cell in cells[MAX_CELLS:]), strict=True)]
    if rest:
        shown.append((f"{len(cells) - MAX_CELLS} others", *(number_text(wh / WH_PER_KWH, 1) for wh in rest)))
    return "<h2>Cells</h2>\n<p>Energy in kWh.</p>" + table(heads, shown, numbers=range(1, 7))


def _events(store: Store) -> str:
    events = list(store.events())
    if not events:
        return ""
    rows = [
        (minute_text(event.simulated_ms), event.kind, event.subject, event.text)
        for event in events[:MAX_EVENTS]
    ]
    links = [replay_link(event.tick, _device(event.subject)) for event in events[:MAX_EVENTS]]
    more = f"<p>… and {len(events) - MAX_EVENTS} more.</p>" if len(events) > MAX_EVENTS else ""
    heads = ("Simulated time", "Event", "Subject", "Description")
    return f"<h2>Events</h2>\n{_REPLAY}\n" + table(heads, rows, links=links) + more


def _device(subject: str) -> str | None:
    return None if subject == SITE else subject


def _suspensions(store: Store) -> str:
    """Return a table of the devices that were suspended, each with its last suspension; nothing without any."""
    last = {event.subject: event for event in store.events() if event.kind == SUSPENDED}
    if not last:
        return ""
    rows = [(device, minute_text(last[device].simulated_ms), last[device].text) for device in sorted(last)]
    more = f"<p>… and {len(rows) - MAX_EVENTS} more.</p>" if len(rows) > MAX_EVENTS else ""
    heads = ("Device", "Simulated time", "For what, and the evidence")
    what = (
        "<p>Nobody dealt with these devices for a time: the auditor found a provable lie, or an operator "
        "suspended them. The last suspension of each:</p>"
    )
    links = [replay_link(last[device].tick, device) for device in sorted(last)]
    return "<h2>Suspended devices</h2>\n" + what + table(heads, rows[:MAX_EVENTS], links=links) + more


def _footer(version: str, *, png: bool) -> str:
    links = ", ".join(f'<a href="{name}">{name}</a>' for name in FILES)
    pictures = '; each plot as PNG in <a href="plots/">plots/</a>' if png else ""
    return (
        f"<footer>GridFleet {escape(version)}. The same figures as files: {links}{pictures}. "
        "Map outline: Natural Earth, public domain.</footer>"
    )
