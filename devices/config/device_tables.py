"""The tables of a device file that do not concern pins: each key with its unit, its limits and its default."""

from typing import Annotated, Literal

from pydantic import Field

from gridfleet.devices.config import shared_tables
from gridfleet.devices.config.shared_tables import (
    AnnualEnergy,
    MeasuringHeight,
    Price,
    RectangleTable,
    RotorDiameter,
    Share,
    Table,
    Temperature,
)

Number = Annotated[float, Field(allow_inf_nan=False)]


class BrokerTable(Table):
    """Where the broker is, and how the device logs in."""

    url: str
    """mqtt://host:1883, or mqtts://host:8883 with TLS."""
    credentials: str = ""
    """The folder with ca.crt and clients/<id>.password, as `gridfleet secrets` makes it; from the file's folder."""
    certificate: bool = False
    """Whether to log in by certificate as well, as a broker with mutual TLS demands."""
    keepalive_s: Annotated[int, Field(ge=30, le=3600)] = 60


class MarketTable(shared_tables.MarketTable):
    """The prices of a scenario, and what a vehicle pays at most."""

    vehicle_limit_eur_per_kwh: Price = 1.01


class ControlTable(Table):
    """The control loop: how often it looks at sensors and decides about switches."""

    period_s: Annotated[float, Field(ge=0.01, le=0.08)] = 0.05
    """With a converter, a step reads one whole cycle of the mains on top."""


class TelemetryTable(Table):
    """Samples of the sensors: how often, and what is kept of them while the broker cannot be reached."""

    every_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    folder: str = ""
    """Where samples wait; from the file's folder. Without it, systemd's state directory, else none are kept."""
    max_mb: Annotated[float, Field(ge=0.01, le=1000)] = 8.0


class TurbineTable(Table):
    """The rotor for which the wind is counted, and the air around it."""

    rotor_diameter_m: RotorDiameter = 2.0
    hub_height_m: Annotated[float, Field(ge=0, le=300)] = 0.0
    measured_at_m: MeasuringHeight | None = None
    """Height of the anemometer; without it the wind is taken as that at the hub."""
    temperature_c: Temperature = 9.3
    """Of the air: no thermometer is read."""


class HouseholdTable(Table):
    """A consumer by standard load profile."""

    profile: Literal["H25", "G25", "L25"] = "H25"
    annual_kwh: AnnualEnergy = 3500.0


class VehicleTable(RectangleTable):
    """An electric vehicle of a known model, and the area in which it drives."""

    model: str = ""
    """A model of the shipped table; drawn from the seed without it."""
    stored_share: Share = 0.5
