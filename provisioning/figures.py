"""The end of a run in some twenty lines of plain text: key figures, and what the auditor found."""

from math import isnan
from typing import Final

from dashboards.metrics import METRICS, figures_of, number_text
from dashboards.rows import Invariant
from dashboards.store import Store
from dashboards.summary import summarise
from provisioning.terminal import paint

GROUPS: Final = {
    "Energy": (
        "sold_kwh",
        "generated_kwh",
        "curtailed_kwh",
        "reactor_kwh",
        "reactor_share",
        "charger_stored_end_kwh",
    ),
    "Prices": ("mean_price", "lowest_price", "paid_eur"),
    "Charging": (
        "accepted_offers",
        "accepted_price",
        "accepted_distance_km",
        "reservations_charged",
        "reservations_failed",
        "stranded_vehicles",
    ),
    "Traffic": ("trades", "messages"),
}
_METRIC: Final = {metric.name: metric for metric in METRICS}
_GROUP_WIDTH: Final = 10
_TITLE_WIDTH: Final = max(len(_METRIC[name].title) for names in GROUPS.values() for name in names) + 2


def key_figures(store: Store) -> str:
    """Return what a run came to, one figure a line with its unit."""
    summary, found = summarise(store), figures_of(store)
    agents = sum(summary["counts"]["agents"].values())
    head = f"{summary['scenario']}, seed {summary['seed']}: {counted(summary['ticks'], 'tick')}"
    lines = [paint(f"{head}, {counted(agents, 'agent')} in {counted(summary['cells'], 'cell')}", "bold")]
    for group, names in GROUPS.items():
        for place, name in enumerate(names):
            metric = _METRIC[name]
            number = number_text(found[name], metric.places).replace("\u202f", " ")
            unit = "" if isnan(found[name]) else metric.unit
            title = f"{metric.title:<{_TITLE_WIDTH}}"
            lines.append(f"{'' if place else group:<{_GROUP_WIDTH}}{title}{number:>10} {unit}".rstrip())
    return "\n".join([*lines, *checks(store.invariants())])


def checks(invariants: list[Invariant]) -> list[str]:
    """Return the auditor's verdict, one invariant a line; a breached one says what should have held."""
    if not invariants:
        return [f"{'Checks':<{_GROUP_WIDTH}}{paint('no auditor checked this run', 'yellow')}"]
    width = max(len(found.name) for found in invariants) + 2
    lines = []
    for place, found in enumerate(invariants):
        head = f"{'' if place else 'Checks':<{_GROUP_WIDTH}}{found.name:<{width}}"
        if found.holds:
            lines.append(f"{head}{paint('holds', 'green')} in {counted(found.checked, 'check')}")
        else:
            of = f"{found.breaches} of {counted(found.checked, 'check')}"
            lines.append(f"{head}{paint('BREACHED', 'red')} in {of}: {found.what}")
    return lines


def counted(count: int, noun: str) -> str:
    """Spell a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")
