"""What the control loops of charger and turbine share: what the market tells them, and what they tell it.

The two live in different threads. What crosses is one frozen object each way, replaced as a whole, and a queue of
happenings; so neither ever waits for the other.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.edge.hardware.board import Board
from gridfleet.devices.edge.hardware.faults import Fault

MOST_HAPPENINGS: Final = 1000
"""Kept until the market takes them; older ones are dropped and counted."""


def no_hurry() -> None:
    """Wait for the next step in its turn."""


class Happening(NamedTuple):
    """Something that goes into the ledger: `what` as in gridfleet.broker.protocol.messages.Incident."""

    at_ms: int
    part: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Order:
    """What the market lets the control loop know; times are the board's, in seconds."""

    permit: Permit | None
    broker_heard_s: float
    told_s: float


class Control(Protocol):
    """A control loop: looks, decides, switches. `step` is called by one thread alone."""

    happenings: deque[Happening]
    order: Order
    wake: Callable[[], None]
    """Has the next step made at once; called from the threads that see edges, set by who runs the loop."""

    @property
    def measured(self) -> bool:
        """Whether its pins are real."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each as `part: fault`."""
        ...

    @property
    def looked_s(self) -> float:
        """When it looked at its sensors last, by the board's time."""
        ...

    def now_s(self) -> float:
        """Return the board's time in seconds."""
        ...

    def step(self) -> None:
        """Look, decide and switch once."""

    def readings(self) -> dict[str, float]:
        """Return what the sound sensors say, each under a name that ends in its unit."""
        ...

    def make_safe(self, reason: str) -> None:
        """Open the contactor, apply the brake; called last, or when the loop has failed."""


class FaultBoard:
    """Which sensors are faulty; tells of every change."""

    def __init__(self, board: Board, happenings: deque[Happening]) -> None:
        self._board = board
        self._happenings = happenings
        self._known: dict[str, Fault] = {}
        self.texts: tuple[str, ...] = ()

    def __contains__(self, part: str) -> bool:
        return part in self._known

    def note(self, part: str, fault: Fault | None) -> None:
        """Take what is wrong with a part now."""
        before = self._known.get(part)
        if fault is before:
            return
        what, reason = ("recovered", before) if fault is None else ("failed", fault)
        if fault is None:
            del self._known[part]
        else:
            self._known[part] = fault
        self.texts = tuple(f"{name}: {known}" for name, known in sorted(self._known.items()))
        self._happenings.append(Happening(self._board.wall_ms(), part, what, str(reason)))
