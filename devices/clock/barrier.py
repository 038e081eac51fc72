"""The barrier of lock-step: which devices it waits for, and which may act next. Conservative time management.

Every device reports through which phase it is ready, and the simulated time at which it wants to act next. The next
phase begins when all online devices are ready. Before that, requested times are granted one by one, in the order (time,
id), so that events over a network happen in the order of the simulation. The barrier has no clock of its own.
"""

from heapq import heappop, heappush
from typing import Final

MAX_GRANTS: Final = 64
"""The most grants of a device in one phase, so that no device can hold up the site; further ones are deferred to the
next phase."""
TickPhase = tuple[int, int]
"""A phase of the run: (tick, index of the phase in the tick)."""


class Barrier:
    """The devices of a site; the phase does not end before `awaited` is empty."""

    __slots__ = (
        "_current",
        "_deferred",
        "_due",
        "_granted",
        "_members",
        "_ready",
        "_wakes",
        "absent",
        "awaited",
    )

    def __init__(self, expected: frozenset[str] = frozenset()) -> None:
        self.absent: set[str] = set()
        """Devices that missed a deadline or joined late; they are not waited for until they are ready again."""
        self.awaited: set[str] = set()
        """Devices that are waited for."""
        self._members = set(expected)
        self._ready: dict[str, TickPhase] = {}
        self._current: TickPhase = (-1, 0)
        self._due: dict[str, int] = {}
        self._wakes: list[tuple[int, str]] = []
        self._granted: dict[str, int] = {}
        self._deferred: list[tuple[int, str]] = []

    @property
    def has_devices(self) -> bool:
        """Whether any device is online and not absent."""
        return bool(self._members - self.absent)

    def join(self, device: str, *, running: bool) -> None:
        """Add an online device; while a run is under way, the barrier waits for it only after its first `ready`."""
        self._members.add(device)
        if running:
            self.absent.add(device)

    def leave(self, device: str) -> bool:
        """Remove a device that has gone offline; return whether it was waited for."""
        was_awaited = device in self.awaited
        self._members.discard(device)
        self.absent.discard(device)
        self.awaited.discard(device)
        self._ready.pop(device, None)
        self._due.pop(device, None)
        return was_awaited

    def begin(self, current: TickPhase) -> None:
        """Begin a phase: wait for every device that is not ready through it."""
        self._current = current
        self._granted.clear()
        for wake_ms, device in self._deferred:
            self._due[device] = wake_ms
            heappush(self._wakes, (wake_ms, device))
        self._deferred.clear()
        self.awaited = {
            name for name in self._members - self.absent if self._ready.get(name, (-1, 0)) < current
        }

    def ready(self, device: str, through: TickPhase, wake_ms: int | None) -> bool:
        """Note through which phase a device is ready and when it wants to act; return whether it was waited for."""
        if device not in self._members:
            return False
        self.absent.discard(device)
        self._ready[device] = through
        if wake_ms is None:
            self._due.pop(device, None)
        elif self._due.get(device) != wake_ms:
            self._due[device] = wake_ms
            heappush(self._wakes, (wake_ms, device))
        if device not in self.awaited or through < self._current:
            return False
        self.awaited.discard(device)
        return True

    def grant(self, before_ms: int) -> tuple[str, int] | None:
        """Grant the earliest requested time before this one, and wait for its device; return None if there is none."""
        while self._wakes and self._wakes[0][0] < before_ms:
            wake_ms, device = heappop(self._wakes)
            if self._due.get(device) != wake_ms:
                continue
            del self._due[device]
            if device in self.absent:
                continue
            grants = self._granted.get(device, 0)
            if grants >= MAX_GRANTS:
                self._deferred.append((wake_ms, device))
                continue
            self._granted[device] = grants + 1
            self.awaited.add(device)
            return device, wake_ms
        return None

    def give_up(self) -> bool:
        """Stop waiting for the awaited devices, which become absent; return whether there were any."""
        late = bool(self.awaited)
        self.absent |= self.awaited
        self.awaited = set()
        return late
