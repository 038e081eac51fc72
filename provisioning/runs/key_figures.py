"""The key figures of a run and the auditor's verdict, as about twenty lines of plain text."""

import textwrap
from collections.abc import Iterable, Mapping
from math import isnan
from typing import Final

from gridfleet.broker.errors import printable
from gridfleet.dashboards.recording.events import SUSPENDED
from gridfleet.dashboards.recording.recording import BREACHES, FINISHED_KEY
from gridfleet.dashboards.reports.metrics import METRICS, STORAGE_METRICS, metric_values, number_text
from gridfleet.dashboards.reports.summary import summarise
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import EventRow, Invariant
from gridfleet.provisioning.cli.terminal import coloured

GROUPS: Final = {
    "Energy": (
        "sold_kwh",
        "generated_kwh",
        "curtailed_kwh",
        "reactor_kwh",
        "reactor_share",
        "charger_stored_end_kwh",
        "unserved_consumers_kwh",
        "self_consumption",
    ),
    "Storages": ("storage_bought_kwh", "storage_sold_kwh", "storage_loss_kwh", "storage_stored_end_kwh"),
    "Prices": ("mean_price", "marginal_price", "lowest_price", "paid_eur", "welfare_gap"),
    "Charging": (
        "accepted_offers",
        "accepted_price",
        "accepted_distance_km",
        "reservations_charged",
        "reservations_failed",
        "stranded_vehicles",
        "waiting_min",
        "port_utilisation",
    ),
    "Traffic": ("trades", "messages"),
}
_METRIC: Final = {metric.name: metric for metric in (*METRICS, *STORAGE_METRICS)}
_GROUP_WIDTH: Final = 10
_LINE: Final = 100
_MAX_SUSPENDED: Final = 8
_TITLE_WIDTH: Final = max(len(_METRIC[name].title) for names in GROUPS.values() for name in names) + 2


def key_figures(store: Store) -> str:
    """Return the key figures of a run, one per line with its unit."""
    summary, found = summarise(store), metric_values(store)
    devices = sum(summary["counts"]["agents"].values())
    head = f"{printable(summary['scenario'])}, seed {summary['seed']}: {count_text(summary['ticks'], 'tick')}"
    lines = [
        coloured(f"{head}, {count_text(devices, 'device')} in {count_text(summary['cells'], 'cell')}", "bold")
    ]
    for group, names in GROUPS.items():
        for row, name in enumerate(name for name in names if name in found):
            metric = _METRIC[name]
            number = number_text(found[name], metric.places).replace("\u202f", " ")
            unit = "" if isnan(found[name]) else metric.unit
            title = f"{metric.title:<{_TITLE_WIDTH}}"
            lines.append(f"{'' if row else group:<{_GROUP_WIDTH}}{title}{number:>10} {unit}".rstrip())
    lines += suspension_lines(store.events())
    finished = bool(store.meta(FINISHED_KEY, default=False))
    return "\n".join(
        [*lines, *verdict_lines(store.invariants(), store.meta(BREACHES, {}), finished=finished)]
    )


def suspension_lines(events: Iterable[EventRow]) -> list[str]:
    """Return the last suspension of each device in a run, and for what; nothing where there were none."""
    found = {event.subject: event.text for event in events if event.kind == SUSPENDED}
    texts = [
        textwrap.shorten(printable(found[device]), _LINE - _GROUP_WIDTH, placeholder=" …")
        for device in sorted(found)
    ]
    more = len(texts) - _MAX_SUSPENDED
    if more > 0:
        texts[_MAX_SUSPENDED:] = [f"and {more} more: the report lists the events"]
    heads = ["Suspended", *[""] * len(texts)]
    return [f"{head:<{_GROUP_WIDTH}}{text}" for head, text in zip(heads, texts, strict=False)]


def verdict_lines(
    invariants: list[Invariant], breaches: Mapping[str, list[str]], *, finished: bool
) -> list[str]:
    """Return the auditor's verdict: the invariants that hold, then each breached one with an example."""
    if not invariants:
        why = "no auditor checked this run" if finished else "not yet: the run has not ended"
        return [f"{'Checks':<{_GROUP_WIDTH}}{coloured(why, 'yellow')}"]
    holding = [found for found in invariants if found.holds and found.checked]
    idle = [found for found in invariants if not found.checked]
    lines = []
    if holding:
        names = ", ".join(found.name for found in holding)
        made = count_text(sum(found.checked for found in holding), "check")
        how_many = "all " if len(holding) == len(invariants) else ""
        holds = "holds" if len(holding) == 1 else "hold"
        text = f"{how_many}{len(holding)} {holds} in {made}: {names}"
        if idle:
            text += f"; nothing to check for {', '.join(found.name for found in idle)}"
        lines = textwrap.wrap(text, _LINE - _GROUP_WIDTH)
        lines[0] = lines[0].replace(holds, coloured(holds, "green"), 1)
    for found in invariants:
        if not found.holds:
            of = f"{found.breaches} of {count_text(found.checked, 'check')}"
            lines.append(f"{coloured('BREACHED', 'red')} {found.name}, in {of}: {found.what}")
            lines += [f"  {printable(example)}" for example in breaches.get(found.name, [])[:1]]
    heads = ["Checks", *[""] * len(lines)]
    return [f"{head:<{_GROUP_WIDTH}}{line}" for head, line in zip(heads, lines, strict=False)]


def count_text(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")
