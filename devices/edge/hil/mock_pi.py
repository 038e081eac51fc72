"""A mocked Raspberry Pi: gpiozero's mock pins with a clock of their own and a record of every change, and an MCP3008.

The MCP3008 is mocked at the SPI bus: gpiozero's own driver exchanges three bytes per conversion, as in the data sheet.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from gridfleet.broker.install_command import install_command

try:
    from gpiozero.pins.mock import MockFactory, MockPin, PinState
except ImportError as error:
    raise ImportError(
        f"mocked pins need gpiozero, which is not installed: {install_command('gpiozero')}", name="gpiozero"
    ) from error

from gridfleet.devices.edge.hardware.board import ADC_STEPS, LAST_CODE, GpioBoard
from gridfleet.devices.edge.hil.pi import PinChange

_START: Final = 1
_SINGLE_ENDED: Final = 0b1000


class MockClock:
    """The clock of a mocked Pi: it advances only by `advance`."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self.start_ms = 1_750_000_000_000
        self.sleep: Callable[[float], None] = self.advance

    @property
    def now_s(self) -> float:
        """Seconds since an arbitrary start."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Advance."""
        self._now_s += seconds


class RealClock(MockClock):
    """The time of the machine, for mocked pins in a running device."""

    def __init__(self) -> None:
        super().__init__()
        self.start_ms = time.time_ns() // 1_000_000 - round(time.monotonic() * 1000)
        self.sleep = time.sleep

    @property
    def now_s(self) -> float:
        """Monotonic time."""
        return time.monotonic()


class _Pin(MockPin):  # type: ignore[misc] # gpiozero ships no types
    """A mock pin whose changes carry the time of its Pi."""

    _state: bool
    held: bool | None = None
    """The level that is applied from outside, whatever the pull resistor."""

    @property
    def since_s(self) -> float:
        """When its level last changed."""
        return float(self._last_change)

    @property
    def number(self) -> int:
        """Its BCM number."""
        return int(self.info.name.removeprefix("GPIO"))

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        self.factory.drive_wire(self)

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        if self.held is not None:
            self.hold(high=self.held)

    def hold(self, *, high: bool) -> None:
        """Apply a level from outside, which counts while it is an input."""
        self.held = high
        if self.function == "input":
            (self.drive_high if high else self.drive_low)()

    def clear_states(self) -> None:
        self._last_change = self.factory.clock.now_s
        self.states = [PinState(0.0, self._state)]

    def _change_state(self, value: bool) -> bool:  # noqa: FBT001 - gpiozero's signature
        if self._state == value:
            return False
        now_s = self.factory.clock.now_s
        self._state = value
        self.states.append(PinState(now_s - self._last_change, value))
        self._last_change = now_s
        self.factory.note(self, bool(value))
        return True


class MockMcp3008:
    """The converter at the bus; each channel is fed by a function from seconds to volts."""

    bits_per_word: Final = 8

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock
        self._feeds: dict[int, Callable[[float], float]] = {}
        self.reference_v = 3.3
        self.failing = False
        """Whether every transfer fails."""
        self.floating: int | None = None
        """The code of all channels when the chip has no power or no wires."""
        self.conversions = 0

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Feed a channel."""
        self._feeds[channel] = volts

    def transfer(self, words: Sequence[int]) -> list[int]:
        """Answer a transfer of three bytes, as in the data sheet's figure 6-1."""
        if self.failing:
            raise OSError("the SPI bus gives no answer")
        if len(words) != 3 or words[0] != _START or not words[1] >> 4 & _SINGLE_ENDED:
            raise ValueError(f"not a transfer of an MCP3008: {list(words)}")
        self.conversions += 1
        code = self.code(words[1] >> 4 & 0b0111)
        return [0, code >> 8, code & 0xFF]

    def code(self, channel: int) -> int:
        """Return a channel's code; 0 for one that is not fed."""
        if self.floating is not None:
            return self.floating
        feed = self._feeds.get(channel)
        volts = feed(self._clock.now_s) if feed is not None else 0.0
        return min(max(int(volts * ADC_STEPS / self.reference_v), 0), LAST_CODE)

    def close(self) -> None:
        """Do nothing; gpiozero closes its buses."""


class _Factory(MockFactory):  # type: ignore[misc] # gpiozero ships no types
    def __init__(self, clock: MockClock, chip: MockMcp3008) -> None:
        self.clock = clock
        self.timeline: list[PinChange] = []
        self.wires: dict[int, int] = {}
        """Each pin with the pin that it drives while it is an output."""
        self._chip = chip
        super().__init__(pin_class=_Pin)

    def note(self, pin: Any, high: bool) -> None:  # noqa: ANN401, FBT001
        self.timeline.append(PinChange(self.clock.now_s, pin.number, high))
        self.drive_wire(pin)

    def drive_wire(self, pin: Any) -> None:  # noqa: ANN401
        end = self.wires.get(pin.number)
        if end is not None and pin.function == "output":
            self.pin(end).hold(high=bool(pin.state))

    def spi(self, **_: Any) -> MockMcp3008:  # noqa: ANN401 - ports or pins: there is one bus
        return self._chip


class MockPi:
    """Pins, converter and clock; `level`, `drive`, `feed` and `changes` are for the plants around them."""

    def __init__(self, clock: MockClock | None = None) -> None:
        self.clock = clock if clock is not None else MockClock()
        self.adc = MockMcp3008(self.clock)
        self.factory = _Factory(self.clock, self.adc)

    def board(self) -> "MockBoard":
        """Return the board for a control loop."""
        return MockBoard(self)

    @property
    def now_s(self) -> float:
        """The Pi's time."""
        return self.clock.now_s

    def pass_time(self, seconds: float) -> None:
        """Advance the Pi's clock."""
        self.clock.advance(seconds)

    def replace_sleep(self, sleep: Callable[[float], None]) -> None:
        """Call `sleep` with the seconds whenever a control loop waits, instead of waiting."""
        self.clock.sleep = sleep

    @property
    def exact(self) -> bool:
        """True: mocked channels show exactly what they are fed."""
        return True

    def level(self, pin: int) -> tuple[bool, float]:
        """Return the level of a pin, and since when."""
        mock = self.factory.pin(pin)
        return bool(mock.state), mock.since_s

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Feed a channel of the converter."""
        self.adc.feed(channel, volts)

    def drive(self, pin: int, *, high: bool) -> None:
        """Apply a level to an input."""
        self.factory.pin(pin).hold(high=high)

    def changes(self, pin: int, since_s: float = 0.0) -> list[PinChange]:
        """Return a pin's changes since then, in order."""
        return [change for change in self.factory.timeline if change.pin == pin and change.at_s >= since_s]

    def close(self) -> None:
        """Release all pins."""
        self.factory.close()


class MockBoard(GpioBoard):
    """The board of a mocked Pi, with the Pi's time."""

    def __init__(self, pi: MockPi) -> None:
        super().__init__(pi.factory)
        self._pi = pi

    def now_s(self) -> float:
        """Return the Pi's time."""
        return self._pi.clock.now_s

    def wall_ms(self) -> int:
        """Return the Pi's real time."""
        return self._pi.clock.start_ms + round(self._pi.clock.now_s * 1000)

    def sleep(self, seconds: float) -> None:
        """Let the Pi's time pass."""
        self._pi.clock.sleep(seconds)
