"""Paired differences: how much one set of runs differs from another, over equal seeds.

Two runs with equal seeds have the same weather, the same vehicles and the same trips (common random numbers), so their
difference varies less than either of them [1]. The interval of the mean difference is that of Student's t over the
pairs; it covers the true difference in 95 of 100 cases where the differences are about normal.

[1] A. M. Law, Simulation Modeling and Analysis, 5th ed. (2015), sections 10.2 and 11.2.
"""

import math
from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Final, NamedTuple

from gridfleet.dashboards.statistics.student import half_width

_WORDS: Final = {
    "accepted_distance_km": ("drives {} farther to a charger than", "drives {} less far to a charger than"),
    "accepted_price": ("pays {} more for charging than", "pays {} less for charging than"),
    "accepted_cost_eur": ("pays {} more per reservation than", "pays {} less per reservation than"),
    "waiting_min": ("waits {} longer than", "waits {} less than"),
}
"""How a difference up and down is said, for the figures that have words of their own."""


class Difference(NamedTuple):
    """How a set differs from another in one figure: the mean over the pairs of equal seeds, and its interval."""

    name: str
    base: str
    label: str
    pairs: int
    mean: float
    """Of `label` less `base`."""
    half_width: float
    """Half of the interval's width; NaN for fewer than two pairs."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out 0: the runs show a difference."""
        return abs(self.mean) > self.half_width


def differences(name: str, sets: Mapping[str, Mapping[int, float]]) -> list[Difference]:
    """Return how each set but the first differs from the first one, over the seeds for which both have a value.

    `sets` are the values of a figure by seed, by the set's label; sets without a pair are left out.

    >>> (found,) = differences("price", {"best": {1: 2.0, 2: 3.0}, "random": {1: 4.0, 2: 5.5, 3: 9.0}})
    >>> found.pairs, found.mean, found.shown
    (2, 2.25, False)
    """
    labels = list(sets)
    found = []
    for label in labels[1:]:
        base, other = sets[labels[0]], sets[label]
        deltas = [
            other[seed] - base[seed]
            for seed in sorted(base.keys() & other.keys())
            if not math.isnan(other[seed] - base[seed])
        ]
        if deltas:
            width = half_width(stdev(deltas), len(deltas)) if len(deltas) > 1 else math.nan
            found.append(Difference(name, labels[0], label, len(deltas), fmean(deltas), width))
    return found


def verdict_text(found: Difference, title: str, unit: str, places: int) -> str:
    """Return a difference in words.

    >>> far = Difference("accepted_distance_km", "best", "random", 20, 8.04, 2.2)
    >>> verdict_text(far, "Distance", "km", 1)
    'random drives 8.0 ± 2.2 km farther to a charger than best (20 equal seeds)'
    """
    seeds = "1 equal seed" if found.pairs == 1 else f"{found.pairs} equal seeds"
    if found.pairs > 1 and not found.shown:
        return f"{found.label}: no difference to {found.base} in {title.lower()} that {seeds} show"
    amount = f"{abs(found.mean):.{places}f}"
    if not math.isnan(found.half_width):
        amount += f" ± {found.half_width:.{places}f}"
    amount = f"{amount} {unit}".rstrip()
    up, down = _WORDS.get(found.name, ("", ""))
    if up:
        words = (up if found.mean > 0 else down).format(amount)
        text = f"{found.label} {words} {found.base} ({seeds})"
    else:
        way = "higher" if found.mean > 0 else "lower"
        text = f"{found.label}: {title.lower()} {amount} {way} than with {found.base} ({seeds})"
    return text if found.pairs > 1 else f"{text}; one pair shows no interval"
