"""A stage on which agents talk over a fake link: the script says what happens, and what must be said, line by line."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import (
    PHASES,
    Kind,
    Message,
    Mode,
    Package,
    Phase,
    Presence,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import Agent, Out
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.household import Household
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

SaidT = TypeVar("SaidT", bound=Message)
Line = tuple[str, str, Message]
"""(sender, scope, message)."""


class Stage:
    """Agents and the link between them; a line that no expectation has consumed yet stands in `lines`."""

    def __init__(self, *agents: Agent, mode: Mode = Mode.REALTIME, seconds_per_tick: float = 900.0) -> None:
        self.agents = {agent.id: agent for agent in agents}
        self.now_ms = START_MS - 60_000
        self.tick = -1
        self.phase = Phase.SETTLE
        self.mode = mode
        self.seconds_per_tick = seconds_per_tick
        self.settings = Settings()
        self.absent: tuple[str, ...] = ()
        self.lines: deque[Line] = deque()
        self.all: list[Line] = []
        self.down: set[str] = set()
        self._rules: list[tuple[type[Message], str, str, list[tuple[Line, str]] | None]] = []
        self._queue: deque[tuple[Line, str]] = deque()
        for agent in agents:
            self._say(agent.id, agent.start(self.now_ms))
        self._drain()
        self.lines.clear()

    # --- what happens ------------------------------------------------------------------------------------

    def begin(self, phase: Phase, tick: int | None = None) -> None:
        """A phase begins, in the same tick, or in the next one for PROCESS, unless a tick is given."""
        if tick is None:
            tick = self.tick + 1 if phase is Phase.BID else self.tick
        self.tick, self.phase = tick, phase
        starts_ms = START_MS + tick * TICK_MS + OFFSETS_MS[phase]
        self.wait_until(starts_ms)
        message = self.tick_message()
        for agent in self.agents.values():  # as the runtimes do, only to those who act in this phase
            if agent.id not in self.down and phase in agent.phases:
                self._say(agent.id, agent.handle("", "clock", message, self.now_ms))
        self._drain()

    def tick_message(self, epoch: int = 0) -> Tick:
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

    def play(self, *phases: Phase) -> list[Line]:
        """These phases pass; return what was said in them."""
        before = len(self.all)
        for phase in phases:
            self.begin(phase)
        self.lines.clear()
        return self.all[before:]

    def whole_tick(self, *, neighbours: bool = False) -> list[Line]:
        """All phases of the next tick pass; return what was said in them."""
        middle = {Phase.RESIDUAL, Phase.SURPLUS, Phase.EXCHANGE}
        return self.play(*(phase for phase in PHASES if neighbours or phase not in middle))

    def wait(self, milliseconds: int) -> None:
        self.wait_until(self.now_ms + milliseconds)

    def wait_until(self, at_ms: int) -> None:
        """Time passes, and agents wake at the instants they asked for, in the order of time and id."""
        while self._wake_next(at_ms):
            pass
        self.now_ms = max(at_ms, self.now_ms)

    def wait_for(self, kind: type[Message], within_ms: int = TICK_MS) -> None:
        """Time passes until somebody says a message of this class."""
        end_ms = self.now_ms + within_ms
        while not any(isinstance(message, kind) for _, _, message in self.lines):
            assert self._wake_next(end_ms), f"nobody says {kind.__name__} in time"

    def _wake_next(self, at_ms: int) -> bool:
        """Wake the agent that is due first until then; tell whether there was one."""
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
        self._say(name, self.agents[name].wake(self.now_ms))
        self._drain()
        return True

    def hand(self, sender: str, to: str, message: Message, scope: str | None = None) -> None:
        """An outsider says something straight to one agent."""
        out = self.agents[to].handle(to if scope is None else scope, sender, message, self.now_ms)
        self._say(to, out)
        self._drain()

    def dies(self, name: str) -> None:
        """An agent falls silent, and its last will is heard."""
        self.down.add(name)
        self._say(name, [self.agents[name].presence(online=False)])
        self._drain()
        self.lines.clear()

    def loses(self, kind: type[Message], *, sender: str = "", to: str = "") -> None:
        """From now on such messages do not arrive."""
        self._rules.append((kind, sender, to, None))

    def holds(self, kind: type[Message], *, sender: str = "", to: str = "") -> list[tuple[Line, str]]:
        """From now on such messages are held back; `arrives` delivers what was held."""
        held: list[tuple[Line, str]] = []
        self._rules.append((kind, sender, to, held))
        return held

    def mended(self) -> None:
        """The link works again."""
        self._rules.clear()

    def arrives(self, held: Iterable[tuple[Line, str]]) -> None:
        self._queue.extend(held)
        self._drain()

    # --- what must be said -------------------------------------------------------------------------------

    def says(self, sender: str, to: str, message: Message) -> None:
        """The next line is exactly this."""
        assert self.lines, f"nobody says {message}"
        assert self.lines.popleft() == (sender, to, message)

    def hears(self, sender: str, to: str, kind: type[SaidT]) -> SaidT:
        """The next line is a message of this class; return it."""
        assert self.lines, f"{sender} does not say {kind.__name__}"
        said_by, scope, message = self.lines.popleft()
        assert (said_by, scope, type(message)) == (sender, to, kind)
        assert isinstance(message, kind)
        return message

    def skips_to(self, sender: str, kind: type[SaidT]) -> SaidT:
        """Sooner or later this sender says a message of this class; return it."""
        while self.lines:
            said_by, _, message = self.lines.popleft()
            if said_by == sender and isinstance(message, kind):
                return message
        raise AssertionError(f"{sender} does not say {kind.__name__}")

    def is_silent(self) -> None:
        assert list(self.lines) == []

    def said(self, kind: type[SaidT], *, sender: str = "") -> list[SaidT]:
        """Everything of this class that was ever said."""
        return [m for by, _, m in self.all if isinstance(m, kind) and sender in ("", by)]

    # --- the link ----------------------------------------------------------------------------------------

    def _say(self, sender: str, out: Out) -> None:
        for scope, message in out:
            assert decode(message.TYPE, encode(message)) == message, f"{message} is not valid on the wire"
            line = (sender, scope, message)
            self.lines.append(line)
            self.all.append(line)
            for agent in self.agents.values():
                if agent.id != sender and (message.TYPE, scope) in agent.subscriptions():
                    self._carry(line, agent.id)

    def _carry(self, line: Line, to: str) -> None:
        for kind, sender, receiver, held in self._rules:
            if isinstance(line[2], kind) and sender in ("", line[0]) and receiver in ("", to):
                if held is not None:
                    held.append((line, to))
                return
        self._queue.append((line, to))

    def _drain(self) -> None:
        while self._queue:
            (sender, scope, message), to = self._queue.popleft()
            if to not in self.down:
                self._say(to, self.agents[to].handle(scope, sender, message, self.now_ms))


# --- the cast --------------------------------------------------------------------------------------------


class GivenTurbine(Turbine):
    """A turbine that generates what the script says."""

    __slots__ = ("given_wh",)
    given_wh: int

    def generate(self) -> int:
        self.power_w = self.given_wh * 4
        return self.given_wh


class GivenLoad:
    """A load that needs what the script says."""

    def energy_wh(self, _simulated_ms: int, annual_kwh: float) -> int:
        return round(annual_kwh * 1000)


def turbine(
    name: str, given_wh: int, roster: Roster | None = None, cell: str = HOME, neighbours: tuple[str, ...] = ()
) -> GivenTurbine:
    agent = GivenTurbine(
        name,
        cell,
        *PLACE,
        rotor_diameter_m=100.0,
        wind=SyntheticWeather(1, START_MS),
        roster=roster or Roster(),
        neighbours=neighbours,
    )
    agent.given_wh = given_wh
    return agent


def household(
    name: str, demand_wh: int, *, price: int = EUR, cell: str = HOME, reactor_id: str | None = "reactor"
) -> Household:
    return Household(
        name,
        cell,
        *PLACE,
        load=GivenLoad(),
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
    """A vehicle that goes nowhere of its own accord, unless vehicle_scale says so."""
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
        due_ms=START_MS + 24 * 3_600_000,
    )


def birth(cell: str, kind: Kind, place: tuple[float, float] = PLACE) -> Presence:
    return Presence(online=True, kind=kind, cell=cell, latitude=place[0], longitude=place[1])


def package(index: int, energy_wh: int, price: int = EUR) -> Package:
    return Package(index, energy_wh, price)


def total(packages: Iterable[Package]) -> int:
    return sum(p.energy_wh for p in packages)


def where(lines: Iterable[Line], test: Callable[[Message], bool]) -> list[Line]:
    return [line for line in lines if test(line[2])]
