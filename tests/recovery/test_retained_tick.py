"""The retained tick after a broker's death: right at once, not only when the next phase begins."""

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
    """Ask as somebody new what tick the broker keeps."""
    found: list[Tick] = []

    def hear(text: str, payload: bytes, _retained: bool) -> None:
        message = DECODER.decode_one(text, payload)[1]
        assert isinstance(message, Tick)
        found.append(message)

    loop.open(name, on_message=hear, filters=[(topic_filter("germany", "tick", "", CLOCK_ID), 1)])
    return found


@pytest.mark.parametrize("keeps", [True, False], ids=["a broker with a store", "a broker without memory"])
def test_a_clock_in_real_time_says_its_tick_again(tmp_path: Path, keeps: bool) -> None:
    store = tmp_path / "store" if keeps else None
    if store is not None:
        store.mkdir()
    with (
        MosquittoBroker(store=store) as broker,
        MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop,
    ):
        clock = Fleet(load("normal")).clock(Mode.REALTIME, epoch=7)
        seat = ClockRunner(clock, loop, DECODER)
        loop.wait_online(5)
        seat.start()
        seat.begin()
        before = retained(loop, "before")
        assert loop.run_until(lambda: bool(before), 5)
        broker.kill()
        broker.start()
        assert loop.run_until(lambda: seat.connection.online, 10)
        after = retained(loop, "after")
        assert loop.run_until(lambda: bool(after), 5)
        assert after[-1] == before[0] == clock.tick_message
        seat.stop()
