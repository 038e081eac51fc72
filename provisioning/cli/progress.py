"""What a long run reports while it runs."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a run is."""

    tick: int
    """The tick in progress, counted from 0."""
    ticks: int
    simulated_ms: int
    price_ueur: int | None
    """Lowest price per kWh in the last finished tick, in µEUR; None where nothing was sold."""


ProgressCallback = Callable[[Progress], bool]
"""Receives the progress of a run; returns False to end the run.

It is called at the beginning of every tick, and in real time at least twice a second, in the thread of the run.
"""
