"""Progress bars on a terminal; elsewhere nothing is printed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import printable
from gridfleet.broker.protocol.units import UEUR_PER_EUR
from gridfleet.broker.simulated_time import short_time_text
from gridfleet.provisioning.cli.progress import Progress
from gridfleet.provisioning.cli.terminal import is_interactive

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

SLOW_S: Final = 2.0
"""After so many seconds a step of a command says on the terminal what it does."""
UpdateRun = Callable[[Progress], None]
UpdateCount = Callable[[int], None]


@contextmanager
def run_bar(title: str) -> Iterator[UpdateRun]:
    """Show a bar for one run, with tick, simulated time, price and time left; yield the function that updates it."""
    if not is_interactive():
        yield lambda _progress: None
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("tick {task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[time]}"),
        TextColumn("{task.fields[price]:>13}"),
        TimeRemainingColumn(compact=True),
    )
    with _bar(*columns) as bar:
        task = bar.add_task(title, total=None, time="", price="", visible=False)

        def update(progress: Progress) -> None:
            bar.update(
                task,
                visible=True,
                completed=progress.tick,
                total=progress.ticks,
                time=short_time_text(progress.simulated_ms),
                price=price_text(progress.price_ueur),
            )

        yield update


@contextmanager
def count_bar(title: str, total: int) -> Iterator[UpdateCount]:
    """Show how many of `total` runs are done; yield the function that updates the count."""
    if not is_interactive():
        yield lambda _done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeRemainingColumn(compact=True),
    )
    with _bar(*columns) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def share_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show how much of something is done; yield the function that takes the share, from 0 to 1."""
    if not is_interactive():
        yield lambda _share: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
    )
    with _bar(*columns) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


@contextmanager
def slow_step(title: str) -> Iterator[None]:
    """Say on a terminal what a step of a command does, and for how long, once it has taken SLOW_S; then erase it."""
    if not is_interactive():
        yield
        return
    done = Event()
    began_s = monotonic()

    def say() -> None:
        wait_s, shown = SLOW_S, ""
        while not done.wait(wait_s):
            shown = f"{title} … {monotonic() - began_s:.0f} s"
            with suppress(OSError, ValueError):
                print(f"\r{printable(shown)}", end="", file=sys.stderr, flush=True)
            wait_s = 1.0
        if shown:
            with suppress(OSError, ValueError):
                print(f"\r{' ' * len(shown)}\r", end="", file=sys.stderr, flush=True)

    speaker = Thread(target=say, name="slow-step", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()


def price_text(price_ueur: int | None) -> str:
    """Return a price per kWh in EUR."""
    return "nothing sold" if price_ueur is None else f"{price_ueur / UEUR_PER_EUR:.3f} EUR/kWh"


def _bar(*columns: "ProgressColumn") -> AbstractContextManager["Bar"]:
    """Return a bar on standard error that is erased when it ends."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    return Bar(*columns, console=Console(file=sys.stderr), transient=True)
