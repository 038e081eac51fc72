"""What a long run tells while it runs."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Progress(NamedTuple):
    """How far a run is."""

    tick: int
    """The tick that begins or goes on, counted from 0."""
    ticks: int
    simulated_ms: int
    price_ueur: int | None
    """Lowest price per kWh in the last tick that ended; None where nothing was sold."""


Tell = Callable[[Progress], bool]
"""Hears how far a run is; False asks it to end."""


class Runner(Protocol):
    """Whatever plays a scenario from its first tick to its last: the simulation, or a fleet over MQTT."""

    def run(self, progress: Tell) -> None:
        """Run to the end, or until `progress` returns False.

        `progress` is called at the beginning of every tick, and in real time at least twice a second, always
        in the thread that called `run`.
        """
