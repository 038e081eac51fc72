"""A mocked Raspberry Pi: gpiozero's mock pins in a time of their own, with every change on record, and an MCP3008.

The chip is mocked at its bus: gpiozero's own driver talks to it, three bytes at a time, as the data sheet has it.
All channels belong to one chip, so they never show each other's values as two mocked buses on the same pins do.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

try:
    from gpiozero.pins.mock import MockFactory, MockPin, PinState
except ImportError as error:
    raise ImportError(
        f"mocked pins need gpiozero ({error}): install it with `pip install gpiozero`", name="gpiozero"
    ) from None

from gridfleet.devices.edge.hardware.board import ADC_STEPS, LAST_CODE, GpioBoard
from gridfleet.devices.edge.hil.pi import Change

CHANNELS: Final = 8
_START: Final = 1
_SINGLE_ENDED: Final = 0b1000


class Clock:
    """The time a mocked Pi lives in: it stands still unless it is moved on."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self.began_ms = 1_750_000_000_000
        self.sleeper: Callable[[float], None] = self.advance

    @property
    def now_s(self) -> float:
        """Seconds since an arbitrary beginning."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._now_s += seconds


class RealClock(Clock):
    """The time of the machine, for mocked pins in a running device."""

    def __init__(self) -> None:
        super().__init__()
        self.began_ms = time.time_ns() // 1_000_000 - round(time.monotonic() * 1000)
        self.sleeper = time.sleep

    @property
    def now_s(self) -> float:
        """Monotonic time."""
        return time.monotonic()


class _Pin(MockPin):  # type: ignore[misc] # gpiozero ships no types
    """A mock pin whose changes carry the time of its Pi."""

    _state: bool
    held: bool | None = None
    """The level that something outside gives it, whatever the pull resistor."""

    @property
    def since_s(self) -> float:
        """Since when it has had its level."""
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
        """Give it that level from outside, as long as it is an input."""
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
    """The converter's side of the bus. A channel is fed by a function from seconds to volts."""

    bits_per_word: Final = 8

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._feeds: dict[int, Callable[[float], float]] = {}
        self.reference_v = 3.3
        self.failing = False
        """Whether the bus itself fails."""
        self.floating: int | None = None
        """What a chip without power, or without wires, shows on all channels."""
        self.conversions = 0

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Connect a channel."""
        self._feeds[channel] = volts

    def transfer(self, words: Sequence[int]) -> list[int]:
        """Answer a conversation of three bytes, as in the data sheet's figure 6-1."""
        if self.failing:
            raise OSError("the SPI bus gives no answer")
        if len(words) != 3 or words[0] != _START or not words[1] >> 4 & _SINGLE_ENDED:
            raise ValueError(f"an MCP3008 does not understand {list(words)}")
        self.conversions += 1
        code = self.code(words[1] >> 4 & 0b0111)
        return [0, code >> 8, code & 0xFF]

    def code(self, channel: int) -> int:
        """Return what a channel shows; one that is not connected floats to zero."""
        if self.floating is not None:
            return self.floating
        feed = self._feeds.get(channel)
        volts = feed(self._clock.now_s) if feed is not None else 0.0
        return min(max(int(volts * ADC_STEPS / self.reference_v), 0), LAST_CODE)

    def close(self) -> None:
        """Belong to the bus as gpiozero sees it: nothing is held."""


class _Factory(MockFactory):  # type: ignore[misc] # gpiozero ships no types
    def __init__(self, clock: Clock, chip: MockMcp3008) -> None:
        self.clock = clock
        self.timeline: list[Change] = []
        self.wires: dict[int, int] = {}
        """From a pin to the pin that it drives while it is an output."""
        self._chip = chip
        super().__init__(pin_class=_Pin)

    def note(self, pin: Any, high: bool) -> None:  # noqa: ANN401, FBT001
        self.timeline.append(Change(self.clock.now_s, pin.number, high))
        self.drive_wire(pin)

    def drive_wire(self, pin: Any) -> None:  # noqa: ANN401
        end = self.wires.get(pin.number)
        if end is not None and pin.function == "output":
            self.pin(end).hold(high=bool(pin.state))

    def spi(self, **_: Any) -> MockMcp3008:  # noqa: ANN401 - ports or pins: there is one bus
        return self._chip


class MockPi:
    """Pins, converter and clock; `high`, `drive` and `changes` are for whoever plays the world around it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock if clock is not None else Clock()
        self.adc = MockMcp3008(self.clock)
        self.factory = _Factory(self.clock, self.adc)

    def board(self) -> "MockBoard":
        """Return what a control loop is built on."""
        return MockBoard(self)

    @property
    def now_s(self) -> float:
        """The Pi's time."""
        return self.clock.now_s

    def pass_time(self, seconds: float) -> None:
        """Move the Pi's clock on."""
        self.clock.advance(seconds)

    def meanwhile(self, play: Callable[[float], None]) -> None:
        """Have the world go on while a control loop waits."""
        self.clock.sleeper = play

    @property
    def exact(self) -> bool:
        """A mock shows what it is fed."""
        return True

    def level(self, pin: int) -> tuple[bool, float]:
        """Return the level of a pin, and since when it has had it."""
        mock = self.factory.pin(pin)
        return bool(mock.state), mock.since_s

    def feed(self, channel: int, volts: Callable[[float], float]) -> None:
        """Connect a channel of the converter."""
        self.adc.feed(channel, volts)

    def drive(self, pin: int, *, high: bool) -> None:
        """Give an input that level from outside."""
        self.factory.pin(pin).hold(high=high)

    def changes(self, pin: int, since_s: float = 0.0) -> list[Change]:
        """Return what a pin has done since, in order."""
        return [change for change in self.factory.timeline if change.pin == pin and change.at_s >= since_s]

    def close(self) -> None:
        """Let go of all pins."""
        self.factory.close()


class MockBoard(GpioBoard):
    """The board of a mocked Pi: its time is the Pi's."""

    def __init__(self, pi: MockPi) -> None:
        super().__init__(pi.factory)
        self._pi = pi

    def now_s(self) -> float:
        """Return the Pi's time."""
        return self._pi.clock.now_s

    def wall_ms(self) -> int:
        """Return real time as the Pi knows it."""
        return self._pi.clock.began_ms + round(self._pi.clock.now_s * 1000)

    def sleep(self, seconds: float) -> None:
        """Let the Pi's time pass."""
        self._pi.clock.sleeper(seconds)
