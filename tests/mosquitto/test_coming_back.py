"""What comes back after a loss, and what is said before a second fleet takes the ids of the first."""

from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ConsumerState, Mode, Presence, Role, State
from gridfleet.broker.protocol.topics import discovery_topic, topic, topic_filter
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.runtime.clock_process import start_clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import DeviceGroup, run_devices
from gridfleet.provisioning.clients.orphans import clear_orphans, orphans
from gridfleet.provisioning.clients.retained import read_retained

pytestmark = pytest.mark.mosquitto
FEW = ("turbines.count=1", "households.count=2", "farms.count=0", "chargers.count=1", "vehicles.count=1")


@pytest.fixture
def few() -> Scenario:
    return parse("", "few.toml", "", [*FEW])


def retained(broker: MosquittoBroker, site: str) -> dict[str, bytes]:
    return read_retained(BrokerAddress.parse(broker.url), site, NO_LOGIN)


def test_everything_retained_comes_back_after_a_broker_without_store_restarts(few: Scenario) -> None:
    fleet = Fleet(few)
    with (
        MosquittoBroker() as broker,
        MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA, max_wait_s=0.5) as loop,
    ):
        decoder = SiteDecoder(few.site)
        clock = ClockRunner(fleet.clock(Mode.REALTIME, epoch=7), loop, decoder)
        group = DeviceGroup(fleet, loop, decoder, discoverable=True)
        loop.wait_online(60)
        start_clock(loop, clock)
        clock.begin_run()
        group.start()
        clock.begin()
        loop.run_until(lambda: all(each.all_acknowledged for each in loop.connections), 60)
        before = retained(broker, few.site)
        facts = topic_filter(few.site, "facts", sender="clock")
        assert {facts, *(discovery_topic(few.site, device) for device in fleet.ids)} <= before.keys()
        broker.kill()
        assert loop.run_until(lambda: not any(each.online for each in loop.connections), 60)
        broker.start()
        loop.wait_online(60)
        loop.run_until(lambda: all(each.all_acknowledged for each in loop.connections), 60)
        after = retained(broker, few.site)
        is_state = topic_filter(few.site, State.TYPE, "+/").rpartition("+")[0]
        assert {each for each in before if not each.startswith(is_state)} <= after.keys()


def test_a_second_fleet_of_the_same_ids_is_warned_before_it_takes_them(few: Scenario) -> None:
    said: list[str] = []
    fleet = Fleet(few)
    with MosquittoBroker() as broker:
        address = BrokerAddress.parse(broker.url)
        with MqttLoop(address, schema=SCHEMA) as loop:
            group = DeviceGroup(fleet, loop, SiteDecoder(few.site))
            loop.wait_online(60)
            group.start()
            loop.run_until(lambda: all(each.all_acknowledged for each in loop.connections), 60)
            run_devices(
                Fleet(few), address, fleet.ids, stop_requested=lambda: len(said) >= 2, report=said.append
            )
    assert "are online already, in another process, which now loses them" in said[0]
    assert "devices are online" in said[1] or "no credentials" in said[1]


def test_only_simulated_devices_that_are_offline_and_of_no_fleet_are_orphans(
    few: Scenario, tmp_path: Path
) -> None:
    assert tmp_path.is_dir()

    def device(name: str, *, online: bool, measured: bool) -> dict[str, bytes]:
        birth = Presence(online, Role.CONSUMER, "germany", 51.0, 9.0)
        state = ConsumerState(
            3, 51.0, 9.0, measured, "ok", 0, 0, {}, "household", {}, (), "consumer", 0, 0, 0
        )
        return {
            topic(few.site, birth, birth.scope, name): encode(birth),
            topic(few.site, state, state.scope, name): encode(state, epoch=7),
        }

    kept = {
        **device("owned", online=False, measured=False),
        **device("running", online=True, measured=False),
        **device("on-the-roof", online=False, measured=True),
    }
    ghosts = device("ghost", online=False, measured=False)
    assert orphans(few.site, {**kept, **ghosts}, ["owned"]) == ["ghost"]
    with MosquittoBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        client = loop.open("anybody", on_message=lambda *_: None)
        loop.wait_online(60)
        for name, payload in {**kept, **ghosts}.items():
            client.publish(name, payload, qos=1, retain=True)
        loop.run_until(lambda: client.all_acknowledged, 60)
        assert clear_orphans(BrokerAddress.parse(broker.url), few.site, ["owned"]) == ["ghost"]
        assert retained(broker, few.site) == kept
