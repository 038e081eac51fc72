"""MQTT clients on one loop with the embedded broker."""

import os
import signal
import socket
from collections.abc import Iterator
from time import monotonic

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import BrokerAddress, Connection, MqttLoop, Will
from gridfleet.broker.mqtt.event_loop import EventLoop
from gridfleet.broker.mqtt.reconnect import Reconnector
from tests.ports import free_port

Message = tuple[str, bytes, bool]


class SiteListener:
    """A client that keeps what it receives."""

    def __init__(
        self, loop: MqttLoop, name: str, *filters: tuple[str, int], will: Will | None = None
    ) -> None:
        self.received: list[Message] = []
        self.births = 0
        self.connection = loop.open(
            name, on_message=self.on_message, filters=filters, will=will, on_online=self.on_online
        )

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        self.received.append((topic, payload, retained))

    def on_online(self) -> None:
        self.births += 1

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.received]


def silent(topic: str, payload: bytes, retained: bool) -> None:
    """Expects nothing."""


@pytest.fixture
def loop(address: BrokerAddress) -> Iterator[MqttLoop]:
    with MqttLoop(address) as loop:
        yield loop


def test_retained_messages_are_marked(loop: MqttLoop) -> None:
    clock = loop.open("clock", on_message=silent)
    early = SiteListener(loop, "early", ("tick", 1))
    loop.wait_online(60)
    clock.publish("tick", b"1", qos=1, retain=True)
    assert loop.run_until(lambda: early.received == [("tick", b"1", False)], 60)
    late = SiteListener(loop, "late", ("tick", 0))
    assert loop.run_until(lambda: late.received == [("tick", b"1", True)], 60)


def test_the_last_will_is_published_for_a_lost_connection_and_not_for_a_closed_one(
    loop: MqttLoop, address: BrokerAddress
) -> None:
    listener = SiteListener(loop, "listener", ("presence/+", 1))
    leaving = loop.open("leaving", on_message=silent, will=Will("presence/leaving", b"gone"))
    lost = loop.open("lost", on_message=silent, will=Will("presence/lost", b"gone"))
    loop.wait_online(60)
    leaving.close()
    assert loop.run_until(lambda: leaving.closed, 60)
    lost.abort()
    assert loop.run_until(lambda: bool(listener.received), 60)
    late = SiteListener(loop, "late", ("presence/+", 1))
    assert loop.run_until(lambda: bool(late.received), 60)
    assert late.received == [("presence/lost", b"gone", True)]
    assert listener.received == [("presence/lost", b"gone", False)]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_burst_on_one_topic_arrives_complete_and_in_order(version: int, qos: int) -> None:
    v4 = free_port()
    sent = [str(number).encode() for number in range(3_000)]
    with EmbeddedBroker(v4_port=v4) as broker:
        port = v4 if version == 4 else broker.port
        with MqttLoop(BrokerAddress("127.0.0.1", port), version=4 if version == 4 else 5) as loop:
            listener = SiteListener(loop, "listener", ("burst", qos))
            publisher = loop.open("publisher", on_message=silent)
            loop.wait_online(60)
            for payload in sent:
                assert publisher.publish("burst", payload, qos=qos)
            assert loop.run_until(lambda: len(listener.received) == len(sent), 60)
            assert listener.payloads() == sent


def test_payloads_arrive_unchanged(loop: MqttLoop) -> None:
    payloads = [b"", b"\x00\xff", b"x" * 127, b"x" * 128, b"x" * 65_536]
    listener = SiteListener(loop, "listener", ("any/#", 1))
    loop.wait_online(60)
    for number, payload in enumerate(payloads):
        listener.connection.publish(f"any/{number}/ü", payload, qos=1)
    assert loop.run_until(lambda: len(listener.received) == len(payloads), 60)
    assert listener.received == [
        (f"any/{number}/ü", payload, False) for number, payload in enumerate(payloads)
    ]


def test_five_hundred_clients_receive_one_tick(loop: MqttLoop) -> None:
    listeners = [SiteListener(loop, f"listener-{number}", ("tick", 1)) for number in range(500)]
    loop.wait_online(60)
    assert loop.offline_reason == ""
    listeners[0].connection.publish("tick", b"go", qos=1)
    assert loop.run_until(lambda: all(listener.received for listener in listeners), 60)
    assert all(listener.payloads() == [b"go"] and listener.births == 1 for listener in listeners)


def test_connections_reconnect_after_the_broker_was_killed() -> None:
    with EmbeddedBroker() as first, MqttLoop(BrokerAddress.parse(first.url)) as loop:
        listener = SiteListener(loop, "listener", ("news/+", 1))
        publisher = SiteListener(loop, "publisher")
        later = listener.connection
        later.subscribe("more/+", 1)
        loop.wait_online(60)
        assert (listener.births, publisher.births) == (1, 1)
        os.kill(first.pid, signal.SIGKILL)
        assert loop.run_until(lambda: not (listener.connection.online or publisher.connection.online), 60)
        assert "2 of 2 connections" in loop.offline_reason
        assert not publisher.connection.publish("news/a", b"lost", qos=0)
        assert publisher.connection.publish("news/b", b"stale", qos=1, expiry_s=0.0)
        kept = [f"kept {number}".encode() for number in range(9)]
        with EmbeddedBroker(first.port):
            assert loop.run_until(lambda: listener.connection.online, 60)
            if not publisher.connection.online:
                loop.wait_online(60)
            for payload in kept:
                assert publisher.connection.publish("news/c", payload, qos=1)
            publisher.connection.publish("more/d", b"last", qos=1)
            assert loop.run_until(lambda: len(listener.received) == 10, 60)
            assert [payload for payload in listener.payloads() if payload != b"last"] == kept
            assert (listener.births, publisher.births) == (2, 2)
            loop.close()


def test_what_is_published_offline_is_sent_in_order_later(loop: MqttLoop) -> None:
    listener = SiteListener(loop, "listener", ("a", 1))
    loop.wait_online(60)
    publisher = loop.open("publisher", on_message=silent)
    assert not publisher.publish("a", b"0", qos=0)
    assert publisher.publish("a", b"1", qos=1)
    assert publisher.publish("a", b"stale", qos=1, expiry_s=0.0)
    assert publisher.publish("a", b"2", qos=1, expiry_s=60.0)
    assert loop.run_until(lambda: len(listener.received) == 2, 60)
    assert listener.payloads() == [b"1", b"2"]


def test_on_online_is_called_before_messages_and_may_publish(loop: MqttLoop) -> None:
    order: list[str] = []
    connection: Connection

    def publish_birth() -> None:
        order.append("online")
        connection.publish("birth", b"", qos=1)

    connection = loop.open(
        "self",
        on_message=lambda topic, *_: order.append(topic),
        filters=[("birth", 1)],
        on_online=publish_birth,
    )
    assert not connection.online
    assert loop.run_until(lambda: len(order) == 2, 60)
    assert order == ["online", "birth"]
    assert connection.online


def test_an_exception_in_a_callback_is_raised_by_the_loop(loop: MqttLoop) -> None:
    received: list[bytes] = []

    def fragile(topic: str, payload: bytes, retained: bool) -> None:
        if payload == b"bad":
            raise ZeroDivisionError
        received.append(payload)

    client = loop.open("client", on_message=fragile, filters=[("a", 1)])
    loop.wait_online(60)
    client.publish("a", b"bad", qos=1)
    client.publish("a", b"good", qos=1)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(lambda: False, 5)
    client.publish("a", b"better", qos=1)
    assert loop.run_until(lambda: received == [b"good", b"better"], 60)


def test_closing_sends_everything_published_before(address: BrokerAddress) -> None:
    with MqttLoop(address) as listening:
        listener = SiteListener(listening, "listener", ("a", 0))
        listening.wait_online(60)
        with MqttLoop(address) as loop:
            publisher = loop.open("publisher", on_message=silent)
            loop.wait_online(60)
            for number in range(2_000):
                publisher.publish("a", b"%d" % number + b"x" * 500, qos=number % 2)
            publisher.close()
            publisher.close()
            with pytest.raises(BrokerError, match="publisher is closed"):
                publisher.publish("a", b"", qos=0)
            with pytest.raises(BrokerError, match="publisher is closed"):
                publisher.subscribe("a", 0)
        assert publisher.closed
        assert listening.run_until(lambda: len(listener.received) == 2_000, 60)
        assert [payload.rstrip(b"x") for payload in listener.payloads()] == [b"%d" % n for n in range(2_000)]


def test_nothing_is_received_after_close(loop: MqttLoop) -> None:
    received: list[bytes] = []

    def once(topic: str, payload: bytes, retained: bool) -> None:
        received.append(payload)
        client.close()

    client = loop.open("client", on_message=once, filters=[("a", 1)])
    loop.wait_online(60)
    for payload in (b"1", b"2", b"3"):
        client.publish("a", payload, qos=1)
    assert loop.run_until(lambda: client.closed, 60)
    assert received == [b"1"]


def test_closing_the_loop_twice_is_safe_and_use_after_close_raises(loop: MqttLoop) -> None:
    client = loop.open("client", on_message=silent)
    loop.wait_online(60)
    loop.close()
    loop.close()
    assert client.closed
    assert not client.online
    with pytest.raises(BrokerError, match="closed"):
        loop.open("client", on_message=silent)


def test_expiry_reaches_other_clients(loop: MqttLoop, address: BrokerAddress) -> None:
    """Seen by an unmodified paho client."""
    messages: list[MQTTMessage] = []
    reader = Client(CallbackAPIVersion.VERSION2, "reader", protocol=MQTTProtocolVersion.MQTTv5)
    reader.on_message = lambda _, __, message: messages.append(message)
    reader.on_connect = lambda client, *_: client.subscribe("a", 1)
    ready: list[int] = []
    reader.on_subscribe = lambda *_: ready.append(1)
    reader.connect(address.host, address.port)
    end = monotonic() + 5
    while not ready and monotonic() < end:
        reader.loop(0.1)
    publisher = loop.open("publisher", on_message=silent)
    loop.wait_online(60)
    publisher.publish("a", b"x", qos=1, expiry_s=29.5)
    publisher.publish("a", b"y", qos=0, expiry_s=0.1)
    publisher.publish("a", b"z", qos=1)
    loop.close()
    while len(messages) < 3 and monotonic() < end:
        reader.loop(0.1)
    reader.disconnect()
    reader.loop(0.1)
    expiries = [getattr(message.properties, "MessageExpiryInterval", None) for message in messages]
    assert expiries == [30, 1, None]


def test_messages_with_properties_are_received(loop: MqttLoop) -> None:
    listener = SiteListener(loop, "listener", ("a", 1))
    loop.wait_online(60)
    listener.connection.publish("a", b"x", qos=1, expiry_s=60)
    assert loop.run_until(lambda: listener.received == [("a", b"x", False)], 60)


def test_the_error_names_a_broker_that_does_not_run() -> None:
    port = free_port()
    with MqttLoop(BrokerAddress("127.0.0.1", port)) as loop:
        loop.open("client", on_message=silent)
        with pytest.raises(BrokerError, match=f"1 of 1 connections to mqtt://127.0.0.1:{port}.*refused"):
            loop.wait_online(0.3)


def test_the_error_names_an_unknown_host() -> None:
    with MqttLoop(BrokerAddress("no-such-host.invalid", 1)) as loop:
        loop.open("client", on_message=silent)
        with pytest.raises(BrokerError, match="cannot connect"):
            loop.wait_online(0.3)


def test_a_short_keepalive_is_refused(address: BrokerAddress) -> None:
    with pytest.raises(BrokerError, match="too short"):
        MqttLoop(address, keepalive_s=5)


def test_a_broker_with_a_new_address_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = 100.0, 0
    answer: list[str] | None = ["192.0.2.1", "192.0.2.2"]

    def look_up(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        nonlocal asked
        asked += 1
        if answer is None:
            raise OSError("name service is down")
        return [(socket.AF_INET, 0, 0, "", (where, port)) for where in answer]

    monkeypatch.setattr("gridfleet.broker.mqtt.reconnect.monotonic", lambda: now)
    monkeypatch.setattr("gridfleet.broker.mqtt.reconnect.socket.getaddrinfo", look_up)
    address = BrokerAddress("broker.example", 1883)
    with EventLoop() as loop:
        reconnector: Reconnector[Connection] = Reconnector(loop, 30.0)

        def found() -> list[object]:
            return [reconnector.resolve(address, attempt)[1] for attempt in range(3)]

        assert found() == [("192.0.2.1", 1883), ("192.0.2.2", 1883), ("192.0.2.1", 1883)]
        assert asked == 1  # one look-up for a burst
        answer = ["192.0.2.7"]
        now += 11
        assert found() == [("192.0.2.7", 1883)] * 3
        answer = None
        now += 11
        assert found() == [("192.0.2.7", 1883)] * 3  # what was known is tried while nothing can be looked up
        assert asked == 3


def test_a_connection_that_has_sent_disconnect_cannot_be_dropped(loop: MqttLoop) -> None:
    parting = loop.open("parting", on_message=silent)
    loop.wait_online(60)
    parting.close()
    loop.write_now()
    parting.drop("an outage that comes too late")
    assert loop.run_until(lambda: parting.closed, 60)
