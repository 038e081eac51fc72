"""A status lamp: one colour for what a person must know. Without three colours it blinks."""

from enum import Enum

from gridfleet.devices.config.sensor_tables import LampTable
from gridfleet.devices.edge.hardware.board import Board


class Light(Enum):
    """What is shown: red, green and blue, and the half period of blinking of a lamp of one colour, in seconds."""

    READY = (False, True, False, 0.0)
    BUSY = (False, False, True, 1.0)
    WAITING = (True, True, False, 2.0)
    FAULT = (True, False, False, 0.2)
    OFF = (False, False, False, -1.0)


class Lamp:
    """Shows a light; looked after at every control step."""

    def __init__(self, board: Board, table: LampTable | None) -> None:
        pins = (table.red, table.green, table.blue) if table is not None and table.pin is None else ()
        self._colours = [board.output(pin, high=False) for pin in pins if pin is not None]
        single = table.pin if table is not None else None
        self._single = board.output(single, high=False) if single is not None else None

    def show(self, light: Light, now_s: float) -> None:
        """Show it."""
        *colours, half_s = light.value
        for output, lit in zip(self._colours, colours, strict=False):
            output.set(high=bool(lit))
        if self._single is not None:
            self._single.set(high=half_s == 0 or (half_s > 0 and int(now_s / half_s) % 2 == 0))
