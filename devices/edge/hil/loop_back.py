"""A real Pi wired back to itself: every pin under test has a partner on the header that the bench drives or reads.

Analogue channels are fed by a pin through a capacitor, a converter of one bit: while current flows, it follows the
sign of the sine, so that the meter sees an alternating square wave. It says whether current flows, not how much, and
so tests of exact values and of the converter's faults are for mocked pins.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridfleet.devices.edge.hardware.board import GpioBoard, Output, raspberry_pi
from gridfleet.devices.edge.hil.pi import Change

PARTNERS: Final = {5: 12, 6: 16, 17: 20, 22: 21, 4: 13, 27: 26}
"""Pin under test, and its partner: as the shipped tests and docs/hardware.md have them."""
FEEDS: Final = {0: 18, 1: 19}
"""Channel of the converter, and the pin that feeds it."""


NOTHING_V: Final = 0.005
"""With less than this nothing flows, and the feed floats: behind its capacitor the channel shows zero."""
STEP_S: Final = 0.001
"""So often the analogue feeds are looked after."""


class WiredPi:
    """The Pi as a bench sees it; `factory` is gpiozero's, `partners` and `feeds` the wires."""

    def __init__(
        self, board: GpioBoard, partners: Mapping[int, int] = PARTNERS, feeds: Mapping[int, int] = FEEDS
    ) -> None:
        self._board = board
        self._partners = partners
        self._feeds = feeds
        self._outputs: dict[int, Output] = {}
        self._inputs: dict[int, Any] = {}
        self._since_s: dict[int, float] = {}
        self._timeline: list[Change] = []
        self._volts: dict[int, Callable[[float], float]] = {}
        self._middle_v: dict[int, float] = {}
        self._play: Callable[[float], None] = board.sleep

    @property
    def now_s(self) -> float:
        """Monotonic time."""
        return self._board.now_s()

    @property
    def exact(self) -> bool:
        """One bit is not exact."""
        return False

    def pass_time(self, seconds: float) -> None:
        """Wait, and drive the analogue feeds meanwhile."""
        end_s = self.now_s + seconds
        while True:
            now_s = self.now_s
            for channel, volts in self._volts.items():
                output, above_v = self._output(self._feeds[channel]), volts(now_s) - self._middle_v[channel]
                if abs(above_v) < NOTHING_V:
                    output.release()
                else:
                    output.set(high=above_v > 0)
            if now_s >= end_s:
                return
            self._board.sleep(min(end_s - now_s, STEP_S))

    def meanwhile(self, play: Callable[[float], None]) -> None:
        """Have the world go on while a control loop waits."""
        self._play = play

    def board(self) -> "_UnderTest":
        """Return what the control loop is built on: the same pins, and waiting that plays the world."""
        return _UnderTest(self._board, self)

    def wait(self, seconds: float) -> None:
        """Let the world go on for so long."""
        self._play(seconds)

    def level(self, pin: int) -> tuple[bool, float]:
        """Return the level that the partner sees, and since when."""
        return bool(self._input(pin).high), self._since_s[pin]

    def drive(self, pin: int, *, high: bool) -> None:
        """Drive the partner."""
        self._output(self._partners[pin], high=high).set(high=high)

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Let the channel's pin follow whether the voltage is above its mean."""
        self._volts[channel] = volts
        now_s = self.now_s
        self._middle_v[channel] = sum(volts(now_s + n / 1000) for n in range(100)) / 100

    def changes(self, pin: int, since_s: float = 0.0) -> list[Change]:
        """Return what the partner has seen since."""
        self._input(pin)
        return [change for change in self._timeline if change.pin == pin and change.at_s >= since_s]

    def close(self) -> None:
        """Let go of all pins."""
        self._board.close()

    def _output(self, pin: int, *, high: bool = False) -> Output:
        if pin not in self._outputs:
            self._outputs[pin] = self._board.output(pin, high=high)
        return self._outputs[pin]

    def _input(self, pin: int) -> Any:  # noqa: ANN401 - an Input
        if pin not in self._inputs:

            def seen(at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
                self._since_s[pin] = at_s
                self._timeline.append(Change(at_s, pin, high))

            self._since_s[pin] = self.now_s
            self._inputs[pin] = self._board.input(self._partners[pin], pull_up=False, on_edge=seen)
        return self._inputs[pin]


class _UnderTest(GpioBoard):
    """The board of the device under test."""

    def __init__(self, board: GpioBoard, pi: WiredPi) -> None:
        super().__init__(board.factory)
        self._real = board
        self._pi = pi

    def now_s(self) -> float:
        return self._real.now_s()

    def wall_ms(self) -> int:
        return self._real.wall_ms()

    def sleep(self, seconds: float) -> None:
        self._pi.wait(seconds)


def wired_pi() -> WiredPi:
    """Return this Raspberry Pi; raise HardwareError anywhere else."""
    return WiredPi(raspberry_pi())
