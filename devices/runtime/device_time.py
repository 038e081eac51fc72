"""The site's simulated time as a device knows it: from the ticks and grants it received, and the real time since.

Pure arithmetic: real time is an argument, in monotonic milliseconds.
"""

from typing import Final

from gridfleet.broker.protocol.messages import Mode, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import MIN_SECONDS_PER_TICK

OVERDUE_MS: Final = TICK_MS
"""A tick or phase that ended longer ago than this, in simulated time, is ignored."""


class DeviceTime:
    """A device's simulated time; it never decreases within a run of the clock."""

    __slots__ = ("_phase_real_ms", "_reached_ms", "_tick_real_ms", "tick")

    def __init__(self) -> None:
        self.tick: Tick | None = None
        """The last tick taken."""
        self._tick_real_ms = 0
        """When it was taken."""
        self._phase_real_ms = 0
        """When its phase began or the pace changed; it may have been published again since."""
        self._reached_ms = 0

    @property
    def lockstep(self) -> bool:
        """Whether the clock waits for the devices, and time advances by its grants only."""
        return self.tick is not None and self.tick.mode is Mode.LOCKSTEP

    @property
    def running(self) -> bool:
        """Whether simulated time passes by itself: there is a tick, not in lock-step and not paused."""
        return self.tick is not None and not self.lockstep and not self.tick.paused

    def now_ms(self, real_ms: int) -> int:
        """Return simulated time; it stands still at the end of the phase until the next tick."""
        tick = self.tick
        if tick is None or not self.running:
            return self._reached_ms
        passed_ms = round((real_ms - self._tick_real_ms) * _speed(tick))
        return max(self._reached_ms, min(self._reached_ms + passed_ms, tick.ends_ms))

    def real_duration_ms(self, simulated_ms: int) -> float:
        """Return how many real milliseconds a duration of simulated time takes at the tick's speed."""
        return simulated_ms / (_speed(self.tick) if self.tick is not None else 1.0)

    def grant(self, simulated_ms: int) -> None:
        """Go to an instant that the clock has granted in lock-step."""
        self._reached_ms = simulated_ms

    def take(self, tick: Tick, real_ms: int) -> None:
        """Go to a tick; one of a later run of the clock may lie earlier."""
        known = self.tick
        if known is not None and tick.epoch > known.epoch:
            self._reached_ms = tick.simulated_ms
        else:
            self._reached_ms = max(self.now_ms(real_ms), tick.simulated_ms)
        self.tick = tick
        self._tick_real_ms = real_ms
        if known is None or not same_instant(known, tick) or pace_of(known) != pace_of(tick):
            self._phase_real_ms = real_ms

    def is_past(self, tick: Tick) -> bool:
        """Return whether a tick of the same run lies before the one taken last."""
        known = self.tick
        return known is not None and tick.epoch == known.epoch and tick.simulated_ms < known.simulated_ms

    def is_overdue(self, tick: Tick, real_ms: int) -> bool:
        """Return whether, by our own clock, a tick ended a whole tick ago."""
        expected_ms = self._expected_ms(real_ms)
        return (
            self.tick is not None
            and tick.epoch == self.tick.epoch
            and expected_ms is not None
            and tick.simulated_ms + TICK_MS + OVERDUE_MS < expected_ms
        )

    def is_over(self, real_ms: int) -> bool:
        """Return whether, by our own clock, the phase taken last ended a whole tick ago."""
        expected_ms = self._expected_ms(real_ms)
        return (
            self.tick is not None and expected_ms is not None and self.tick.ends_ms + OVERDUE_MS < expected_ms
        )

    def _expected_ms(self, real_ms: int) -> int | None:
        """Return simulated time if the clock has continued without us; None where time does not pass by itself."""
        if self.tick is None or not self.running:
            return None
        return self.tick.simulated_ms + round((real_ms - self._phase_real_ms) * _speed(self.tick))


def pace_of(tick: Tick) -> tuple[Mode, float, bool]:
    """Return mode, speed and pause of a tick: what decides how fast time passes."""
    return tick.mode, tick.seconds_per_tick, tick.paused


def same_instant(one: Tick, other: Tick) -> bool:
    """Return whether two ticks begin the same phase of the same run."""
    return (one.epoch, one.simulated_ms) == (other.epoch, other.simulated_ms)


def _speed(tick: Tick) -> float:
    """Return simulated milliseconds per real millisecond."""
    return TICK_MS / 1000 / max(tick.seconds_per_tick, MIN_SECONDS_PER_TICK)
