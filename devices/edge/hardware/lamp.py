"""A status lamp: shows each state by a colour, or by blinking if it has one colour only."""

from enum import Enum

from gridfleet.devices.config.sensor_tables import LampTable
from gridfleet.devices.edge.hardware.board import Board


class Light(Enum):
    """A state: red, green, blue, and for a lamp of one colour half the period of its blinking, in seconds."""

    READY = (False, True, False, 0.0)
    BUSY = (False, False, True, 1.0)
    WAITING = (True, True, False, 2.0)
    FAULT = (True, False, False, 0.2)
    OFF = (False, False, False, -1.0)


class Lamp:
    """The lamp; `show` is called at every control step."""

    def __init__(self, board: Board, table: LampTable | None) -> None:
        pins = (table.red, table.green, table.blue) if table is not None and table.pin is None else ()
        self._colours = [board.output(pin, high=False) for pin in pins if pin is not None]
        single = table.pin if table is not None else None
        self._single = board.output(single, high=False) if single is not None else None

    def show(self, light: Light, now_s: float) -> None:
        """Show a state, at that time in seconds."""
        *colours, half_s = light.value
        for output, lit in zip(self._colours, colours, strict=False):
            output.set(high=bool(lit))
        if self._single is not None:
            self._single.set(high=half_s == 0 or (half_s > 0 and int(now_s / half_s) % 2 == 0))
