"""Messages from and to the site's clock: ticks and phases, lock-step, settings, and the facts of a run."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import (
    STRICT,
    Id,
    Latitude,
    Longitude,
    Message,
    PriceUeur,
    Scale,
    Serial,
    ShortText,
    TickNumber,
    TimeMs,
)

MAX_TICKS: Final = 1_000_000
"""The most ticks of a run that ends by itself."""
ENDLESS_TICKS: Final = 100 * MAX_TICKS
"""The ticks of a run that goes on until the clock is stopped: 2 850 years."""
MAX_OUTAGE_S: Final = 60
"""The longest outage that an operator may order as a drill, in real seconds."""


class Phase(StrEnum):
    """The steps of a tick, in order; residual, surplus and exchange exist only where cells have neighbours."""

    BID = "bid"
    TRADE = "trade"
    RESIDUAL = "residual"
    SURPLUS = "surplus"
    EXCHANGE = "exchange"
    IMPORT = "import"
    SETTLE = "settle"

    __hash__ = str.__hash__  # Enum's own is written in Python, and this one is looked up all the time


PHASES: Final = tuple(Phase)
PHASE_INDEX: Final = {phase: index for index, phase in enumerate(PHASES)}


class Mode(StrEnum):
    """How simulated time passes."""

    LOCKSTEP = "lockstep"
    SCALED = "scaled"
    REALTIME = "realtime"


Names = Annotated[tuple[Id, ...], Field(max_length=256)]


@frozen
class Settings:
    """The settings of a run; the scales multiply demand, driving, generation and wind speed."""

    consumer_scale: Scale = 1.0
    vehicle_scale: Scale = 1.0
    turbine_scale: Scale = 1.0
    wind_scale: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = 1.0
    algorithm: Id = "weighted"
    """The offer ranking of vehicles; one that has no such ranking uses the default."""
    chargers_out: ShortText = ""
    """Chargers out of service: ids, names of cells, a share such as 25%, or all; separated by commas or blanks."""
    outage_s: Annotated[float, Field(ge=0, le=MAX_OUTAGE_S, allow_inf_nan=False)] = 0.0
    """An outage as a drill: each receiver drops its connection, once, for this many real seconds."""
    note: ShortText = ""
    """The title of the scenario's last event, for people; empty after an operator's change."""
    clearing_rule: Id = "pay-as-bid"
    """How the markets are cleared; a change takes effect with the next tick, because the bid phase of a tick counts."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@frozen
class Tick(Message):
    """A phase begins. Retained, so that a device that joins late knows the tick and phase at once."""

    TYPE = "tick"
    tick: TickNumber
    phase: Phase
    simulated_ms: TimeMs
    """Simulated time at the beginning of the phase, milliseconds since the Unix epoch, local standard time."""
    ends_ms: TimeMs
    """Simulated time at which the phase ends."""
    mode: Mode
    seconds_per_tick: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    """Real seconds a whole tick takes; 0 in lock-step, where it takes as long as the slowest online device."""
    ticks_left: TickNumber
    """Ticks still to run after this one."""
    paused: bool
    settings: Settings
    absent: tuple[Id, ...] = ()
    """Devices that missed the last deadline: no device waits for them in this phase."""
    epoch: TickNumber = 0
    """Grows with every new run of the clock: a higher one resets the accounts of the site."""
    revision: Serial = 0
    """The highest revision of a control that is in force: a restarted clock applies only newer ones."""
    resumptions: Serial = 0
    """How many clocks have resumed this run one after another: of two at the same instant, the later one ends."""

    @property
    def endless(self) -> bool:
        """Whether its run goes on until the clock is stopped."""
        return self.ticks_left > MAX_TICKS

    @property
    def count_text(self) -> str:
        """How far the run is, as people count: `5 of 120`; `5` for a run without an end."""
        return f"{self.tick + 1}" if self.endless else f"{self.tick + 1} of {self.tick + 1 + self.ticks_left}"


@frozen
class Ready(Message):
    """The sender has nothing left to send up to and including this phase (lock-step)."""

    TYPE = "ready"
    tick: TickNumber
    through: Phase
    wake_ms: TimeMs | None = None
    """The simulated time at which the sender wants to act next."""


@frozen
class Grant(Message):
    """The simulated time that the receiver requested is reached (lock-step); the clock waits for its next `ready`."""

    TYPE = "grant"
    tick: TickNumber
    simulated_ms: TimeMs


@frozen
class Control(Message):
    """An operator's value for one of the clock's settings. Retained; the highest (revision, sender) wins."""

    TYPE = "control"
    value: (
        bool
        | Annotated[int, Field(ge=0, lt=2**31)]
        | Annotated[float, Field(allow_inf_nan=False)]
        | ShortText
    )
    revision: Serial


@frozen
class Facts(Message):
    """The constants of a run: its area, its cells, the reactors' price, and what settings may name. Retained."""

    TYPE = "facts"
    title: Annotated[str, Field(max_length=120)]
    south: Latitude
    north: Latitude
    west: Longitude
    east: Longitude
    rows: Annotated[int, Field(ge=1, le=1000)]
    columns: Annotated[int, Field(ge=1, le=1000)]
    """The grid of cells: `cell-1-1` lies in the south-west; a single cell has the site's name."""
    reactor_price_ueur_per_kwh: PriceUeur
    """The lowest price at which a reactor sells."""
    clearing_rules: Names = ()
    """The clearing rules that the clock accepts as a setting."""
    offer_rankings: Names = ()
    """The offer rankings that the clock accepts as a setting."""
    suspension_ticks: TickNumber = 0
    """For how many ticks the auditor suspends a device that has lied provably; 0 where devices believe everybody."""
