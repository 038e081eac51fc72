"""Messages of charging reservations: the contract net between vehicles and chargers, from call to bill."""

from typing import Annotated, Final, Literal

from pydantic import Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import (
    EnergyWh,
    Id,
    Latitude,
    Longitude,
    Message,
    MoneyNeur,
    PriceUeur,
    Serial,
    TimeMs,
)

FeeNeur = Annotated[int, Field(ge=0, le=10**12)]
"""At most 1000 EUR."""
NO_SHOW: Final = "no-show"


@frozen
class Call(Message):
    """A vehicle's call for proposals."""

    TYPE = "call"
    call: Serial
    simulated_ms: TimeMs
    energy_wh: Annotated[int, Field(gt=0, le=10**9)]
    """Energy wanted at the plug, without what the way to the charger takes."""
    limit_ueur_per_kwh: PriceUeur
    latitude: Latitude
    longitude: Longitude
    consumption_wh_per_km: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


@frozen
class Offer(Message):
    """A charger's proposal: this energy at this price; the charger holds a port until `until_ms`."""

    TYPE = "offer"
    call: Serial
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur
    until_ms: TimeMs
    no_show_fee_neur: FeeNeur = 0
    """What a vehicle owes that accepts, keeps the lease by a heartbeat, and neither comes nor releases it."""


@frozen
class Decline(Message):
    """A charger does not serve this call, or cannot any longer."""

    TYPE = "decline"
    call: Serial
    reason: Literal["port", "energy", "price", "unknown", "offline", "refused"]


@frozen
class Accept(Message):
    """The vehicle accepts a charger's offer; every charger of the cell receives it, so that one lease is left.

    A later acceptance of the same vehicle ends its lease at every other charger.
    """

    TYPE = "accept"
    call: Serial
    simulated_ms: TimeMs
    charger: Id
    """Whose offer it accepts."""


@frozen
class Close(Message):
    """The call is decided: the other chargers release what they hold for it."""

    TYPE = "close"
    call: Serial


@frozen
class Lease(Message):
    """The charger confirms the reservation, or a heartbeat: it keeps port and energy until `until_ms`."""

    TYPE = "lease"
    call: Serial
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur
    until_ms: TimeMs
    drawn_wh: EnergyWh = 0
    """The energy that the charger has counted so far."""
    metered: bool = False
    """Whether that is the reading of the charger's own meter, which overrides what the vehicle reports."""


@frozen
class Heartbeat(Message):
    """The vehicle keeps its reservation; `drawn_wh` is the energy it has drawn so far."""

    TYPE = "heartbeat"
    call: Serial
    simulated_ms: TimeMs
    arrived: bool
    drawn_wh: EnergyWh


@frozen
class Release(Message):
    """The vehicle ends its reservation, having drawn `drawn_wh` in all.

    With the outcome `no-show` it answers the bill of a fee: it pays.
    """

    TYPE = "release"
    call: Serial
    simulated_ms: TimeMs
    drawn_wh: EnergyWh
    outcome: Literal["charged", "cancelled", "interrupted", "no-show"]


@frozen
class Bill(Message):
    """The charger's bill for an ended reservation: energy at the agreed price, or the fee for not having come."""

    TYPE = "bill"
    call: Serial
    energy_wh: EnergyWh
    amount_neur: MoneyNeur
    """What the energy costs."""
    no_show_fee_neur: FeeNeur = 0
    """Owed besides; at most what the offer said, and only where nothing was drawn."""
