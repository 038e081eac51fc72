"""Sessions that outlive their client: acknowledged by hand, delivered again, gone on with."""

from collections.abc import Iterator

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.client_options import PersistentSession

WAIT_S = 20.0
Heard = list[tuple[str, bytes]]


class Listener:
    """A client with a lasting session, on a loop of its own as in a process of its own."""

    def __init__(self, url: str, known: frozenset[bytes] = frozenset(), *, schema: str = "") -> None:
        self.heard: Heard = []
        self.again: Heard = []
        self.loop = MqttLoop(BrokerAddress.parse(url), schema=schema)
        self.connection = self.loop.open(
            "listener",
            on_message=lambda topic, payload, _retained: self.heard.append((topic, payload)),
            filters=[("t/#", 1)],
            session_s=600,
            persistent_session=PersistentSession(lambda topic, payload: self._again(topic, payload, known)),
        )
        self.loop.wait_online(WAIT_S)

    def _again(self, topic: str, payload: bytes, known: frozenset[bytes]) -> bool:
        self.again.append((topic, payload))
        return payload in known

    def hear(self, count: int) -> list[bytes]:
        assert self.loop.run_until(lambda: len(self.heard) >= count, WAIT_S)
        return [payload for _, payload in self.heard]

    def die(self) -> None:
        """Go without a word."""
        self.connection.abort()
        self.loop.close()

    def leave(self) -> None:
        self.loop.close()


def say(url: str, *payloads: bytes, schema: str = "") -> None:
    with MqttLoop(BrokerAddress.parse(url), schema=schema) as loop:
        speaker: Connection = loop.open("speaker", on_message=lambda *_: None)
        loop.wait_online(WAIT_S)
        for payload in payloads:
            speaker.publish("t/x", payload, qos=1)
        speaker.close()
        assert loop.run_until(lambda: speaker.closed, WAIT_S)


@pytest.fixture(params=["rumqttd", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with EmbeddedBroker() if request.param == "rumqttd" else MosquittoBroker() as broker:
        yield broker.url


def test_what_was_not_acknowledged_is_delivered_again_and_the_rest_is_not(url: str) -> None:
    first = Listener(url)
    assert not first.connection.resumed
    say(url, b"1", b"2")
    assert first.hear(2) == [b"1", b"2"]
    assert first.connection.unacknowledged == 2
    first.connection.acknowledge()
    first.loop.run_until(lambda: False, 0.1)
    say(url, b"3")
    assert first.hear(3) == [b"1", b"2", b"3"]
    first.die()
    say(url, b"4")  # nobody is there
    second = Listener(url)
    assert second.connection.resumed
    assert second.hear(2) == [b"3", b"4"]
    assert second.again[0] == ("t/x", b"3")
    second.leave()


def test_what_had_been_kept_all_the_same_is_dropped_and_acknowledged(url: str) -> None:
    first = Listener(url)
    say(url, b"1", b"2", b"3")
    first.hear(3)
    first.die()
    second = Listener(url, frozenset({b"1", b"2", b"4"}))
    assert second.hear(1) == [b"3"]
    assert second.connection.unacknowledged == 3
    second.connection.acknowledge()
    say(url, b"4")  # said anew: no matter that it looks like one that was kept
    assert second.hear(2) == [b"3", b"4"]
    second.connection.acknowledge()
    second.leave()
    third = Listener(url)
    say(url, b"5")
    assert third.hear(1) == [b"5"]
    third.leave()


def test_a_good_bye_leaves_the_session(url: str) -> None:
    Listener(url).leave()
    say(url, b"1")
    second = Listener(url)
    assert second.connection.resumed
    assert second.hear(1) == [b"1"]
    second.leave()


def test_what_states_another_schema_is_acknowledged_in_its_turn(url: str) -> None:
    first = Listener(url, schema="2")
    say(url, b"1", schema="2")
    assert first.hear(1) == [b"1"]
    say(url, b"2", schema="1")
    say(url, b"3", schema="2")
    assert first.hear(2) == [b"1", b"3"]
    assert (
        first.connection.unacknowledged == 3
    )  # a broker may end the connection of who answers for a later one first
    first.connection.acknowledge()
    say(url, b"4", schema="2")
    assert first.hear(3) == [b"1", b"3", b"4"]
    assert first.again == []  # nothing was delivered twice
    first.leave()
