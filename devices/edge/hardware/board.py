"""Pins and SPI bus for the control loop: those of a Raspberry Pi, or mocked ones, as the configuration says.

A board also gives the time, so that on a test bench the control loop runs in the bench's time.
"""

import time
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

from gridfleet.devices.edge.hardware.faults import HardwareError

Edge = Callable[[float, bool], None]
"""Called at a change of level, with the time in the board's seconds and the new level."""
ADC_STEPS: Final = 1024
"""MCP3008, data sheet DS21295D, equation 4-2: code = 1024 · V_in / V_ref."""
LAST_CODE: Final = ADC_STEPS - 1


class Input(Protocol):
    """An input pin."""

    @property
    def high(self) -> bool:
        """Its level."""
        ...


class Output(Protocol):
    """An output pin."""

    def set(self, *, high: bool) -> None:
        """Drive it high or low."""

    def release(self) -> None:
        """Let it float until it is driven again."""


class Adc(Protocol):
    """An analogue-to-digital converter."""

    def code(self, channel: int) -> int:
        """Return a channel's conversion, 0 to 1023; raise OSError when the bus fails."""


class Board(Protocol):
    """The hardware of a control loop."""

    def now_s(self) -> float:
        """Return monotonic time in seconds."""
        ...

    def wall_ms(self) -> int:
        """Return real time, UTC, milliseconds since the Unix epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def input(self, pin: int, *, pull_up: bool, on_edge: Edge | None = None) -> Input:
        """Open a pin for reading; `on_edge` may be called in another thread."""
        ...

    def output(self, pin: int, *, high: bool) -> Output:
        """Open a pin for driving, with that level from the start."""
        ...

    def adc(self, device: Literal[0, 1]) -> Adc:
        """Open the converter."""
        ...

    def close(self) -> None:
        """Release all pins. Twice is safe."""


class GpioBoard:
    """A board on a gpiozero pin factory, real or mocked."""

    def __init__(self, factory: Any) -> None:  # noqa: ANN401 - gpiozero ships no types
        self.factory = factory
        self._open: list[Any] = []
        self._handlers: list[Callable[..., None]] = []  # gpiozero itself keeps weak references only

    def now_s(self) -> float:
        """Return monotonic time."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return the system's time."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def input(self, pin: int, *, pull_up: bool, on_edge: Edge | None = None) -> Input:
        """Open a pin for reading; on real pins edges carry the kernel's time stamps."""
        from gpiozero import InputDevice

        device = self._claim(pin, lambda: InputDevice(pin, pull_up=pull_up, pin_factory=self.factory))
        if on_edge is not None:

            def changed(ticks: float, level: float) -> None:
                on_edge(ticks, bool(level))

            self._handlers.append(changed)
            device.pin.bounce = None
            device.pin.edges = "both"
            device.pin.when_changed = changed
        return _GpioInput(device)

    def output(self, pin: int, *, high: bool) -> Output:
        """Open a pin for driving."""
        from gpiozero import OutputDevice

        return _GpioOutput(
            self._claim(pin, lambda: OutputDevice(pin, initial_value=high, pin_factory=self.factory))
        )

    def adc(self, device: Literal[0, 1]) -> Adc:
        """Open an MCP3008 on SPI bus 0; raise HardwareError instead of bit-banging, gpiozero's fallback."""
        from gpiozero import MCP3008

        try:
            channels = [
                MCP3008(channel, port=0, device=device, pin_factory=self.factory) for channel in range(8)
            ]
        except Exception as error:
            raise HardwareError(
                f"the converter on SPI 0, device {device} cannot be opened ({error}): "
                "enable SPI with `sudo raspi-config nonint do_spi 0`, and add the user to the group spi"
            ) from error
        self._open += channels
        bus = channels[0]._spi  # noqa: SLF001 - no public attribute of gpiozero says which kind of bus it uses
        if "Software" in type(bus).__name__:
            raise HardwareError(
                f"the converter on SPI 0, device {device} would be read by bit-banging, too slowly: "
                "enable SPI with `sudo raspi-config nonint do_spi 0` and install python3-spidev"
            )
        return _GpioAdc(channels)

    def close(self) -> None:
        """Release all pins. Twice is safe."""
        while self._open:
            self._open.pop().close()
        self._handlers.clear()

    def _claim(self, pin: int, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a gpiozero device
        try:
            device = make()
        except Exception as error:
            raise HardwareError(
                f"GPIO{pin} cannot be used ({type(error).__name__}: {error}): "
                "find what uses it with `gpioinfo`, and add the user to the group gpio"
            ) from error
        self._open.append(device)
        return device


class _GpioInput:
    __slots__ = ("_pin",)

    def __init__(self, device: Any) -> None:  # noqa: ANN401
        self._pin = device.pin

    @property
    def high(self) -> bool:
        return bool(self._pin.state)


class _GpioOutput:
    __slots__ = ("_pin",)

    def __init__(self, device: Any) -> None:  # noqa: ANN401
        self._pin = device.pin

    def set(self, *, high: bool) -> None:
        if self._pin.function == "input":
            self._pin.function = "output"
        self._pin.state = int(high)

    def release(self) -> None:
        self._pin.function = "input"


class _GpioAdc:
    __slots__ = ("_channels",)

    def __init__(self, channels: list[Any]) -> None:
        self._channels = channels

    def code(self, channel: int) -> int:
        return int(self._channels[channel].raw_value)


def raspberry_pi() -> GpioBoard:
    """Return the pins of this Raspberry Pi; raise HardwareError on any other machine."""
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise HardwareError(
            f"backend = 'gpio' needs gpiozero and lgpio ({error}): install python3-gpiozero and python3-lgpio, and "
            "make the virtual environment with --system-site-packages; or set backend = 'mock' or 'synthetic'"
        ) from None
    try:
        return GpioBoard(LGPIOFactory())
    except Exception as error:
        raise HardwareError(
            f"backend = 'gpio' found no pins ({type(error).__name__}: {error}): run on a Raspberry Pi as a "
            "member of the group gpio; or set backend = 'mock' or 'synthetic'"
        ) from error
