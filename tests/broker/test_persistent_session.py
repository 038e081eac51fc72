"""Persistent sessions: acknowledged by hand, delivered again, resumed by the next process."""

from collections.abc import Iterator

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.client_options import PersistentSession

WAIT_S = 20.0
Received = list[tuple[str, bytes]]


class Listener:
    """A client with a persistent session, on a loop of its own as in a process of its own."""

    def __init__(self, url: str, stored: frozenset[bytes] = frozenset(), *, schema: str = "") -> None:
        self.received: Received = []
        self.duplicates: Received = []
        self.loop = MqttLoop(BrokerAddress.parse(url), schema=schema)
        self.connection = self.loop.open(
            "listener",
            on_message=lambda topic, payload, _retained: self.received.append((topic, payload)),
            filters=[("t/#", 1)],
            session_s=600,
            persistent_session=PersistentSession(
                lambda topic, payload: self._already_stored(topic, payload, stored)
            ),
        )
        self.loop.wait_online(WAIT_S)

    def _already_stored(self, topic: str, payload: bytes, stored: frozenset[bytes]) -> bool:
        self.duplicates.append((topic, payload))
        return payload in stored

    def wait_received(self, count: int) -> list[bytes]:
        assert self.loop.run_until(lambda: len(self.received) >= count, WAIT_S)
        return [payload for _, payload in self.received]

    def abort(self) -> None:
        """Close without a DISCONNECT."""
        self.connection.abort()
        self.loop.close()

    def leave(self) -> None:
        self.loop.close()


def publish(url: str, *payloads: bytes, schema: str = "") -> None:
    with MqttLoop(BrokerAddress.parse(url), schema=schema) as loop:
        publisher: Connection = loop.open("publisher", on_message=lambda *_: None)
        loop.wait_online(WAIT_S)
        for payload in payloads:
            publisher.publish("t/x", payload, qos=1)
        publisher.close()
        assert loop.run_until(lambda: publisher.closed, WAIT_S)


@pytest.fixture(params=["rumqttd", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with EmbeddedBroker() if request.param == "rumqttd" else MosquittoBroker() as broker:
        yield broker.url


def test_what_was_not_acknowledged_is_delivered_again_and_the_rest_is_not(url: str) -> None:
    first = Listener(url)
    assert not first.connection.resumed
    publish(url, b"1", b"2")
    assert first.wait_received(2) == [b"1", b"2"]
    assert first.connection.unacknowledged == 2
    first.connection.acknowledge()
    first.loop.write_now()
    publish(url, b"3")
    assert first.wait_received(3) == [b"1", b"2", b"3"]
    first.abort()
    publish(url, b"4")  # no client is connected
    second = Listener(url)
    assert second.connection.resumed
    assert second.wait_received(2) == [b"3", b"4"]
    assert second.duplicates[0] == ("t/x", b"3")
    second.leave()


def test_a_duplicate_that_was_stored_is_dropped_and_acknowledged(url: str) -> None:
    first = Listener(url)
    publish(url, b"1", b"2", b"3")
    first.wait_received(3)
    first.abort()
    second = Listener(url, frozenset({b"1", b"2", b"4"}))
    assert second.wait_received(1) == [b"3"]
    assert second.connection.unacknowledged == 3
    second.connection.acknowledge()
    publish(url, b"4")  # a new message, although it equals one that was stored
    assert second.wait_received(2) == [b"3", b"4"]
    second.connection.acknowledge()
    second.leave()
    third = Listener(url)
    publish(url, b"5")
    assert third.wait_received(1) == [b"5"]
    third.leave()


def test_the_session_survives_a_disconnect(url: str) -> None:
    Listener(url).leave()
    publish(url, b"1")
    second = Listener(url)
    assert second.connection.resumed
    assert second.wait_received(1) == [b"1"]
    second.leave()


def test_a_message_of_another_schema_is_acknowledged_in_order(url: str) -> None:
    first = Listener(url, schema="2")
    publish(url, b"1", schema="2")
    assert first.wait_received(1) == [b"1"]
    publish(url, b"2", schema="1")
    publish(url, b"3", schema="2")
    assert first.wait_received(2) == [b"1", b"3"]
    assert (
        first.connection.unacknowledged == 3
    )  # a broker may close the connection of a client that acknowledges a later one first
    first.connection.acknowledge()
    publish(url, b"4", schema="2")
    assert first.wait_received(3) == [b"1", b"3", b"4"]
    assert first.duplicates == []  # nothing was delivered twice
    first.leave()
