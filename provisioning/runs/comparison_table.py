"""Output of a batch of runs: the table of metrics in the terminal, and the comparison page."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gridfleet.dashboards.reports.comparison import (
    DIFFERENCES_FILE,
    RunResult,
    Spread,
    compare,
    difference_text,
    differences_of,
    write_comparison,
)
from gridfleet.dashboards.reports.metrics import number_text
from gridfleet.provisioning.cli.terminal import coloured, print_result
from gridfleet.provisioning.runs.results import clear_results, writing_results

COLUMNS: Final = 100
"""How wide a table is in a file or a pipe."""
_GAP: Final = 2
MAX_VERDICTS: Final = 12
"""Most differences that the terminal shows."""


def write_and_print(
    results: Mapping[str, Sequence[RunResult]], directory: Path, *, png: bool = False
) -> None:
    """Write compare.html, compare.csv, runs.csv, and with `png` the plots as PNG; print the table."""
    print_result(table_text(compare(results), list(results), terminal_columns()))
    lines = verdict_lines(results)
    if lines:
        print_result("\n".join(lines))
    with writing_results(directory, "make room, then compare again"):
        clear_results(directory)
        page = write_comparison(results, directory, png=png)
    print_result(f"Report  {page}")


def verdict_lines(results: Mapping[str, Sequence[RunResult]]) -> list[str]:
    """Return what equal seeds show about the sets' differences from the first, the most certain first."""
    found = [each for each in differences_of(results) if each.shown and each.pairs > 1]
    found.sort(key=lambda each: (each.half_width / abs(each.mean), each.label, each.name))
    lines = [f"  {difference_text(each)}" for each in found[:MAX_VERDICTS]]
    if len(found) > MAX_VERDICTS:
        lines.append(f"  and {len(found) - MAX_VERDICTS} more: {DIFFERENCES_FILE}")
    if lines:
        return ["Differences that equal seeds show, 95 % intervals:", *lines]
    pairs = max((each.pairs for each in differences_of(results)), default=0)
    return [f"No difference that {pairs} equal seeds show: take more with --seeds"] if pairs > 1 else []


def terminal_columns() -> int:
    """Return the width of the terminal in characters; COLUMNS where standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else COLUMNS


def table_text(
    spreads: Sequence[Spread],
    labels: Sequence[str],
    columns: int | None = None,
    width: Callable[[Spread], float] = lambda spread: spread.sd,
    heads: Sequence[tuple[str, Sequence[str]]] = (),
) -> str:
    """Return a table of mean ± standard deviation, or another `width`: a row per metric, a column per set.

    The head has the labels, or a line for each of `heads`: a name, and the text of each set. A table wider than
    `columns` characters is split into blocks.
    """
    over = [(name, dict(zip(labels, texts, strict=True))) for name, texts in heads or [("", labels)]]
    cells = {(spread.metric.name, spread.label): _cell(spread, width(spread)) for spread in spreads}
    metrics = list(dict.fromkeys(spread.metric for spread in spreads))
    titles = [f"{metric.title}, {metric.unit}" if metric.unit else metric.title for metric in metrics]
    first = max(map(len, (*titles, *(name for name, _ in over))))
    widths = {
        label: max(*(len(texts[label]) for _, texts in over), *(len(cells[m.name, label]) for m in metrics))
        for label in labels
    }
    blocks = []
    left = list(labels)
    while left:
        block, room = [left.pop(0)], (columns or sys.maxsize) - first
        while left and sum(widths[label] + _GAP for label in (*block, left[0])) <= room:
            block.append(left.pop(0))
        lines = [
            coloured(_line(name, first, [(texts[label], widths[label]) for label in block]), "bold")
            for name, texts in over
        ]
        for metric, title in zip(metrics, titles, strict=True):
            lines.append(_line(title, first, [(cells[metric.name, label], widths[label]) for label in block]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _line(head: str, first: int, cells: Sequence[tuple[str, int]]) -> str:
    return f"{head:<{first}}" + "".join(f"  {text:>{width}}" for text, width in cells)


def _cell(spread: Spread, width: float) -> str:
    places = spread.metric.places
    mean = number_text(spread.mean, places).replace("\u202f", " ")
    if spread.runs > 1:
        mean += f" ± {number_text(width, max(places, 1))}".replace("\u202f", " ")
    return mean + spread.count_text
