"""MQTT 3.1.1 where a broker speaks nothing newer, and WebSocket: the causes of failures have remedies of their own."""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.network.failures import certificate_failure, refusal, socket_failure
from gridfleet.broker.mqtt.protocol_version import MAX_SILENT, ProtocolVersion
from tests.broker.test_refusals import CONNECT, Script, ScriptedBroker, silent
from tests.ports import free_port

OLD_ACCEPTED = bytes.fromhex("20 02 00 00")
SUBACK = bytes.fromhex("90 03 00 01 01")


class OldBroker:
    """A broker that speaks MQTT 3.1.1 only, and refuses MQTT 5 in one of the ways that are seen."""

    def __init__(self, refusal: bytes | None) -> None:
        self.refusal = refusal
        self.levels: list[int] = []

    def __call__(self, packet: bytes) -> bytes | None:
        if packet[0] != CONNECT:
            return SUBACK if packet[0] & 0xF0 == 0x80 else b""
        self.levels.append(packet[8])
        return OLD_ACCEPTED if packet[8] == 4 else self.refusal


@pytest.fixture
def loop_and_broker(request: pytest.FixtureRequest) -> Iterator[tuple[MqttLoop, OldBroker]]:
    server = socket.create_server(("127.0.0.1", 0))
    old = OldBroker(request.param)
    script: Script = old
    with closing(server), MqttLoop(BrokerAddress("127.0.0.1", server.getsockname()[1])) as loop:
        broker = ScriptedBroker(loop, server, script)
        yield loop, old
        for connection in loop.connections:
            connection.abort()
        broker.close()


WAYS = {
    "by a reason": bytes.fromhex("20 03 00 84 00"),
    "in the older format": bytes.fromhex("20 02 00 01"),
    "without an answer": None,
}


@pytest.mark.parametrize(
    "loop_and_broker", [pytest.param(way, id=name) for name, way in WAYS.items()], indirect=True
)
def test_a_broker_that_refuses_mqtt_5_gets_3_1_1(
    loop_and_broker: tuple[MqttLoop, OldBroker], caplog: pytest.LogCaptureFixture
) -> None:
    loop, broker = loop_and_broker
    with caplog.at_level(logging.WARNING):
        loop.open("house", on_message=silent, filters=[("a", 1)])
        loop.open("turbine", on_message=silent)
        loop.wait_online(60)
    assert broker.levels[0] == 5
    assert broker.levels[-2:] == [4, 4]
    said = [each.message for each in caplog.records if "speaks MQTT 3.1.1 only" in each.message]
    assert len(said) == 1
    assert "messages do not expire" in said[0]


def test_only_a_broker_that_is_silent_twice_is_taken_for_an_older_one() -> None:
    version = ProtocolVersion(None)
    for _ in range(MAX_SILENT - 1):
        assert not version.on_closed(version.number)
    assert version.name == "MQTT 5"
    assert version.on_closed(version.number)
    assert version.name == "MQTT 3.1.1"
    assert not version.on_refused(version.number), "it refuses both"
    assert version.on_accepted()
    assert not version.on_accepted(), "said once"
    assert not version.on_closed(version.number)


@pytest.mark.parametrize("number", [4, 5])
def test_a_version_that_is_given_does_not_change(number: int) -> None:
    version = ProtocolVersion(number)  # type: ignore[arg-type] # the parameters are the two
    assert not any(
        (
            version.on_refused(version.number),
            version.on_closed(version.number),
            version.on_closed(version.number),
            version.on_accepted(),
        )
    )
    assert version.number == number


ADDRESS = BrokerAddress("grid.example", 8883, tls=True, username="ann", password="x")


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "as OpenSSL says it"
    return error


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (10, "renew it"),
        (9, "date and time"),
        (62, "a name that the certificate states"),
        (20, "--ca FILE"),
        (18, "--ca FILE"),
    ],
)
def test_each_cause_of_an_untrusted_certificate_has_its_remedy(code: int, remedy: str) -> None:
    failure = certificate_failure(certificate_error(code), ADDRESS)
    assert failure.permanent
    assert "as OpenSSL says it" in failure.reason
    assert remedy in failure.remedy


def test_a_login_that_is_missing_is_told_from_one_that_is_wrong() -> None:
    nobody = BrokerAddress("grid.example", 1883)
    for code in (0x86, 0x87):
        assert "no user name was given" in str(refusal(code, nobody))
        assert "'ann'" in str(refusal(code, ADDRESS))
    assert refusal(0x88, ADDRESS) is None


def test_a_port_without_a_listener_is_named() -> None:
    port = free_port()
    with MqttLoop(BrokerAddress("127.0.0.1", port)) as loop:
        loop.open("house", on_message=silent)
        with pytest.raises(BrokerError, match=f"no broker listens at 127.0.0.1 port {port}"):
            loop.wait_online(0.5)
    assert "name server" in socket_failure(UnicodeError("label too long"), ADDRESS).remedy
