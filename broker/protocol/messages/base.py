"""What all messages share: the base class, field types with their bounds, and the roles of devices."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from gridfleet.broker.protocol.frozen import frozen

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$"

Id = Annotated[str, Field(pattern=ID_PATTERN)]
TickNumber = Annotated[int, Field(ge=0, lt=2**31)]
Serial = Annotated[int, Field(ge=0, lt=2**31)]
EnergyWh = Annotated[int, Field(ge=0, le=10**12)]
PriceUeur = Annotated[int, Field(ge=0, le=10**9)]
MoneyNeur = Annotated[int, Field(ge=-(10**21), le=10**21)]
TimeMs = Annotated[int, Field(ge=0, lt=253_402_300_800_000)]
"""Milliseconds from 1970 to the end of the year 9999."""
PowerW = Annotated[int, Field(ge=-(10**12), le=10**12)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Reading = Annotated[float, Field(allow_inf_nan=False)]
MAX_SCALE: Final = 2
"""The largest factor by which a setting may multiply what consumers need and turbines generate."""
Scale = Annotated[float, Field(ge=0, le=MAX_SCALE, allow_inf_nan=False)]
MAX_SHORT_TEXT: Final = 64
ShortText = Annotated[str, Field(max_length=MAX_SHORT_TEXT)]
Faults = Annotated[tuple[ShortText, ...], Field(max_length=32)]
KIND_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,31}$"
KindName = Annotated[str, Field(pattern=KIND_PATTERN)]
"""A kind of device: lower-case letters, digits, `_` and `-`."""
FigureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
MAX_FIGURES: Final = 32
"""The most figures that a device reports beside those of its role."""

STRICT: Final = ConfigDict(strict=True, extra="forbid")
"""Validation converts no types and allows no unknown fields."""


class Role(StrEnum):
    """The roles of devices, a closed set: what a device may publish and receive, and what its account states.

    A device also has a kind, such as heat pump, which is open: access rules, audit and reports depend on roles alone.
    """

    PRODUCER = "producer"
    """Sells what it generates."""
    CONSUMER = "consumer"
    """Buys what it needs."""
    STORAGE = "storage"
    """Buys and sells, and keeps energy in between."""
    CHARGER = "charger"
    """Buys for its battery, reserves ports, and delivers to vehicles."""
    VEHICLE = "vehicle"
    """Reserves a charger's port, and draws energy there."""
    GRID_SUPPLY = "grid-supply"
    """Sells at its own price what no cell has: the connection to the grid outside."""
    CLOCK = "clock"
    """Publishes the ticks of the site."""

    __hash__ = str.__hash__  # Enum's own is written in Python, and this one is looked up all the time


@frozen
class Message:
    """Base of all messages; TYPE is the message type, the topic level that stands for the class."""

    TYPE: ClassVar[str] = ""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
