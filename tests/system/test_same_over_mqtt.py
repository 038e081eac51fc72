"""The same fleet over a real broker: the same ledger in lock-step, and a site that nobody can hold up or confuse."""

from collections.abc import Iterator
from dataclasses import replace
from time import monotonic
from typing import Final

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import (
    Bid,
    Call,
    ClockState,
    ConsumerState,
    Control,
    Grant,
    Kind,
    Message,
    Mode,
    Phase,
    Presence,
    ProducerState,
    Ready,
    State,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.topics import topic
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.charging.session import Session
from gridfleet.devices.clock.settings import Value
from gridfleet.devices.config.scenario import Area, Scenario, load, parse
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.site import SiteRun
from tests.dashboards.runs import audit, broken
from tests.system.heard import EXCHANGING, Heard, border_crossings, heard

OF_THE_TRANSPORT: Final = (Tick, Ready, Grant, Presence, ClockState)
"""What tells the time and who is there, and differs between a clock of its own and a barrier."""
ENDLESS: Final = 2_000
FOR_GOOD_S: Final = 3_600.0
SHORT_WAIT_MS: Final = 200
LONG_DEADLINE_MS: Final = 60_000
TOO_LONG_MS: Final = 10 * LONG_DEADLINE_MS
"""A device that waits for an answer for so long misses the deadline of its phase, and the clock counts it."""
"""More ticks than any test here lets pass; what it waits for comes first, or it fails at the end of them."""

FEW: Final = ("turbines.count=2", "households.count=2", "farms.count=0", "chargers.count=3")
SMALL: Final = parse("", "small.toml", "", [*FEW, "vehicles.count=4"])
LOST: Final = parse(
    "",
    "lost.toml",
    "",
    [*FEW, "chargers.stored_share=1", "vehicles.count=6", "vehicles.stored_share=[0.2, 0.3]"],
)
"""Every vehicle looks for a charger at once, and again and again, for most are out of reach."""
NEAR: Final = Area(south=51, north=52, west=9, east=10)
"""Here they are within reach."""


@pytest.fixture
def bus() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def address(bus: EmbeddedBroker) -> BrokerAddress:
    return BrokerAddress.parse(bus.url)


class Seat(DeviceRunner):
    """A runner that waits for answers for as long as a test says."""

    answer_wait_ms: int | None = None

    def real_delay_ms(self, due_ms: int) -> int:
        return super().real_delay_ms(due_ms) if self.answer_wait_ms is None else self.answer_wait_ms


@pytest.fixture
def seats(monkeypatch: pytest.MonkeyPatch) -> dict[str, Seat]:
    """The seats that the next site gives its devices, by id; and it tells how it is every 50 ms."""
    found: dict[str, Seat] = {}

    class Known(Seat):
        def start(self) -> None:
            found[self.agent.id] = self
            super().start()

    monkeypatch.setattr("gridfleet.devices.runtime.fleet_process.DeviceRunner", Known)
    monkeypatch.setattr("gridfleet.devices.runtime.site.POLL_S", 0.05)
    return found


def site_of(
    scenario: Scenario, address: BrokerAddress, ticks: int, deadline_ms: int = 10_000
) -> tuple[SiteRun, Heard]:
    """A site that nobody has started yet, and what will be heard of it."""
    ear = Heard()
    site = SiteRun(Fleet(scenario), address, ticks=ticks, taps=(ear.tap,))
    site.clock.lockstep.deadline_ms = deadline_ms
    return site, ear


def publish(address: BrokerAddress, scope: str, sender: str, *messages: Message, retain: bool = True) -> None:
    """Say something as another client, and wait until the broker has it."""
    with MqttLoop(address) as loop:
        client = loop.open(f"{sender}-says", on_message=lambda *_: None)
        loop.wait_online(60)
        for message in messages:
            client.publish(topic("germany", message, scope, sender), encode(message), qos=1, retain=retain)


def control(
    address: BrokerAddress, setting: str, value: Value, revision: int, operator: str = "desk"
) -> None:
    publish(address, setting, operator, Control(value, revision))


def begun(ear: Heard) -> list[Tick]:
    """The beginnings of ticks."""
    return [tick for _, _, tick in ear.of(Tick) if tick.phase is Phase.BID and not tick.paused]


# --- the same as in the simulation -----------------------------------------------------------------------


def brought_forward(storm: Scenario) -> Scenario:
    """The storm in the third hour, so that a short run goes through it."""
    gale, damage = storm.events
    return storm.model_copy(
        update={"events": (gale.model_copy(update={"hour": 2}), damage.model_copy(update={"hour": 3}))}
    )


SAME: Final = {
    "normal": load("normal"),
    "scarce": load("scarce"),
    "storm": brought_forward(load("storm")),
    "exchanging": load("normal", EXCHANGING),
}


@pytest.mark.parametrize("name", SAME)
def test_every_message_is_that_of_the_simulation(name: str, address: BrokerAddress) -> None:
    scenario = SAME[name]
    site, over_mqtt = site_of(scenario, address, 16)
    site.run()
    simulated = heard(scenario, 16)
    said = sorted(line[1:] for line in simulated.lines(but=OF_THE_TRANSPORT))
    assert sorted(line[1:] for line in over_mqtt.lines(but=OF_THE_TRANSPORT)) == said
    assert broken(audit(over_mqtt.messages)) == {}
    assert site.clock.lockstep.late_phases == 0
    assert (border_crossings(over_mqtt) > 100_000) == (name == "exchanging")
    if name == "storm":
        generated = [0] * 16
        for _, _, state in over_mqtt.of(ProducerState):
            if state.kind == "turbine":
                generated[state.tick] += state.generated_wh
        assert generated[8] > generated[7] > 0
        assert not any(generated[12:])


def test_scaled_time_ends_without_a_breach(address: BrokerAddress) -> None:
    ear = Heard()
    fleet = Fleet(load("normal"))
    site = SiteRun(fleet, address, mode=Mode.SCALED, seconds_per_tick=0.2, ticks=3, taps=(ear.tap,))
    began = monotonic()
    site.run()
    assert monotonic() - began > 0.6
    assert [tick.tick for tick in begun(ear)] == [0, 1, 2]
    assert broken(audit(ear.messages, exact=False)) == {}
    assert {sender for _, sender, _ in ear.of(Bid)} == {
        agent for agent in fleet.ids if fleet.kind_of(agent) in {Kind.CONSUMER, Kind.CHARGER}
    }


# --- controls --------------------------------------------------------------------------------------------


def test_what_an_operator_had_set_before_holds_from_the_first_tick(address: BrokerAddress) -> None:
    control(address, "turbine_scale", 0.0, 3)
    control(address, "ticks", 2, 1)
    site, ear = site_of(SMALL, address, ENDLESS)
    site.run()
    assert [tick.tick for tick in begun(ear)] == [0, 1]
    assert {state.generated_wh for _, _, state in ear.of(ProducerState) if state.kind == "turbine"} == {0}


def test_scales_algorithm_and_ticks_change_while_it_runs(address: BrokerAddress) -> None:
    wishes: dict[int, tuple[str, Value]] = {
        2: ("consumer_scale", 0.0),
        5: ("turbine_scale", 2.0),
        8: ("algorithm", "random"),
        11: ("vehicle_scale", 0.5),
        14: ("ticks", 18),
    }
    site, ear = site_of(SMALL, address, ENDLESS)

    def progress(site: SiteRun) -> bool:
        wish = wishes.pop(site.clock.tick, None)
        if wish is not None:
            control(address, *wish, revision=site.clock.tick)
        return True

    site.run(progress)
    said = {tick.tick: tick.settings for tick in begun(ear)}
    assert list(said) == list(range(18))
    assert [said[tick].consumer_scale for tick in (2, 4)] == [1.0, 0.0]
    assert [said[tick].turbine_scale for tick in (5, 7)] == [1.0, 2.0]
    assert [said[tick].algorithm for tick in (8, 10)] == ["best", "random"]
    assert [said[tick].vehicle_scale for tick in (11, 13)] == [1.0, 0.5]
    demand = {state.tick: state.demand_wh for _, _, state in ear.of(ConsumerState)}
    assert demand[2] > 0
    assert not any(demand[tick] for tick in range(4, 18))
    assert broken(audit(ear.messages)) == {}


def test_a_wish_that_is_old_or_senseless_changes_nothing(address: BrokerAddress) -> None:
    control(address, "turbine_scale", 0.5, 7)
    control(address, "turbine_scale", 1.5, 6, operator="other")
    control(address, "consumer_scale", 2.5, 1)
    control(address, "vehicle_scale", "many", 1)
    control(address, "algorithm", "dearest", 1)
    control(address, "gravity", 1, 1)
    site, ear = site_of(SMALL, address, 2)
    site.run()
    expected = {(0.5, 1.0, 1.0, "best")}
    assert expected == {
        (s.turbine_scale, s.consumer_scale, s.vehicle_scale, s.algorithm)
        for s in (tick.settings for tick in begun(ear))
    }


def test_a_pause_holds_until_it_is_taken_back(address: BrokerAddress, seats: dict[str, Seat]) -> None:
    site, ear = site_of(SMALL, address, 8)
    looks: list[int] = []

    def progress(site: SiteRun) -> bool:
        clock = site.clock
        if clock.tick == 2 and not looks and not clock.paused:
            control(address, "paused", value=True, revision=1)
        elif clock.paused:
            looks.append(clock.tick)
            if len(looks) == 4:
                control(address, "paused", value=False, revision=2)
        return True

    site.run(progress)
    assert len(looks) >= 4
    assert len(set(looks)) == 1
    assert [tick.tick for tick in begun(ear) if not tick.paused][-1] == 7
    paused = [tick.paused for _, _, tick in ear.of(Tick)]
    assert paused.count(True) == 1
    assert broken(audit(ear.messages)) == {}


# --- who is dead, mute or stalled ------------------------------------------------------------------------


def cut(seat: Seat, *, offline_s: float = 0.0) -> None:
    """Pull the cable of a device: its connection ends without a DISCONNECT, and stays offline for that long."""
    seat.connection.drop("the cable is pulled", offline_s=offline_s)


def test_a_cut_connection_comes_back_and_the_device_takes_part_again(
    address: BrokerAddress, seats: dict[str, Seat]
) -> None:
    site, ear = site_of(SMALL, address, ENDLESS)
    comeback: list[int] = []

    def progress(site: SiteRun) -> bool:
        tick = site.clock.tick
        if tick == 3 and not comeback:
            cut(seats["charger-2"])
            comeback.append(-1)
        elif comeback == [-1] and [said.online for said in presences()][-2:] == [False, True]:
            comeback[0] = tick
        return not (comeback and 0 <= comeback[0] <= tick - 4)

    def presences() -> list[Presence]:
        return [said for _, sender, said in ear.of(Presence) if sender == "charger-2"]

    site.run(progress)
    last = site.clock.tick - 1
    assert [said.online for said in presences()][:3] == [True, False, True]
    assert site.clock.lockstep.late_phases == 0
    bidders = {sender for _, sender, bid in ear.of(Bid) if bid.tick == last}
    assert bidders == {"charger-1", "charger-2", "charger-3", "household-1", "household-2", "commerce-1"}
    assert broken(audit(ear.messages, exact=False)) == {}


@pytest.mark.parametrize("victim", ["vehicle-1", "charger-1", "household-1", "turbine-1", "reactor-1"])
def test_nobody_waits_for_the_dead(victim: str, address: BrokerAddress, seats: dict[str, Seat]) -> None:
    site, ear = site_of(SMALL, address, 12)

    def progress(site: SiteRun) -> bool:
        if site.clock.tick == 3 and seats[victim].connection.online:
            for seat in seats.values():
                seat.answer_wait_ms = SHORT_WAIT_MS
            cut(seats[victim], offline_s=FOR_GOOD_S)
        return True

    site.run(progress)
    assert [said.online for _, sender, said in ear.of(Presence) if sender == victim] == [True, False]
    assert [tick.tick for tick in begun(ear)] == list(range(12))
    assert site.clock.lockstep.late_phases == 0
    assert not any(tick.absent for tick in begun(ear))
    assert broken(audit(ear.messages, exact=False)) == {}


@pytest.mark.parametrize("kind", [Kind.VEHICLE, Kind.TURBINE])
def test_who_is_born_and_says_nothing_costs_one_deadline(kind: Kind, address: BrokerAddress) -> None:
    publish(address, f"germany/{kind}", "ghost", Presence(True, kind, "germany", 51.0, 10.0))
    site, ear = site_of(SMALL, address, 6, deadline_ms=3_000)
    site.run()
    assert site.clock.lockstep.late_phases == 1
    absent = [tick.absent for _, _, tick in ear.of(Tick)]
    assert absent == [(), *[("ghost",)] * (len(absent) - 1)]
    assert broken(audit(ear.messages, exact=False)) == {}


def test_a_mute_charger_does_not_hold_up_every_call(address: BrokerAddress, seats: dict[str, Seat]) -> None:
    """Every tick names it as absent: a vehicle that waited for its offer all the same would miss the deadline."""
    site, ear = site_of(LOST, address, 8, deadline_ms=LONG_DEADLINE_MS)
    born = False

    def progress(site: SiteRun) -> bool:
        nonlocal born
        if site.clock.tick == 1 and not born:
            born = True
            publish(address, "germany/charger", "ghost", Presence(True, Kind.CHARGER, "germany", 51.0, 10.0))
        for seat in seats.values():
            seat.answer_wait_ms = SHORT_WAIT_MS if site.clock.tick < 2 else TOO_LONG_MS
        return True

    site.run(progress)
    later = site.clock.schedule.start_ms + 2 * TICK_MS
    assert sum(call.simulated_ms > later for _, _, call in ear.of(Call)) >= 6
    assert site.clock.lockstep.late_phases == 0


@pytest.mark.parametrize("kind", [Kind.VEHICLE, Kind.CONSUMER, Kind.CHARGER, Kind.TURBINE])
def test_who_is_born_while_it_runs_and_says_nothing_costs_nothing(
    kind: Kind, address: BrokerAddress, seats: dict[str, Seat]
) -> None:
    site, ear = site_of(SMALL, address, 8)
    birth = Presence(True, kind, "germany", 51.0, 10.0)

    def progress(site: SiteRun) -> bool:
        if site.clock.tick == 2:
            publish(address, f"germany/{kind}", "ghost", birth)
        return True

    site.run(progress)
    assert site.clock.lockstep.late_phases == 0
    absent = [tick.absent for tick in begun(ear)]
    assert absent[:3] == [()] * 3
    assert absent[4:] == [("ghost",)] * 4
    assert broken(audit(ear.messages, exact=False)) == {}


@pytest.mark.parametrize("victim", ["vehicle-1", "turbine-1"])
def test_who_stalls_is_named_costs_one_deadline_and_may_come_back(
    victim: str, address: BrokerAddress, seats: dict[str, Seat]
) -> None:
    """A seat that is not served: connected and alive, but deaf and mute."""
    site, ear = site_of(SMALL, address, 16, deadline_ms=3_000)

    def progress(site: SiteRun) -> bool:
        connection = seats[victim].connection
        assert isinstance(connection, Connection)
        if site.clock.tick == 3:
            connection._options = replace(connection._options, on_message=lambda *_: None)
        elif site.clock.tick == 8:
            connection._options = replace(connection._options, on_message=seats[victim]._on_message)
        return True

    site.run(progress)
    assert site.clock.lockstep.late_phases == 1
    absent = [tick.absent for tick in begun(ear)]
    assert absent == [*[()] * 4, *[(victim,)] * 5, *[()] * 7]
    assert broken(audit(ear.messages, exact=False)) == {}
    assert (victim, 15) in {(sender, said.tick) for _, sender, said in ear.of(State)}


def test_a_dead_charger_sends_its_vehicles_on(address: BrokerAddress, seats: dict[str, Seat]) -> None:
    """All receive its last will: a vehicle that called it again, or waited for its offer, would miss the deadline."""
    site, ear = site_of(LOST.model_copy(update={"area": NEAR}), address, 12, deadline_ms=LONG_DEADLINE_MS)
    reserved: list[Session | None] = []

    def progress(site: SiteRun) -> bool:
        vehicles = [seat for seat in seats.values() if isinstance(seat.agent, Vehicle)]
        if site.clock.tick == 4 and not reserved:
            agents = [seat.agent for seat in vehicles]
            reserved.extend(agent.reservation.session for agent in agents if isinstance(agent, Vehicle))
            for (
                seat
            ) in seats.values():  # turbines may wait for receipts of chargers, for energy awarded before
                seat.answer_wait_ms = SHORT_WAIT_MS
            for name, seat in seats.items():
                if name.startswith("charger"):
                    cut(seat, offline_s=FOR_GOOD_S)
        elif site.clock.tick > 4:
            for seat in vehicles:
                seat.answer_wait_ms = TOO_LONG_MS
        return True

    site.run(progress)
    assert any(reserved)
    assert site.clock.lockstep.late_phases == 0
    last = [state.charger for _, _, state in ear.of(VehicleState) if state.tick == 11]
    assert last == [None] * 6


# --- the broker ------------------------------------------------------------------------------------------


def test_a_broker_that_goes_away_ends_the_run_with_a_clear_error(
    bus: EmbeddedBroker, address: BrokerAddress, seats: dict[str, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridfleet.devices.runtime.site.MAX_OUTAGE_S", 0.5)
    site, _ear = site_of(SMALL, address, ENDLESS, deadline_ms=1_000)

    def progress(site: SiteRun) -> bool:
        if site.clock.tick == 3:
            bus.close()
        return True

    with pytest.raises(BrokerError, match=str(address)):
        site.run(progress)


def test_a_broker_that_is_not_there_is_named(
    bus: EmbeddedBroker, address: BrokerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.close()
    monkeypatch.setattr("gridfleet.devices.runtime.site.CONNECT_S", 0.5)
    site, _ear = site_of(SMALL, address, 2)
    with pytest.raises(BrokerError, match=str(address)):
        site.run()
