"""After a restart of the broker the retained tick is current at once, not only when the next phase begins."""

from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Mode, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID, topic_filter
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet

pytestmark = pytest.mark.mosquitto
DECODER = SiteDecoder("germany")


def retained(loop: MqttLoop, name: str) -> list[Tick]:
    """Return the list that receives the broker's retained tick, as a new client gets it."""
    found: list[Tick] = []

    def on_message(text: str, payload: bytes, _retained: bool) -> None:
        message = DECODER.decode_one(text, payload)[1]
        assert isinstance(message, Tick)
        found.append(message)

    loop.open(name, on_message=on_message, filters=[(topic_filter("germany", "tick", "", CLOCK_ID), 1)])
    return found


@pytest.mark.parametrize(
    "has_store", [True, False], ids=["a broker with a store", "a broker without a store"]
)
def test_a_clock_in_real_time_publishes_its_tick_again(tmp_path: Path, has_store: bool) -> None:
    store = tmp_path / "store" if has_store else None
    if store is not None:
        store.mkdir()
    with (
        MosquittoBroker(store=store) as broker,
        MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop,
    ):
        clock = Fleet(load("normal")).clock(Mode.REALTIME, epoch=7)
        runner = ClockRunner(clock, loop, DECODER)
        loop.wait_online(60)
        runner.start()
        runner.begin()
        before = retained(loop, "before")
        assert loop.run_until(lambda: bool(before), 60)
        broker.kill()
        broker.start()
        assert loop.run_until(lambda: runner.connection.online, 60)
        after = retained(loop, "after")
        assert loop.run_until(lambda: bool(after), 60)
        assert after[-1] == before[0] == clock.tick_message
        runner.stop()
