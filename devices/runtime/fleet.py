"""The fleet of a scenario: its cells, its weather, and its agents, each built from its id alone and always the same."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gridfleet.broker.protocol.messages import Facts, Mode, Registration, Role, Settings
from gridfleet.broker.protocol.topics import BUYERS, CLOCK_ID, PRODUCERS, WHOLE_SITE
from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS, ueur
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
from gridfleet.devices.clock.agent import NO_REGISTRATIONS, Clock
from gridfleet.devices.clock.settings import SETTINGS, Event
from gridfleet.devices.config.scenario import Group, Scenario
from gridfleet.devices.config.scenario_series import loads_of, reactor_prices_of
from gridfleet.devices.config.scenario_tables import REACTOR_SITE
from gridfleet.devices.kinds.agent_type import AgentContext
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.runtime.registrations import registrations_of, signed_registrations
from gridfleet.devices.trust.announcements import Announcements
from gridfleet.devices.trust.liars.lying_agent import make_liar
from gridfleet.devices.trust.liars.lying_devices import LyingDevice, check_liars, check_ticks
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.devices.trust.register import Register
from gridfleet.devices.weather.of_scenario import weather_of


@dataclass(frozen=True, slots=True)
class Cell:
    """A named area (south, north, west, east in degrees) and its neighbouring cells."""

    name: str
    area: tuple[float, float, float, float]
    neighbours: tuple[str, ...]


def cells_of(scenario: Scenario) -> tuple[Cell, ...]:
    """Return the scenario's cells, row by row from the south-west."""
    area = scenario.area
    if area.rows * area.columns == 1:
        return (Cell(scenario.site, (area.south, area.north, area.west, area.east), ()),)
    height = (area.north - area.south) / area.rows
    width = (area.east - area.west) / area.columns

    def name(row: int, column: int) -> str:
        return f"cell-{row + 1}-{column + 1}"

    cells = []
    for row in range(area.rows):
        for column in range(area.columns):
            adjacent = ((row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column))
            south, west = area.south + row * height, area.west + column * width
            neighbours = tuple(
                name(r, c) for r, c in adjacent if 0 <= r < area.rows and 0 <= c < area.columns
            )
            cells.append(Cell(name(row, column), (south, south + height, west, west + width), neighbours))
    return tuple(cells)


class Fleet:
    """The agents of a scenario and seed; those built by one fleet share weather, load profiles and rosters."""

    def __init__(
        self, scenario: Scenario, seed: int | None = None, *, liars: Sequence[LyingDevice] = ()
    ) -> None:
        """`liars` are the devices that lie; raises LiarError for one that cannot."""
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.cells = cells_of(scenario)
        self._weather = weather_of(scenario, self.seed)
        self._loads = loads_of(scenario)
        self._reactor_prices = reactor_prices_of(scenario)
        self._devices: dict[str, tuple[Group, int]] = {}
        self._market_rosters = {cell.name: Roster() for cell in self.cells}
        self._charger_rosters = {cell.name: Roster() for cell in self.cells}
        self._cell_numbers = {cell.name: number for number, cell in enumerate(self.cells)}
        self._turbine_places = self._place_turbines()
        self._announcements = {cell.name: Announcements() for cell in self.cells}
        for group in scenario.groups:
            count = group.settings.count
            width = len(str(count))
            for index in range(count):
                self._devices[f"{group.prefix}-{index + 1:0{width}d}"] = (group, index)
        self._liars = {each.device: each for each in liars}
        if self._liars:
            check_liars(liars, {name: self.role_of(name) for name in self._devices})
        trust = scenario.trust
        self.register = (
            Register(registrations_of(scenario), suspension_ticks=trust.suspension_ticks)
            if trust.enabled
            else None
        )
        """What the devices of this process know of the others; None where everybody is believed."""

    @property
    def ids(self) -> list[str]:
        """The ids of all agents except the clock."""
        return list(self._devices)

    @property
    def liars(self) -> frozenset[str]:
        """The ids of the devices that lie."""
        return frozenset(self._liars)

    def role_of(self, agent_id: str) -> Role:
        """Return an agent's role."""
        return self._devices[agent_id][0].agent_type.role

    def cell_number(self, agent_id: str) -> int:
        """Return the index of an agent's cell in `cells`; reactors, which serve several, are spread among them."""
        return self._devices[agent_id][1] % len(self.cells)

    def agents(self) -> Iterator[Agent]:
        """Build every agent except the clock."""
        return map(self.build_agent, self._devices)

    def discovery_complete(self) -> bool:
        """Return whether the agents of this process have received the presence of every device that they trade with."""
        cells = {cell.name: set[str]() for cell in self.cells}
        chargers = {cell.name: set[str]() for cell in self.cells}
        roles = {name: self.role_of(name) for name in self._devices}
        for name, (_, index) in self._devices.items():
            cell = self.cells[index % len(self.cells)].name
            if roles[name] in BUYERS | PRODUCERS:
                cells[cell].add(name)
            if roles[name] is Role.CHARGER:
                chargers[cell].add(name)
        present = set(roles.values())
        return (present.isdisjoint(PRODUCERS) or _complete(self._market_rosters, cells)) and (
            Role.VEHICLE not in present or _complete(self._charger_rosters, chargers)
        )

    def clock(
        self,
        mode: Mode,
        seconds_per_tick: float = TICK_MS / 1000,
        ticks: int | None = None,
        epoch: int = 0,
        least_seconds_per_tick: float = 0.0,
        signed: Mapping[str, Registration] = NO_REGISTRATIONS,
    ) -> Clock:
        """Build the clock; `ticks` overrides the scenario's, `epoch` numbers the run.

        In lock-step a tick takes at least `least_seconds_per_tick`. `signed` are the entries that the site's CA has
        signed, by device or prefix: those of them that state what the scenario says are published with their signature.
        Raises LiarError for a device that begins to lie after the run.
        """
        scenario = self.scenario
        ticks = scenario.ticks if ticks is None else ticks
        if self._liars:
            check_ticks(self._liars.values(), ticks)
        events = tuple(
            Event(
                round(event.hour * MS_PER_HOUR) // TICK_MS,
                tuple((name, getattr(event, name)) for name in SETTINGS if getattr(event, name) is not None),
                event.title,
            )
            for event in scenario.events
        )
        area = scenario.area
        return Clock(
            CLOCK_ID,
            round((area.south + area.north) / 2, 6),
            round((area.west + area.east) / 2, 6),
            start_ms=scenario.start_ms,
            ticks=ticks,
            mode=mode,
            seconds_per_tick=seconds_per_tick,
            least_seconds_per_tick=least_seconds_per_tick,
            settings=Settings(**scenario.settings.model_dump()),
            events=events,
            neighbours=len(self.cells) > 1,
            expected=frozenset(self._devices) if mode is Mode.LOCKSTEP else frozenset(),
            epoch=epoch,
            facts=self._facts(),
            reactor_prices=self._reactor_prices,
            registrations=signed_registrations(scenario, signed) if scenario.trust.enabled else {},
        )

    def _facts(self) -> Facts:
        area, scenario = self.scenario.area, self.scenario
        return Facts(
            title=scenario.title or scenario.name,
            south=area.south,
            north=area.north,
            west=area.west,
            east=area.east,
            rows=area.rows,
            columns=area.columns,
            reactor_price_ueur_per_kwh=ueur(scenario.market.reactor_price_eur_per_kwh),
            clearing_rules=tuple(CLEARING_RULES.names()),
            offer_rankings=tuple(OFFER_RANKINGS.names()),
            suspension_ticks=scenario.trust.suspension_ticks if scenario.trust.enabled else 0,
        )

    def build_agent(self, agent_id: str) -> Agent:
        """Build one agent in its initial state; raise KeyError for an id that the fleet does not have."""
        group, index = self._devices[agent_id]
        agent_type, scenario = group.agent_type, self.scenario
        cell = self.cells[index % len(self.cells)]
        random = RandomStream(self.seed, agent_id)
        south, north, west, east = cell.area
        place = round(random.uniform(south, north), 6), round(random.uniform(west, east), 6)
        if group.settings is scenario.turbines:
            place = self._turbine_places.get(index, place)
        whole_site = agent_type.role is Role.GRID_SUPPLY
        latitude, longitude = REACTOR_SITE if whole_site else place
        context = AgentContext(
            id=agent_id,
            cell=WHOLE_SITE if whole_site else cell.name,
            latitude=latitude,
            longitude=longitude,
            label="",
            settings=group.settings,
            market=scenario.market,
            reactor=self._reactor_of(cell),
            neighbours=cell.neighbours,
            area=cell.area,
            weather=self._weather,
            measured_at_m=scenario.weather.measured_at_m,
            roster=self._market_rosters[cell.name],
            charger_rosters=tuple(self._charger_rosters[name] for name in (cell.name, *cell.neighbours)),
            random=random,
            start_ms=scenario.start_ms,
            clock=scenario.clock,
            load=self._loads.get(group.prefix),
            reactor_prices=self._reactor_prices,
            register=self.register,
            announcements=self._announcements[cell.name],
        )
        agent, lying = agent_type.make(context), self._liars.get(agent_id)
        if lying is None:
            return agent
        lie = LIES.get(lying.lie)
        return make_liar(agent, lie, seed=self.seed, from_tick=lying.from_tick, partner=lying.partner)

    def _place_turbines(self) -> dict[int, tuple[float, float]]:
        """Return the listed places by turbine: each goes to the first turbine of its cell that has none yet."""
        places: dict[int, tuple[float, float]] = {}
        count, cells = self.scenario.turbines.count, len(self.cells)
        for place in self.scenario.turbines.sites:
            home = next((n for n, cell in enumerate(self.cells) if _inside(cell, place)), None)
            if home is None:
                continue
            free = next((index for index in range(home, count, cells) if index not in places), None)
            if free is not None:
                places[free] = place
        return places

    def _reactor_of(self, cell: Cell) -> str | None:
        count = self.scenario.reactors.count
        return f"reactor-{self._cell_numbers[cell.name] % count + 1:0{len(str(count))}d}" if count else None


def _inside(cell: Cell, place: tuple[float, float]) -> bool:
    south, north, west, east = cell.area
    return south <= place[0] <= north and west <= place[1] <= east


def _complete(rosters: dict[str, Roster], expected: dict[str, set[str]]) -> bool:
    """Return whether every roster in use contains all the members expected."""
    used = [name for name, roster in rosters.items() if roster.members]
    return bool(used) and all(expected[name] <= rosters[name].members.keys() for name in used)
