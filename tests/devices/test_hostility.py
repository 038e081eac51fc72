"""No valid message, from any sender at any time, stops an agent, breaks its bounds, or makes it publish nonsense."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import Control, Grant, Message, Phase, Role, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import NO_TICK, Agent, Out
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.household import Household
from gridfleet.devices.agents.roles.buyer import Buyer
from gridfleet.devices.agents.roles.seller import Seller
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.turbine import Turbine
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.physics.demand import load_profile
from gridfleet.devices.weather.synthetic import SyntheticWeather
from tests.devices.message_strategies import Overrides, any_message, anything
from tests.devices.testbed import HOME, LEAF, PLACE, START_MS, birth, charger, reactor, vehicle

CAPACITY_WH = 100_000
PORTS = 2


def real_turbine() -> Turbine:
    weather = SyntheticWeather(1, START_MS)
    return Turbine(
        "t", HOME, *PLACE, rotor_diameter_m=100.0, wind=weather, roster=Roster(), neighbours=("there",)
    )


def real_household() -> Household:
    return Household(
        "h", HOME, *PLACE, load=load_profile("H25"), annual_kwh=1e6, package_wh=10_000,
        price_ueur_per_kwh=1_000_000, reactor="reactor", reactor_price_ueur_per_kwh=900_000,
    )  # fmt: skip


AGENTS: dict[str, Callable[[], Agent]] = {
    "turbine": real_turbine,
    "household": real_household,
    "charger": lambda: charger("c", stored_wh=50_000, ports=PORTS, cell=HOME),
    "vehicle": lambda: vehicle("v", stored_wh=14_000, cells=(HOME, "there")),
    "reactor": reactor,
}

times = st.integers(START_MS, START_MS + 6 * TICK_MS)
energies = st.sampled_from([0, 1, 5_000, 10_000, 20_000, 50_000])
NEAR: Overrides = {
    "tick": st.integers(0, 4),
    "serial": st.integers(0, 2),
    "call": st.integers(0, 3),
    "index": st.integers(0, 3),
    "epoch": st.integers(0, 1),
    "simulated_ms": st.integers(0, 5).map(lambda n: START_MS + n * TICK_MS) | times,
    "ends_ms": times,
    "until_ms": times,
    "energy_wh": energies,
    "drawn_wh": energies,
    "price_ueur_per_kwh": st.sampled_from([0, 100_000, 900_000, 1_000_000]),
    "limit_ueur_per_kwh": st.sampled_from([0, 1_010_000]),
    "cell": st.sampled_from([HOME, "there"]),
    "latitude": st.floats(50.5, 51.5),
    "longitude": st.floats(9.5, 10.5),
    "absent": st.just(()),
}
"""Values that a peer who knows the site would use."""
senders = st.sampled_from(["reactor", "near", "t2", "h", "v2", "x"])
scopes = st.sampled_from([HOME, "there", "x"])
waits = st.sampled_from([0, 1, 1000, 60_000, 10**6])
Received = list[tuple[str, str, Message, int]]


def with_weather(message: Message) -> Message:
    """Return the message; move a tick into the time for which there is weather."""
    if not isinstance(message, Tick):
        return message
    return replace(message, simulated_ms=START_MS + message.simulated_ms % (6 * TICK_MS))


def sequences(kind: str) -> st.SearchStrategy[Received]:
    """Draw messages, most of them of the classes that this kind of agent handles."""
    handled = [anything(message, NEAR) for message in AGENTS[kind]().handlers]
    messages = st.one_of([*handled, anything(Tick, NEAR), any_message(NEAR)]).map(with_weather)
    return st.lists(st.tuples(senders, scopes, messages, waits), min_size=1, max_size=25)


def check_bounds(agent: Agent) -> None:
    """Check that energy, ports and batteries are within their limits."""
    if isinstance(agent, Charger):
        assert 0 <= agent.stored_wh <= CAPACITY_WH
        assert len(agent.reservation_book.reservations) <= PORTS
        assert agent.reservation_book.reserved_wh <= agent.stored_wh
    if isinstance(agent, Vehicle):
        assert 0 <= agent.trip.stored_wh <= LEAF.capacity_wh
    if isinstance(agent, Buyer):
        assert 0 <= agent.buying.purchases.bought_wh <= agent.buying.purchases.demand_wh
    if isinstance(agent, Seller):
        books = agent.selling.sales
        assert min(books.sold_wh, books.pending_wh, books.unsold_wh, books.earned_neur) >= 0
    assert all(count > 0 for count in agent.refused.values())


def deliver(agent: Agent, received: Received) -> list[Out]:
    """Deliver messages to an agent, and wake it when it is due; return what it publishes."""
    now_ms = START_MS
    published = [agent.start(now_ms)]
    published += [
        agent.handle(f"{cell}/charger", "near", birth(cell, Role.CHARGER), now_ms) for cell in (HOME, "there")
    ]
    for sender, scope, message, wait_ms in received:
        now_ms += wait_ms
        published.append(agent.handle(scope, sender, message, now_ms))
        due = [due_ms for due_ms in (agent.deadline_ms, agent.event_ms) if due_ms is not None]
        published += [agent.wake(max(due_ms, now_ms)) for due_ms in due if due_ms <= now_ms + wait_ms]
        check_bounds(agent)
    return published


@pytest.mark.parametrize("kind", AGENTS)
def test_no_message_stops_an_agent_or_breaks_its_bounds(kind: str) -> None:
    @settings(max_examples=40)
    @given(sequences(kind))
    def for_any_messages(received: Received) -> None:
        deliver(AGENTS[kind](), received)

    for_any_messages()


@pytest.mark.parametrize("kind", AGENTS)
def test_for_any_messages_what_an_agent_publishes_is_valid(kind: str) -> None:
    @settings(max_examples=40)
    @given(sequences(kind))
    def for_any_messages(received: Received) -> None:
        for out in deliver(AGENTS[kind](), received):
            for scope, message in out:
                assert decode(message.TYPE, encode(message)) == message
                assert isinstance(scope, str)

    for_any_messages()


@pytest.mark.parametrize("kind", AGENTS)
@pytest.mark.timeout(3)
@pytest.mark.parametrize("at_ms", [0, START_MS - TICK_MS, START_MS + 10**13, 253_402_300_799_999])
def test_a_tick_of_another_time_does_not_stop_an_agent(kind: str, at_ms: int) -> None:
    agent = AGENTS[kind]()
    for phase in Phase:
        agent.handle("", "clock", replace(NO_TICK, tick=1, phase=phase, simulated_ms=at_ms, epoch=1), at_ms)
        check_bounds(agent)


@pytest.mark.parametrize("kind", AGENTS)
def test_the_same_messages_have_the_same_result(kind: str) -> None:
    @settings(max_examples=10)
    @given(sequences(kind))
    def twice(received: Received) -> None:
        once, again = deliver(AGENTS[kind](), received), deliver(AGENTS[kind](), received)
        assert once == again

    twice()


@pytest.mark.parametrize("kind", AGENTS)
def test_a_message_of_a_class_that_it_does_not_handle_is_refused_and_counted(kind: str) -> None:
    agent = AGENTS[kind]()
    candidates: list[Message] = [birth(HOME, Role.CLOCK), Control(True, 1), Grant(0, START_MS)]
    unexpected = [message for message in candidates if type(message) not in agent.handlers]
    assert {Control, Grant} <= {type(message) for message in unexpected}
    for message in unexpected:
        assert agent.handle(HOME, "x", message, START_MS) == ()
    assert agent.refused == {"unexpected": len(unexpected)}
