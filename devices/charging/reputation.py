"""What a device remembers of its partners: promises kept and broken, and whom it does not deal with any more."""

from typing import Final, NamedTuple

REMEMBERED_TICKS: Final = 96
"""An encounter counts for a day: then a partner that was avoided gets another chance."""
MOST_ENCOUNTERS: Final = 16
"""So many encounters with one partner are remembered, the latest."""
LEAST_TENTHS: Final = 3
"""Below three tenths expected to be kept, a partner is avoided: that takes two broken promises and none kept."""


class Encounter(NamedTuple):
    """A promise of a partner: when it was made out, and whether it was kept."""

    tick: int
    kept: bool


class Reputation:
    """Expects of a partner's next promise (kept + 1) / (kept + broken + 2): the mean of a beta distribution.

    Source: Jøsang and Ismail, The Beta Reputation System, 2002; there with gradual forgetting, here within a day.
    """

    __slots__ = ("_encounters",)

    def __init__(self) -> None:
        self._encounters: dict[str, tuple[Encounter, ...]] = {}

    def clear(self) -> None:
        """Forget all partners."""
        self._encounters.clear()

    def note(self, partner: str, tick: int, *, kept: bool) -> None:
        """Remember how a promise came out."""
        fresh = self._fresh(partner, tick)
        self._encounters[partner] = (*fresh, Encounter(tick, kept))[-MOST_ENCOUNTERS:]

    def trusts(self, partner: str, tick: int) -> bool:
        """Tell whether to deal with a partner; one that is not known is trusted."""
        if partner not in self._encounters:
            return True
        encounters = self._fresh(partner, tick)
        kept = sum(encounter.kept for encounter in encounters)
        return (kept + 1) * 10 >= (len(encounters) + 2) * LEAST_TENTHS

    def avoided(self, tick: int) -> tuple[str, ...]:
        """Return the partners that are not trusted, sorted."""
        return tuple(sorted(name for name in self._encounters if not self.trusts(name, tick)))

    def _fresh(self, partner: str, tick: int) -> tuple[Encounter, ...]:
        """Forget what is older than a day; return the rest."""
        known = self._encounters.get(partner, ())
        if not known or known[0].tick > tick - REMEMBERED_TICKS:
            return known  # they are in the order of ticks
        fresh = tuple(each for each in known if each.tick > tick - REMEMBERED_TICKS)
        self._encounters[partner] = fresh
        return fresh
