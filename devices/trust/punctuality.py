"""Who trades in time: which buyers answer awards within their tick, and which sellers award within it.

One late message is bad luck. It counts against a partner only where most others were in time, so not where the network
or the device itself is slow.
"""

from collections.abc import Collection, Iterable
from typing import Final

from gridfleet.devices.trust.reputation import Reputation

CREDIT: Final = 1
"""A partner is avoided after four broken promises and none kept: in a tick there is one encounter or none with each."""
MOST_QUARTERS: Final = 3
"""A late partner has broken a promise where at least three quarters of the others were in time."""

_NOBODY: Final[dict[str, int]] = {}
"""Stands for an empty dict, of which every agent would need one."""


class Punctuality:
    """The reputation of trading partners; promises kept count from the first broken one on.

    >>> known = Punctuality()
    >>> for tick in range(4):
    ...     known.note_broken("household-1", tick, tick + 1)
    >>> known.avoided(4), known.avoided(101)
    (frozenset({'household-1'}), frozenset())
    """

    __slots__ = ("_late_in", "_reputation")

    def __init__(self) -> None:
        self._reputation = Reputation(CREDIT)
        self._late_in = _NOBODY
        """Suspect -> the latest tick in whose trade it was late."""

    def clear(self) -> None:
        """Forget everybody: a new run begins."""
        self._reputation.clear()
        self._late_in = _NOBODY

    def note_kept(self, partners: Iterable[str], tick: int) -> None:
        """Remember who of the suspects was in time in a tick."""
        if self._late_in:
            for partner in partners:
                if partner in self._late_in:
                    self._reputation.note(partner, tick, kept=True)

    def note_broken(self, partner: str, late_in: int, tick: int) -> None:
        """Remember in `tick` that a partner was late in the trade of the tick `late_in`; once for each such tick."""
        if self._late_in.get(partner, -1) >= late_in:
            return
        if self._late_in is _NOBODY:
            self._late_in = {}
        self._late_in[partner] = late_in
        self._reputation.note(partner, tick, kept=False)

    def avoided(self, tick: int) -> frozenset[str]:
        """Return with whom to deal last, or not at all; forget who has broken no promise within a day."""
        if not self._late_in:
            return frozenset()
        for partner in [each for each in self._late_in if not self._reputation.has_broken(each, tick)]:
            del self._late_in[partner]
        return frozenset(each for each in self._late_in if not self._reputation.trusts(each, tick))


def most_in_time(partner: str, in_time: Collection[str], late: Collection[str]) -> bool:
    """Return whether lateness is a partner's own: most others were in time, and at least one was.

    >>> most_in_time("a", {"b"}, {"a"}), most_in_time("a", {"b"}, {"a", "c"}), most_in_time("a", (), {"a"})
    (True, False, False)
    """
    punctual = sum(each != partner for each in in_time)
    others = punctual + sum(each != partner for each in late)
    return punctual > 0 and punctual * 4 >= others * MOST_QUARTERS
