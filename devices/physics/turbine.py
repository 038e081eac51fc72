"""Power of a wind turbine from its power coefficient Cp(v), that of the Enercon E-101/3050.

[1] R. Gasch, J. Twele, "Windkraftanlagen", 6th edition, Vieweg+Teubner 2010, p. 35: P = ½·ρ·A·v³·Cp(v).
[2] Cp(v): Enercon's product brochure of April 2017 through windpowerlib; see devices/physics/data/enercon_e101.csv.
"""

from bisect import bisect_right
from functools import cache
from math import pi
from typing import Final

from gridfleet.devices.physics.data import read_rows

ENERCON_E101_DIAMETER_M: Final = 101.0
REFERENCE_DENSITY_KG_PER_M3: Final = 1.225
MAX_DENSITY_KG_PER_M3: Final = 1.95
"""That of dry air at sea level and about −92 °C: a scenario may have a mean of −60 °C, with seasons and nights."""
INTERPOLATION_FACTOR: Final = 1.01
"""Between two points of the curve, v³·Cp(v) may be so much above both."""


@cache
def cp_curve() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the curve's wind speeds in m/s, ascending, and the power coefficient at each [2]."""
    rows = read_rows("enercon_e101.csv")
    return (
        tuple(float(row["wind_speed_mps"]) for row in rows),
        tuple(float(row["power_coefficient"]) for row in rows),
    )


def power_coefficient(wind_speed_mps: float) -> float:
    """Return Cp(v) by linear interpolation; 0 below the curve's first wind speed and above its last."""
    speeds_mps, coefficients = cp_curve()
    if not speeds_mps[0] <= wind_speed_mps <= speeds_mps[-1]:
        return 0.0
    upper = min(bisect_right(speeds_mps, wind_speed_mps), len(speeds_mps) - 1)
    lower = upper - 1
    share = (wind_speed_mps - speeds_mps[lower]) / (speeds_mps[upper] - speeds_mps[lower])
    return coefficients[lower] + share * (coefficients[upper] - coefficients[lower])


def swept_area_m2(rotor_diameter_m: float) -> float:
    """Return the area that the rotor sweeps, A = π·D²/4."""
    return pi * rotor_diameter_m * rotor_diameter_m / 4


@cache
def _best_cp_cube() -> float:
    """Return the largest v³·Cp(v) of the curve, in m³/s³."""
    return max(speed * speed * speed * coefficient for speed, coefficient in zip(*cp_curve(), strict=True))


def max_power_w(rotor_diameter_m: float) -> float:
    """Return the most electrical power in W, at the best wind in the densest air at a hub.

    >>> round(max_power_w(ENERCON_E101_DIAMETER_M) / 1e6, 1)
    4.9
    """
    return (
        0.5 * MAX_DENSITY_KG_PER_M3 * swept_area_m2(rotor_diameter_m) * _best_cp_cube() * INTERPOLATION_FACTOR
    )


def power_w(wind_speed_mps: float, rotor_diameter_m: float, density_kg_per_m3: float) -> int:
    """Return the electrical power in whole W, P = ½·ρ·A·v³·Cp(v) [1]; 0 outside cut-in and cut-out.

    >>> power_w(10.0, ENERCON_E101_DIAMETER_M, REFERENCE_DENSITY_KG_PER_M3)
    2340761
    """
    coefficient = power_coefficient(wind_speed_mps)
    cube = wind_speed_mps * wind_speed_mps * wind_speed_mps
    return round(0.5 * density_kg_per_m3 * swept_area_m2(rotor_diameter_m) * cube * coefficient)
