"""The fleet over a real broker: the ledger of the simulation in lock-step, and no device can block a site."""

from collections.abc import Iterator
from time import monotonic
from typing import Final

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import (
    Bid,
    Call,
    ClockState,
    ConsumerState,
    Control,
    Grant,
    Message,
    Mode,
    Phase,
    Presence,
    ProducerState,
    Ready,
    Role,
    State,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.topics import Address, topic
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.charging.session import ChargingSession
from gridfleet.devices.clock.settings import Value
from gridfleet.devices.config.scenario import Scenario, load, parse
from gridfleet.devices.config.scenario_tables import AreaTable
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.site import SiteRun
from tests.dashboards.runs import audit, broken
from tests.system.message_log import EXCHANGING, MessageLog, border_crossings, simulate

TIME_AND_PRESENCE: Final = (Tick, Ready, Grant, Presence, ClockState)
"""Messages of time and presence, which differ between the simulation and lock-step on a broker."""
ENDLESS: Final = 2_000
FOR_GOOD_S: Final = 3_600.0
SHORT_WAIT_MS: Final = 200
LONG_DEADLINE_MS: Final = 60_000
TOO_LONG_MS: Final = 10 * LONG_DEADLINE_MS
"""A device that waits for an answer for so long misses the deadline of its phase, and the clock counts it."""
"""More ticks than any test here needs; a test ends earlier, or fails at the end of them."""

FEW: Final = ("turbines.count=2", "households.count=2", "farms.count=0", "chargers.count=3")
SMALL: Final = parse("", "small.toml", "", [*FEW, "vehicles.count=4"])
LOST: Final = parse(
    "",
    "lost.toml",
    "",
    [*FEW, "chargers.stored_share=1", "vehicles.count=6", "vehicles.stored_share=[0.2, 0.3]"],
)
"""Every vehicle looks for a charger at once and repeatedly, because most chargers are out of reach."""
NEAR: Final = AreaTable(south=51, north=52, west=9, east=10)
"""An area in which they are within reach."""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
def address(broker: EmbeddedBroker) -> BrokerAddress:
    return BrokerAddress.parse(broker.url)


class Runner(DeviceRunner):
    """A runner that a test may stall, and whose time to wait for answers it sets."""

    answer_wait_ms: int | None = None
    stalled = False

    def receive(self, address: Address, message: Message) -> None:
        if not self.stalled:
            super().receive(address, message)

    def real_delay_ms(self, due_ms: int) -> int:
        return super().real_delay_ms(due_ms) if self.answer_wait_ms is None else self.answer_wait_ms


@pytest.fixture
def runners(monkeypatch: pytest.MonkeyPatch) -> dict[str, Runner]:
    """The runners of the next site's devices, by id; its `progress` is called every 50 ms."""
    found: dict[str, Runner] = {}

    class Known(Runner):
        def start(self) -> None:
            found[self.agent.id] = self
            super().start()

    monkeypatch.setattr("gridfleet.devices.runtime.fleet_process.DeviceRunner", Known)
    monkeypatch.setattr("gridfleet.devices.runtime.site.POLL_S", 0.05)
    return found


def site_of(
    scenario: Scenario, address: BrokerAddress, ticks: int, deadline_ms: int = 10_000, least_s: float = 0.0
) -> tuple[SiteRun, MessageLog]:
    """Return a site that is not started yet, and the log of its messages."""
    log = MessageLog()
    site = SiteRun(
        Fleet(scenario), address, ticks=ticks, receivers=(log.receive,), least_seconds_per_tick=least_s
    )
    site.clock.lockstep.deadline_ms = deadline_ms
    return site, log


def publish(address: BrokerAddress, scope: str, sender: str, *messages: Message, retain: bool = True) -> None:
    """Publish messages as another client, and wait until the broker has acknowledged them."""
    with MqttLoop(address) as loop:
        client = loop.open(f"{sender}-publishes", on_message=lambda *_: None)
        loop.wait_online(60)
        for message in messages:
            client.publish(topic("germany", message, scope, sender), encode(message), qos=1, retain=retain)


def control(
    address: BrokerAddress, setting: str, value: Value, revision: int, operator: str = "operator"
) -> None:
    publish(address, setting, operator, Control(value, revision))


def begun(log: MessageLog) -> list[Tick]:
    """Return the first phase of every tick."""
    return [tick for _, _, tick in log.of(Tick) if tick.phase is Phase.BID and not tick.paused]


# --- the same as in the simulation -----------------------------------------------------------------------


def with_early_storm(storm: Scenario) -> Scenario:
    """Return the storm with its events in the third hour, so that a short run contains them."""
    gale, damage = storm.events
    return storm.model_copy(
        update={"events": (gale.model_copy(update={"hour": 2}), damage.model_copy(update={"hour": 3}))}
    )


SAME: Final = {
    "normal": load("normal"),
    "scarce": load("scarce"),
    "storm": with_early_storm(load("storm")),
    "exchanging": load("normal", EXCHANGING),
    "uniform-price": load("scarce", ["settings.clearing_rule=uniform-price", "settings.turbine_scale=0.2"]),
    "exchanging-uniform-price": load("normal", [*EXCHANGING, "settings.clearing_rule=uniform-price"]),
}


def test_a_lockstep_that_people_can_watch_is_that_of_the_simulation(address: BrokerAddress) -> None:
    site, over_mqtt = site_of(SAME["normal"], address, 6, least_s=0.3)
    site.run()
    expected = sorted(line[1:] for line in simulate(SAME["normal"], 6).lines(but=TIME_AND_PRESENCE))
    assert sorted(line[1:] for line in over_mqtt.lines(but=TIME_AND_PRESENCE)) == expected
    assert site.clock.lockstep.late_phases == 0


@pytest.mark.parametrize("name", SAME)
def test_every_message_is_that_of_the_simulation(name: str, address: BrokerAddress) -> None:
    scenario = SAME[name]
    site, over_mqtt = site_of(scenario, address, 16)
    site.run()
    simulated = simulate(scenario, 16)
    expected = sorted(line[1:] for line in simulated.lines(but=TIME_AND_PRESENCE))
    assert sorted(line[1:] for line in over_mqtt.lines(but=TIME_AND_PRESENCE)) == expected
    assert broken(audit(over_mqtt.messages)) == {}
    assert site.clock.lockstep.late_phases == 0
    assert (border_crossings(over_mqtt) > 100_000) == name.startswith("exchanging")
    if name == "storm":
        generated = [0] * 16
        for _, _, state in over_mqtt.of(ProducerState):
            if state.kind == "turbine":
                generated[state.tick] += state.generated_wh
        assert generated[8] > generated[7] > 0
        assert not any(generated[12:])


def test_scaled_time_ends_without_a_violation(address: BrokerAddress) -> None:
    log = MessageLog()
    fleet = Fleet(load("normal"))
    site = SiteRun(fleet, address, mode=Mode.SCALED, seconds_per_tick=0.2, ticks=3, receivers=(log.receive,))
    began = monotonic()
    site.run()
    assert monotonic() - began > 0.6
    assert [tick.tick for tick in begun(log)] == [0, 1, 2]
    assert broken(audit(log.messages, exact=False)) == {}
    assert {sender for _, sender, _ in log.of(Bid)} == {
        agent for agent in fleet.ids if fleet.role_of(agent) in {Role.CONSUMER, Role.CHARGER}
    }


# --- controls --------------------------------------------------------------------------------------------


def test_settings_from_before_the_run_apply_from_the_first_tick(address: BrokerAddress) -> None:
    control(address, "turbine_scale", 0.0, 3)
    control(address, "ticks", 2, 1)
    site, log = site_of(SMALL, address, ENDLESS)
    site.run()
    assert [tick.tick for tick in begun(log)] == [0, 1]
    assert {state.generated_wh for _, _, state in log.of(ProducerState) if state.kind == "turbine"} == {0}


def test_scales_algorithm_and_ticks_change_while_it_runs(address: BrokerAddress) -> None:
    changes: dict[int, tuple[str, Value]] = {
        2: ("consumer_scale", 0.0),
        5: ("turbine_scale", 2.0),
        8: ("algorithm", "random"),
        11: ("vehicle_scale", 0.5),
        12: ("clearing_rule", "uniform-price"),
        14: ("ticks", 18),
    }
    site, log = site_of(SMALL, address, ENDLESS)

    def progress(site: SiteRun) -> bool:
        change = changes.pop(site.clock.tick, None)
        if change is not None:
            control(address, *change, revision=site.clock.tick)
        return True

    site.run(progress)
    settings = {tick.tick: tick.settings for tick in begun(log)}
    assert list(settings) == list(range(18))
    assert [settings[tick].consumer_scale for tick in (2, 4)] == [1.0, 0.0]
    assert [settings[tick].turbine_scale for tick in (5, 7)] == [1.0, 2.0]
    assert [settings[tick].algorithm for tick in (8, 10)] == ["best", "random"]
    assert [settings[tick].vehicle_scale for tick in (11, 13)] == [1.0, 0.5]
    assert [settings[tick].clearing_rule for tick in (12, 14)] == ["pay-as-bid", "uniform-price"]
    demand = {state.tick: state.demand_wh for _, _, state in log.of(ConsumerState)}
    assert demand[2] > 0
    assert not any(demand[tick] for tick in range(4, 18))
    assert broken(audit(log.messages)) == {}


def test_an_old_or_invalid_control_message_changes_nothing(address: BrokerAddress) -> None:
    control(address, "turbine_scale", 0.5, 7)
    control(address, "turbine_scale", 1.5, 6, operator="other")
    control(address, "consumer_scale", 2.5, 1)
    control(address, "vehicle_scale", "many", 1)
    control(address, "algorithm", "dearest", 1)
    control(address, "gravity", 1, 1)
    site, log = site_of(SMALL, address, 2)
    site.run()
    expected = {(0.5, 1.0, 1.0, "best")}
    assert expected == {
        (s.turbine_scale, s.consumer_scale, s.vehicle_scale, s.algorithm)
        for s in (tick.settings for tick in begun(log))
    }


def test_a_pause_lasts_until_it_is_revoked(address: BrokerAddress, runners: dict[str, Runner]) -> None:
    site, log = site_of(SMALL, address, 8)
    pauses: list[int] = []

    def progress(site: SiteRun) -> bool:
        clock = site.clock
        if clock.tick == 2 and not pauses and not clock.pace.paused:
            control(address, "paused", value=True, revision=1)
        elif clock.pace.paused:
            pauses.append(clock.tick)
            if len(pauses) == 4:
                control(address, "paused", value=False, revision=2)
        return True

    site.run(progress)
    assert len(pauses) >= 4
    assert len(set(pauses)) == 1
    assert [tick.tick for tick in begun(log) if not tick.paused][-1] == 7
    paused = [tick.paused for _, _, tick in log.of(Tick)]
    assert paused.count(True) == 1
    assert broken(audit(log.messages)) == {}


# --- devices that are offline, silent or stalled ---------------------------------------------------------


def cut(runner: Runner, *, offline_s: float = 0.0) -> None:
    """Drop a device's connection without DISCONNECT, and keep it offline for that long."""
    runner.connection.drop("the cable is pulled", offline_s=offline_s)


def test_after_a_lost_connection_a_device_trades_again(
    address: BrokerAddress, runners: dict[str, Runner]
) -> None:
    site, log = site_of(SMALL, address, ENDLESS)
    returned: list[int] = []

    def progress(site: SiteRun) -> bool:
        tick = site.clock.tick
        if tick == 3 and not returned:
            cut(runners["charger-2"])
            returned.append(-1)
        elif returned == [-1] and [each.online for each in presences()][-2:] == [False, True]:
            returned[0] = tick
        return not (returned and 0 <= returned[0] <= tick - 4)

    def presences() -> list[Presence]:
        return [each for _, sender, each in log.of(Presence) if sender == "charger-2"]

    site.run(progress)
    last = site.clock.tick - 1
    assert [each.online for each in presences()][:3] == [True, False, True]
    assert site.clock.lockstep.late_phases == 0
    bidders = {sender for _, sender, bid in log.of(Bid) if bid.tick == last}
    assert bidders == {"charger-1", "charger-2", "charger-3", "household-1", "household-2", "commerce-1"}
    assert broken(audit(log.messages, exact=False)) == {}


@pytest.mark.parametrize("victim", ["vehicle-1", "charger-1", "household-1", "turbine-1", "reactor-1"])
def test_nobody_waits_for_an_offline_device(
    victim: str, address: BrokerAddress, runners: dict[str, Runner]
) -> None:
    site, log = site_of(SMALL, address, 12)

    def progress(site: SiteRun) -> bool:
        if site.clock.tick == 3 and runners[victim].connection.online:
            for runner in runners.values():
                runner.answer_wait_ms = SHORT_WAIT_MS
            cut(runners[victim], offline_s=FOR_GOOD_S)
        return True

    site.run(progress)
    assert [each.online for _, sender, each in log.of(Presence) if sender == victim] == [True, False]
    assert [tick.tick for tick in begun(log)] == list(range(12))
    assert site.clock.lockstep.late_phases == 0
    assert not any(tick.absent for tick in begun(log))
    assert broken(audit(log.messages, exact=False)) == {}


@pytest.mark.parametrize("kind", [Role.VEHICLE, Role.PRODUCER])
def test_a_silent_device_costs_one_deadline(kind: Role, address: BrokerAddress) -> None:
    publish(address, f"germany/{kind}", "ghost", Presence(True, kind, "germany", 51.0, 10.0))
    site, log = site_of(SMALL, address, 6, deadline_ms=3_000)
    site.run()
    assert site.clock.lockstep.late_phases == 1
    absent = [tick.absent for _, _, tick in log.of(Tick)]
    assert absent == [(), *[("ghost",)] * (len(absent) - 1)]
    assert broken(audit(log.messages, exact=False)) == {}


def test_a_silent_charger_does_not_delay_every_call(
    address: BrokerAddress, runners: dict[str, Runner]
) -> None:
    """Every tick lists it as absent: a vehicle that still waited for its offer would miss the deadline."""
    site, log = site_of(LOST, address, 8, deadline_ms=LONG_DEADLINE_MS)
    born = False

    def progress(site: SiteRun) -> bool:
        nonlocal born
        if site.clock.tick == 1 and not born:
            born = True
            publish(address, "germany/charger", "ghost", Presence(True, Role.CHARGER, "germany", 51.0, 10.0))
        for runner in runners.values():
            runner.answer_wait_ms = SHORT_WAIT_MS if site.clock.tick < 2 else TOO_LONG_MS
        return True

    site.run(progress)
    later = site.clock.schedule.start_ms + 2 * TICK_MS
    assert sum(call.simulated_ms > later for _, _, call in log.of(Call)) >= 6
    assert site.clock.lockstep.late_phases == 0


@pytest.mark.parametrize("kind", [Role.VEHICLE, Role.CONSUMER, Role.CHARGER, Role.PRODUCER])
def test_a_silent_device_that_joins_a_running_site_costs_nothing(
    kind: Role, address: BrokerAddress, runners: dict[str, Runner]
) -> None:
    site, log = site_of(SMALL, address, 8)
    birth = Presence(True, kind, "germany", 51.0, 10.0)

    def progress(site: SiteRun) -> bool:
        if site.clock.tick == 2:
            publish(address, f"germany/{kind}", "ghost", birth)
        return True

    site.run(progress)
    assert site.clock.lockstep.late_phases == 0
    absent = [tick.absent for tick in begun(log)]
    assert absent[:3] == [()] * 3
    assert absent[4:] == [("ghost",)] * 4
    assert broken(audit(log.messages, exact=False)) == {}


@pytest.mark.parametrize("victim", ["vehicle-1", "turbine-1"])
def test_a_stalled_device_is_listed_costs_one_deadline_and_may_return(
    victim: str, address: BrokerAddress, runners: dict[str, Runner]
) -> None:
    """The device stays connected and present, but handles no message."""
    site, log = site_of(SMALL, address, 16, deadline_ms=3_000)

    def progress(site: SiteRun) -> bool:
        runners[victim].stalled = 3 <= site.clock.tick < 8
        return True

    site.run(progress)
    assert site.clock.lockstep.late_phases == 1
    absent = [tick.absent for tick in begun(log)]
    assert absent == [*[()] * 4, *[(victim,)] * 5, *[()] * 7]
    assert broken(audit(log.messages, exact=False)) == {}
    assert (victim, 15) in {(sender, state.tick) for _, sender, state in log.of(State)}


def test_vehicles_leave_an_offline_charger(address: BrokerAddress, runners: dict[str, Runner]) -> None:
    """All receive its last will: a vehicle that called it again, or waited for its offer, would miss the deadline."""
    site, log = site_of(LOST.model_copy(update={"area": NEAR}), address, 12, deadline_ms=LONG_DEADLINE_MS)
    reserved: list[ChargingSession | None] = []

    def progress(site: SiteRun) -> bool:
        vehicles = [runner for runner in runners.values() if isinstance(runner.agent, Vehicle)]
        if site.clock.tick == 4 and not reserved:
            agents = [runner.agent for runner in vehicles]
            reserved.extend(agent.reservation.session for agent in agents if isinstance(agent, Vehicle))
            for (
                runner
            ) in runners.values():  # turbines may wait for receipts of chargers, for energy awarded before
                runner.answer_wait_ms = SHORT_WAIT_MS
            for name, runner in runners.items():
                if name.startswith("charger"):
                    cut(runner, offline_s=FOR_GOOD_S)
        elif site.clock.tick > 4:
            for runner in vehicles:
                runner.answer_wait_ms = TOO_LONG_MS
        return True

    site.run(progress)
    assert any(reserved)
    assert site.clock.lockstep.late_phases == 0
    last = [state.charger for _, _, state in log.of(VehicleState) if state.tick == 11]
    assert last == [None] * 6


# --- the broker ------------------------------------------------------------------------------------------


def test_a_lost_broker_ends_the_run_with_a_clear_error(
    broker: EmbeddedBroker,
    address: BrokerAddress,
    runners: dict[str, Runner],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gridfleet.devices.runtime.site.MAX_OUTAGE_S", 0.5)
    site, _log = site_of(SMALL, address, ENDLESS, deadline_ms=1_000)

    def progress(site: SiteRun) -> bool:
        if site.clock.tick == 3:
            broker.close()
        return True

    with pytest.raises(BrokerError, match=str(address)):
        site.run(progress)


def test_a_broker_that_cannot_be_reached_is_named(
    broker: EmbeddedBroker, address: BrokerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.close()
    monkeypatch.setattr("gridfleet.devices.runtime.site.CONNECT_S", 0.5)
    site, _log = site_of(SMALL, address, 2)
    with pytest.raises(BrokerError, match=str(address)):
        site.run()
