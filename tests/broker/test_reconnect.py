"""Reconnecting: what is still sent, which connection tries when, and two clients with one id."""

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import BrokerAddress, MqttLoop
from tests.ports import free_port


def silent(topic: str, payload: bytes, retained: bool) -> None:
    """Expects nothing."""


def test_only_the_newest_superseding_message_is_sent_after_an_outage() -> None:
    port = free_port()
    with MqttLoop(BrokerAddress("127.0.0.1", port)) as loop:
        clock = loop.open("clock", on_message=silent)
        for number in range(5):
            clock.publish("tick", b"%d" % number, qos=1, supersedes=True)
            clock.publish("state", b"%d" % number, qos=1)
        received: list[tuple[str, bytes]] = []
        with EmbeddedBroker(port) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as others:
            others.open(
                "listener",
                on_message=lambda topic, payload, _: received.append((topic, payload)),
                filters=[("#", 1)],
            )
            others.wait_online(60)
            loop.wait_online(60)
            for _ in range(200):
                loop.run_until(lambda: False, 0.01)
                if others.run_until(lambda: len(received) >= 6, 0.01):
                    break
            assert sorted(received) == [*(("state", b"%d" % number) for number in range(5)), ("tick", b"4")]


def test_the_first_connection_that_is_back_makes_the_others_try_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gridfleet.broker.mqtt.reconnect.FIRST_WAIT_S", 7200.0)
    port = free_port()
    with (
        EmbeddedBroker(port) as broker,
        MqttLoop(BrokerAddress.parse(broker.url), max_wait_s=7200.0) as loop,
    ):
        connections = [loop.open(f"device-{number}", on_message=silent) for number in range(20)]
        loop.wait_online(60)
        broker.close()
        assert loop.run_until(lambda: not any(each.online for each in connections), 60)
        with EmbeddedBroker(port):  # alone they would try again after an hour at the earliest
            loop.open("another", on_message=silent)
            assert loop.run_until(lambda: all(each.online for each in connections), 60)


def test_a_client_whose_session_was_taken_over_reconnects(address: BrokerAddress) -> None:
    """The embedded broker gives no reason; test_refusals.py has a broker that does."""
    with MqttLoop(address) as loop:
        device = loop.open("device", on_message=silent)
        loop.wait_online(60)
        duplicate = loop.open("device", on_message=silent)
        assert loop.run_until(lambda: not device.online, 60)
        duplicate.abort()
        loop.wait_online(60)
        assert device.online
