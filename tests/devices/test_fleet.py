"""The agents of a scenario: built by their ids alone, the same every time, each in its cell."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import ID_PATTERN, Mode, Phase, Role
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.turbine import Turbine
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.config.scenario import Scenario, load, parse
from gridfleet.devices.config.scenario_tables import TURBINE_SITES
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.runtime.fleet import Fleet, cells_of
from tests.devices.testbed import birth

NORMAL = load("normal")


def scenario_of(rows: int, columns: int, *changes: str) -> Scenario:
    return parse("", "mine.toml", "", [f"area.rows={rows}", f"area.columns={columns}", *changes])


def memory(agent: Agent) -> dict[str, Any]:
    """Everything an agent knows, by slot, except what the agents of a process share."""
    slots = {slot for kind in type(agent).__mro__ for slot in getattr(kind, "__slots__", ())}
    return {slot: plain(getattr(agent, slot)) for slot in sorted(slots)}


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever an agent holds
    slots = [slot for kind in type(value).__mro__ for slot in getattr(kind, "__slots__", ())]
    if isinstance(value, Roster):
        return "shared"
    if isinstance(value, Agent):
        return value.id  # a part that refers to the agent it belongs to
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if not slots or isinstance(value, int | str | float):
        return type(value).__name__ if repr(value).startswith("<") else value
    return [type(value).__name__, *(plain(getattr(value, slot)) for slot in slots if hasattr(value, slot))]


@pytest.mark.parametrize("agent_id", Fleet(NORMAL).ids)
def test_an_agent_is_made_the_same_every_time(agent_id: str) -> None:
    fleet, other = Fleet(NORMAL), Fleet(NORMAL)
    once, again, elsewhere = (
        fleet.build_agent(agent_id),
        fleet.build_agent(agent_id),
        other.build_agent(agent_id),
    )
    assert once is not again
    assert memory(once) == memory(again) == memory(elsewhere)
    assert once.id == agent_id
    assert once.role is fleet.role_of(agent_id)


def test_another_seed_is_another_fleet() -> None:
    one, other = Fleet(NORMAL, 1), Fleet(NORMAL, 2)
    assert one.build_agent("vehicle-01").latitude != other.build_agent("vehicle-01").latitude
    assert one.ids == other.ids


def test_another_device_does_not_change_the_random_numbers_of_the_others() -> None:
    more = Fleet(parse("", "normal.toml", "", ["chargers.count=21"]), NORMAL.seed)
    less = Fleet(NORMAL)
    for agent_id in ("vehicle-17", "charger-20", "turbine-2"):
        one, other = memory(less.build_agent(agent_id)), memory(more.build_agent(agent_id))
        del one["trust"], other["trust"]  # the register of the whole fleet
        assert one == other


def test_ids_are_valid_and_unique() -> None:
    fleet = Fleet(scenario_of(2, 2, "reactors.count=3"))
    assert len(set(fleet.ids)) == len(fleet.ids)
    assert CLOCK_ID not in fleet.ids
    assert all(re.fullmatch(ID_PATTERN.removesuffix("$"), agent_id) for agent_id in fleet.ids)
    reactors = [agent_id for agent_id in fleet.ids if fleet.role_of(agent_id) is Role.GRID_SUPPLY]
    assert reactors == ["reactor-1", "reactor-2", "reactor-3"]
    assert sorted(fleet.ids) == sorted(agent.id for agent in fleet.agents())


@given(st.integers(1, 6), st.integers(1, 6))
def test_neighbours_are_mutual_and_adjacent(rows: int, columns: int) -> None:
    cells = {cell.name: cell for cell in cells_of(scenario_of(rows, columns))}
    assert len(cells) == rows * columns
    for cell in cells.values():
        assert len(set(cell.neighbours)) == len(cell.neighbours) <= 4
        assert cell.name not in cell.neighbours
        for name in cell.neighbours:
            assert cell.name in cells[name].neighbours
            south, north, west, east = cell.area
            other = cells[name].area
            touches = [other[0] - north, south - other[1], other[2] - east, west - other[3]]
            assert min(map(abs, touches)) < 1e-9
    borders = sum(len(cell.neighbours) for cell in cells.values())
    assert borders == 2 * (rows * (columns - 1) + columns * (rows - 1))


@given(st.integers(1, 6), st.integers(1, 6))
def test_cells_cover_the_area_without_overlap(rows: int, columns: int) -> None:
    scenario = scenario_of(rows, columns)
    cells = cells_of(scenario)
    sizes = [(c.area[1] - c.area[0]) * (c.area[3] - c.area[2]) for c in cells]
    area = scenario.area
    assert sum(sizes) == pytest.approx((area.north - area.south) * (area.east - area.west))
    assert max(sizes) == pytest.approx(min(sizes))


def test_a_single_cell_has_the_name_of_the_site() -> None:
    (cell,) = cells_of(scenario_of(1, 1, "site=bench"))
    assert (cell.name, cell.neighbours) == ("bench", ())


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_every_agent_stands_in_its_cell(rows: int, columns: int, seed: int) -> None:
    fleet = Fleet(scenario_of(rows, columns, "turbines.sites=[]"), seed)
    areas = {cell.name: cell.area for cell in fleet.cells}
    local = [agent for agent in fleet.agents() if agent.role is not Role.GRID_SUPPLY]
    assert {agent.role for agent in local} == set(Role) - {Role.CLOCK, Role.GRID_SUPPLY, Role.STORAGE}
    for agent in local:
        south, north, west, east = areas[agent.cell]
        assert south - 1e-6 <= agent.latitude <= north + 1e-6
        assert west - 1e-6 <= agent.longitude <= east + 1e-6


def test_turbines_stand_at_the_given_sites() -> None:
    fleet = Fleet(NORMAL)
    places = [(a.latitude, a.longitude) for a in fleet.agents() if isinstance(a, Turbine)]
    assert places == [*TURBINE_SITES[:3]]
    split = Fleet(scenario_of(2, 2, "turbines.count=8"))
    homes = {(a.latitude, a.longitude): a.cell for a in split.agents() if isinstance(a, Turbine)}
    areas = {cell.name: cell.area for cell in split.cells}
    expected = {
        site: name
        for site in TURBINE_SITES
        for name, (south, north, west, east) in areas.items()
        if south <= site[0] <= north and west <= site[1] <= east
    }
    assert len(expected) == 4  # of five: one lies south of the area
    assert {site: homes[site] for site in expected} == expected


def test_a_vehicle_subscribes_to_the_chargers_of_its_own_cell_and_the_neighbours() -> None:
    fleet = Fleet(scenario_of(2, 2))
    neighbours = {cell.name: cell.neighbours for cell in fleet.cells}
    vehicles = [agent for agent in fleet.agents() if isinstance(agent, Vehicle)]
    assert vehicles
    for agent in vehicles:
        cells = {scope.partition("/")[0] for kind, scope in agent.subscriptions() if kind == "presence"}
        assert cells == {agent.cell, *neighbours[agent.cell]}


def test_discovery_is_complete_when_all_births_are_received() -> None:
    fleet = Fleet(parse("", "mine.toml", "", ["turbines.count=1", "vehicles.count=1", "chargers.count=2"]))
    agents = list(fleet.agents())
    assert not fleet.discovery_complete()
    for speaker in agents:
        scope, message = speaker.presence()
        for agent in agents:
            if ("presence", scope) in agent.subscriptions():
                agent.handle(scope, speaker.id, message, 0)
    assert fleet.discovery_complete()


def test_the_clock_takes_the_scenarios_plan() -> None:
    clock = Fleet(load("storm")).clock(Mode.LOCKSTEP, ticks=100, epoch=5)
    assert (clock.ticks, clock.pace.mode, clock.epoch) == (100, Mode.LOCKSTEP, 5)
    out = clock.begin(0)
    assert clock.settings.turbine_scale == 1.0
    assert [type(message).__name__ for _, message in out] == ["Tick", "ClockState"]
    assert Fleet(scenario_of(1, 2)).clock(Mode.REALTIME).schedule.phases == tuple(Phase)
    assert len(Fleet(NORMAL).clock(Mode.REALTIME).schedule.phases) == 4


def test_an_empty_fleet_can_be_made() -> None:
    none = [
        f"{table}.count=0"
        for table in ("turbines", "households", "commerce", "farms", "chargers", "vehicles", "reactors")
    ]
    assert Fleet(parse("", "mine.toml", "", none)).ids == []


# --- what it is made of ----------------------------------------------------------------------------------


def test_a_roster_holds_devices_that_are_online() -> None:
    roster = Roster()
    here = birth("here", Role.CHARGER)
    roster.apply("a", here)
    roster.apply("a", here)
    assert roster.members == {"a": here}
    offline = type(here)(online=False, role=Role.CHARGER, cell="here", latitude=0.0, longitude=0.0)
    roster.apply("a", offline)
    roster.apply("b", offline)
    assert roster.members == {}


def test_random_streams_are_the_published_splitmix64() -> None:
    # Java's SplittableRandom and the reference C code give these for seed 1234567 (rosettacode.org, "SplitMix64")
    chance = RandomStream()
    chance._state = 1234567  # noqa: SLF001 - no seed gives the published state
    assert [chance.bits() for _ in range(5)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip


@given(
    st.lists(st.integers() | st.text(), max_size=3), st.integers(1, 1000), st.floats(-10, 0), st.floats(0, 10)
)
def test_draws_are_repeatable_and_within_bounds(
    seed: list[object], bound: int, low: float, high: float
) -> None:
    one, other = RandomStream(*seed), RandomStream(*seed)
    for _ in range(10):
        assert 0 <= (drawn := one.random()) < 1
        assert drawn == other.random()
        assert 0 <= one.below(bound) == other.below(bound) < bound
        assert low <= one.uniform(low, high) == other.uniform(low, high) <= high


def test_draws_are_even() -> None:
    chance = RandomStream("even")
    draws = [chance.below(10) for _ in range(20_000)]
    assert all(1_850 < draws.count(n) < 2_150 for n in range(10))
    assert sum(chance.random() for _ in range(10_000)) / 10_000 == pytest.approx(0.5, abs=0.01)
