"""The number of packets that a broker delivers for each device and tick does not grow with the fleet."""

import pytest

from benchmarks.device_group import CONSUMERS, PRODUCERS
from benchmarks.fleets import bare_market
from benchmarks.rounds import PHASES, Clock
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.paho_client import PahoClient
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet

pytestmark = pytest.mark.mosquitto
IN_A_CELL = CONSUMERS + PRODUCERS


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The topic of each packet that the broker delivers to a device or fleet process."""
    found: list[str] = []
    take = PahoClient.handle_publish

    def counting(client: PahoClient, command: int, packet: bytes) -> bool:
        if client._client_id != b"clock":  # noqa: SLF001 - paho has no public name for it
            found.append(packet[2 : 2 + int.from_bytes(packet[:2], "big")].decode())
        return take(client, command, packet)

    monkeypatch.setattr(PahoClient, "handle_publish", counting)
    return found


def packets(kind: str, cells: int, delivered: list[str]) -> int:
    """How many packets are delivered in a tick."""
    scenario = bare_market(cells, CONSUMERS, PRODUCERS)
    fleet, wire = Fleet(scenario), SiteDecoder(scenario.site)
    with MosquittoBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop:
        channels: ChannelFactory = loop
        if kind == "own":
            channels = TickFanout(loop, scenario.site, "fleet-1")
        elif kind == "shared":
            channels = SharedConnection(loop, wire, "fleet-1")
        runners = [DeviceRunner(agent, channels, wire) for agent in fleet.agents()]
        loop.wait_online(60)
        for runner in runners:
            runner.start()
        assert loop.run_until(fleet.discovery_complete, 60)
        clock = Clock(loop, cells, len(runners), plain=False)
        clock.tick(0)
        until_quiet(loop, delivered)
        delivered.clear()
        clock.tick(1)
        until_quiet(loop, delivered)
        return len(delivered)


def until_quiet(loop: MqttLoop, delivered: list[str]) -> None:
    """Wait for the first packet, and then until no more have come for a while."""
    assert loop.run_until(lambda: bool(delivered), 60)
    before = 0
    while before < len(delivered):
        before = len(delivered)
        loop.run_until(lambda: False, 0.2)


@pytest.mark.parametrize("kind", ["each", "own"])
def test_deliveries_for_each_device_do_not_grow_with_the_fleet(kind: str, delivered: list[str]) -> None:
    few, many = (packets(kind, cells, delivered) / (cells * IN_A_CELL) for cells in (1, 4))
    assert many == pytest.approx(few, rel=0.05)


def test_a_process_receives_the_tick_once_and_a_shared_connection_receives_batches(
    delivered: list[str],
) -> None:
    each, own, shared = (packets(kind, 2, delivered) for kind in ("each", "own", "shared"))
    assert each - own == len(PHASES) * (2 * IN_A_CELL - 1)
    assert shared < own / 10
