"""Messages of the power market: supplies, bids, awards and receipts of one tick."""

from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import (
    STRICT,
    EnergyWh,
    Message,
    MoneyNeur,
    PriceUeur,
    Serial,
    TickNumber,
)

MAX_PACKAGES: Final = 256
"""The most packages in one bid, and the most lots (packages or parts of them) in one award."""


@frozen
class Package:
    """An amount of energy and its price: in a bid the most that is paid, in an award what is to be paid.

    `index` identifies the package within its bid.
    """

    index: Annotated[int, Field(ge=0, lt=MAX_PACKAGES)]
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


Packages = Annotated[tuple[Package, ...], Field(max_length=MAX_PACKAGES)]


@frozen
class Supply(Message):
    """A producer's energy for this tick, offered to its own cell."""

    TYPE = "supply"
    tick: TickNumber
    energy_wh: EnergyWh


@frozen
class Bid(Message):
    """All packages that a consumer wants in this tick; empty when it wants none, so that no device waits for it."""

    TYPE = "bid"
    tick: TickNumber
    packages: Packages


@frozen
class Residual(Message):
    """What a consumer's own cell could not serve; producers of neighbouring cells receive it."""

    TYPE = "residual"
    tick: TickNumber
    packages: Packages


@frozen
class Surplus(Message):
    """A producer's unsold energy, offered to one neighbouring cell."""

    TYPE = "surplus"
    tick: TickNumber
    energy_wh: EnergyWh


@frozen
class Request(Message):
    """What neither the cell nor its neighbours could serve, requested from the reactor."""

    TYPE = "request"
    tick: TickNumber
    packages: Packages


@frozen
class Award(Message):
    """A producer sells these lots to the receiver, at the prices of the clearing rule and never above the bid.

    Sender, receiver, tick and serial identify it.
    """

    TYPE = "award"
    tick: TickNumber
    serial: Serial
    lots: Packages


@frozen
class Receipt(Message):
    """What the consumer takes of an award; the rest of it is refused and may be sold again."""

    TYPE = "receipt"
    tick: TickNumber
    serial: Serial
    lots: Packages


@frozen
class Correction(Message):
    """A producer's account of an earlier tick, corrected after a receipt that arrived late."""

    TYPE = "correction"
    tick: TickNumber
    sold_wh: EnergyWh
    curtailed_wh: EnergyWh
    unsettled_wh: EnergyWh
    earned_neur: MoneyNeur
