"""How a long run is shown while it runs: a bar on a terminal, nothing anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from gridfleet.broker.protocol.units import UEUR_PER_EUR
from gridfleet.broker.simulated_time import short_time_text
from gridfleet.provisioning.cli.progress import Progress
from gridfleet.provisioning.cli.terminal import is_live

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

Show = Callable[[Progress], None]
Count = Callable[[int], None]


@contextmanager
def shown(title: str) -> Iterator[Show]:
    """Show what the run tells: on a terminal as a bar with tick, simulated time, price and time left."""
    if not is_live():
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

        def show(progress: Progress) -> None:
            bar.update(
                task,
                visible=True,
                completed=progress.tick,
                total=progress.ticks,
                time=short_time_text(progress.simulated_ms),
                price=price_text(progress.price_ueur),
            )

        yield show


@contextmanager
def counted(title: str, total: int) -> Iterator[Count]:
    """Show how many of many runs are done, on a terminal."""
    if not is_live():
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


def price_text(price_ueur: int | None) -> str:
    """Spell a price per kWh."""
    return "nothing sold" if price_ueur is None else f"{price_ueur / UEUR_PER_EUR:.3f} EUR/kWh"


def _bar(*columns: "ProgressColumn") -> AbstractContextManager["Bar"]:
    """Draw on standard error, and leave nothing behind."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    return Bar(*columns, console=Console(file=sys.stderr), transient=True)
