"""Density and pressure of dry air, and the wind speed at another height.

[1] E. Hau, "Windkraftanlagen", 4th edition, Springer 2008: density from pressure and
    temperature, power law of the wind profile.
[2] ICAO Doc 7488/3, standard atmosphere: 101 325 Pa and 15 °C at sea level, g = 9.80665 m/s².
"""

from math import exp, log
from typing import Final

GAS_CONSTANT_J_PER_KG_K: Final = 287.1
STANDARD_PRESSURE_PA: Final = 101_325.0
STANDARD_TEMPERATURE_C: Final = 15.0
STANDARD_GRAVITY_M_PER_S2: Final = 9.80665
ZERO_CELSIUS_K: Final = 273.15
HELLMANN_EXPONENT: Final = 1 / 7


def density_kg_per_m3(temperature_c: float, pressure_pa: float = STANDARD_PRESSURE_PA) -> float:
    """Return the density of dry air, ρ = p / (R·T) [1]; temperature in °C, pressure in Pa."""
    return pressure_pa / (GAS_CONSTANT_J_PER_KG_K * (temperature_c + ZERO_CELSIUS_K))


def pressure_at_height_pa(
    height_m: float,
    temperature_c: float = STANDARD_TEMPERATURE_C,
    sea_level_pressure_pa: float = STANDARD_PRESSURE_PA,
) -> float:
    """Return the pressure in whole Pa at a height, p₀·exp(−g·h/(R·T)): within 1 % of [2] below 2 km."""
    scale_height_m = GAS_CONSTANT_J_PER_KG_K * (temperature_c + ZERO_CELSIUS_K) / STANDARD_GRAVITY_M_PER_S2
    return float(round(sea_level_pressure_pa * exp(-height_m / scale_height_m)))


def speed_at_height_mps(wind_speed_mps: float, measured_at_m: float, height_m: float) -> float:
    """Return the wind speed in m/s at a height by Hellmann's power law, exponent 1/7 over open land [1]."""
    return wind_speed_mps * exp(HELLMANN_EXPONENT * log(height_m / measured_at_m))
