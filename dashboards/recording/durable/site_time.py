"""The simulated time of a site, as a recorder knows it from the clock's messages and from the real time since."""

from gridfleet.broker.protocol.messages import Grant, Mode, Tick
from gridfleet.broker.protocol.units import MS_PER_S, TICK_MS


class SiteTime:
    """Simulated time, never backwards within a run; all real times are milliseconds since 1970."""

    def __init__(self) -> None:
        self.tick: Tick | None = None
        """The clock's last tick message."""
        self.now_ms = 0
        """Simulated time of the last message."""
        self._tick_received_ms = 0

    def begins_run(self, tick: Tick) -> bool:
        """Return whether a tick message begins another run: its epoch is another."""
        return self.tick is None or tick.epoch != self.tick.epoch

    def begin_run(self) -> None:
        """Start at simulated time 0 again."""
        self.now_ms = 0

    def on_clock(self, message: Tick | Grant, received_ms: int) -> None:
        """Take a tick or grant of the clock; a repeated tick changes nothing."""
        if isinstance(message, Tick):
            if self.tick is not None and _same_instant(message, self.tick):
                return
            self.tick, self._tick_received_ms = message, received_ms
        self.now_ms = max(self.now_ms, message.simulated_ms)

    def at(self, received_ms: int) -> int:
        """Return the simulated time of a message received at a real time.

        It is that of the phase or grant; unless the clock runs in lock-step or is paused, the real time since the
        phase began is added, up to the end of the phase.
        """
        tick = self.tick
        if tick is not None and tick.mode is not Mode.LOCKSTEP and not tick.paused and tick.seconds_per_tick:
            passed_ms = (received_ms - self._tick_received_ms) * TICK_MS / MS_PER_S / tick.seconds_per_tick
            self.now_ms = max(self.now_ms, min(tick.simulated_ms + round(passed_ms), tick.ends_ms))
        return self.now_ms


def _same_instant(tick: Tick, other: Tick) -> bool:
    return (tick.epoch, tick.tick, tick.phase, tick.paused, tick.seconds_per_tick) == (
        other.epoch,
        other.tick,
        other.phase,
        other.paused,
        other.seconds_per_tick,
    )
