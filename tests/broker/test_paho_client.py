"""The paho client on a transport without a socket: what it delivers, acknowledges and sends, byte by byte."""

from typing import Any

import pytest
from paho.mqtt.enums import MQTTErrorCode

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client_options import Will
from gridfleet.broker.mqtt.packet_codec import OutgoingMessage, PublishProperties, schema_property
from gridfleet.broker.mqtt.paho_client import PahoClient
from tests.broker.test_paho_contract import CONNACK, FakeTransport

OURS, LOWER, HIGHER = (schema_property(version) for version in ("2", "1", "3"))
OTHER_PROPERTY = b"\x26\x00\x01a\x00\x01x"
"""A user property with a name that sorts before `schema`."""
PADDING = b"\x03\x00\x7e" + b"x" * 126
"""A content type that makes the properties longer than 127 bytes: paho decodes such a message."""
QOS_0, QOS_1, QOS_1_AGAIN, QOS_1_RETAINED = 0x30, 0x32, 0x3A, 0x33


class Site:
    """A client that the broker has accepted, and everything that it reports."""

    def __init__(
        self,
        *,
        by_hand: bool = False,
        version: int = 5,
        schema: bytes = OURS,
        will: Will | None = None,
        session_s: int = 0,
    ) -> None:
        self.transport = FakeTransport()
        self.delivered: list[tuple[Any, ...]] = []
        self.denied: list[str] = []
        self.mismatches: list[str] = []
        self.client = PahoClient(
            "client",
            version=version,
            connector=lambda: self.transport,
            deliver=lambda *message: self.delivered.append(message),
            on_denied=self.denied.append,
            on_schema_mismatch=self.mismatches.append,
            on_unsent=lambda: None,
            on_other_version=lambda: None,
            schema=schema,
            deliver_unacknowledged=(lambda *message: self.delivered.append(message)) if by_hand else None,
        )
        self.client.configure(BrokerAddress("broker.example", 1883), will, 60, session_s)
        self.client.reconnect()
        self.client.loop_write()
        self.connect = bytes(self.transport.sent)
        self.receive(0x20, CONNACK if version == 5 else CONNACK[:2])
        self.transport.sent.clear()

    def receive(self, first_byte: int, body: bytes) -> bytes:
        """Receive a packet; return what the client sends because of it."""
        self.transport.sent.clear()
        self.transport.packets.append((first_byte, body))
        self.client.loop_read()
        self.client.loop_write()
        return bytes(self.transport.sent)


def publication(properties: bytes = b"", *, packet_id: bytes = b"") -> bytes:
    length = bytes([len(properties)]) if len(properties) < 128 else bytes([len(properties) % 128 + 128, 1])
    return b"\x00\x01t" + packet_id + length + properties + b"hi"


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["decoded here", "decoded by paho"])
@pytest.mark.parametrize(
    ("stated", "matches"),
    [
        (b"", True),
        (OTHER_PROPERTY, True),
        (OURS, True),
        (OTHER_PROPERTY + OURS, True),
        (LOWER, False),
        (HIGHER, False),
        (OTHER_PROPERTY + LOWER, False),
    ],
)
def test_a_message_is_delivered_unless_it_states_another_schema(
    padding: bytes, stated: bytes, matches: bool
) -> None:
    site = Site()
    assert site.receive(QOS_0, publication(stated + padding)) == b""
    assert site.delivered == ([("t", b"hi", False)] if matches else [])
    assert site.mismatches == ([] if matches else ["t"])
    site = Site(by_hand=True)
    site.receive(QOS_0, publication(stated + padding))
    assert site.delivered == [("t", b"hi" if matches else None, False, 0, False)]
    assert site.mismatches == ([] if matches else ["t"])


@pytest.mark.parametrize("first_byte", [QOS_0, 0x31, QOS_1, QOS_1_AGAIN, QOS_1_RETAINED])
@pytest.mark.parametrize(("length", "by_paho"), [(0, False), (127, False), (128, True)])
def test_paho_decodes_only_messages_with_long_properties(first_byte: int, length: int, by_paho: bool) -> None:
    site = Site()
    decoded: list[object] = []
    site.client.on_message = lambda *message: decoded.append(message)
    properties = b"\x03" + (length - 3).to_bytes(2, "big") + b"x" * (length - 3) if length else b""
    site.receive(first_byte, publication(properties, packet_id=b"\x00\x01" if first_byte & 2 else b""))
    assert (len(decoded), len(site.delivered)) == ((1, 0) if by_paho else (0, 1))


@pytest.mark.parametrize("length", [64, 65])
def test_a_very_long_schema_version_is_only_another_one(length: int) -> None:
    long = b"\x26\x00\x06schema" + length.to_bytes(2, "big") + b"2" * length
    site = Site(schema=schema_property("2" * 64))
    site.receive(QOS_0, publication(long + PADDING))
    assert site.mismatches == []  # its first 64 bytes are the expected ones


@pytest.mark.parametrize("properties", [OURS, OURS + PADDING], ids=["decoded here", "decoded by paho"])
@pytest.mark.parametrize("first_byte", [QOS_1, QOS_1_AGAIN, QOS_1_RETAINED])
def test_a_message_of_qos_1_is_acknowledged_at_once_or_by_hand(properties: bytes, first_byte: int) -> None:
    body = publication(properties, packet_id=b"\x12\x34")
    site = Site()
    assert site.receive(first_byte, body) == bytes.fromhex("40 02 12 34")
    assert site.delivered == [("t", b"hi", first_byte == QOS_1_RETAINED)]
    site = Site(by_hand=True)
    assert site.receive(first_byte, body) == b""
    assert site.delivered == [("t", b"hi", first_byte == QOS_1_RETAINED, 0x1234, first_byte == QOS_1_AGAIN)]
    site.client.acknowledge([0x1234, 0x0001])
    assert site.transport.sent == bytes.fromhex("40 02 12 34 40 02 00 01")


def test_a_message_of_another_schema_is_acknowledged_too() -> None:
    site = Site()
    assert site.receive(QOS_1, publication(LOWER, packet_id=b"\x00\x07")) == bytes.fromhex("40 02 00 07")
    assert (site.delivered, site.mismatches) == ([], ["t"])


@pytest.mark.parametrize(
    ("body", "denied"),
    [
        ("00 01", False),
        ("00 01 00", False),
        ("00 01 10", False),
        ("00 01 7f", False),
        ("00 01 80", True),
        ("00 01 87 00", True),
    ],
)
def test_an_acknowledgement_frees_its_message_and_a_failure_is_reported(body: str, denied: bool) -> None:
    site = Site()
    site.client.send(OutgoingMessage("t", b"hi", 1, False, PublishProperties(OURS)))
    assert site.client.unacknowledged == 1
    site.receive(0x40, bytes.fromhex("00 02 87"))  # of another message
    assert (site.client.unacknowledged, site.denied) == (1, [])
    site.receive(0x40, bytes.fromhex(body))
    assert site.client.unacknowledged == 0
    assert site.denied == (["t"] if denied else [])


def test_messages_without_an_acknowledgement_are_taken_once_and_in_order() -> None:
    site = Site()
    messages = [OutgoingMessage("t", b"%d" % number, 1, False, None) for number in range(3)]
    for message in messages:
        site.client.send(message)
    site.client.send(OutgoingMessage("t", b"not kept", 0, False, None))
    assert site.client.take_unacknowledged() == messages
    assert site.client.take_unacknowledged() == []


def test_a_packet_id_in_use_is_passed_over() -> None:
    site = Site()
    for _ in range(65_535):
        site.client.send(OutgoingMessage("t", b"", 1, False, None))
    site.receive(0x40, bytes.fromhex("12 34"))  # the only free one
    site.transport.sent.clear()
    site.client.send(OutgoingMessage("t", b"", 1, False, None))
    assert site.transport.sent == bytes.fromhex("32 06 00 01 74 12 34 00")
    assert site.client.unacknowledged == 65_535


@pytest.mark.parametrize(
    ("by_hand", "session_s", "flags"), [(False, 0, 2), (False, 60, 2), (True, 0, 2), (True, 60, 0)]
)
def test_the_first_connection_begins_a_new_session_unless_messages_are_acknowledged_by_hand(
    by_hand: bool, session_s: int, flags: int
) -> None:
    site = Site(by_hand=by_hand, session_s=session_s)
    head = site.connect.index(b"MQTT\x05") + 5
    assert site.connect[head] == flags  # 2: clean start
    assert site.connect[head + 1 : head + 9] == bytes.fromhex("003c 05 11") + session_s.to_bytes(4, "big")
    site.transport.sent.clear()
    site.client.reconnect()
    site.client.loop_write()
    assert site.transport.sent[head] == (0 if session_s else 2)


def test_without_a_session_time_the_session_ends_with_the_connection() -> None:
    site = Site(session_s=60)
    site.client.configure(BrokerAddress("broker.example", 1883), None, 60)
    site.transport.sent.clear()
    site.client.reconnect()
    site.client.loop_write()
    head = site.transport.sent.index(b"MQTT\x05") + 5
    assert site.transport.sent[head] == 2  # clean start
    assert site.transport.sent[head + 3 : head + 9] == bytes.fromhex("05 11 00000000")


def test_mqtt_3_has_no_properties_and_the_will_is_that_of_the_options() -> None:
    site = Site(version=4, will=Will("gone", b"x", 1, True))
    head = site.connect.index(b"MQTT\x04") + 5
    assert site.connect[head] == 0x2E  # clean session; a will of QoS 1, retained
    assert site.connect[head + 3 :] == b"\x00\x06client\x00\x04gone\x00\x01x"
    site.client.send(OutgoingMessage("t", b"hi", 0, False, None))
    assert site.transport.sent == bytes.fromhex("30 05 00 01 74 68 69")
    site.receive(QOS_0, b"\x00\x01thi")
    assert site.delivered == [("t", b"hi", False)]
    site.transport.sent.clear()
    site.client.disconnect_for_good()
    site.client.loop_write()
    assert site.transport.sent == b"\xe0\x00"


@pytest.mark.parametrize(("by_hand", "packet"), [(False, "e0 07 00 05 11 00000000"), (True, "e0 00")])
def test_a_client_that_leaves_ends_its_session_unless_it_acknowledges_by_hand(
    by_hand: bool, packet: str
) -> None:
    site = Site(by_hand=by_hand, session_s=60)
    site.client.disconnect_for_good()
    site.client.loop_write()
    assert site.transport.sent == bytes.fromhex(packet)


def test_the_end_of_a_connection_is_told_from_a_pause() -> None:
    site = Site()
    assert site.client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert site.client.is_connected()
    site.transport.eof = True
    site.client.loop_read()
    assert not site.client.is_connected()


def test_messages_of_qos_2_are_not_held_back_by_paho() -> None:
    site = Site()
    for number in range(3):
        site.client.send(OutgoingMessage("t", b"%d" % number, 2, False, None))
    site.client.loop_write()
    assert [site.transport.sent.count(b"%d" % number) for number in range(3)] == [1, 1, 1]
    assert site.client.unacknowledged == 3
    assert [message.payload for message in site.client.take_unacknowledged()] == [b"0", b"1", b"2"]
