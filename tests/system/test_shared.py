"""Fleets that share connections: the same ledger, devices with their own beside them, and one death for all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pytest

from broker.address import BrokerAddress
from broker.codec import SCHEMA
from broker.embedded import EmbeddedBroker
from broker.messages import ClockState, Grant, Host, Mode, Presence, Ready, Tick
from broker.mqtt import MqttLoop
from broker.shared import SharedConnection
from broker.wishes import Lines
from devices.ear import Ear, Wire
from devices.fleet import Fleet
from devices.host import Crew, listen_first, new_epoch
from devices.parts import part_of
from devices.runtime import ClockSeat
from devices.scenario import Scenario, load
from tests.dashboards.runs import audit, broken
from tests.system.heard import EXCHANGING, Heard, border_crossings, heard

OF_THE_TRANSPORT: Final = (Tick, Ready, Grant, Presence, ClockState, Host)
SITE: Final = "germany"


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
        self.lines: dict[str | None, Lines] = {}
        self.crews: list[Crew] = []
        self.ear = Ear(loop, Wire(scenario.site), (self.heard.tap,))
        self.clock = self.fleet.clock(mode, pace_s, ticks, epoch=new_epoch())
        self.seat = ClockSeat(self.clock, loop, Wire(scenario.site))
        loop.wait_online(5)
        listen_first(loop, self.seat)

    def settle(self, host: str | None, ids: Sequence[str], lines: Lines | None = None) -> None:
        wire = Wire(self.fleet.scenario.site)
        if lines is None:
            lines = self.loop if host is None else SharedConnection(self.loop, wire, host)
        self.lines[host] = lines
        self.crews.append(Crew(self.fleet, lines, wire, ids=ids))

    def run(self, until: Callable[[], bool] | None = None) -> None:
        self.loop.wait_online(20)
        for crew in self.crews:
            crew.start()
        assert self.loop.run_until(self.fleet.acquainted, 10)
        assert self.loop.run_until(lambda: self.clock.present >= set(self.fleet.ids), 10)
        self.seat.begin()
        assert self.loop.run_until(until or self.over, 60)

    def over(self) -> bool:
        return any(state.status == "finished" for _, _, state in self.heard.of(ClockState))

    def leave(self) -> None:
        for crew in self.crews:
            crew.leave()
        self.seat.leave()
        self.loop.run_until(lambda: self.loop.connections == {self.ear.connection}, 5)


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
        assert site.clock.late_phases == 0
        assert site.ear.refused == 0
        assert (border_crossings(said) > 10_000) == (name == "exchanging")
        for host in ("fleet-1", "fleet-2"):
            lines = site.lines[host]
            assert isinstance(lines, SharedConnection)
            assert lines.refused == {}
        via = {sender: said.via for _, sender, said in said.of(Presence) if said.online}
        assert all((via[each] is None) == (each in own) for each in site.fleet.ids)
        told = [(host, said.online) for _, host, said in said.of(Host)]
        assert sorted(set(told)) == [
            (host, alive) for host in ("fleet-1", "fleet-2") for alive in (False, True)
        ]
        assert told[-1][1] is False
