"""A real Raspberry Pi wired back to itself: each pin under test is wired to a partner that the bench drives or reads.

A pin feeds each analogue channel through a capacitor. While current flows, it follows the sign of the sine, so that the
meter sees a square wave, which shows whether current flows, not how much. Tests of exact values and of the converter's
faults therefore need mocked pins.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridfleet.devices.edge.hardware.board import GpioBoard, Output, raspberry_pi
from gridfleet.devices.edge.hil.pi import PinChange

PARTNERS: Final = {5: 12, 6: 16, 17: 20, 22: 21, 4: 13, 27: 26}
"""Each pin under test with its partner, as in the shipped tests and docs/how-to/devices/test-bench.md."""
FEEDS: Final = {0: 18, 1: 19}
"""Each channel of the converter with the pin that feeds it."""
MIN_FEED_V: Final = 0.005
"""With less than this the pin floats, and the channel behind the capacitor shows zero."""
STEP_S: Final = 0.001
"""Seconds between two updates of the analogue feeds."""


class WiredPi:
    """The Pi for a bench; `partners` and `feeds` are its wires."""

    def __init__(
        self, board: GpioBoard, partners: Mapping[int, int] = PARTNERS, feeds: Mapping[int, int] = FEEDS
    ) -> None:
        self._board = board
        self._partners = partners
        self._feeds = feeds
        self._outputs: dict[int, Output] = {}
        self._inputs: dict[int, Any] = {}
        self._since_s: dict[int, float] = {}
        self._timeline: list[PinChange] = []
        self._volts: dict[int, Callable[[float], float]] = {}
        self._middle_v: dict[int, float] = {}
        self._sleep: Callable[[float], None] = board.sleep

    @property
    def now_s(self) -> float:
        """Monotonic time."""
        return self._board.now_s()

    @property
    def exact(self) -> bool:
        """False: feeds of one bit are not exact."""
        return False

    def pass_time(self, seconds: float) -> None:
        """Wait, and update the analogue feeds meanwhile."""
        end_s = self.now_s + seconds
        while True:
            now_s = self.now_s
            for channel, volts in self._volts.items():
                output, above_v = self._output(self._feeds[channel]), volts(now_s) - self._middle_v[channel]
                if abs(above_v) < MIN_FEED_V:
                    output.release()
                else:
                    output.set(high=above_v > 0)
            if now_s >= end_s:
                return
            self._board.sleep(min(end_s - now_s, STEP_S))

    def replace_sleep(self, sleep: Callable[[float], None]) -> None:
        """Call `sleep` with the seconds whenever a control loop waits, instead of waiting."""
        self._sleep = sleep

    def board(self) -> "_UnderTest":
        """Return the control loop's board: the same pins, and a wait that lets the bench's time pass."""
        return _UnderTest(self._board, self)

    def wait(self, seconds: float) -> None:
        """Let the bench's time pass."""
        self._sleep(seconds)

    def level(self, pin: int) -> tuple[bool, float]:
        """Return the level that the partner reads, and since when."""
        return bool(self._input(pin).high), self._since_s[pin]

    def drive(self, pin: int, *, high: bool) -> None:
        """Drive the partner."""
        self._output(self._partners[pin], high=high).set(high=high)

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Drive the channel's pin high while the voltage is above its mean."""
        self._volts[channel] = volts
        now_s = self.now_s
        self._middle_v[channel] = sum(volts(now_s + n / 1000) for n in range(100)) / 100

    def changes(self, pin: int, since_s: float = 0.0) -> list[PinChange]:
        """Return the changes that the partner has seen since then."""
        self._input(pin)
        return [change for change in self._timeline if change.pin == pin and change.at_s >= since_s]

    def close(self) -> None:
        """Release all pins."""
        self._board.close()

    def _output(self, pin: int, *, high: bool = False) -> Output:
        if pin not in self._outputs:
            self._outputs[pin] = self._board.output(pin, high=high)
        return self._outputs[pin]

    def _input(self, pin: int) -> Any:  # noqa: ANN401 - an Input
        if pin not in self._inputs:

            def seen(at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
                self._since_s[pin] = at_s
                self._timeline.append(PinChange(at_s, pin, high))

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
    """Return this Raspberry Pi; raise HardwareError on any other machine."""
    return WiredPi(raspberry_pi())
