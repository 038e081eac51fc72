"""How fast a run goes: its mode, the real seconds of a tick in scaled time, pauses, and runs of single ticks."""

from gridfleet.broker.protocol.messages import Mode, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import MIN_SECONDS_PER_TICK
from gridfleet.devices.clock.settings import Value


class Pace:
    """Mode, speed and pause of a run; every time is in real milliseconds, unless its name says otherwise."""

    __slots__ = ("_left_ms", "least_s", "mode", "paused", "seconds_per_tick", "steps_left")

    def __init__(self, mode: Mode, seconds_per_tick: float, least_s: float = 0.0) -> None:
        self.mode = mode
        self.least_s = least_s
        """The least real seconds that a tick takes in lock-step; 0 for as fast as all devices are ready."""
        self.seconds_per_tick = seconds_per_tick
        """The speed of scaled time; the other modes ignore it."""
        self.paused = False
        self.steps_left: int | None = None
        """Ticks until the next pause, as an operator has ordered; None without such an order."""
        self._left_ms = 0

    @property
    def tick_duration_s(self) -> float:
        """The real seconds that a tick takes, 0 in lock-step."""
        if self.mode is Mode.SCALED:
            return self.seconds_per_tick
        return 0.0 if self.mode is Mode.LOCKSTEP else TICK_MS / 1000

    def duration_ms(self, simulated_ms: int) -> int:
        """Return the real duration of a simulated one."""
        return round(simulated_ms * self.tick_duration_s * 1000 / TICK_MS)

    def least_duration_ms(self, simulated_ms: int) -> int:
        """Return the least real duration of a simulated one in lock-step."""
        return round(simulated_ms * self.least_s * 1000 / TICK_MS)

    def set_mode(self, mode: Mode) -> None:
        """Change the mode; lock-step that an operator asks for is as fast as all devices are ready."""
        self.mode = mode
        self.least_s = 0.0

    def resume_from(self, tick: Tick) -> None:
        """Take over the pace of a retained tick."""
        self.mode = tick.mode
        self.paused = tick.paused
        if tick.mode is Mode.SCALED:
            self.seconds_per_tick = max(tick.seconds_per_tick, MIN_SECONDS_PER_TICK)

    def pause(self, left_ms: int) -> None:
        """Pause a phase of which this time is left."""
        self.paused = True
        self._left_ms = left_ms

    def end_pause(self) -> int:
        """End the pause; return how much of the phase is left."""
        self.paused = False
        return self._left_ms

    def take_step(self) -> bool:
        """Count a tick that is about to begin; return False when the ordered number of ticks is used up."""
        if self.steps_left is None:
            return True
        if not self.steps_left:
            self.steps_left = None
            return False
        self.steps_left -= 1
        return True

    def set_seconds_per_tick(self, value: Value) -> float:
        """Change the speed of scaled time; return the factor by which remaining times change.

        Raises ValueError for a value that is not allowed.
        """
        if isinstance(value, bool | str) or not MIN_SECONDS_PER_TICK <= value <= TICK_MS / 1000:
            raise ValueError(
                f"seconds_per_tick = {value!r}: expected {MIN_SECONDS_PER_TICK} to {TICK_MS // 1000}"
            )
        factor = value / self.seconds_per_tick
        self.seconds_per_tick = float(value)
        if self.least_s:
            self.least_s = float(value)
        if self.mode is not Mode.SCALED:
            return 1.0
        self._left_ms = round(self._left_ms * factor)
        return factor
