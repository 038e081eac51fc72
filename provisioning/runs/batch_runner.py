"""Batch runner: many simulations in parallel processes, compared in a table and on a page.

The processes are spawned, so that they share no state. Results are in the order in which the runs were requested,
whichever ends first. A run writes nothing to disk, so terminating it leaves nothing behind.
"""

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.dashboards.reports.comparison import RunResult, Spread, compare, result_of, write_comparison
from gridfleet.dashboards.reports.metrics import METRICS, number_text
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.cli.interrupt import Interruption
from gridfleet.provisioning.cli.progress_bar import count_bar
from gridfleet.provisioning.cli.terminal import coloured
from gridfleet.provisioning.runs.results import open_recording

POLL_S: Final = 0.2
"""Seconds between two checks for Ctrl-C."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """The key figures of one run, and the names of the invariants that it breached."""

    result: RunResult
    breached: tuple[str, ...]


def measure_run(scenario: Scenario) -> MeasuredRun:
    """Simulate a scenario and return only its key figures."""
    with open_recording(scenario, None) as recorded:
        Simulation(scenario, taps=(recorded.tap,)).run()
        recorded.finish()
        store = recorded.store
        breached = tuple(found.name for found in store.invariants() if not found.holds)
        return MeasuredRun(result_of(store), breached)


def run_batch(
    sets: Mapping[str, Sequence[Scenario]], jobs: int | None
) -> tuple[dict[str, list[MeasuredRun]], bool]:
    """Simulate every scenario of every set in `jobs` processes; return the runs by set, and whether it was interrupted.

    The runs keep the order of the scenarios. After Ctrl-C only the finished runs are returned.
    """
    order = [(label, scenario) for label, scenarios in sets.items() for scenario in scenarios]
    processes = min(jobs or _processors(), len(order))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool, Interruption() as interruption:
        with _children_ignore_ctrl_c():
            futures = [pool.submit(measure_run, scenario) for _, scenario in order]
        try:
            _await(futures, interruption)
        except BaseException:
            _stop(futures)
            raise
        if interruption.requested:
            _stop(futures)
    measured: dict[str, list[MeasuredRun]] = {label: [] for label in sets}
    for (label, _), future in zip(order, futures, strict=True):
        if not interruption.requested or _succeeded(future):
            measured[label].append(future.result())
    return {label: runs for label, runs in measured.items() if runs}, interruption.requested


def write_and_print(measured: Mapping[str, Sequence[MeasuredRun]], directory: Path) -> None:
    """Write compare.html, compare.csv and plots; print the table."""
    results = {label: [each.result for each in runs] for label, runs in measured.items()}
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(table_text(compare(results), list(results), columns), flush=True)
    print(f"Report  {write_comparison(results, directory)}")


def table_text(spreads: Sequence[Spread], labels: Sequence[str], columns: int | None = None) -> str:
    """Return a table of mean ± standard deviation: a row per metric, a column per set.

    A table wider than `columns` characters is split into blocks.
    """
    cells = {(spread.metric.name, spread.label): _cell(spread) for spread in spreads}
    heads = [f"{metric.title}, {metric.unit}" if metric.unit else metric.title for metric in METRICS]
    first = max(map(len, heads))
    widths = {label: max(len(label), *(len(cells[m.name, label]) for m in METRICS)) for label in labels}
    blocks = []
    left = list(labels)
    while left:
        block, room = [left.pop(0)], (columns or sys.maxsize) - first
        while left and sum(widths[label] + 2 for label in (*block, left[0])) <= room:
            block.append(left.pop(0))
        lines = [coloured(_line("", first, [(label, widths[label]) for label in block]), "bold")]
        for metric, head in zip(METRICS, heads, strict=True):
            lines.append(_line(head, first, [(cells[metric.name, label], widths[label]) for label in block]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _line(head: str, first: int, cells: Sequence[tuple[str, int]]) -> str:
    return f"{head:<{first}}" + "".join(f"  {text:>{width}}" for text, width in cells)


def _cell(spread: Spread) -> str:
    places = spread.metric.places
    mean = number_text(spread.mean, places).replace("\u202f", " ")
    return (
        f"{mean} ± {number_text(spread.sd, max(places, 1))}".replace("\u202f", " ")
        if spread.runs > 1
        else mean
    )


def _await(futures: Sequence[Future[MeasuredRun]], interruption: Interruption) -> None:
    """Wait until all runs are done, one has failed, or Ctrl-C was pressed."""
    with count_bar("compare", len(futures)) as count:
        pending = set(futures)
        while pending and not interruption.requested:
            done, pending = wait(pending, POLL_S, FIRST_COMPLETED)
            for future in done:
                future.result()
            count(len(futures) - len(pending))


def _stop(futures: Sequence[Future[MeasuredRun]]) -> None:
    """Cancel the runs that have not ended."""
    for future in futures:
        future.cancel()
    for child in multiprocessing.active_children():
        child.terminate()


def _succeeded(future: Future[MeasuredRun]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


@contextmanager
def _children_ignore_ctrl_c() -> Iterator[None]:
    """Make processes started in this context ignore Ctrl-C, which a terminal sends to all of them."""
    # Blocked and not ignored: here it is delivered afterwards, the children inherit it blocked for ever.
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _processors() -> int:
    return len(os.sched_getaffinity(0))
