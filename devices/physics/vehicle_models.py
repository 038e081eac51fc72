"""Consumption, battery and charging power of real electric cars."""

from dataclasses import dataclass
from functools import cache

from gridfleet.devices.physics.data import read_rows

_WH_PER_KM_PER_KWH_PER_100KM = 10
_PER_KILO = 1_000


@dataclass(frozen=True, slots=True)
class VehicleModel:
    """One car model: consumption, battery capacity, and the most power that it can draw."""

    model: str
    consumption_wh_per_km: float
    capacity_wh: int
    charge_power_w: int


@cache
def vehicle_models() -> tuple[VehicleModel, ...]:
    """Return the models of devices/physics/data/vehicles.csv in the order of the file, which names its sources."""
    return tuple(
        VehicleModel(
            model=row["model"],
            consumption_wh_per_km=float(row["consumption_kwh_per_100km"]) * _WH_PER_KM_PER_KWH_PER_100KM,
            capacity_wh=round(float(row["capacity_kwh"]) * _PER_KILO),
            charge_power_w=round(float(row["charge_power_kw"]) * _PER_KILO),
        )
        for row in read_rows("vehicles.csv")
    )
