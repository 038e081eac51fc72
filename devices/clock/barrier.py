"""Lock-step: who is waited for, and whose turn it is. A conservative time manager without a clock of its own.

Every device says through which phase it is ready and at which instant it wants to act next. Nobody passes the
barrier before all live devices have reached it; in between, instants are granted one at a time, in the order
(time, id), so that what happens over a network happens in the order of the simulation.
"""

from heapq import heappop, heappush
from typing import Final

MOST_GRANTS: Final = 64
"""In one phase a device is granted no more instants than this, so that nobody can hold the site up for ever;
what it asks for beyond that is put off to the next phase."""
Rank = tuple[int, int]
"""Tick and number of the phase."""


class Barrier:
    """The devices of a site; `behind` are those without which it does not go on."""

    __slots__ = ("_due", "_granted", "_members", "_put_off", "_rank", "_ready", "_wakes", "absent", "behind")

    def __init__(self, expected: frozenset[str] = frozenset()) -> None:
        self.absent: set[str] = set()
        """Those that let a deadline pass, or came late: they are not waited for until they are ready again."""
        self.behind: set[str] = set()
        self._members = set(expected)
        self._ready: dict[str, Rank] = {}
        self._rank: Rank = (-1, 0)
        self._due: dict[str, int] = {}
        self._wakes: list[tuple[int, str]] = []
        self._granted: dict[str, int] = {}
        self._put_off: list[tuple[int, str]] = []

    @property
    def awaits_anybody(self) -> bool:
        """Whether there is a live device at all."""
        return bool(self._members - self.absent)

    def join(self, device: str, *, running: bool) -> None:
        """A device has come to life; while the site runs it is waited for once it has said that it is ready."""
        self._members.add(device)
        if running:
            self.absent.add(device)

    def leave(self, device: str) -> bool:
        """A device has died; tell whether it was waited for."""
        was_behind = device in self.behind
        self._members.discard(device)
        self.absent.discard(device)
        self.behind.discard(device)
        self._ready.pop(device, None)
        self._due.pop(device, None)
        return was_behind

    def begin(self, rank: Rank) -> None:
        """Wait for every live device that is not ready through this phase."""
        self._rank = rank
        self._granted.clear()
        for wake_ms, device in self._put_off:
            self._due[device] = wake_ms
            heappush(self._wakes, (wake_ms, device))
        self._put_off.clear()
        self.behind = {name for name in self._members - self.absent if self._ready.get(name, (-1, 0)) < rank}

    def ready(self, device: str, through: Rank, wake_ms: int | None) -> bool:
        """Note what a device is ready for and when it wants to act; tell whether it was waited for till now."""
        if device not in self._members:
            return False
        self.absent.discard(device)
        self._ready[device] = through
        if wake_ms is None:
            self._due.pop(device, None)
        elif self._due.get(device) != wake_ms:
            self._due[device] = wake_ms
            heappush(self._wakes, (wake_ms, device))
        if device not in self.behind or through < self._rank:
            return False
        self.behind.discard(device)
        return True

    def grant(self, before_ms: int) -> tuple[str, int] | None:
        """Take the earliest instant asked for before that time, and wait for its device; None if there is none."""
        while self._wakes and self._wakes[0][0] < before_ms:
            wake_ms, device = heappop(self._wakes)
            if self._due.get(device) != wake_ms:
                continue
            del self._due[device]
            if device in self.absent:
                continue
            grants = self._granted.get(device, 0)
            if grants >= MOST_GRANTS:
                self._put_off.append((wake_ms, device))
                continue
            self._granted[device] = grants + 1
            self.behind.add(device)
            return device, wake_ms
        return None

    def give_up(self) -> bool:
        """Wait no longer for whoever is behind; tell whether there was anybody."""
        late = bool(self.behind)
        self.absent |= self.behind
        self.behind = set()
        return late
