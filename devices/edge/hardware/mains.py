"""Current, voltage and power of the mains, computed from samples of one whole cycle. Pure arithmetic.

Over a whole cycle of uniformly spaced samples, the root of the mean square is exact for a sine and for all its
harmonics below half the sampling rate; mean power is the mean of u·i. The two values of a
pair are read one after the other. Which one is first alternates, so that the time between them cancels to first order.

Samples at uneven times are weighted by the time between their neighbours; the cycle is taken as periodic. A cycle with
a gap of more than a sixth is not evaluated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Final

from gridfleet.devices.config.sensor_tables import AlternatingTable
from gridfleet.devices.edge.hardware.board import ADC_STEPS, LAST_CODE
from gridfleet.devices.edge.hardware.faults import SensorFault

PAIRS: Final = 20
"""Samples of each quantity in a cycle."""
MAX_GAP_SHARE: Final = 1 / 6
RAIL_CODES: Final = 2
"""Codes this near to an end of the scale are not valid."""
OFFSET_SHARE: Final = 0.1
"""Share of the scale by which the measured zero may differ from the calibrated one."""
MIN_VARIATION_CODES: Final = 1
"""A working sensor of an alternating quantity varies by more."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One quantity over one cycle: its instantaneous values in A or V, their RMS, and the fault, if any."""

    values: tuple[float, ...]
    rms: float
    zero_code: float
    """Mean of the codes, which is the zero when only alternating current flows."""
    fault: SensorFault | None


def weights(times_s: Sequence[float], period_s: float) -> list[float] | None:
    """Return each sample's share of the cycle; None when a gap between them is too long."""
    gaps_s = [later - earlier for earlier, later in pairwise((*times_s, times_s[0] + period_s))]
    if min(gaps_s) <= 0 or max(gaps_s) > MAX_GAP_SHARE * period_s:
        return None
    return [
        (before_s + after_s) / 2 / period_s
        for before_s, after_s in zip((gaps_s[-1], *gaps_s), gaps_s, strict=False)
    ]


def mean(values: Sequence[float], shares: Sequence[float]) -> float:
    """Return the mean of values weighted with those shares of the cycle."""
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
    """Return the code at zero, as calibrated."""
    return table.zero_v * table.divider / reference_v * ADC_STEPS


def cycle(
    codes: Sequence[float],
    shares: Sequence[float],
    table: AlternatingTable,
    reference_v: float,
    zero_code: float,
    *,
    alternating: bool,
) -> Cycle:
    """Return one cycle, from codes around `zero_code`; `alternating` says that the quantity must vary."""
    scale = units_per_code(table, reference_v)
    values = tuple((code - zero_code) * scale for code in codes)
    mean_code = mean(codes, shares)
    rms = root_mean_square(values, shares)
    fault = _fault(codes, mean_code, calibrated_zero_code(table, reference_v), alternating=alternating)
    return Cycle(values, rms, mean_code, fault)


def _fault(
    codes: Sequence[float], mean_code: float, calibrated: float, *, alternating: bool
) -> SensorFault | None:
    low, high = min(codes), max(codes)
    if high <= RAIL_CODES or low >= LAST_CODE - RAIL_CODES:
        return SensorFault.DISCONNECTED
    if low <= RAIL_CODES or high >= LAST_CODE - RAIL_CODES:
        return SensorFault.OUT_OF_RANGE
    if high - low <= MIN_VARIATION_CODES and (
        alternating or abs(mean_code - calibrated) > OFFSET_SHARE * ADC_STEPS
    ):
        return SensorFault.STUCK
    if abs(mean_code - calibrated) > OFFSET_SHARE * ADC_STEPS:
        return SensorFault.OFFSET
    return None
