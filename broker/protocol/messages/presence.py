"""Birth and last will of devices and fleet processes."""

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import Id, Kind, Latitude, Longitude, Message, Serial, ShortText


@frozen
class Presence(Message):
    """Birth (online) and last will (offline) of a device. Retained."""

    TYPE = "presence"
    online: bool
    kind: Kind
    cell: ShortText
    latitude: Latitude
    longitude: Longitude
    label: ShortText = ""
    via: Id | None = None
    """The fleet process whose connection it uses; none for a device with a connection of its own."""

    @property
    def scope(self) -> str:
        """The scope of its topic: the cell and kind of the device."""
        return f"{self.cell}/{self.kind}"


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
