"""Promises that partners have kept and broken, and which partners a device avoids because of them."""

from typing import Final, NamedTuple

REMEMBERED_TICKS: Final = 96
"""An encounter counts for a day; then a partner that was avoided gets another chance."""
MAX_ENCOUNTERS: Final = 16
"""The latest encounters with one partner that are remembered."""
MIN_TENTHS: Final = 3
"""A partner is avoided if less than 3 in 10 promises are expected to be kept: after two broken and none kept."""


class Encounter(NamedTuple):
    """A promise of a partner: in which tick it was kept or broken."""

    tick: int
    kept: bool


_NO_ENCOUNTERS: Final[dict[str, tuple[Encounter, ...]]] = {}
"""Stands for an empty dict, of which every vehicle without encounters would need one."""


class Reputation:
    """The probability that a partner keeps its next promise, (kept + 1) / (kept + broken + 2).

    That is the mean of a beta distribution. Source: Jøsang and Ismail, The Beta Reputation System, 2002; there
    encounters are forgotten gradually, here after a day.

    >>> known = Reputation()
    >>> for tick in (1, 2):
    ...     known.note("charger-1", tick, kept=False)
    >>> known.trusts("charger-1", 2), known.trusts("charger-1", 100), known.trusts("charger-2", 2)
    (False, True, True)
    """

    __slots__ = ("_credit", "_encounters")

    def __init__(self, credit: int = 0) -> None:
        """`credit` is how many promises a partner counts as having kept before the first encounter."""
        self._credit = credit
        self._encounters = _NO_ENCOUNTERS

    def clear(self) -> None:
        """Forget all partners."""
        self._encounters = _NO_ENCOUNTERS

    def note(self, partner: str, tick: int, *, kept: bool) -> None:
        """Remember whether a promise was kept."""
        fresh = self._fresh(partner, tick)
        if self._encounters is _NO_ENCOUNTERS:
            self._encounters = {}
        self._encounters[partner] = (*fresh, Encounter(tick, kept))[-MAX_ENCOUNTERS:]

    def trusts(self, partner: str, tick: int) -> bool:
        """Whether to deal with a partner; one that is not known is trusted."""
        if partner not in self._encounters:
            return True
        encounters = self._fresh(partner, tick)
        kept = sum(encounter.kept for encounter in encounters) + self._credit
        return (kept + 1) * 10 >= (len(encounters) + self._credit + 2) * MIN_TENTHS

    def has_broken(self, partner: str, tick: int) -> bool:
        """Whether a partner has broken a promise within a day."""
        return any(not encounter.kept for encounter in self._fresh(partner, tick))

    def avoided(self, tick: int) -> tuple[str, ...]:
        """Return the partners that are not trusted, sorted."""
        return tuple(sorted(name for name in self._encounters if not self.trusts(name, tick)))

    def _fresh(self, partner: str, tick: int) -> tuple[Encounter, ...]:
        """Forget encounters older than a day; return the others."""
        known = self._encounters.get(partner, ())
        if not known or known[0].tick > tick - REMEMBERED_TICKS:
            return known  # they are in the order of ticks
        fresh = tuple(each for each in known if each.tick > tick - REMEMBERED_TICKS)
        self._encounters[partner] = fresh
        return fresh
