"""Birth and last will of devices and fleet processes."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import (
    MAX_FIGURES,
    STRICT,
    FigureName,
    Id,
    KindName,
    Latitude,
    Longitude,
    Message,
    Role,
    Serial,
    ShortText,
)


@frozen
class Figure:
    """A figure of its own that a device reports in every state."""

    name: FigureName
    """Also the column of the output files, so it ends in its unit: `indoor_c`."""
    unit: ShortText = ""
    """The unit as people read it: °C."""
    description: Annotated[str, Field(max_length=200)] = ""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@frozen
class Presence(Message):
    """Birth (online) and last will (offline) of a device. Retained."""

    TYPE = "presence"
    online: bool
    role: Role
    cell: ShortText
    latitude: Latitude
    longitude: Longitude
    label: ShortText = ""
    via: Id | None = None
    """The fleet process whose connection it uses; none for a device with a connection of its own."""
    kind: KindName = "device"
    """What sort of device it is, for people: turbine, heat-pump."""
    figures: Annotated[tuple[Figure, ...], Field(max_length=MAX_FIGURES)] = ()
    """What the figures in its states mean."""

    @property
    def scope(self) -> str:
        """The scope of its topic: the cell and role of the device."""
        return f"{self.cell}/{self.role}"


@frozen
class FleetPresence(Message):
    """Birth and last will of a fleet process that shares one connection among its devices. Retained.

    When the process is offline, so are its devices.
    """

    TYPE = "fleet"
    online: bool
    devices: Serial
    """The number of devices that use its connection."""
    refused: dict[ShortText, Serial]
    """How many batches and messages it has refused since it started, by reason."""
