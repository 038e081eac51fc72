"""A testbed of agents on a simulated network, and functions that build the agents.

A test is a script: it says what happens (`begin_phase`, `wait`, `take_offline`, `drop`, …), and which messages the
agents must publish, one expectation per line (`expect`, `expect_next`, `expect_nothing`).
"""

from collections import deque
from collections.abc import Iterable
from typing import ClassVar, Final, TypeVar

from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import (
    PHASES,
    Message,
    Mode,
    Package,
    Phase,
    Presence,
    Role,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import Agent, Out
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.household import Household
from gridfleet.devices.agents.instruments import Connector
from gridfleet.devices.agents.reactor import Reactor
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.turbine import Turbine
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.charging.offer_ranking import Weights
from gridfleet.devices.clock.schedule import OFFSETS_MS
from gridfleet.devices.physics.vehicle_models import VehicleModel
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.weather.synthetic import SyntheticWeather

START_MS: Final = 1_748_822_400_000
"""2 June 2025, 00:00."""
HOME: Final = "here"
PLACE: Final = (51.0, 10.0)
EUR: Final = 1_000_000
"""1 EUR/kWh in µEUR/kWh."""
LEAF: Final = VehicleModel("Script", 150.0, 50_000, 100_000)

MessageT = TypeVar("MessageT", bound=Message)
SentMessage = tuple[str, str, Message]
"""(sender, scope, message)."""


class Testbed:
    """Agents and the network between them; `unread` holds the messages that no expectation has consumed yet."""

    __test__: ClassVar = False  # it is no class of tests

    def __init__(self, *agents: Agent, mode: Mode = Mode.REALTIME, seconds_per_tick: float = 900.0) -> None:
        self.agents = {agent.id: agent for agent in agents}
        self.now_ms = START_MS - 60_000
        self.tick = -1
        self.phase = Phase.SETTLE
        self.mode = mode
        self.seconds_per_tick = seconds_per_tick
        self.settings = Settings()
        self.absent: tuple[str, ...] = ()
        self.unread: deque[SentMessage] = deque()
        self.sent: list[SentMessage] = []
        self.down: set[str] = set()
        self._rules: list[tuple[type[Message], str, str, list[tuple[SentMessage, str]] | None]] = []
        self._queue: deque[tuple[SentMessage, str]] = deque()
        for agent in agents:
            self._publish(agent.id, agent.start(self.now_ms))
        self._drain()
        self.unread.clear()

    # --- what happens ------------------------------------------------------------------------------------

    def begin_phase(self, phase: Phase, tick: int | None = None) -> None:
        """Begin a phase: of the same tick, for BID of the next one, or of the tick given."""
        if tick is None:
            tick = self.tick + 1 if phase is Phase.BID else self.tick
        self.tick, self.phase = tick, phase
        starts_ms = START_MS + tick * TICK_MS + OFFSETS_MS[phase]
        self.wait_until(starts_ms)
        message = self.tick_message()
        for agent in self.agents.values():  # only those that act in this phase, as in the runtimes
            if agent.id not in self.down and phase in agent.phases:
                self._publish(agent.id, agent.handle("", "clock", message, self.now_ms))
        self._drain()

    def tick_message(self, epoch: int = 0) -> Tick:
        """Return the tick message of the current phase."""
        order = (*PHASES, None)
        following = order[order.index(self.phase) + 1]
        starts_ms = START_MS + self.tick * TICK_MS
        return Tick(
            self.tick,
            self.phase,
            starts_ms + OFFSETS_MS[self.phase],
            starts_ms + (OFFSETS_MS[following] if following is not None else TICK_MS),
            self.mode,
            0.0 if self.mode is Mode.LOCKSTEP else self.seconds_per_tick,
            1000,
            paused=False,
            settings=self.settings,
            absent=self.absent,
            epoch=epoch,
        )

    def run_phases(self, *phases: Phase) -> list[SentMessage]:
        """Run these phases; return what was published in them."""
        before = len(self.sent)
        for phase in phases:
            self.begin_phase(phase)
        self.unread.clear()
        return self.sent[before:]

    def run_tick(self, *, neighbours: bool = False) -> list[SentMessage]:
        """Run all phases of the next tick; return what was published in them."""
        middle = {Phase.RESIDUAL, Phase.SURPLUS, Phase.EXCHANGE}
        return self.run_phases(*(phase for phase in PHASES if neighbours or phase not in middle))

    def wait(self, milliseconds: int) -> None:
        """Let simulated time pass."""
        self.wait_until(self.now_ms + milliseconds)

    def wait_until(self, at_ms: int) -> None:
        """Let time pass until then; agents wake at the times they have planned, in the order of time and id."""
        while self._wake_next(at_ms):
            pass
        self.now_ms = max(at_ms, self.now_ms)

    def wait_for(self, kind: type[Message], within_ms: int = TICK_MS) -> None:
        """Let time pass until an agent publishes a message of this class."""
        end_ms = self.now_ms + within_ms
        while not any(isinstance(message, kind) for _, _, message in self.unread):
            assert self._wake_next(end_ms), f"no {kind.__name__} within {within_ms} ms"

    def _wake_next(self, at_ms: int) -> bool:
        """Wake the agent that is due first, up to this time; return whether there was one."""
        due = [
            (at, agent.id)
            for agent in self.agents.values()
            if agent.id not in self.down
            for at in (agent.deadline_ms, agent.event_ms)
            if at is not None and at <= at_ms
        ]
        if not due:
            return False
        at, name = min(due)
        self.now_ms = max(at, self.now_ms)
        self._publish(name, self.agents[name].wake(self.now_ms))
        self._drain()
        return True

    def deliver(self, sender: str, to: str, message: Message, scope: str | None = None) -> None:
        """Deliver a message to one agent, from any sender."""
        out = self.agents[to].handle(to if scope is None else scope, sender, message, self.now_ms)
        self._publish(to, out)
        self._drain()

    def take_offline(self, name: str) -> None:
        """Take an agent offline; the others receive its last will."""
        self.down.add(name)
        self._publish(name, [self.agents[name].presence(online=False)])
        self._drain()
        self.unread.clear()

    def drop(self, kind: type[Message], *, sender: str = "", to: str = "") -> None:
        """Lose such messages from now on."""
        self._rules.append((kind, sender, to, None))

    def hold(self, kind: type[Message], *, sender: str = "", to: str = "") -> list[tuple[SentMessage, str]]:
        """Hold such messages back from now on; `deliver_held` delivers them."""
        held: list[tuple[SentMessage, str]] = []
        self._rules.append((kind, sender, to, held))
        return held

    def restore_link(self) -> None:
        """Lose and hold no messages any more."""
        self._rules.clear()

    def deliver_held(self, held: Iterable[tuple[SentMessage, str]]) -> None:
        """Deliver messages that were held back."""
        self._queue.extend(held)
        self._drain()

    # --- what must be published --------------------------------------------------------------------------

    def expect(self, sender: str, to: str, message: Message) -> None:
        """Expect exactly this as the next message."""
        assert self.unread, f"expected {message}, but nothing was published"
        assert self.unread.popleft() == (sender, to, message)

    def expect_next(self, sender: str, to: str, kind: type[MessageT]) -> MessageT:
        """Expect a message of this class next; return it."""
        assert self.unread, f"expected {kind.__name__} of {sender}, but nothing was published"
        actual_sender, scope, message = self.unread.popleft()
        assert (actual_sender, scope, type(message)) == (sender, to, kind)
        assert isinstance(message, kind)
        return message

    def skip_to(self, sender: str, kind: type[MessageT]) -> MessageT:
        """Skip messages up to the first one of this sender and class; return it."""
        while self.unread:
            actual_sender, _, message = self.unread.popleft()
            if actual_sender == sender and isinstance(message, kind):
                return message
        raise AssertionError(f"expected {kind.__name__} of {sender}")

    def expect_nothing(self) -> None:
        """Expect that no message is left."""
        assert list(self.unread) == []

    def published(self, kind: type[MessageT], *, sender: str = "") -> list[MessageT]:
        """Return all messages of this class that were published since the start."""
        return [m for by, _, m in self.sent if isinstance(m, kind) and sender in ("", by)]

    # --- the network -------------------------------------------------------------------------------------

    def _publish(self, sender: str, out: Out) -> None:
        for scope, message in out:
            assert decode(message.TYPE, encode(message)) == message, f"{message} is not valid on the wire"
            sent = (sender, scope, message)
            self.unread.append(sent)
            self.sent.append(sent)
            for agent in self.agents.values():
                if agent.id != sender and (message.TYPE, scope) in agent.subscriptions():
                    self._route(sent, agent.id)

    def _route(self, sent: SentMessage, to: str) -> None:
        for kind, sender, receiver, held in self._rules:
            if isinstance(sent[2], kind) and sender in ("", sent[0]) and receiver in ("", to):
                if held is not None:
                    held.append((sent, to))
                return
        self._queue.append((sent, to))

    def _drain(self) -> None:
        while self._queue:
            (sender, scope, message), to = self._queue.popleft()
            if to not in self.down:
                self._publish(to, self.agents[to].handle(scope, sender, message, self.now_ms))


# --- the agents ------------------------------------------------------------------------------------------


class FixedTurbine(Turbine):
    """A turbine that generates a fixed energy."""

    __slots__ = ("fixed_wh",)
    fixed_wh: int

    def generate(self) -> int:
        self.power_w = self.fixed_wh * 4
        return self.fixed_wh


class FixedLoad:
    """A load with a fixed energy: `annual_kwh` in every quarter hour."""

    def energy_wh(self, _simulated_ms: int, annual_kwh: float) -> int:
        return round(annual_kwh * 1000)


def turbine(
    name: str, fixed_wh: int, roster: Roster | None = None, cell: str = HOME, neighbours: tuple[str, ...] = ()
) -> FixedTurbine:
    agent = FixedTurbine(
        name,
        cell,
        *PLACE,
        rotor_diameter_m=100.0,
        wind=SyntheticWeather(1, START_MS),
        roster=roster or Roster(),
        neighbours=neighbours,
    )
    agent.fixed_wh = fixed_wh
    return agent


def household(
    name: str, demand_wh: int, *, price: int = EUR, cell: str = HOME, reactor_id: str | None = "reactor"
) -> Household:
    return Household(
        name,
        cell,
        *PLACE,
        load=FixedLoad(),
        annual_kwh=demand_wh / 1000,
        package_wh=10_000,
        price_ueur_per_kwh=price,
        reactor=reactor_id,
        reactor_price_ueur_per_kwh=900_000,
    )


def charger(
    name: str,
    *,
    stored_wh: int = 0,
    ports: int = 2,
    place: tuple[float, float] = PLACE,
    cell: str = HOME,
    max_wh_per_tick: int = 20_000,
    package_wh: int = 10_000,
    reactor_id: str | None = "reactor",
    connector: Connector | None = None,
    no_show_fee_neur: int = 0,
) -> Charger:
    return Charger(
        name,
        cell,
        *place,
        capacity_wh=100_000,
        stored_wh=stored_wh,
        ports=ports,
        max_wh_per_tick=max_wh_per_tick,
        package_wh=package_wh,
        floor_ueur_per_kwh=100_000,
        reactor=reactor_id,
        reactor_price_ueur_per_kwh=900_000,
        connector=connector,
        no_show_fee_neur=no_show_fee_neur,
    )


def reactor(name: str = "reactor") -> Reactor:
    return Reactor(name, "site", *PLACE, price_ueur_per_kwh=900_000)


def vehicle(
    name: str,
    *,
    stored_wh: int,
    place: tuple[float, float] = PLACE,
    cells: tuple[str, ...] = (HOME,),
    limit: int = 1_010_000,
    weights: Weights | None = None,
    model: VehicleModel = LEAF,
) -> Vehicle:
    """A vehicle that sets out on its own only if `vehicle_scale` is high."""
    return Vehicle(
        name,
        cells[0],
        *place,
        model=model,
        stored_wh=stored_wh,
        area=(50.9, 51.1, 9.9, 10.1),
        cells=cells,
        rosters=[Roster() for _ in cells],
        rng=RandomStream(name),
        weights=weights or Weights(),
        limit_ueur_per_kwh=limit,
        charge_by_ms=START_MS + 24 * 3_600_000,
    )


def birth(cell: str, role: Role, place: tuple[float, float] = PLACE) -> Presence:
    return Presence(online=True, role=role, cell=cell, latitude=place[0], longitude=place[1])


def package(index: int, energy_wh: int, price: int = EUR) -> Package:
    return Package(index, energy_wh, price)


def total(packages: Iterable[Package]) -> int:
    return sum(p.energy_wh for p in packages)
