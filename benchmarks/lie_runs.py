"""Runs with a liar: what each device got and paid, tick by tick, and who was named.

A case is run three times with the same seed: with the liar, with the same device honest, and with the device silent, as
if the site did not have it. The runs differ from the first lie on.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import (
    BuyerState,
    ChargerState,
    ConsumerState,
    Message,
    State,
    StorageState,
    Suspension,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.units import UEUR_PER_EUR, cost_neur
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.liars.lie import ALL_ROLES, Honest, Liar, Lie
from gridfleet.devices.trust.liars.lying_agent import honest_account, lied_in
from gridfleet.devices.trust.liars.lying_devices import LyingDevice
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.provisioning.runs.results import open_recording

FIRST_TICK: Final = 8
"""The first tick in which a liar lies."""
TICKS: Final = 48
SERVED_AFTER: Final = 4
"""The energy of the honest is counted from so many ticks after the first lie."""
GAIN_AFTER: Final = 8
"""The liar's gain is counted in so many ticks from the first lie on."""
CELL_DEGREES: Final = 2.5
MIDDLE: Final = (51.0, 9.5)
PER_CELL: Final = {
    "turbines": 3,
    "households": 3,
    "commerce": 1,
    "farms": 1,
    "battery": 1,
    "chargers": 6,
    "vehicles": 48,
}
MAX_DRAWN_WH: Final = 100_000
"""More than any vehicle draws in a tick: what a false meter shows beyond that is no energy."""
NEED_UEUR: Final = 2_000_000
"""What energy is worth to a consumer: twice what it bids, so that it loses where it is not served. µEUR/kWh."""
DRAWN_UEUR: Final = 1_010_000
"""What energy is worth to a vehicle: its price limit. µEUR/kWh."""
STORED_UEUR: Final = 300_000
"""What energy in a battery is worth: what it bids. µEUR/kWh."""
SILENT: Final = "silent"


class Silent(Liar):
    """Publishes nothing and receives nothing: the site without the device."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:  # noqa: ARG002
        """Drop everything."""
        return NOTHING

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:  # noqa: ARG002
        """Ignore everything."""
        return NOTHING


class Case(NamedTuple):
    """One simulation: how many cells, which seed, and who lies."""

    cells: int
    """Rows, and columns."""
    seed: int
    defended: bool
    liars: tuple[LyingDevice, ...]


@dataclass
class Outcome:
    """What a run shows, by tick and device."""

    balance_neur: dict[int, dict[str, int]] = field(default_factory=dict)
    """Money as each device's own account states it."""
    bought_wh: dict[int, dict[str, int]] = field(default_factory=dict)
    """Energy bought in the market."""
    drawn_wh: dict[int, dict[str, int]] = field(default_factory=dict)
    """Energy that vehicles drew."""
    worth_neur: dict[int, dict[str, int]] = field(default_factory=dict)
    """What the energy of a tick is worth to the device: used or stored."""
    lied: dict[str, int] = field(default_factory=dict)
    """Device -> the tick of its first lie."""
    named: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Device -> the tick in which the auditor had it suspended, and for which lie."""
    avoided: dict[str, int] = field(default_factory=dict)
    """Device -> the first tick in which an honest device reported that it avoids it."""
    avoiders: dict[str, set[str]] = field(default_factory=dict)
    """Device -> who avoids it."""


def scenario_of(case: Case) -> Scenario:
    """Return the scenario: per cell 63 devices, energy that is scarce at times, vehicles that charge soon."""
    cells = case.cells
    (latitude, longitude), half = MIDDLE, cells * CELL_DEGREES / 2
    edges = {
        "south": latitude - half,
        "north": latitude + half,
        "west": longitude - half,
        "east": longitude + half,
    }
    return load(
        "normal",
        [
            f"ticks={TICKS}",
            f"seed={case.seed}",
            f"trust.enabled={'true' if case.defended else 'false'}",
            f"area.rows={cells}",
            f"area.columns={cells}",
            *(f"area.{edge}={degrees}" for edge, degrees in edges.items()),
            "turbines.sites=[]",
            "battery.selling_price_eur_per_kwh=0.5",
            *(f"{kind}.count={count * cells * cells}" for kind, count in PER_CELL.items()),
            "chargers.stored_share=0.5",
            "vehicles.stored_share=[0.25, 1.0]",
        ],
    )


def run_case(case: Case) -> Outcome:
    """Simulate."""
    if SILENT not in LIES:
        LIES.register(Lie(SILENT, ALL_ROLES, "publishes nothing", Silent))
    scenario, liars = scenario_of(case), {each.device for each in case.liars}
    with open_recording(scenario, None) as recorded:
        observer = _Observer(recorded, liars)
        simulation = Simulation(
            scenario, receivers=(observer.receive,), judge=observer.judge, liars=case.liars
        )
        simulation.run(observer.follow)
        observer.follow(simulation)
    return observer.outcome


class _Observer:
    """Fills an outcome while a simulation runs."""

    def __init__(self, recorded: Recording, liars: set[str]) -> None:
        self.outcome = Outcome()
        self._recorded = recorded
        self._liars = liars
        self._tick = 0

    def receive(self, now_ms: int, scope: str, sender: str, message: Message) -> None:
        """Note an account: of a liar until it lies, of the honest always."""
        self._recorded.receive(now_ms, scope, sender, message)
        if isinstance(message, Tick):
            self._tick = message.tick
        elif isinstance(message, State):
            if sender not in self._liars:
                _note_account(self.outcome, sender, message)
            elif message.tick < FIRST_TICK:
                _note_worth(self.outcome, sender, message)

    def judge(self) -> list[tuple[str, Suspension]]:
        """Note whom the auditor names."""
        found = self._recorded.judgements()
        for device, suspension in found:
            self.outcome.named.setdefault(device, (self._tick, suspension.lie))
        return found

    def follow(self, simulation: Simulation) -> bool:
        """Note what the liars really have."""
        for device in self._liars:
            agent = simulation.agent(device)
            account, first = honest_account(agent), lied_in(agent)
            if account is not None:
                _note_worth(self.outcome, device, account)
            if first is not None:
                self.outcome.lied.setdefault(device, first)
        return True


def _note_account(outcome: Outcome, device: str, account: State) -> None:
    tick = account.tick
    outcome.balance_neur.setdefault(tick, {})[device] = account.balance_neur
    if isinstance(account, BuyerState):
        outcome.bought_wh.setdefault(tick, {})[device] = account.bought_wh
    if isinstance(account, VehicleState):
        outcome.drawn_wh.setdefault(tick, {})[device] = min(account.drawn_wh, MAX_DRAWN_WH)
    _note_worth(outcome, device, account)
    for avoided in getattr(account, "avoids", ()):
        outcome.avoided.setdefault(avoided, tick)
        outcome.avoiders.setdefault(avoided, set()).add(device)


def _note_worth(outcome: Outcome, device: str, account: State) -> None:
    """Note the worth of energy used since the run began, or in the battery."""
    worth = outcome.worth_neur.setdefault(account.tick, {})
    before = outcome.worth_neur.get(account.tick - 1, {}).get(device, 0)
    if isinstance(account, ConsumerState):
        worth[device] = before + cost_neur(account.bought_wh, NEED_UEUR)
    elif isinstance(account, VehicleState):
        worth[device] = before + cost_neur(min(account.drawn_wh, MAX_DRAWN_WH), DRAWN_UEUR)
    elif isinstance(account, ChargerState):
        worth[device] = _charger_worth(account.stored_wh, account.capacity_wh)
    elif isinstance(account, StorageState):
        worth[device] = cost_neur(account.stored_wh, STORED_UEUR)
    else:
        worth[device] = 0


def _charger_worth(stored_wh: int, capacity_wh: int) -> int:
    """Return what the energy in a charger cost, nEUR: it bids 1 EUR/kWh less its state of charge."""
    return cost_neur(stored_wh, UEUR_PER_EUR) * (2 * capacity_wh - stored_wh) // (2 * capacity_wh)
