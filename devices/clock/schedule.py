"""The sequence of ticks and phases of a run: which phase it is, and when it begins and ends in simulated time."""

from typing import Final

from gridfleet.broker.protocol.messages import PHASES, Phase, Tick
from gridfleet.broker.protocol.units import TICK_MS

OFFSETS_MS: Final = {
    Phase.BID: 0,
    Phase.TRADE: 300_000,
    Phase.RESIDUAL: 390_000,
    Phase.SURPLUS: 450_000,
    Phase.EXCHANGE: 510_000,
    Phase.IMPORT: 600_000,
    Phase.SETTLE: 840_000,
}
"""When each phase begins, in simulated milliseconds after the beginning of the tick."""
BETWEEN_CELLS: Final = frozenset({Phase.RESIDUAL, Phase.SURPLUS, Phase.EXCHANGE})
"""Phases that a site with one cell does not have."""


class Schedule:
    """The current tick and phase of a run; before the first tick, `tick` is -1."""

    __slots__ = ("phase", "phases", "start_ms", "tick", "ticks")

    def __init__(self, start_ms: int, ticks: int, *, neighbours: bool = False) -> None:
        """`start_ms` is the simulated time of tick 0; `neighbours` says whether the site has more than one cell."""
        self.start_ms = start_ms
        self.ticks = ticks
        self.tick = -1
        self.phase = Phase.SETTLE
        self.phases = tuple(phase for phase in PHASES if neighbours or phase not in BETWEEN_CELLS)

    @property
    def simulated_ms(self) -> int:
        """Simulated time at which the current phase begins."""
        return self.start_ms + max(self.tick, 0) * TICK_MS + OFFSETS_MS[self.phase]

    @property
    def phase_ends_ms(self) -> int:
        """Simulated time at which the current phase ends."""
        following = self._following
        offset = OFFSETS_MS[following] if following is not Phase.BID else TICK_MS
        return self.start_ms + self.tick * TICK_MS + offset

    @property
    def ticks_left(self) -> int:
        """How many ticks follow the current one."""
        return self.ticks - self.tick - 1

    @property
    def at_tick_end(self) -> bool:
        """Whether the next phase begins a new tick."""
        return self._following is Phase.BID

    @property
    def at_run_end(self) -> bool:
        """Whether no phase follows."""
        return self.at_tick_end and self.tick + 1 >= self.ticks

    def advance(self) -> None:
        """Go to the next phase; after the last one of a tick, to the next tick."""
        if self.at_tick_end:
            self.tick += 1
        self.phase = self._following

    def resume(self, tick: Tick) -> bool:
        """Take over tick and phase of a retained tick message; return whether it belongs to this run.

        Changes nothing, and returns False, when that run has ended or has other ticks than this one.
        """
        ended = tick.ticks_left == 0 and tick.phase is self.phases[-1]
        begins_ms = self.start_ms + tick.tick * TICK_MS + OFFSETS_MS[tick.phase]
        if ended or tick.phase not in self.phases or tick.simulated_ms != begins_ms:
            return False
        self.tick = tick.tick
        self.phase = tick.phase
        self.ticks = tick.tick + 1 + tick.ticks_left
        return True

    @property
    def _following(self) -> Phase:
        return self.phases[(self.phases.index(self.phase) + 1) % len(self.phases)]
