"""The tables of key figures and of invariants, from the code that computes and checks them."""

from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.indicators.definitions import INDICATORS
from gridfleet.dashboards.reports.metrics import METRICS, STORAGE_METRICS


def key_figures() -> str:
    """Return the table of key figures: name, meaning, unit, and what each is computed from."""
    lines = ["| name | meaning | unit | from |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {title} | {unit or 'count'} | {source} |"
        for name, title, unit, _, source in (*METRICS, *STORAGE_METRICS)
    ]
    return "\n".join(lines)


def indicators() -> str:
    """Return the table of indicators: name, unit, definition, literature, and what each is computed from."""
    lines = ["| indicator | unit | definition | source | from |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {each.title}<br>`{each.name}` | {each.unit or 'count'} | {each.definition} | {each.literature} "
        f"| {each.source} |"
        for each in INDICATORS
    ]
    return "\n".join(lines)


def invariants() -> str:
    """Return the table of invariants: what the auditor checks in every run, and where messages may be late or lost."""
    exact, lenient = (Tallies(exact=exact).findings() for exact in (True, False))
    lines = ["| name | what is checked | where messages may be late or lost |", "| --- | --- | --- |"]
    lines += [
        f"| `{one.name}` | {one.what} | {other.what if other.what != one.what else 'the same'} |"
        for one, other in zip(exact, lenient, strict=True)
    ]
    return "\n".join(lines)
