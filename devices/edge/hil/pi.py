"""What a bench asks of the Pi under test, mocked or wired back to itself."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gridfleet.devices.edge.hardware.board import Board


class Change(NamedTuple):
    """A pin has taken another level."""

    at_s: float
    pin: int
    high: bool


class Pi(Protocol):
    """Pins and converter seen from outside, by whoever plays the world around them."""

    @property
    def now_s(self) -> float:
        """The time that its control loop lives in, in seconds."""
        ...

    @property
    def exact(self) -> bool:
        """Whether analogue values are exactly what they are fed, and faults of the converter can be played."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let that time pass."""

    def meanwhile(self, play: Callable[[float], None]) -> None:
        """Have `play` called, instead of waiting, for the seconds that a control loop wants to wait."""

    def board(self) -> Board:
        """Return what a control loop is built on."""
        ...

    def level(self, pin: int) -> tuple[bool, float]:
        """Return the level of a pin, and since when it has had it."""
        ...

    def drive(self, pin: int, *, high: bool) -> None:
        """Give an input that level from outside."""

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Connect a channel of the converter to a voltage, as function of time."""

    def changes(self, pin: int, since_s: float = 0.0) -> list[Change]:
        """Return what a pin has done since, in order."""
        ...

    def close(self) -> None:
        """Let go of all pins."""
