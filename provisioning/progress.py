"""What a long run tells while it runs."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from broker.messages import Message, Receipt


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


class LastPrice:
    """A tap: the lowest price per kWh in the last tick that ended, as the receipts tell it."""

    def __init__(self) -> None:
        self.ueur: int | None = None
        self._lowest: int | None = None
        self._tick = 0

    def tap(self, _now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        """Hear a message."""
        if type(message) is not Receipt:
            return
        if message.tick > self._tick:
            self.ueur, self._lowest, self._tick = self._lowest, None, message.tick
        if message.tick == self._tick and message.lots:
            lowest = min(lot.price_ueur_per_kwh for lot in message.lots)
            self._lowest = lowest if self._lowest is None else min(self._lowest, lowest)
