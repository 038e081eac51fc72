"""How a vehicle ranks the offers of chargers, best first: five algorithms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gridfleet.broker.protocol.messages import Algorithm, Lease
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.random_streams import RandomStream


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


def rank_offers(
    candidates: Sequence[Candidate], algorithm: Algorithm, weights: Weights, rng: RandomStream
) -> list[Candidate]:
    """Return the candidates, the best first; the order in which the offers arrived plays no part."""
    ordered = sorted(candidates)
    match algorithm:
        case Algorithm.BEST:
            return sorted(ordered, key=_best)
        case Algorithm.CHEAPEST:
            return sorted(ordered, key=lambda c: (c.price_ueur_per_kwh, c.distance_km, c.charger))
        case Algorithm.CLOSEST:
            return sorted(ordered, key=lambda c: (c.distance_km, c.price_ueur_per_kwh, c.charger))
        case Algorithm.RANDOM:
            return _shuffled(ordered, rng)
        case Algorithm.WEIGHTED:
            scores = _scores(ordered, weights)
            return [
                c
                for _, c in sorted(
                    zip(scores, ordered, strict=True), key=lambda pair: (-pair[0], pair[1].charger)
                )
            ]


def _best(c: Candidate) -> tuple[bool, int, float, str]:
    """Sort key: offers that fill the vehicle by total cost, then the others by price per kWh."""
    fills = c.energy_wh >= c.needed_wh
    cost = cost_neur(c.energy_wh, c.price_ueur_per_kwh) if fills else c.price_ueur_per_kwh
    return (not fills, cost, c.distance_km, c.charger)


def _shuffled(ordered: list[Candidate], rng: RandomStream) -> list[Candidate]:
    """Return the candidates in random order (Fisher-Yates)."""
    for last in range(len(ordered) - 1, 0, -1):
        other = rng.below(last + 1)
        ordered[last], ordered[other] = ordered[other], ordered[last]
    return ordered


def _scores(candidates: list[Candidate], weights: Weights) -> list[float]:
    """Return a score for each, 0 to the sum of weights: closer, cheaper and more energy are better.

    Each figure is divided by the largest among the candidates, so that the weights have no unit.
    """
    max_km = max((c.distance_km for c in candidates), default=0.0) or 1.0
    max_price = max((c.price_ueur_per_kwh for c in candidates), default=0) or 1
    max_wh = max((c.energy_wh for c in candidates), default=0) or 1
    return [
        weights.distance * (1 - c.distance_km / max_km)
        + weights.price * (1 - c.price_ueur_per_kwh / max_price)
        + weights.energy * (c.energy_wh / max_wh)
        for c in candidates
    ]
