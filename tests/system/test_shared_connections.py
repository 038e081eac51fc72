"""Fleets on shared connections: the same ledger, devices with own connections beside them, one last will for all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import Will
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import (
    Bid,
    ClockState,
    Control,
    FleetPresence,
    Grant,
    Mode,
    Package,
    Presence,
    Ready,
    Tick,
)
from gridfleet.broker.protocol.topics import WHOLE_SITE, batch_topic
from gridfleet.devices.agents.turbine import Turbine
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.clock_process import new_epoch, start_clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import DeviceGroup
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.partitioning import part_of
from tests.dashboards.runs import audit, broken
from tests.system.message_log import EXCHANGING, MessageLog, border_crossings, simulate

TIME_AND_PRESENCE: Final = (Tick, Ready, Grant, Presence, ClockState, FleetPresence)
SITE: Final = "germany"
SMALL: Final = ("turbines.count=2", "households.count=2", "chargers.count=4", "vehicles.count=4")


@pytest.fixture
def address() -> Iterator[BrokerAddress]:
    with EmbeddedBroker() as broker:
        yield BrokerAddress.parse(broker.url)


class SharedSite:
    """A site whose devices share the connection of a fleet process, or have their own (the process is None then)."""

    def __init__(
        self, loop: MqttLoop, scenario: Scenario, mode: Mode, ticks: int, seconds_per_tick: float
    ) -> None:
        self.loop = loop
        self.fleet = Fleet(scenario)
        self.log = MessageLog()
        self.refused: list[str] = []
        self.channels: dict[str | None, ChannelFactory] = {}
        self.groups: list[DeviceGroup] = []
        self.listener = SiteListener(loop, SiteDecoder(scenario.site), (self.log.receive,))
        self.clock = self.fleet.clock(mode, seconds_per_tick, ticks, epoch=new_epoch())
        self.seat = ClockRunner(self.clock, loop, SiteDecoder(scenario.site))
        loop.wait_online(60)
        start_clock(loop, self.seat)

    def add_devices(
        self, process: str | None, ids: Sequence[str], channels: ChannelFactory | None = None
    ) -> None:
        decoder = SiteDecoder(self.fleet.scenario.site)
        if channels is None:
            channels = self.loop if process is None else SharedConnection(self.loop, decoder, process)
        self.channels[process] = channels
        self.groups.append(DeviceGroup(self.fleet, channels, decoder, ids=ids))

    def run(self, until: Callable[[], bool] | None = None) -> None:
        self.loop.wait_online(60)
        for group in self.groups:
            group.start()
        assert self.loop.run_until(self.fleet.discovery_complete, 60)
        assert self.loop.run_until(lambda: self.clock.online_devices >= set(self.fleet.ids), 60)
        self.seat.begin()
        assert self.loop.run_until(until or self.finished, 60)

    def finished(self) -> bool:
        return any(state.status == "finished" for _, _, state in self.log.of(ClockState))

    def stop(self) -> None:
        for group in self.groups:
            group.stop()
        self.seat.stop()
        assert self.loop.run_until(lambda: self.loop.connections == {self.listener.connection}, 60)


@contextmanager
def shared_site(
    address: BrokerAddress,
    scenario: Scenario,
    mode: Mode = Mode.LOCKSTEP,
    ticks: int = 8,
    seconds_per_tick: float = 0.0,
) -> Iterator[SharedSite]:
    with MqttLoop(address, schema=SCHEMA) as loop:
        yield SharedSite(loop, scenario, mode, ticks, seconds_per_tick)


OWN_CONNECTIONS: Final = {
    "none": (),
    "a charger": ("charger-03",),
    "one of each": ("turbine-1", "household-1", "charger-01", "vehicle-02", "reactor-1"),
}


@pytest.mark.parametrize("alone", OWN_CONNECTIONS)
@pytest.mark.parametrize("name", ["normal", "exchanging"])
def test_the_messages_are_those_of_the_simulation(name: str, alone: str, address: BrokerAddress) -> None:
    scenario = load("normal", EXCHANGING) if name == "exchanging" else load("normal")
    with shared_site(address, scenario) as site:
        own = [each for each in OWN_CONNECTIONS[alone] if each in site.fleet.ids]
        for number in (1, 2):
            ids = [each for each in part_of(site.fleet, number, 2) if each not in own]
            site.add_devices(f"fleet-{number}", ids)
        if own:
            site.add_devices(None, own)
        site.run()
        site.stop()
        log = site.log
        expected = simulate(scenario, 8)
        assert sorted(line[1:] for line in log.lines(but=TIME_AND_PRESENCE)) == sorted(
            line[1:] for line in expected.lines(but=TIME_AND_PRESENCE)
        )
        assert broken(audit(log.messages)) == {}
        assert site.clock.lockstep.late_phases == 0
        assert site.listener.refused == 0
        assert (border_crossings(log) > 10_000) == (name == "exchanging")
        for host in ("fleet-1", "fleet-2"):
            lines = site.channels[host]
            assert isinstance(lines, SharedConnection)
            assert lines.refused == {}
        via = {sender: message.via for _, sender, message in log.of(Presence) if message.online}
        assert all((via[each] is None) == (each in own) for each in site.fleet.ids)
        presences = [(host, message.online) for _, host, message in log.of(FleetPresence)]
        assert sorted(set(presences)) == [
            (host, alive) for host in ("fleet-1", "fleet-2") for alive in (False, True)
        ]
        assert presences[-1][1] is False


# --- one last will for all, and invalid batches -------------------------------------------------------------


def shared(site: SharedSite, host: str) -> SharedConnection:
    lines = site.channels[host]
    assert isinstance(lines, SharedConnection)
    return lines


def cut(lines: SharedConnection) -> None:
    """Drop the connection."""
    lines.connection.drop("the cable is pulled")


def test_devices_go_offline_and_return_with_their_fleet_process(
    address: BrokerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = load("normal", ["turbines.count=2", "chargers.count=4", "vehicles.count=2"])
    with shared_site(address, scenario, ticks=1_000) as site:
        alone = ["turbine-1", "charger-1", "reactor-1"]
        site.add_devices(None, alone)
        site.add_devices("fleet-1", [each for each in site.fleet.ids if each not in alone])
        behind = set(site.fleet.ids) - set(alone)
        tick = 2
        site.run(lambda: site.clock.tick >= tick)
        turbine = next(runner.agent for runner in site.groups[0].runners if runner.agent.id == "turbine-1")
        assert isinstance(turbine, Turbine)
        assert behind & set(turbine.roster.members)

        lines = shared(site, "fleet-1")
        with monkeypatch.context() as patch:
            patch.setattr(lines.connection, "connect", lambda: None)
            cut(lines)
            assert site.loop.run_until(lambda: site.clock.online_devices == set(alone), 60)
            assert site.loop.run_until(lambda: not behind & set(turbine.roster.members), 60)
            tick = site.clock.tick + 2
            assert site.loop.run_until(
                lambda: site.clock.tick >= tick, 60
            )  # the clock does not wait for offline devices
            assert site.clock.lockstep.late_phases == 0
            offline = {sender for _, sender, message in site.log.of(Presence) if not message.online}
            assert behind <= offline
        lines.connection.connect()
        assert site.loop.run_until(lambda: site.clock.online_devices == set(site.fleet.ids), 60)
        tick = site.clock.tick + 3
        assert site.loop.run_until(lambda: site.clock.tick >= tick, 60)
        assert behind & set(turbine.roster.members)
        last = site.clock.tick - 1
        bidders = {sender for _, sender, bid in site.log.of(Bid) if bid.tick == last}
        assert {"charger-1", "charger-2", "household-1"} <= bidders
        assert broken(audit(site.log.messages, exact=False)) == {}
        assert site.listener.refused == 0


def test_invalid_batches_are_refused_counted_and_reported(address: BrokerAddress) -> None:
    scenario = load("normal", ["turbines.count=1", "chargers.count=2", "vehicles.count=1"])
    forged = encode(Bid(1, (Package(0, 10_000_000, 10**9),)))
    with shared_site(address, scenario, ticks=1_000) as site:
        site.add_devices("fleet-1", site.fleet.ids)
        tick = 1
        site.run(lambda: site.clock.tick >= tick)
        rogue = site.loop.open("rogue", on_message=lambda *_: None)
        site.loop.wait_online(60)
        good = batch_topic(SITE, "bid", SITE, "rogue")
        for payload in (b"", b"\xff", b"1\nx", pack([(f"{SITE}/charger-1", forged)])):
            rogue.publish(good, payload, qos=1)
        rogue.publish(f"gridfleet/{SITE}/batch/bid", b"1", qos=1)
        rogue.publish(batch_topic(SITE, "ready", "site", "rogue"), pack([("charger-1", b"{}")]), qos=1)
        lines = shared(site, "fleet-1")
        assert site.loop.run_until(lambda: sum(lines.refused.values()) == 4, 60)
        assert lines.refused == {"version": 2, "malformed": 1, "sender": 1}
        presences = site.log.of(FleetPresence)
        assert site.loop.run_until(
            lambda: any(message.refused == lines.refused for _, _, message in site.log.of(FleetPresence)), 10
        ), list(presences)
        assert site.listener.refused == 6
        assert site.clock.refused["sender"] == 1
        tick = site.clock.tick + 2
        assert site.loop.run_until(lambda: site.clock.tick >= tick, 60)
        assert broken(audit(site.log.messages, exact=False)) == {}


@pytest.mark.parametrize("shared", [True, False])
def test_an_outage_as_a_drill_disconnects_and_reconnects_every_device(
    shared: bool, address: BrokerAddress
) -> None:
    with MqttLoop(address, schema=SCHEMA) as loop:
        site = SharedSite(loop, load("normal", SMALL), Mode.SCALED, 4_000, 0.5)
        lines = None if shared else TickFanout(loop, SITE, "fleet-1")
        site.add_devices("fleet-1", site.fleet.ids, lines)
        offline: set[str] = set()

        def over() -> bool:
            if site.clock.tick == 2 and not site.clock.settings.outage_s and not offline:
                site.clock.handle("outage_s", "ops", Control(0.4, 1), 0)
            offline.update(set(site.fleet.ids) - site.clock.online_devices)
            return offline == set(site.fleet.ids) == site.clock.online_devices

        site.run(over)
        tick = site.clock.tick
        assert loop.run_until(lambda: site.clock.tick > tick + 2, 60)
        assert site.clock.online_devices == set(site.fleet.ids)  # the drill does not repeat
        if lines is not None:
            lines.connection.close()
        site.stop()
    assert broken(audit(site.log.messages, exact=False)) == {}


def test_messages_before_an_error_are_published_and_the_error_is_raised(address: BrokerAddress) -> None:
    received: list[str] = []
    with MqttLoop(address) as others:
        others.open(
            "listener",
            on_message=lambda text, _payload, _retained: received.append(text),
            filters=[(batch_topic(SITE, "ready", WHOLE_SITE, "fleet-1"), 1)],
        )
        others.wait_online(60)
        with pytest.raises(RuntimeError, match="a fault"):
            publish_and_fail(address)
        assert others.run_until(lambda: bool(received), 60)


def publish_and_fail(address: BrokerAddress) -> None:
    with MqttLoop(address) as loop:
        shared = SharedConnection(loop, SiteDecoder(SITE), "fleet-1")
        presence = f"gridfleet/{SITE}/presence/berlin/consumer/household-1"
        line = shared.open("household-1", on_message=lambda *_: None, will=Will(presence, b""))
        loop.wait_online(60)
        line.publish(f"gridfleet/{SITE}/ready/household-1", b"{}", qos=1)
        raise RuntimeError("a fault")
