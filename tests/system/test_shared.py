"""Fleets that share connections: the same ledger, devices with their own beside them, and one death for all."""

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
from tests.system.heard import EXCHANGING, Heard, border_crossings, heard

OF_THE_TRANSPORT: Final = (Tick, Ready, Grant, Presence, ClockState, FleetPresence)
SITE: Final = "germany"
SMALL: Final = ("turbines.count=2", "households.count=2", "chargers.count=4", "vehicles.count=4")


@pytest.fixture
def address() -> Iterator[BrokerAddress]:
    with EmbeddedBroker() as broker:
        yield BrokerAddress.parse(broker.url)


class Town:
    """A site whose devices live behind hosts, or by themselves (the host is None then)."""

    def __init__(self, loop: MqttLoop, scenario: Scenario, mode: Mode, ticks: int, pace_s: float) -> None:
        self.loop = loop
        self.fleet = Fleet(scenario)
        self.heard = Heard()
        self.refused: list[str] = []
        self.lines: dict[str | None, ChannelFactory] = {}
        self.crews: list[DeviceGroup] = []
        self.ear = SiteListener(loop, SiteDecoder(scenario.site), (self.heard.tap,))
        self.clock = self.fleet.clock(mode, pace_s, ticks, epoch=new_epoch())
        self.seat = ClockRunner(self.clock, loop, SiteDecoder(scenario.site))
        loop.wait_online(60)
        start_clock(loop, self.seat)

    def settle(self, host: str | None, ids: Sequence[str], lines: ChannelFactory | None = None) -> None:
        wire = SiteDecoder(self.fleet.scenario.site)
        if lines is None:
            lines = self.loop if host is None else SharedConnection(self.loop, wire, host)
        self.lines[host] = lines
        self.crews.append(DeviceGroup(self.fleet, lines, wire, ids=ids))

    def run(self, until: Callable[[], bool] | None = None) -> None:
        self.loop.wait_online(60)
        for group in self.crews:
            group.start()
        assert self.loop.run_until(self.fleet.discovery_complete, 60)
        assert self.loop.run_until(lambda: self.clock.present >= set(self.fleet.ids), 60)
        self.seat.begin()
        assert self.loop.run_until(until or self.over, 60)

    def over(self) -> bool:
        return any(state.status == "finished" for _, _, state in self.heard.of(ClockState))

    def leave(self) -> None:
        for group in self.crews:
            group.stop()
        self.seat.stop()
        self.loop.run_until(lambda: self.loop.connections == {self.ear.connection}, 60)


@contextmanager
def town(
    address: BrokerAddress,
    scenario: Scenario,
    mode: Mode = Mode.LOCKSTEP,
    ticks: int = 8,
    pace_s: float = 0.0,
) -> Iterator[Town]:
    with MqttLoop(address, schema=SCHEMA) as loop:
        yield Town(loop, scenario, mode, ticks, pace_s)


BY_THEMSELVES: Final = {
    "nobody": (),
    "a charger": ("charger-03",),
    "one of each": ("turbine-1", "household-1", "charger-01", "vehicle-02", "reactor-1"),
}


@pytest.mark.parametrize("alone", BY_THEMSELVES)
@pytest.mark.parametrize("name", ["normal", "exchanging"])
def test_the_messages_are_those_of_the_simulation(name: str, alone: str, address: BrokerAddress) -> None:
    scenario = load("normal", EXCHANGING) if name == "exchanging" else load("normal")
    with town(address, scenario) as site:
        own = [each for each in BY_THEMSELVES[alone] if each in site.fleet.ids]
        for number in (1, 2):
            ids = [each for each in part_of(site.fleet, number, 2) if each not in own]
            site.settle(f"fleet-{number}", ids)
        if own:
            site.settle(None, own)
        site.run()
        site.leave()
        said = site.heard
        expected = heard(scenario, 8)
        assert sorted(line[1:] for line in said.lines(but=OF_THE_TRANSPORT)) == sorted(
            line[1:] for line in expected.lines(but=OF_THE_TRANSPORT)
        )
        assert broken(audit(said.messages)) == {}
        assert site.clock.lockstep.late_phases == 0
        assert site.ear.refused == 0
        assert (border_crossings(said) > 10_000) == (name == "exchanging")
        for host in ("fleet-1", "fleet-2"):
            lines = site.lines[host]
            assert isinstance(lines, SharedConnection)
            assert lines.refused == {}
        via = {sender: said.via for _, sender, said in said.of(Presence) if said.online}
        assert all((via[each] is None) == (each in own) for each in site.fleet.ids)
        told = [(host, said.online) for _, host, said in said.of(FleetPresence)]
        assert sorted(set(told)) == [
            (host, alive) for host in ("fleet-1", "fleet-2") for alive in (False, True)
        ]
        assert told[-1][1] is False


# --- one death for all, and what is no batch -------------------------------------------------------------


def shared(site: Town, host: str) -> SharedConnection:
    lines = site.lines[host]
    assert isinstance(lines, SharedConnection)
    return lines


def cut(lines: SharedConnection) -> None:
    """Pull the cable."""
    lines.connection.drop("the cable is pulled")


def test_with_a_host_its_devices_die_and_come_back(
    address: BrokerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = load("normal", ["turbines.count=2", "chargers.count=4", "vehicles.count=2"])
    with town(address, scenario, ticks=1_000) as site:
        alone = ["turbine-1", "charger-1", "reactor-1"]
        site.settle(None, alone)
        site.settle("fleet-1", [each for each in site.fleet.ids if each not in alone])
        behind = set(site.fleet.ids) - set(alone)
        tick = 2
        site.run(lambda: site.clock.tick >= tick)
        mill = next(seat.agent for seat in site.crews[0].runners if seat.agent.id == "turbine-1")
        assert isinstance(mill, Turbine)
        assert behind & set(mill._roster.members)

        lines = shared(site, "fleet-1")
        with monkeypatch.context() as patch:
            patch.setattr(lines.connection, "connect", lambda: None)
            cut(lines)
            assert site.loop.run_until(lambda: site.clock.present == set(alone), 60)
            assert site.loop.run_until(lambda: not behind & set(mill._roster.members), 60)
            tick = site.clock.tick + 2
            assert site.loop.run_until(lambda: site.clock.tick >= tick, 60)  # nobody waits for the dead
            assert site.clock.lockstep.late_phases == 0
            dead = {sender for _, sender, said in site.heard.of(Presence) if not said.online}
            assert behind <= dead
        lines.connection.connect()
        assert site.loop.run_until(lambda: site.clock.present == set(site.fleet.ids), 60)
        tick = site.clock.tick + 3
        assert site.loop.run_until(lambda: site.clock.tick >= tick, 60)
        assert behind & set(mill._roster.members)
        last = site.clock.tick - 1
        bidders = {sender for _, sender, bid in site.heard.of(Bid) if bid.tick == last}
        assert {"charger-1", "charger-2", "household-1"} <= bidders
        assert broken(audit(site.heard.messages, exact=False)) == {}
        assert site.ear.refused == 0


def test_what_is_no_batch_is_refused_counted_and_seen(address: BrokerAddress) -> None:
    scenario = load("normal", ["turbines.count=1", "chargers.count=2", "vehicles.count=1"])
    forged = encode(Bid(1, (Package(0, 10_000_000, 10**9),)))
    with town(address, scenario, ticks=1_000) as site:
        site.settle("fleet-1", site.fleet.ids)
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
        told = site.heard.of(FleetPresence)
        assert site.loop.run_until(
            lambda: any(said.refused == lines.refused for _, _, said in site.heard.of(FleetPresence)), 10
        ), list(told)
        assert site.ear.refused == 6
        assert site.clock.refused["sender"] == 1
        tick = site.clock.tick + 2
        assert site.loop.run_until(lambda: site.clock.tick >= tick, 60)
        assert broken(audit(site.heard.messages, exact=False)) == {}


@pytest.mark.parametrize("shared", [True, False])
def test_an_outage_as_a_drill_takes_everybody_away_and_back(shared: bool, address: BrokerAddress) -> None:
    with MqttLoop(address, schema=SCHEMA) as loop:
        town = Town(loop, load("normal", SMALL), Mode.SCALED, 4_000, 0.5)
        lines = None if shared else TickFanout(loop, SITE, "fleet-1")
        town.settle("fleet-1", town.fleet.ids, lines)
        away: set[str] = set()

        def over() -> bool:
            if town.clock.tick == 2 and not town.clock.settings.outage_s and not away:
                town.clock.handle("outage_s", "ops", Control(0.4, 1), 0)
            away.update(set(town.fleet.ids) - town.clock.present)
            return away == set(town.fleet.ids) == town.clock.present

        town.run(over)
        tick = town.clock.tick
        assert loop.run_until(lambda: town.clock.tick > tick + 2, 60)
        assert town.clock.present == set(town.fleet.ids)  # they are not sent away again
        town.leave()
    assert broken(audit(town.heard.messages, exact=False)) == {}


def test_what_was_said_before_an_error_is_still_said_and_the_error_comes_out(address: BrokerAddress) -> None:
    heard: list[str] = []
    with MqttLoop(address) as others:
        others.open(
            "ear",
            on_message=lambda text, _payload, _retained: heard.append(text),
            filters=[(batch_topic(SITE, "ready", WHOLE_SITE, "fleet-1"), 1)],
        )
        others.wait_online(60)
        with pytest.raises(RuntimeError, match="a fault"):
            say_and_fail(address)
        assert others.run_until(lambda: bool(heard), 60)


def say_and_fail(address: BrokerAddress) -> None:
    with MqttLoop(address) as loop:
        shared = SharedConnection(loop, SiteDecoder(SITE), "fleet-1")
        presence = f"gridfleet/{SITE}/presence/berlin/household/household-1"
        line = shared.open("household-1", on_message=lambda *_: None, will=Will(presence, b""))
        loop.wait_online(60)
        line.publish(f"gridfleet/{SITE}/ready/household-1", b"{}", qos=1)
        raise RuntimeError("a fault")
