"""What MQTT 5 adds: schema version, expiry, sessions, and denied publications."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Bid, Mode, Phase, Settings, Tick
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet

pytestmark = pytest.mark.mosquitto
NOW_MS = 1_767_225_600_000
TICK = Tick(0, Phase.BID, NOW_MS, NOW_MS + 300_000, Mode.SCALED, 90.0, 5, False, Settings())


@pytest.fixture
def broker() -> Iterator[MosquittoBroker]:
    with MosquittoBroker() as broker:
        yield broker


class Paho:
    """A client that is none of ours, and shows a message's properties."""

    def __init__(self, broker: MosquittoBroker, topic: str) -> None:
        self.received: list[MQTTMessage] = []
        self.client = Client(CallbackAPIVersion.VERSION2, "paho", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_message = lambda _, __, message: self.received.append(message)
        self.client.connect("127.0.0.1", broker.ports.plain or 0)
        self.client.subscribe(topic, 1)
        self.settle()

    def settle(self) -> None:
        for _ in range(20):
            self.client.loop(0.02)

    def properties(self) -> list[tuple[list[tuple[str, str]], int | None]]:
        self.settle()
        return [
            (
                getattr(each.properties, "UserProperty", []),
                getattr(each.properties, "MessageExpiryInterval", None),
            )
            for each in self.received
        ]


@pytest.mark.parametrize(
    ("tick", "least", "most"),
    [
        # 5 of 15 minutes at 90 s per tick are 30 s; the answer timeout after it is 2 s, or more
        (TICK, 30, 34),
        (replace(TICK, seconds_per_tick=900.0, mode=Mode.REALTIME), 300, 312),
        (replace(TICK, mode=Mode.LOCKSTEP, seconds_per_tick=0.0), None, None),
        (replace(TICK, paused=True), None, None),
    ],
    ids=["scaled", "realtime", "lockstep", "paused"],
)
def test_a_bid_states_its_schema_and_expires_with_its_phase(
    broker: MosquittoBroker, scenario: Scenario, tick: Tick, least: int | None, most: int | None
) -> None:
    listener = Paho(broker, "gridfleet/town/bid/#")
    with MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop:
        runner = DeviceRunner(Fleet(scenario).build_agent("household-1"), loop, SiteDecoder("town"))
        clock = loop.open("clock", on_message=lambda *_: None)
        loop.wait_online(60)
        runner.start()
        clock.publish("gridfleet/town/tick/clock", encode(tick), qos=1)
        assert loop.run_until(lambda: runner.agent.tick_message == tick, 60)
        assert loop.run_until(lambda: bool(listener.properties()), 60)  # of the bid of that tick
    found = listener.properties()
    assert found
    for user, expiry in found:
        assert user == [("schema", SCHEMA)]
        assert expiry is least if least is None else least <= (expiry or 0) <= (most or 0)
    listener.client.disconnect()


def test_a_message_without_expiry_states_none(broker: MosquittoBroker) -> None:
    listener = Paho(broker, "a")
    with MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        publisher = loop.open("publisher", on_message=lambda *_: None)
        publisher.publish("a", b"", qos=1)
        loop.wait_online(60)
    assert listener.properties() == [([], None)]
    listener.client.disconnect()


def lose(loop: MqttLoop, connection: Connection) -> None:
    """Break a connection as a network does."""
    connection.drop("the cable is cut")
    assert not connection.online


@pytest.mark.parametrize(("session_s", "expected"), [(60, [b"1", b"2", b"3"]), (0, [b"1", b"3"])])
def test_messages_during_a_lost_connection_are_delivered_to_a_session(
    broker: MosquittoBroker, session_s: int, expected: list[bytes]
) -> None:
    received: list[bytes] = []
    with (
        MqttLoop(BrokerAddress.parse(broker.url)) as loop,
        MqttLoop(BrokerAddress.parse(broker.url)) as other,
    ):
        listener = loop.open(
            "listener",
            on_message=lambda _, payload, __: received.append(payload),
            filters=[("a", 1)],
            session_s=session_s,
        )
        publisher = other.open("publisher", on_message=lambda *_: None)
        loop.wait_online(60)
        other.wait_online(60)
        for payload in (b"1", b"2", b"3"):
            if payload == b"2":
                lose(loop, listener)
            publisher.publish("a", payload, qos=1)
            other.run_until(lambda: publisher.all_acknowledged, 60)
            loop.wait_online(60)
            loop.run_until(lambda: payload in received, 0.5)  # noqa: B023 - called before the loop goes on
    assert received == expected


def test_a_new_session_receives_nothing_of_an_earlier_one(broker: MosquittoBroker) -> None:
    received: list[bytes] = []
    address = BrokerAddress.parse(broker.url)

    def come(loop: MqttLoop) -> Connection:
        return loop.open(
            "listener",
            on_message=lambda _, payload, __: received.append(payload),
            filters=[("a", 1)],
            session_s=60,
        )

    with MqttLoop(address) as loop:
        come(loop)
        loop.wait_online(60)
        for connection in loop.connections:
            connection.abort()  # without a DISCONNECT, so that the broker keeps the session
    with MqttLoop(address) as loop:
        loop.open("publisher", on_message=lambda *_: None).publish("a", b"stale", qos=1)
        loop.wait_online(60)
    with MqttLoop(address) as loop:
        come(loop)
        loop.wait_online(60)
        loop.run_until(lambda: bool(received), 0.3)
    assert received == []


def test_denied_publications_are_counted_and_logged_once(
    mosquitto: MosquittoBroker, secrets: Path, scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    with MqttLoop(BrokerAddress.parse(mosquitto.url), schema=SCHEMA) as loop:
        runner = DeviceRunner(
            Fleet(scenario).build_agent("household-1"), loop, SiteDecoder("town"), FileCredentials(secrets)
        )
        loop.wait_online(60)
        runner.start()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                runner._publish([("cell-3-1", Bid(0, ()))])  # noqa: SLF001 - an agent publishes only where it may
            assert loop.run_until(lambda: runner.agent.refused == {"denied": 3}, 60)
        assert caplog.text.count("denied") == 1
        assert "the broker denied what household-1 publishes on" in caplog.text
        assert "gridfleet/town/bid/cell-3-1/household-1" in caplog.text
        assert runner.connection.online
