"""Answers of a broker that rumqttd never gives, from a scripted broker on the same loop."""

import logging
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from time import monotonic

import pytest

from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import BrokerAddress, MqttLoop

ACCEPTED = bytes.fromhex("20 03 00 00 00")
QOS_0 = b"\x30\x05\x00\x01a\x00x"
"""A message of QoS 0 without properties."""
CONNECT, PUBLISH, SUBSCRIBE = 0x10, 0x30, 0x80


def silent(topic: str, payload: bytes, retained: bool) -> None:
    """Expects nothing."""


class ScriptedBroker:
    """Answers each packet; the script gets it and returns bytes, or None to close the connection."""

    def __init__(
        self, loop: MqttLoop, server: socket.socket, script: Callable[[bytes], bytes | None]
    ) -> None:
        self.loop = loop
        self.server = server
        self.script = script
        self.links: list[socket.socket] = []
        self.packets: list[bytes] = []
        server.setblocking(False)
        loop.watch(server.fileno(), select.EPOLLIN, self.accept)

    def accept(self, _: int) -> None:
        link, _address = self.server.accept()
        self.links.append(link)
        self.loop.watch(link.fileno(), select.EPOLLIN, lambda _: self.read(link))

    def read(self, link: socket.socket) -> None:
        data = link.recv(65_536)
        while data:
            packet, data = data[: 2 + data[1]], data[2 + data[1] :]
            self.packets.append(packet)
            answer = self.script(packet)
            if answer is None:
                break
            link.sendall(answer)
        else:
            if self.packets:
                return
        self.loop.unwatch(link.fileno())
        link.close()

    def count(self, kind: int) -> int:
        return sum(packet[0] & 0xF0 == kind for packet in self.packets)

    def close(self) -> None:
        for link in (*self.links, self.server):
            link.close()


Script = Callable[[bytes], bytes | None]
MakeScripted = Callable[..., tuple[MqttLoop, ScriptedBroker]]


@pytest.fixture
def scripted() -> Iterator[MakeScripted]:
    server = socket.create_server(("127.0.0.1", 0))
    made: list[tuple[MqttLoop, ScriptedBroker]] = []

    def make(script: Script, *, retry_refused: bool = False) -> tuple[MqttLoop, ScriptedBroker]:
        address = BrokerAddress("127.0.0.1", server.getsockname()[1], username="me", password="sesame")
        loop = MqttLoop(address, retry_refused=retry_refused, version=5)
        made.append((loop, ScriptedBroker(loop, server, script)))
        return made[-1]

    with closing(server):
        yield make
        for loop, broker in made:
            for connection in loop.connections:
                connection.abort()
            loop.close()
            broker.close()


def connack(code: int) -> Script:
    return lambda packet: bytes([0x20, 3, 0, code, 0]) if packet[0] == CONNECT else b""


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (0x84, "another version"),
        (0x85, "client id"),
        (0x86, "check the credentials"),
        (0x87, "enrol the device again"),
        (0x8A, "banned"),
        (0x8C, "another authentication method"),
    ],
)
def test_a_permanent_refusal_is_raised_and_closes_the_connection(
    scripted: MakeScripted, code: int, remedy: str
) -> None:
    loop, broker = scripted(connack(code))
    client = loop.open("client", on_message=silent)
    with pytest.raises(BrokerError, match=f"refuses client: .*{remedy}"):
        loop.wait_online(60)
    assert loop.run_until(lambda: client.closed, 60)
    assert not loop.run_until(lambda: broker.count(CONNECT) > 1, 0.4)


@pytest.mark.parametrize("code", [0x88, 0x89, 0x97])
def test_after_a_temporary_refusal_the_client_tries_again(scripted: MakeScripted, code: int) -> None:
    answers = iter([bytes([0x20, 3, 0, code, 0]), ACCEPTED])
    loop, broker = scripted(lambda packet: next(answers) if packet[0] == CONNECT else b"")
    loop.open("client", on_message=silent)
    loop.wait_online(60)
    assert broker.count(CONNECT) == 2


def test_with_retry_refused_a_permanent_refusal_is_tried_again(
    scripted: MakeScripted, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([*[bytes([0x20, 3, 0, 0x86, 0])] * 3, ACCEPTED])
    loop, _ = scripted(lambda packet: next(answers) if packet[0] == CONNECT else b"", retry_refused=True)
    loop.open("client", on_message=silent)
    with caplog.at_level(logging.WARNING):
        loop.wait_online(60)
    assert caplog.text.count("check the credentials") == 1  # of three refusals: it is repeated after a minute
    assert "sesame" not in caplog.text


def test_after_a_closed_connection_the_client_tries_again(scripted: MakeScripted) -> None:
    answers = iter([None, None, ACCEPTED])
    loop, broker = scripted(lambda packet: next(answers) if packet[0] == CONNECT else b"")
    client = loop.open("client", on_message=silent)
    assert loop.run_until(lambda: "no answer" in client.offline_reason, 60)
    loop.wait_online(60)
    assert broker.count(CONNECT) == 3


def test_a_refused_filter_is_raised(scripted: MakeScripted) -> None:
    def script(packet: bytes) -> bytes:
        if packet[0] == CONNECT:
            return ACCEPTED
        if packet[0] & 0xF0 == SUBSCRIBE:
            return b"\x90\x05" + packet[2:4] + bytes([0, 1, 0x87])
        return b""

    loop, _ = scripted(script)
    loop.open("client", on_message=silent, filters=[("mine", 1), ("theirs", 1)])
    with pytest.raises(BrokerError, match="refuses client: it may not subscribe"):
        loop.wait_online(60)


def test_a_refused_message_is_raised(scripted: MakeScripted) -> None:
    def script(packet: bytes) -> bytes:
        if packet[0] == CONNECT:
            return ACCEPTED
        return b"\x40\x04" + packet[8:10] + b"\x87\x00" if packet[0] & 0xF0 == PUBLISH else b""

    loop, _ = scripted(script)
    client = loop.open("client", on_message=silent)
    loop.wait_online(60)
    client.publish("abcd", b"x", qos=1)
    with pytest.raises(BrokerError, match="may not publish to abcd"):
        loop.run_until(lambda: False, 5)


def test_unacknowledged_messages_stay_within_the_receive_maximum(scripted: MakeScripted) -> None:
    """Receive maximum 3: the fourth message waits for an acknowledgement."""
    loop, broker = scripted(
        lambda packet: bytes.fromhex("20 06 00 00 03 21 0003") if packet[0] == CONNECT else b""
    )
    client = loop.open("client", on_message=silent)
    loop.wait_online(60)
    for _ in range(10):
        client.publish("abcd", b"x", qos=1)
    assert loop.run_until(lambda: broker.count(PUBLISH) == 3, 60)
    assert not loop.run_until(lambda: broker.count(PUBLISH) > 3, 0.05)
    first = next(packet for packet in broker.packets if packet[0] & 0xF0 == PUBLISH)
    broker.links[0].sendall(b"\x40\x02" + first[8:10])
    assert loop.run_until(lambda: broker.count(PUBLISH) == 4, 60)


def test_a_lost_connection_sends_again_what_was_not_acknowledged(scripted: MakeScripted) -> None:
    loop, broker = scripted(lambda packet: ACCEPTED if packet[0] == CONNECT else b"")
    client = loop.open("client", on_message=silent)
    loop.wait_online(60)
    client.publish("abcd", b"1", qos=1)
    client.publish("abcd", b"stale", qos=1, expiry_s=0.01)
    client.publish("abcd", b"2", qos=1)
    assert loop.run_until(lambda: broker.count(PUBLISH) == 3, 60)
    broker.packets.clear()
    broker.links[0].sendall(b"\xe0\x01\x8b")  # server shutting down
    assert loop.run_until(lambda: "ended the connection" in client.offline_reason, 60)
    assert loop.run_until(lambda: broker.count(PUBLISH) == 2, 60)
    assert [packet[-1:] for packet in broker.packets if packet[0] & 0xF0 == PUBLISH] == [b"1", b"2"]


def test_a_silent_broker_is_pinged_and_then_disconnected(
    scripted: MakeScripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    later_s = 0.0
    for module in ("paho.mqtt.client.time_func", "gridfleet.broker.mqtt.paho_client.monotonic"):
        monkeypatch.setattr(module, lambda: monotonic() + later_s)
    loop, broker = scripted(lambda packet: ACCEPTED if packet[0] == CONNECT else b"")
    client = loop.open("client", on_message=silent)
    loop.wait_online(60)
    later_s += 61
    client.keep_alive()
    assert loop.run_until(lambda: broker.count(0xC0) == 1, 60)
    later_s += 61
    client.keep_alive()
    assert not client.online
    loop.wait_online(60)


@pytest.mark.parametrize("properties", [b"\x00", bytes([129, 1, 3, 0, 126]) + b"x" * 126])
def test_a_topic_that_is_not_utf_8_is_passed_to_the_receiver(
    scripted: MakeScripted, properties: bytes
) -> None:
    body = b"\x00\x02a\xff" + properties + b"payload"
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 + 128, len(body) // 128])
    loop, _ = scripted(lambda packet: ACCEPTED + b"\x30" + length + body if packet[0] == CONNECT else b"")
    received: list[tuple[str, bytes]] = []
    loop.open("client", on_message=lambda topic, payload, _: received.append((topic, payload)))
    assert loop.run_until(lambda: bool(received), 60)
    assert received == [("a\ufffd", b"payload")]
    loop.wait_online(60)


@pytest.mark.parametrize(
    ("nonsense", "is_ignored"),
    [
        (b"\x30\x00", False),
        (b"\x30\x02\x00\x05", False),
        (b"\x30\x03\x00\x00\x00", True),  # an empty topic: the receiver refuses it
        (b"\x36\x06\x00\x01a\x00\x01\x00", False),
        (b"\x30\xff\xff\xff\xff\x7f", False),
        (b"\xf0\x00", False),
        (b"\x40\x01\x00", False),
        (b"\x40\x02\x00\x63", True),  # an acknowledgement of what was never sent
        (b"\x90\x04\x00\x01\x05\x00", False),  # SUBACK that is shorter than its properties
        (b"\x90\x05\x00\x01\x02\xff\x00", False),  # SUBACK with a property that does not exist
    ],
)
def test_a_malformed_packet_is_ignored_or_ends_the_connection(
    scripted: MakeScripted, nonsense: bytes, is_ignored: bool
) -> None:
    once = iter([ACCEPTED + nonsense + QOS_0])
    loop, broker = scripted(lambda packet: next(once, ACCEPTED + QOS_0) if packet[0] == CONNECT else b"")
    received: list[bytes] = []
    loop.open("client", on_message=lambda _topic, payload, _retained: received.append(payload))
    assert loop.run_until(lambda: b"x" in received, 60)
    loop.wait_online(60)
    assert broker.count(CONNECT) == (1 if is_ignored else 2)


def test_a_client_whose_session_was_taken_over_waits_before_it_reconnects(scripted: MakeScripted) -> None:
    problems: list[tuple[str, str]] = []
    answers = iter([ACCEPTED + bytes.fromhex("e0 02 8e 00"), ACCEPTED])
    loop, broker = scripted(lambda packet: next(answers) if packet[0] == CONNECT else b"")
    client = loop.open("client", on_message=silent, on_problem=lambda *problem: problems.append(problem))
    assert loop.run_until(lambda: bool(problems), 60)
    assert problems == [("taken over", "client")]
    assert not loop.run_until(lambda: broker.count(CONNECT) > 1, 1.0)
    loop.wait_online(60)
    assert client.online


def test_a_packet_id_that_the_broker_uses_itself_is_no_refusal(scripted: MakeScripted) -> None:
    """mochi-mqtt refuses a subscription whose packet id is that of a message in flight."""
    subscribed: list[int] = []

    def script(packet: bytes) -> bytes | None:
        if packet[0] & 0xF0 != SUBSCRIBE:
            return ACCEPTED if packet[0] == CONNECT else b""
        subscribed.append(packet[3])
        code = 0x91 if len(subscribed) in {1, 3} else 1
        return bytes([0x90, 4, 0, packet[3], 0, code])

    loop, _ = scripted(script)
    client = loop.open("client", on_message=silent, filters=[("a", 1)])
    loop.wait_online(60)
    assert len(subscribed) == 2
    client.subscribe("b", 1)
    assert loop.run_until(lambda: len(subscribed) == 4, 60)
    assert len(set(subscribed)) == 4
    assert client.online
