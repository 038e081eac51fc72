"""Every message there is: frozen, one class per meaning, with the unit in every name.

The classes are plain slotted dataclasses, so that agents of one process hand them on by reference; the same
annotations are what pydantic validates when a message comes off a wire (see `protocol.codec`). A receiver takes
the sender from the topic, never from the payload, so no message names its sender.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from gridfleet.broker.protocol.frozen import frozen

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$"
MOST_AVOIDED: Final = 16
"""So many distrusted partners are named in a state."""
MAX_PACKAGES: Final = 256
"""Most packages in one bid and most lots in one award."""
MOST_OUTAGE_S: Final = 60
"""The longest outage that may be ordered as a drill, in real seconds."""

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
Word = Annotated[str, Field(max_length=64)]
Faults = Annotated[tuple[Word, ...], Field(max_length=32)]


class Kind(StrEnum):
    """What an agent is."""

    TURBINE = "turbine"
    CONSUMER = "consumer"
    CHARGER = "charger"
    VEHICLE = "vehicle"
    REACTOR = "reactor"
    CLOCK = "clock"

    __hash__ = str.__hash__  # Enum's own is written in Python, and this one is looked up all the time


class Phase(StrEnum):
    """The steps of a tick, in order; the three in the middle exist only where cells have neighbours."""

    BID = "bid"
    TRADE = "trade"
    RESIDUAL = "residual"
    SURPLUS = "surplus"
    EXCHANGE = "exchange"
    IMPORT = "import"
    SETTLE = "settle"

    __hash__ = str.__hash__  # Enum's own is written in Python, and this one is looked up all the time


PHASES: Final = tuple(Phase)
PHASE_RANK: Final = {phase: rank for rank, phase in enumerate(PHASES)}


class Mode(StrEnum):
    """How simulated time passes."""

    LOCKSTEP = "lockstep"
    SCALED = "scaled"
    REALTIME = "realtime"


class Algorithm(StrEnum):
    """How a vehicle chooses among charging offers."""

    WEIGHTED = "weighted"
    BEST = "best"
    CHEAPEST = "cheapest"
    CLOSEST = "closest"
    RANDOM = "random"


_STRICT: Final = ConfigDict(strict=True, extra="forbid")


@frozen
class Message:
    """Base of all messages; TYPE is the message type, the topic level that stands for the class."""

    TYPE: ClassVar[str] = ""
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


# --- time ------------------------------------------------------------------------------------------------


@frozen
class Settings:
    """What may be changed while the site runs; the scales multiply demand, driving, generation and wind speed."""

    consumer_scale: Scale = 1.0
    vehicle_scale: Scale = 1.0
    turbine_scale: Scale = 1.0
    wind_scale: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = 1.0
    algorithm: Algorithm = Algorithm.WEIGHTED
    chargers_out: Word = ""
    """Chargers out of service: ids, names of cells, a share such as 25%, or all; commas or blanks between them."""
    outage_s: Annotated[float, Field(ge=0, le=MOST_OUTAGE_S, allow_inf_nan=False)] = 0.0
    """An outage as a drill: who hears it drops its connection, once, for so many real seconds."""
    note: Word = ""
    """What the scenario calls the state of things, for people; empty after an operator's change."""
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@frozen
class Tick(Message):
    """A phase begins. Retained, so that a device that joins late knows at once where the site is."""

    TYPE = "tick"
    tick: TickNumber
    phase: Phase
    simulated_ms: TimeMs
    """Simulated time at the beginning of the phase, milliseconds since the Unix epoch, local standard time."""
    ends_ms: TimeMs
    """Simulated time at which the phase ends."""
    mode: Mode
    seconds_per_tick: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    """Real seconds a whole tick takes; 0 in lock-step, where it takes as long as the slowest live device."""
    ticks_left: TickNumber
    """Ticks still to run after this one."""
    paused: bool
    settings: Settings
    absent: tuple[Id, ...] = ()
    """Devices that let the last deadline pass: nobody waits for them in this phase."""
    epoch: TickNumber = 0
    """Grows with every new run of the clock: a higher one starts the site's books afresh."""
    revision: Serial = 0
    """The highest revision of a control that is in force: a clock that comes back applies only newer ones."""


@frozen
class Ready(Message):
    """The sender has nothing left to say up to and including that phase (lock-step)."""

    TYPE = "ready"
    tick: TickNumber
    through: Phase
    wake_ms: TimeMs | None = None
    """The simulated instant at which the sender wants to act next of its own accord."""


@frozen
class Grant(Message):
    """It is now the instant that the receiver asked for (lock-step): nobody else acts until it is ready again."""

    TYPE = "grant"
    tick: TickNumber
    simulated_ms: TimeMs


@frozen
class Control(Message):
    """An operator's wish for one of the clock's settings. Retained; the highest (revision, sender) wins."""

    TYPE = "control"
    value: bool | Annotated[int, Field(ge=0, lt=2**31)] | Annotated[float, Field(allow_inf_nan=False)] | Word
    revision: Serial


@frozen
class Facts(Message):
    """What holds for a whole run: where it plays, in which cells, and the reactors' price. Retained."""

    TYPE = "facts"
    title: Annotated[str, Field(max_length=120)]
    south: Latitude
    north: Latitude
    west: Longitude
    east: Longitude
    rows: Annotated[int, Field(ge=1, le=1000)]
    columns: Annotated[int, Field(ge=1, le=1000)]
    """Cells beside each other: `cell-1-1` lies in the south-west; a single one has the site's name."""
    reactor_price_ueur_per_kwh: PriceUeur
    """The least a reactor sells for."""


@frozen
class Presence(Message):
    """Birth (online) and last will (offline) of a device. Retained."""

    TYPE = "presence"
    online: bool
    kind: Kind
    cell: Word
    latitude: Latitude
    longitude: Longitude
    label: Word = ""
    via: Id | None = None
    """The host through whose connection it speaks; none for a device with a connection of its own."""


@frozen
class FleetPresence(Message):
    """A process that speaks for many devices over one connection. When it dies, so do they. Retained."""

    TYPE = "fleet"
    online: bool
    devices: Serial
    """How many it speaks for."""
    refused: dict[Word, Serial]
    """How many batches and messages it did not act upon since it came to life, by reason."""


# --- the power market ------------------------------------------------------------------------------------


@frozen
class Package:
    """An amount of energy and the price bid for it; `index` tells the packages of one bid apart."""

    index: Annotated[int, Field(ge=0, lt=MAX_PACKAGES)]
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


Packages = Annotated[tuple[Package, ...], Field(max_length=MAX_PACKAGES)]


@frozen
class Supply(Message):
    """A producer's energy for this tick, offered to its own cell."""

    TYPE = "supply"
    tick: TickNumber
    energy_wh: EnergyWh


@frozen
class Bid(Message):
    """All that a consumer wants in this tick; empty when it wants nothing, so that nobody waits for it."""

    TYPE = "bid"
    tick: TickNumber
    packages: Packages


@frozen
class Residual(Message):
    """What a consumer's own cell could not serve: heard by the producers of neighbouring cells."""

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
    """What neither the cell nor its neighbours could serve, asked of the reactor."""

    TYPE = "request"
    tick: TickNumber
    packages: Packages


@frozen
class Award(Message):
    """A producer sells these lots to the receiver, each at the price bid. Both, tick and serial name it for ever."""

    TYPE = "award"
    tick: TickNumber
    serial: Serial
    lots: Packages


@frozen
class Receipt(Message):
    """What the consumer took of an award; the rest of it is refused and free to be sold again."""

    TYPE = "receipt"
    tick: TickNumber
    serial: Serial
    lots: Packages


# --- charging reservations -------------------------------------------------------------------------------


@frozen
class Call(Message):
    """A vehicle's call for proposals."""

    TYPE = "call"
    call: Serial
    simulated_ms: TimeMs
    energy_wh: Annotated[int, Field(gt=0, le=10**9)]
    """Energy wanted at the plug, without the way to the charger."""
    limit_ueur_per_kwh: PriceUeur
    latitude: Latitude
    longitude: Longitude
    consumption_wh_per_km: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


@frozen
class Offer(Message):
    """A charger's proposal: this much energy at this price, with a port, held until `until_ms`."""

    TYPE = "offer"
    call: Serial
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur
    until_ms: TimeMs


@frozen
class Decline(Message):
    """A charger will not serve this call, or no longer."""

    TYPE = "decline"
    call: Serial
    reason: Literal["port", "energy", "price", "unknown", "offline", "refused"]


@frozen
class Accept(Message):
    """The vehicle takes the charger's offer."""

    TYPE = "accept"
    call: Serial
    simulated_ms: TimeMs


@frozen
class Close(Message):
    """The call is decided: whoever still holds something for it lets go."""

    TYPE = "close"
    call: Serial


@frozen
class Lease(Message):
    """The charger confirms the reservation, or a heartbeat: port and energy are kept until `until_ms`."""

    TYPE = "lease"
    call: Serial
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur
    until_ms: TimeMs
    drawn_wh: EnergyWh = 0
    """What the charger has booked so far."""
    metered: bool = False
    """Whether that is the reading of the charger's own meter, which rules over what the vehicle says."""


@frozen
class Heartbeat(Message):
    """The vehicle still wants its reservation; `drawn_wh` is what it has taken so far."""

    TYPE = "heartbeat"
    call: Serial
    simulated_ms: TimeMs
    arrived: bool
    drawn_wh: EnergyWh


@frozen
class Release(Message):
    """The vehicle ends its reservation, having drawn this much in all."""

    TYPE = "release"
    call: Serial
    simulated_ms: TimeMs
    drawn_wh: EnergyWh
    outcome: Literal["charged", "cancelled", "interrupted"]


@frozen
class Bill(Message):
    """The charger's account of an ended reservation: energy at the agreed price."""

    TYPE = "bill"
    call: Serial
    energy_wh: EnergyWh
    amount_neur: MoneyNeur


# --- state -----------------------------------------------------------------------------------------------


@frozen
class State(Message):
    """A device's account of the tick that ends. Retained. Energies and money are of this tick alone."""

    TYPE = "state"
    tick: TickNumber
    latitude: Latitude
    longitude: Longitude
    measured: bool
    """True when the figures come from real sensors, false when they are simulated."""
    status: Word
    power_w: PowerW
    """Mean power over the tick; positive into the grid, negative out of it."""
    balance_neur: MoneyNeur
    """Money earned less money paid since the device came to life."""
    refused: dict[Word, Serial]
    """How many messages were refused since the device came to life, by reason."""


@frozen
class ProducerState(State):
    """generated = sold + curtailed + unsettled, where unsettled awaits its receipts."""

    kind: Literal["turbine", "reactor"]
    generated_wh: EnergyWh
    sold_wh: EnergyWh
    curtailed_wh: EnergyWh
    unsettled_wh: EnergyWh
    earned_neur: MoneyNeur
    faults: Faults = ()
    """What is wrong with its sensors and switches, each as `part: fault`."""


@frozen
class ConsumerState(State):
    """A household's, shop's or farm's account."""

    kind: Literal["consumer"]
    demand_wh: EnergyWh
    bought_wh: EnergyWh
    paid_neur: MoneyNeur


@frozen
class ChargerState(State):
    """stored = stored before + bought − charge loss − delivered − discharge loss."""

    kind: Literal["charger"]
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
    """What is wrong with its sensors and switches, each as `part: fault`."""
    contactor: Literal["none", "open", "closed"] = "none"
    """Its contactor at the end of the tick; none where there are no pins."""
    opened_because: Word = ""
    """Why the contactor opened last."""


@frozen
class VehicleState(State):
    """stored = stored before + drawn − charge loss − driven."""

    kind: Literal["vehicle"]
    model: Word
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
    avoids: Annotated[tuple[Id, ...], Field(max_length=MOST_AVOIDED)] = ()
    """Chargers that broke so many promises that it does not deal with them."""


@frozen
class ClockState(State):
    """What the clock has in force, and the revision that a new control must exceed."""

    kind: Literal["clock"]
    mode: Mode
    paused: bool
    seconds_per_tick: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    ticks: TickNumber
    settings: Settings
    revision: Serial


@frozen
class Correction(Message):
    """A producer's books of an earlier tick, after receipts that came late."""

    TYPE = "correction"
    tick: TickNumber
    sold_wh: EnergyWh
    curtailed_wh: EnergyWh
    unsettled_wh: EnergyWh
    earned_neur: MoneyNeur


# --- what sensors say, and switches do ----------------------------------------------------------------------


@frozen
class Sample(Message):
    """A device's readings at one instant of real time; said late when the device was offline."""

    TYPE = "sample"
    at_ms: TimeMs
    """Real time of the readings by the device's own clock, milliseconds since the Unix epoch, UTC."""
    synchronised: bool
    """Whether that clock was synchronised by then; else at_ms may be far off."""
    measured: bool
    """True when the readings come from real sensors, false when they are simulated."""
    readings: Annotated[dict[Word, Reading], Field(max_length=32)]
    """Each under a name that ends in its unit, such as wind_m_per_s; what a faulty sensor says is left out."""
    faults: Faults = ()
    """What is wrong with its sensors and switches, each as `part: fault`."""


@frozen
class Incident(Message):
    """A switch has acted, or a sensor has failed or recovered: when and why."""

    TYPE = "incident"
    at_ms: TimeMs
    """Real time by the device's own clock, milliseconds since the Unix epoch, UTC."""
    synchronised: bool
    """Whether that clock was synchronised by then."""
    measured: bool
    """True when it was seen on real pins, false when it is simulated."""
    part: Word
    """Which: contactor, brake, anemometer and so on."""
    what: Literal["opened", "closed", "applied", "released", "failed", "recovered"]
    reason: Word
    """Why; of a sensor, its fault."""


AnyState = Annotated[
    ProducerState | ConsumerState | ChargerState | VehicleState | ClockState, Field(discriminator="kind")
]
"""Whatever the state topic carries, told apart by `kind`."""
