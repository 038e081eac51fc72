"""The rows of the store: one class per table, one field per column.

All quantities are whole numbers: energy in Wh, price in µEUR/kWh, money in nEUR, power in W, time in
milliseconds of simulated local standard time since the Unix epoch. The rows are named tuples, because SQLite
accepts tuples: no conversion is needed between recorder and store.
"""

from typing import NamedTuple

from gridfleet.broker.protocol.units import TICK_MS


class TickRow(NamedTuple):
    """One cell's energy balance of one tick: generated + reactor + imported = sold + exported + curtailed."""

    tick: int
    cell: str
    simulated_ms: int
    """Simulated time at which the tick begins."""
    demand_wh: int
    generated_wh: int
    """Own generation, without the reactor."""
    reactor_wh: int
    imported_wh: int
    exported_wh: int
    sold_wh: int
    """Bought by this cell's consumers."""
    curtailed_wh: int
    lowest_price_ueur: int | None
    """Per kWh; None where nothing was sold."""
    mean_price_ueur: int | None
    """Per kWh, weighted by energy; None where nothing was sold."""
    charger_stored_wh: int
    """Energy in the buffers of the cell's chargers when the tick ends."""
    messages: int


class TradeRow(NamedTuple):
    """A settled trade: the consumer has the energy and has paid for it. The cell is the consumer's."""

    tick: int
    cell: str
    producer: str
    consumer: str
    package: int
    energy_wh: int
    price_ueur: int
    measured: bool = False
    """Whether it rests on real sensors: those of the producer."""


class ReservationRow(NamedTuple):
    """One charger's answer to one vehicle's call; times of steps that did not happen are None."""

    vehicle: str
    charger: str
    call: int
    requested_ms: int
    offered_ms: int | None
    accepted_ms: int | None
    arrived_ms: int | None
    released_ms: int | None
    energy_wh: int
    price_ueur: int | None
    distance_km: float | None
    outcome: str
    """charged, interrupted, cancelled, expired, unserved or open."""
    measured: bool = False
    """Whether it rests on real sensors: those of the charger."""


class AgentRow(NamedTuple):
    """A device at the end of a tick."""

    tick: int
    agent: str
    kind: str
    """What sort of device it is, for people; nothing is decided by it."""
    role: str
    latitude: float
    longitude: float
    state_of_charge: float | None
    """0 to 1; None without a battery."""
    power_w: int
    """Mean power over the tick; positive into the grid, negative out of it."""
    balance_neur: int
    """Money earned less money paid since the device started."""
    measured: bool = False
    """Whether it rests on real sensors: those of the device itself."""


class VehicleRow(NamedTuple):
    """A vehicle at the end of a tick."""

    tick: int
    vehicle: str
    model: str
    status: str
    consumption_wh_per_km: float
    capacity_wh: int
    stored_wh: int
    speed_km_h: float
    deadline_ms: int
    next_latitude: float | None
    next_longitude: float | None
    destination_latitude: float | None
    destination_longitude: float | None
    charger: str | None


class StorageRow(NamedTuple):
    """A storage at the end of a tick; energies bought, sold and lost are those of the tick."""

    tick: int
    storage: str
    capacity_wh: int
    stored_wh: int
    bought_wh: int
    sold_wh: int
    """Settled sales and awards without a receipt yet: what has left the battery for buyers."""
    loss_wh: int
    """Lost in charging and discharging."""


class FigureRow(NamedTuple):
    """A figure of its own that a device reported at the end of a tick."""

    tick: int
    agent: str
    name: str
    value: float


class FigureMeaning(NamedTuple):
    """What a figure of a kind of device means, by the birth messages."""

    kind: str
    name: str
    unit: str
    description: str


class DemandRow(NamedTuple):
    """What all buyers of a kind bid for in a tick, and what of it they bought."""

    tick: int
    kind: str
    bid_wh: int
    bought_wh: int


class WelfareRow(NamedTuple):
    """What a cell's market was worth to its buyers in a tick, and what it could have been worth."""

    tick: int
    cell: str
    welfare_neur: int
    """What the buyers that were served had bid, less the grid supply's price for what it sold."""
    optimum_neur: int | None
    """The highest that was possible; None where it was not computed."""
    marginal_price_ueur: int
    """What one more kWh of own supply would have been worth."""


class EventRow(NamedTuple):
    """An event that explains the curves: a storm, another algorithm, a device that went offline.

    A kind `storm` followed by a kind `storm-end` of the same subject is drawn as a span, any other as a line.
    """

    tick: int
    simulated_ms: int
    kind: str
    subject: str
    text: str


class Invariant(NamedTuple):
    """An invariant, how often it was checked, and how often it did not hold."""

    name: str
    what: str
    checked: int
    breaches: int

    @property
    def holds(self) -> bool:
        """Whether no breach was found."""
        return self.breaches == 0


class CellArea(NamedTuple):
    """A cell and the rectangle it serves, in degrees; None where the cell has no bounds."""

    name: str
    south: float | None = None
    west: float | None = None
    north: float | None = None
    east: float | None = None


class RunFacts(NamedTuple):
    """The facts of a run that are known before it begins."""

    scenario: str
    title: str
    seed: int
    version: str
    start_ms: int
    """Simulated time at which tick 0 begins."""
    tick_ms: int = TICK_MS
    cells: tuple[CellArea, ...] = ()
    price_floor_ueur: int = 100_000
    """The least a charger bids per kWh."""
    reactor_price_ueur: int = 900_000
    """The least the reactor sells for, per kWh."""
    emissions_g_per_kwh: tuple[tuple[str, float], ...] = ()
    """Kind of seller and its CO₂; the kind `other` stands for all that are not named."""
