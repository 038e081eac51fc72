"""What all messages share: the base class, field types with their bounds, and the kinds of device."""

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
Scale = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
ShortText = Annotated[str, Field(max_length=64)]
Faults = Annotated[tuple[ShortText, ...], Field(max_length=32)]

STRICT: Final = ConfigDict(strict=True, extra="forbid")
"""Validation converts no types and allows no unknown fields."""


class Kind(StrEnum):
    """The kinds of device."""

    TURBINE = "turbine"
    CONSUMER = "consumer"
    CHARGER = "charger"
    VEHICLE = "vehicle"
    REACTOR = "reactor"
    CLOCK = "clock"

    __hash__ = str.__hash__  # Enum's own is written in Python, and this one is looked up all the time


@frozen
class Message:
    """Base of all messages; TYPE is the message type, the topic level that stands for the class."""

    TYPE: ClassVar[str] = ""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
