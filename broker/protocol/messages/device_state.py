"""Each device's account of a tick: energies, money, status."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import (
    MAX_FIGURES,
    EnergyWh,
    Faults,
    FigureName,
    Id,
    KindName,
    Latitude,
    Longitude,
    Message,
    MoneyNeur,
    PowerW,
    Reading,
    Serial,
    ShortText,
    TickNumber,
    TimeMs,
)
from gridfleet.broker.protocol.messages.clock import Mode, Settings

MAX_AVOIDED: Final = 16
"""The most avoided devices that a state names."""
OUT_OF_SERVICE: Final = "out of service"
"""The status of a charger that the setting `chargers_out` includes."""


@frozen
class State(Message):
    """A device's account of the tick that ends. Retained. Energies and money are of this tick alone."""

    TYPE = "state"
    tick: TickNumber
    latitude: Latitude
    longitude: Longitude
    measured: bool
    """True when the figures come from real sensors, false when they are simulated."""
    status: ShortText
    power_w: PowerW
    """Mean power over the tick; positive into the grid, negative out of it."""
    balance_neur: MoneyNeur
    """Money earned less money paid since the device started."""
    refused: dict[ShortText, Serial]
    """How many messages were refused since the device started, by reason."""
    kind: KindName
    """What sort of device it is, as in its birth message."""
    figures: Annotated[dict[FigureName, Reading], Field(max_length=MAX_FIGURES)]
    """Figures of its own by name; the birth message gives their units."""
    avoids: Annotated[tuple[Id, ...], Field(max_length=MAX_AVOIDED)]
    """Devices with which it has no dealings, because they lied to it or broke too many promises."""

    @property
    def scope(self) -> str:
        """The scope of its topic: the role of its sender, which access rules hold."""
        return str(self.role)  # type: ignore[attr-defined] # every account has one, of a type of its own


@frozen
class ProducerState(State):
    """generated = sold + curtailed + unsettled, where unsettled awaits its receipts."""

    role: Literal["producer", "grid-supply"]
    generated_wh: EnergyWh
    sold_wh: EnergyWh
    curtailed_wh: EnergyWh
    unsettled_wh: EnergyWh
    earned_neur: MoneyNeur
    faults: Faults = ()
    """Faults of its sensors and switches, each as `part: fault`."""


@frozen
class ConsumerState(State):
    """The account of a device that buys what it needs."""

    role: Literal["consumer"]
    demand_wh: EnergyWh
    bought_wh: EnergyWh
    paid_neur: MoneyNeur


@frozen
class StorageState(State):
    """stored = stored before + bought − charge loss − (sold + unsettled) − discharge loss.

    Energy of an award without a receipt has left the battery; what was announced and not awarded stays in it.
    """

    role: Literal["storage"]
    demand_wh: EnergyWh
    bought_wh: EnergyWh
    paid_neur: MoneyNeur
    announced_wh: EnergyWh
    """Energy that it announced as its supply."""
    sold_wh: EnergyWh
    unsettled_wh: EnergyWh
    earned_neur: MoneyNeur
    stored_wh: EnergyWh
    capacity_wh: EnergyWh
    charge_loss_wh: EnergyWh
    discharge_loss_wh: EnergyWh
    faults: Faults = ()
    """Faults of its sensors and switches, each as `part: fault`."""


@frozen
class ChargerState(State):
    """stored = stored before + bought − charge loss − delivered − discharge loss."""

    role: Literal["charger"]
    demand_wh: EnergyWh
    bought_wh: EnergyWh
    paid_neur: MoneyNeur
    stored_wh: EnergyWh
    capacity_wh: EnergyWh
    delivered_wh: EnergyWh
    charge_loss_wh: EnergyWh
    discharge_loss_wh: EnergyWh
    earned_neur: MoneyNeur
    ports: Serial
    ports_reserved: Serial
    faults: Faults = ()
    """Faults of its sensors and switches, each as `part: fault`."""
    contactor: Literal["none", "open", "closed"] = "none"
    """Its contactor at the end of the tick; none where there are no pins."""
    opened_because: ShortText = ""
    """Why the contactor opened last."""


@frozen
class VehicleState(State):
    """stored = stored before + drawn − charge loss − driven."""

    role: Literal["vehicle"]
    model: ShortText
    consumption_wh_per_km: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    stored_wh: EnergyWh
    capacity_wh: EnergyWh
    drawn_wh: EnergyWh
    charge_loss_wh: EnergyWh
    driven_wh: EnergyWh
    paid_neur: MoneyNeur
    speed_km_h: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)]
    deadline_ms: TimeMs
    next_stop: tuple[Latitude, Longitude] | None
    destination: tuple[Latitude, Longitude] | None
    charger: Id | None


@frozen
class ClockState(State):
    """The settings in force, and the revision that a new control must exceed."""

    role: Literal["clock"]
    mode: Mode
    paused: bool
    seconds_per_tick: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    ticks: TickNumber
    settings: Settings
    revision: Serial


ACCOUNTS: Final = frozenset((ProducerState, ConsumerState, StorageState, ChargerState, VehicleState))
"""The accounts of devices, one class for each role; the clock's state is none."""
BuyerState: TypeAlias = ConsumerState | StorageState | ChargerState
"""The accounts of those that bid in a cell's market."""
SellerState: TypeAlias = ProducerState | StorageState
"""The accounts of those that sell."""

AnyState = Annotated[
    ProducerState | ConsumerState | StorageState | ChargerState | VehicleState | ClockState,
    Field(discriminator="role"),
]
"""The payload of a `state` topic; `role` says which class it is."""
