"""Hosts on Mosquitto with TLS and rights: fleets in processes as the commands start them, and a host that lies."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.descriptors import allow_descriptors
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Award, ClockState, FleetPresence, Mode, Package, Presence
from gridfleet.broker.protocol.topics import batch_topic
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.clock_process import new_epoch, start_clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import ConnectionMode, fleet_process_id, run_devices
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.partitioning import part_of
from tests.dashboards.runs import audit, broken
from tests.mosquitto.guests import Guests
from tests.system.heard import Heard, heard
from tests.system.test_shared import OF_THE_TRANSPORT

pytestmark = pytest.mark.mosquitto


class Carried:
    """Context manager: a part of a fleet as `gridfleet fleet` carries it, in a thread of its own."""

    def __init__(
        self,
        scenario: Scenario,
        broker: MosquittoBroker,
        secrets: Path,
        number: int,
        mode: ConnectionMode,
    ) -> None:
        self.told: list[str] = []
        self._ended = False
        fleet = Fleet(scenario)
        self._thread = threading.Thread(
            target=run_devices,
            args=(fleet, BrokerAddress.parse(broker.url), part_of(fleet, number, 2)),
            kwargs={
                "mode": mode,
                "process_id": fleet_process_id(number),
                "credentials": FileCredentials(secrets),
                "stop_requested": lambda: self._ended,
                "report": self.told.append,
            },
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.parametrize(
    "ways",
    [
        (ConnectionMode.SHARED, ConnectionMode.SHARED),
        (ConnectionMode.SHARED, ConnectionMode.OWN),
        (ConnectionMode.OWN, ConnectionMode.OWN),
    ],
    ids=["shared", "mixed", "own"],
)
def test_parts_give_the_ledger_of_the_simulation_within_their_rights(
    ways: tuple[ConnectionMode, ConnectionMode], mosquitto: MosquittoBroker, secrets: Path, scenario: Scenario
) -> None:
    said, fleet, known = Heard(), Fleet(scenario), FileCredentials(secrets)
    clock = fleet.clock(Mode.LOCKSTEP, 0.0, 6, epoch=new_epoch())
    with (
        Carried(scenario, mosquitto, secrets, 1, ways[0]) as first,
        Carried(scenario, mosquitto, secrets, 2, ways[1]) as second,
        MqttLoop(BrokerAddress.parse(mosquitto.url), schema=SCHEMA) as loop,
    ):
        ear = SiteListener(loop, SiteDecoder(scenario.site), (said.tap,), known)
        seat = ClockRunner(clock, loop, SiteDecoder(scenario.site), known)
        loop.wait_online(60)
        start_clock(loop, seat)
        assert loop.run_until(lambda: clock.present >= set(fleet.ids), 60)
        loop.run_until(lambda: False, 0.5)  # the devices have heard of each other, too
        seat.begin()
        over: Callable[[], bool] = lambda: any(s.status == "finished" for _, _, s in said.of(ClockState))  # noqa: E731
        assert loop.run_until(over, 60)
        seat.stop()
        loop.run_until(lambda: False, 0.2)
    simulated = heard(scenario, 6)
    assert sorted(line[1:] for line in said.lines(but=OF_THE_TRANSPORT)) == sorted(
        line[1:] for line in simulated.lines(but=OF_THE_TRANSPORT)
    )
    assert broken(audit(said.messages)) == {}
    assert (ear.refused, clock.refused, clock.lockstep.late_phases) == (0, {}, 0)
    hosts = {host for _, host, _ in said.of(FleetPresence)}
    assert hosts == {
        fleet_process_id(n) for n, way in enumerate(ways, start=1) if way is ConnectionMode.SHARED
    }
    via = {sender: presence.via for _, sender, presence in said.of(Presence) if presence.online}
    for number, way in enumerate(ways, start=1):
        for each in part_of(fleet, number, 2):
            assert via[each] == (fleet_process_id(number) if way is ConnectionMode.SHARED else None)
    for number, carried in enumerate((first, second), start=1):
        assert carried.told == [f"{len(part_of(fleet, number, 2))} devices are online"]


def test_a_host_cannot_speak_for_anothers_devices(guests: Guests, scenario: Scenario) -> None:
    """It may say so in a batch, but not in their presence, and so nobody believes it."""
    fleet = Fleet(scenario)
    other = next(each for each in part_of(fleet, 2, 2) if "turbine" in each)
    cell = fleet.make(other).cell
    said: list[tuple[str, str]] = []
    loop, keyring = guests.loop, guests.keyring
    ear = SiteListener(
        loop,
        SiteDecoder("town"),
        (lambda _, __, sender, message: said.append((sender, message.TYPE)),),
        keyring,
    )
    guests.come("clock")
    liar, owner = guests.come("fleet-1"), guests.come("fleet-2")

    def presence(host: str) -> bytes:
        return encode(
            Presence(online=True, kind=fleet.kind_of(other), cell=cell, latitude=1, longitude=1, via=host)
        )

    text = f"gridfleet/town/presence/{cell}/turbine/{other}"
    forged = pack([(f"charger-1/{other}", encode(Award(0, 0, (Package(0, 10_000, 500_000),))))])
    owner.connection.publish(text, presence("fleet-2"), qos=1, retain=True)
    assert loop.run_until(lambda: (other, "presence") in said, 60)
    liar.connection.publish(
        text, presence("fleet-1"), qos=1, retain=True
    )  # the broker does not let it through
    liar.connection.publish(batch_topic("town", "award", cell, "fleet-1"), forged, qos=1)
    liar.connection.publish(batch_topic("town", "award", cell, "fleet-2"), forged, qos=1)  # nor this
    liar.connection.publish(
        "gridfleet/town/fleet/fleet-2", encode(FleetPresence(online=False, devices=0, refused={})), qos=1
    )
    liar.connection.publish(
        "gridfleet/town/fleet/fleet-1", encode(FleetPresence(online=True, devices=1, refused={})), qos=1
    )
    assert loop.run_until(lambda: ("fleet-1", "fleet") in said, 60)
    assert ear.refused == 1
    assert said.count((other, "presence")) == 1
    assert (other, "award") not in said
    assert ("fleet-2", "fleet") not in said
    owner.connection.publish(batch_topic("town", "award", cell, "fleet-2"), forged, qos=1)
    assert loop.run_until(lambda: (other, "award") in said, 60)


def test_too_few_descriptors_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(256, 1_024)]
    monkeypatch.setattr("resource.getrlimit", lambda _: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda _, pair: limits.append(pair))
    allow_descriptors(100)
    assert limits == [(256, 1_024)]
    allow_descriptors(900)
    assert limits[-1] == (964, 1_024)
    with pytest.raises(
        BrokerError, match=r"2000 connections need 2064 file descriptors.*1024.*ulimit -Hn 2064"
    ):
        allow_descriptors(2_000)
