"""Current, voltage and power of the mains from samples over one whole cycle. Pure arithmetic.

Over a whole cycle of uniformly spaced samples, the root of the mean square is exact for a sine and for all its
harmonics below half the sampling rate; mean power is the mean of u·i. Current and voltage of a pair are read one
after the other, in turn the one and the other first, so that the shift between them cancels to first order.

Where samples come unevenly, each weighs what lies between its neighbours, the cycle being taken as one that repeats.
With a gap of more than a sixth of a cycle nothing can be said of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Final

from gridfleet.devices.config.sensor_tables import AlternatingTable
from gridfleet.devices.edge.hardware.board import ADC_STEPS, LAST_CODE
from gridfleet.devices.edge.hardware.faults import Fault

PAIRS: Final = 20
"""Samples of each quantity in a cycle."""
MOST_GAP_SHARE: Final = 1 / 6
RAIL_CODES: Final = 2
"""So near to the end of the scale a code says nothing."""
OFFSET_SHARE: Final = 0.1
"""Share of the scale by which a zero may lie beside the calibrated one."""
QUIET_CODES: Final = 1
"""A live sensor of something alternating varies by more."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One quantity over one cycle: its instantaneous values in A or V, their RMS, and what is wrong."""

    values: tuple[float, ...]
    rms: float
    zero_code: float
    """Mean of the codes: where zero is, when nothing else than alternating current flows."""
    fault: Fault | None


def weights(times_s: Sequence[float], period_s: float) -> list[float] | None:
    """Return the share of the cycle that each sample stands for; None where they leave too much of it unseen."""
    gaps_s = [later - earlier for earlier, later in pairwise((*times_s, times_s[0] + period_s))]
    if min(gaps_s) <= 0 or max(gaps_s) > MOST_GAP_SHARE * period_s:
        return None
    return [
        (before_s + after_s) / 2 / period_s
        for before_s, after_s in zip((gaps_s[-1], *gaps_s), gaps_s, strict=False)
    ]


def mean(values: Sequence[float], shares: Sequence[float]) -> float:
    """Return the mean over a cycle of values that stand for those shares of it."""
    return sum(value * share for value, share in zip(values, shares, strict=True))


def root_mean_square(values: Sequence[float], shares: Sequence[float]) -> float:
    """Return the root of the mean of v², in the unit of the values."""
    return sqrt(mean([value * value for value in values], shares))


def mean_power_w(volts: Sequence[float], amperes: Sequence[float], shares: Sequence[float]) -> float:
    """Return the mean of u·i over pairs of V and A: active power, whatever the phase."""
    return mean([u * i for u, i in zip(volts, amperes, strict=True)], shares)


def units_per_code(table: AlternatingTable, reference_v: float) -> float:
    """Return A or V per step of the converter: (V_ref/1024) / (divider · V per unit)."""
    return reference_v / ADC_STEPS / (table.divider * table.volts_per_unit)


def calibrated_zero_code(table: AlternatingTable, reference_v: float) -> float:
    """Return the code at zero by the calibration."""
    return table.zero_v * table.divider / reference_v * ADC_STEPS


def cycle(
    codes: Sequence[float],
    shares: Sequence[float],
    table: AlternatingTable,
    reference_v: float,
    zero_code: float,
    *,
    alive: bool,
) -> Cycle:
    """Return what the codes of one cycle say about `zero_code`; `alive` where something must be alternating."""
    scale = units_per_code(table, reference_v)
    values = tuple((code - zero_code) * scale for code in codes)
    mean_code = mean(codes, shares)
    rms = root_mean_square(values, shares)
    fault = _fault(codes, mean_code, calibrated_zero_code(table, reference_v), alive=alive)
    return Cycle(values, rms, mean_code, fault)


def _fault(codes: Sequence[float], mean_code: float, calibrated: float, *, alive: bool) -> Fault | None:
    low, high = min(codes), max(codes)
    if high <= RAIL_CODES or low >= LAST_CODE - RAIL_CODES:
        return Fault.DISCONNECTED
    if low <= RAIL_CODES or high >= LAST_CODE - RAIL_CODES:
        return Fault.OUT_OF_RANGE
    if high - low <= QUIET_CODES and (alive or abs(mean_code - calibrated) > OFFSET_SHARE * ADC_STEPS):
        return Fault.STUCK
    if abs(mean_code - calibrated) > OFFSET_SHARE * ADC_STEPS:
        return Fault.OFFSET
    return None
