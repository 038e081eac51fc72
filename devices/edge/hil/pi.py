"""The interface of a bench to the Pi under test, mocked or wired back to itself."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gridfleet.devices.edge.hardware.board import Board


class PinChange(NamedTuple):
    """A change of a pin's level."""

    at_s: float
    pin: int
    high: bool


class Pi(Protocol):
    """Pins and converter seen from outside, for the plants around them."""

    @property
    def now_s(self) -> float:
        """The time of its control loop, in seconds."""
        ...

    @property
    def exact(self) -> bool:
        """Whether analogue values are exactly what is fed, and the converter's faults can be simulated."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let that time pass."""

    def replace_sleep(self, sleep: Callable[[float], None]) -> None:
        """Call `sleep` with the seconds whenever a control loop waits, instead of waiting."""

    def board(self) -> Board:
        """Return the board for a control loop."""
        ...

    def level(self, pin: int) -> tuple[bool, float]:
        """Return the level of a pin, and since when."""
        ...

    def drive(self, pin: int, *, high: bool) -> None:
        """Apply a level to an input."""

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Feed a channel of the converter with a voltage, a function of time in seconds."""

    def changes(self, pin: int, since_s: float = 0.0) -> list[PinChange]:
        """Return a pin's changes since then, in order."""
        ...

    def close(self) -> None:
        """Release all pins."""
