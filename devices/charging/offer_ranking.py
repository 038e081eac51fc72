"""How a vehicle ranks the offers of chargers: what a ranking is given, and what it returns."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import Lease
from gridfleet.devices.plugins import definition_of, place_of
from gridfleet.devices.random_streams import RandomStream


class RankingError(GridFleetError, ValueError):
    """A ranking that fails, or returns anything but some of the offers, each once; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of distance, price and energy in the weighted score; only their ratios matter."""

    distance: float = 1.0
    price: float = 1.0
    energy: float = 1.0


class Candidate(NamedTuple):
    """An offer, with the distance and the need of the vehicle."""

    charger: str
    distance_km: float
    energy_wh: int
    price_ueur_per_kwh: int
    needed_wh: int
    """Energy that would fill the vehicle there, including that of the way."""

    def matches(self, lease: Lease) -> bool:
        """Whether a lease has the energy and the price of the offer."""
        return lease.energy_wh == self.energy_wh and lease.price_ueur_per_kwh == self.price_ueur_per_kwh


Rank = Callable[[Sequence[Candidate], Weights, RandomStream], Iterable[Candidate]]
"""(candidates, weights, random stream) -> those that the vehicle tries, the best first.

The candidates are sorted by charger, so that the order in which offers arrived plays no part. A candidate that is left
out is not tried. The weights are the vehicle's. Equal arguments must give equal results: chance comes from the random
stream alone, which is the vehicle's own and is seeded (`random()`, `uniform(low, high)`, `below(limit)`).
"""


@dataclass(frozen=True, slots=True)
class OfferRanking:
    """A way to rank offers, under the name by which the setting `algorithm` chooses it.

    >>> dearest = OfferRanking("dearest", lambda offers, *_: sorted(offers, key=lambda c: -c.price_ueur_per_kwh))
    >>> offers = [Candidate("a", 1.0, 500, 300_000, 500), Candidate("b", 9.0, 500, 400_000, 500)]
    >>> [offer.charger for offer in dearest.ranked(offers, Weights(), RandomStream(1))]
    ['b', 'a']
    """

    name: str
    rank: Rank

    def ranked(self, candidates: Iterable[Candidate], weights: Weights, rng: RandomStream) -> list[Candidate]:
        """Return the candidates to try, the best first; raise RankingError where the ranking fails."""
        ordered = tuple(sorted(candidates))
        try:
            found = list(self.rank(ordered, weights, rng))
        except Exception as error:  # whatever another package raises
            text = " ".join(f"{type(error).__name__}: {error}".split())
            place = place_of(error) or definition_of(self.rank)
            raise RankingError(f"offer ranking {self.name!r}: {text}{place}") from error
        left = list(ordered)
        try:
            for each in found:
                left.remove(each)
        except ValueError:
            raise RankingError(
                f"offer ranking {self.name!r}: it returns an offer twice, or what is no offer{definition_of(self.rank)}"
            ) from None
        return found
