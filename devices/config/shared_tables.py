"""Tables and value ranges that scenario files and device files share: one limit for one thing."""

from typing import Annotated, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gridfleet.broker.errors import has_control_characters
from gridfleet.broker.readers.ranges import LATITUDE, LONGITUDE


def spread_form(value: object) -> str:
    """Return whether a file gives a value or two limits; errors of a value so do not name both forms."""
    return "·limits" if isinstance(value, list | tuple) else "·value"


Share = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[float, Field(ge=0, le=100)]
Fee = Annotated[float, Field(ge=0, le=1000)]
"""In EUR."""
"""EUR/kWh."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Latitude = Annotated[float, Field(ge=LATITUDE[0], le=LATITUDE[1])]
Longitude = Annotated[float, Field(ge=LONGITUDE[0], le=LONGITUDE[1])]
RotorDiameter = Annotated[float, Field(ge=0.1, le=300)]
MeasuringHeight = Annotated[float, Field(ge=0.5, le=500)]
HubHeight = Annotated[float, Field(ge=1, le=300)]
Temperature = Annotated[float, Field(ge=-60, le=60)]
AnnualEnergy = Annotated[float, Field(ge=0, le=1e9)]
"""kWh per year."""
Spread: TypeAlias = float | tuple[float, float]
"""A value, or two limits between which each device draws its own."""
ShareOrLimits = Annotated[
    Annotated[Share, Tag("·value")] | Annotated[tuple[Share, Share], Tag("·limits")],
    Discriminator(spread_form),
]
RotorOrLimits = Annotated[
    Annotated[RotorDiameter, Tag("·value")] | Annotated[tuple[RotorDiameter, RotorDiameter], Tag("·limits")],
    Discriminator(spread_form),
]


class Table(BaseModel):
    """Base of the tables of a TOML file: frozen; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_values(cls, value: object, info: ValidationInfo) -> object:
        """Keep true and false from being read as 1 and 0, and control characters out of texts.

        Only a key for a boolean accepts true and false, and only texts for people may have several lines.
        """
        for text in value if isinstance(value, list | tuple) else (value,):
            lines = "\n\t" if info.field_name in {"about", "title"} else ""
            if isinstance(text, str) and has_control_characters(text, lines):
                raise ValueError("must have no control characters")
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            return str(value)
        return value


class MarketTable(Table):
    """Prices in EUR/kWh and the size of a package in kWh."""

    package_kwh: Annotated[float, Field(ge=0.001, le=1000)] = 10.0
    """Size of a package; the last of a bid may be smaller."""
    consumer_price_eur_per_kwh: Price = 1.0
    """Bid of households, businesses and farms."""
    reactor_price_eur_per_kwh: Price = 0.9
    """Lowest price of a reactor."""
    charger_floor_eur_per_kwh: Share = 0.1
    """Lowest bid of a charger: the fuller its battery, the less it bids."""


class TrustTable(Table):
    """Whom devices believe: limits of registration and suspensions; docs/trust.md states what they promise."""

    enabled: bool = True
    """Whether devices hold others to the limits of their registration, and avoid liars. Without it they believe all."""
    suspension_ticks: Annotated[int, Field(ge=1, le=100_000)] = 96
    """For so many ticks nobody deals with a device that has lied provably."""
    price_cap_eur_per_kwh: Price = 4.0
    """The highest bid of a kind that states no limit of its own; never below the prices of `[market]`."""


class RectangleTable(Table):
    """A rectangle on the map, in degrees."""

    south: Latitude = 49.11
    """Southern edge."""
    north: Latitude = 54.24
    """Northern edge."""
    west: Longitude = 6.28
    """Western edge."""
    east: Longitude = 12.43
    """Eastern edge."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> "RectangleTable":
        if self.south >= self.north or self.west >= self.east:
            raise ValueError("south must be less than north, and west less than east")
        return self
