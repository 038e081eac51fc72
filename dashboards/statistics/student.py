"""Confidence intervals of a mean by Student's t distribution."""

import math
from typing import Final

LEVEL: Final = 0.95
"""The confidence level of every interval."""
_T: Final = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
)  # fmt: skip
"""Student's t for a two-sided interval of LEVEL, by degrees of freedom from 1."""
_Z: Final = 1.959964
"""The same of the normal distribution."""


def half_width(standard_deviation: float, runs: int) -> float:
    """Return half of the width of the interval around the mean of `runs` independent values; NaN for fewer than two.

    >>> round(half_width(2.0, 5), 3)
    2.483
    """
    return student_t(runs - 1) * standard_deviation / math.sqrt(runs) if runs > 1 else math.nan


def student_t(freedom: int) -> float:
    """Return Student's t for a two-sided interval of LEVEL, from 1 degree of freedom on.

    Beyond the table by the expansion of Abramowitz and Stegun, 26.7.5.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
