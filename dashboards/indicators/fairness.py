"""Indices of fairness and concentration."""

import math
from collections.abc import Iterable, Sequence


def jain(values: Sequence[float]) -> float:
    """Return Jain's index, (Σx)² / (n·Σx²), from 1/n to 1; NaN for no values, or only zeros.

    >>> jain([3.0, 3.0, 3.0]), jain([1.0, 0.0])
    (1.0, 0.5)
    """
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else math.nan


def gini(values: Iterable[float]) -> float:
    """Return the Gini coefficient, from 0 to 1 − 1/n; NaN for no values, or only zeros.

    >>> gini([2.0, 2.0]), gini([0.0, 0.0, 0.0, 8.0])
    (0.0, 0.75)
    """
    ordered = sorted(values)
    total, count = sum(ordered), len(ordered)
    if not total:
        return math.nan
    ranked = sum(rank * value for rank, value in enumerate(ordered, start=1))
    return 2 * ranked / (count * total) - (count + 1) / count


def hhi(amounts: Iterable[float]) -> float:
    """Return the Herfindahl–Hirschman index of market shares in per cent, up to 10 000; NaN where nothing was sold.

    >>> hhi([5.0, 5.0])
    5000.0
    """
    known = list(amounts)
    total = sum(known)
    return sum((100 * amount / total) ** 2 for amount in known) if total else math.nan
