"""The offer rankings that are shipped: best, cheapest, closest, weighted and random."""

from collections.abc import Sequence
from typing import Final

from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.charging.offer_ranking import Candidate, OfferRanking, Weights
from gridfleet.devices.random_streams import RandomStream


def best(candidates: Sequence[Candidate], _weights: Weights, _rng: RandomStream) -> list[Candidate]:
    """Return offers that fill the vehicle by total cost, then the others by price per kWh."""
    return sorted(candidates, key=_best)


def _best(c: Candidate) -> tuple[bool, int, float, str]:
    fills = c.energy_wh >= c.needed_wh
    cost = cost_neur(c.energy_wh, c.price_ueur_per_kwh) if fills else c.price_ueur_per_kwh
    return (not fills, cost, c.distance_km, c.charger)


def cheapest(candidates: Sequence[Candidate], _weights: Weights, _rng: RandomStream) -> list[Candidate]:
    """Return the offers by price per kWh."""
    return sorted(candidates, key=lambda c: (c.price_ueur_per_kwh, c.distance_km, c.charger))


def closest(candidates: Sequence[Candidate], _weights: Weights, _rng: RandomStream) -> list[Candidate]:
    """Return the offers by distance."""
    return sorted(candidates, key=lambda c: (c.distance_km, c.price_ueur_per_kwh, c.charger))


def shuffled(candidates: Sequence[Candidate], _weights: Weights, rng: RandomStream) -> list[Candidate]:
    """Return the candidates in random order (Fisher-Yates)."""
    ordered = list(candidates)
    for last in range(len(ordered) - 1, 0, -1):
        other = rng.below(last + 1)
        ordered[last], ordered[other] = ordered[other], ordered[last]
    return ordered


def weighted(candidates: Sequence[Candidate], weights: Weights, _rng: RandomStream) -> list[Candidate]:
    """Return the candidates by their score, the highest first."""
    scores = _scores(candidates, weights)
    pairs = zip(scores, candidates, strict=True)
    return [c for _, c in sorted(pairs, key=lambda pair: (-pair[0], pair[1].charger))]


def _scores(candidates: Sequence[Candidate], weights: Weights) -> list[float]:
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


BEST: Final = OfferRanking("best", best)
CHEAPEST: Final = OfferRanking("cheapest", cheapest)
CLOSEST: Final = OfferRanking("closest", closest)
WEIGHTED: Final = OfferRanking("weighted", weighted)
RANDOM: Final = OfferRanking("random", shuffled)
