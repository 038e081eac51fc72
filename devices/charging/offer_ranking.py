"""How a vehicle ranks the offers of chargers: five algorithms over the same facts, best first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gridfleet.broker.protocol.messages import Algorithm, Lease
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.random_streams import RandomStream


@dataclass(frozen=True, slots=True)
class Weights:
    """How much distance, price and energy count in the weighted score; only their ratios matter."""

    distance: float = 1.0
    price: float = 1.0
    energy: float = 1.0


class Candidate(NamedTuple):
    """An offer with what the vehicle knows of it."""

    charger: str
    distance_km: float
    energy_wh: int
    price_ueur_per_kwh: int
    needed_wh: int
    """What would fill the vehicle there, the way included."""

    def is_kept_by(self, lease: Lease) -> bool:
        """Tell whether a confirmation is what was offered."""
        return lease.energy_wh == self.energy_wh and lease.price_ueur_per_kwh == self.price_ueur_per_kwh


def rank(
    candidates: Sequence[Candidate], algorithm: Algorithm, weights: Weights, chance: RandomStream
) -> list[Candidate]:
    """Return the candidates, the one to accept first; the order of arrival plays no part."""
    ordered = sorted(candidates)
    match algorithm:
        case Algorithm.BEST:
            return sorted(ordered, key=_best)
        case Algorithm.CHEAPEST:
            return sorted(ordered, key=lambda c: (c.price_ueur_per_kwh, c.distance_km, c.charger))
        case Algorithm.CLOSEST:
            return sorted(ordered, key=lambda c: (c.distance_km, c.price_ueur_per_kwh, c.charger))
        case Algorithm.RANDOM:
            return _shuffled(ordered, chance)
        case Algorithm.WEIGHTED:
            scores = _scores(ordered, weights)
            return [
                c
                for _, c in sorted(
                    zip(scores, ordered, strict=True), key=lambda pair: (-pair[0], pair[1].charger)
                )
            ]


def _best(c: Candidate) -> tuple[bool, int, float, str]:
    """Cheapest in total among the offers that fill the vehicle, then cheapest per kWh among the others."""
    fills = c.energy_wh >= c.needed_wh
    cost = cost_neur(c.energy_wh, c.price_ueur_per_kwh) if fills else c.price_ueur_per_kwh
    return (not fills, cost, c.distance_km, c.charger)


def _shuffled(ordered: list[Candidate], chance: RandomStream) -> list[Candidate]:
    """Fisher-Yates over the sorted candidates."""
    for last in range(len(ordered) - 1, 0, -1):
        other = chance.below(last + 1)
        ordered[last], ordered[other] = ordered[other], ordered[last]
    return ordered


def _scores(candidates: list[Candidate], weights: Weights) -> list[float]:
    """Score each between 0 and the sum of weights: closer, cheaper and more energy are better.

    Each figure is taken relative to the largest among the candidates, so that the weights have no unit.
    """
    far = max((c.distance_km for c in candidates), default=0.0) or 1.0
    dear = max((c.price_ueur_per_kwh for c in candidates), default=0) or 1
    large = max((c.energy_wh for c in candidates), default=0) or 1
    return [
        weights.distance * (1 - c.distance_km / far)
        + weights.price * (1 - c.price_ueur_per_kwh / dear)
        + weights.energy * (c.energy_wh / large)
        for c in candidates
    ]
