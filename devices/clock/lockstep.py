"""Lock-step: a phase lasts until every online device is ready; times that devices request are granted one by one.

The barrier knows which devices are awaited. This module adds limits in real time: a deadline for each phase, and one
for all grants of a device in a phase together.
"""

from typing import Final

from gridfleet.broker.protocol.messages import PHASE_INDEX, Phase
from gridfleet.devices.clock.barrier import Barrier

LOCKSTEP_DEADLINE_MS: Final = 10_000
"""Real milliseconds that a device may take in a phase."""


class LockStep:
    """The barrier, and how long it waits. All times but `wake_ms` and `before_ms` are real milliseconds."""

    __slots__ = ("_granted_ms", "_granted_to", "_spent_ms", "barrier", "deadline_ms", "late_phases")

    def __init__(self, expected: frozenset[str], deadline_ms: int = LOCKSTEP_DEADLINE_MS) -> None:
        self.barrier = Barrier(expected)
        self.deadline_ms = deadline_ms
        self.late_phases = 0
        """Phases that ended at their deadline."""
        self._granted_to = ""
        self._granted_ms = 0
        self._spent_ms: dict[str, int] = {}

    def begin_phase(self, tick: int, phase: Phase, now_ms: int) -> int:
        """Wait for every online device that is not ready through this phase; return when to give up."""
        self._spent_ms.clear()
        self.barrier.begin((tick, PHASE_INDEX[phase]))
        return now_ms + self.deadline_ms

    def grant(self, before_ms: int, now_ms: int) -> tuple[str, int, int] | None:
        """Grant the next time that a device has requested, if it is before a simulated time.

        Return the device, the time granted, and when to give up; None when there is none.
        """
        granted = self.barrier.grant(before_ms)
        if granted is None:
            return None
        device, wake_ms = granted
        self._granted_to, self._granted_ms = device, now_ms
        left_ms = self.deadline_ms - self._spent_ms.get(device, 0)
        return device, wake_ms, now_ms + max(left_ms, 0)

    def ready(self, device: str, tick: int, through: Phase, wake_ms: int | None, now_ms: int) -> bool:
        """Note that a device is ready, and when it wants to act next; return whether it was waited for."""
        if device == self._granted_to:
            self._spent_ms[device] = self._spent_ms.get(device, 0) + now_ms - self._granted_ms
            self._granted_to = ""
        return self.barrier.ready(device, (tick, PHASE_INDEX[through]), wake_ms)

    def give_up(self) -> None:
        """Stop waiting for the awaited devices; count the phase as late if there are any."""
        self.late_phases += self.barrier.give_up()
