"""PUBLISH and PUBACK packets as bytes: as the MQTT specification writes them, and read back as they were."""

from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes

from gridfleet.broker.mqtt.packet_codec import (
    OutgoingMessage,
    PublishProperties,
    SessionExpiry,
    decode_publish,
    encode_puback,
    encode_publish,
    schema_matches,
    schema_property,
)

SCHEMA = schema_property("2")
TOPICS = st.text(st.characters(exclude_characters="+#", exclude_categories=["Cs"]), min_size=1, max_size=40)


def split(packet: bytes) -> tuple[int, bytes]:
    """Return first byte and body of a packet, after checking its remaining length."""
    length = shift = 0
    for at in range(1, 5):
        length |= (packet[at] & 0x7F) << shift
        shift += 7
        if packet[at] < 0x80:
            break
    body = packet[at + 1 :]
    assert len(body) == length
    return packet[0], body


@given(
    TOPICS,
    st.binary(max_size=300),
    st.sampled_from([0, 1]),
    st.booleans(),
    st.integers(1, 65_535),
    st.booleans(),
)
def test_a_message_is_decoded_as_it_was_encoded(
    topic: str, payload: bytes, qos: int, retain: bool, packet_id: int, mqtt5: bool
) -> None:
    properties = PublishProperties(SCHEMA) if mqtt5 else None
    packet = encode_publish(OutgoingMessage(topic, payload, qos, retain, properties), packet_id, mqtt5=mqtt5)
    first_byte, body = split(packet)
    assert first_byte == 0x30 | qos << 1 | retain
    message = decode_publish(first_byte, body, mqtt5=mqtt5)
    assert message is not None
    expected_id = packet_id.to_bytes(2, "big") if qos else b""
    assert message == (topic, payload, expected_id, SCHEMA if mqtt5 else b"")


@pytest.mark.parametrize(
    ("payload_bytes", "length"),
    [(124, "7f"), (125, "80 01"), (16_380, "ff 7f"), (16_381, "80 80 01"), (2_097_149, "80 80 80 01")],
)
def test_the_remaining_length_takes_as_many_bytes_as_it_needs(payload_bytes: int, length: str) -> None:
    packet = encode_publish(OutgoingMessage("t", b"x" * payload_bytes, 0, False, None), 0, mqtt5=False)
    expected = bytes.fromhex(length)
    assert packet[1 : 1 + len(expected)] == expected
    split(packet)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "x" * 65_536])
def test_a_topic_that_is_not_allowed_is_named(topic: str) -> None:
    with pytest.raises(ValueError, match="cannot publish to"):
        encode_publish(OutgoingMessage(topic, b"", 0, False, None), 0, mqtt5=True)
    longest = OutgoingMessage("x" * 65_535, b"", 0, False, None)
    assert len(encode_publish(longest, 0, mqtt5=True)) == 1 + 3 + 2 + 65_535 + 1


@pytest.mark.parametrize(
    ("first_byte", "body"),
    [
        (0x34, "00 01 61 00 01 00"),  # QoS 2
        (0x36, "00 01 61 00 01 00"),  # QoS 3
        (0x30, ""),
        (0x30, "00 05 61"),  # shorter than its topic
        (0x30, "00 00 00"),  # no topic
        (0x32, "00 01 61 00"),  # no packet id
        (0x30, "00 01 61"),  # no properties
        (0x30, "00 01 61 80 01"),  # long properties
        (0x30, "00 01 61 05 00"),  # shorter than its properties
    ],
)
def test_what_is_rare_or_malformed_is_left_to_paho(first_byte: int, body: str) -> None:
    assert decode_publish(first_byte, bytes.fromhex(body), mqtt5=True) is None


def test_a_topic_that_is_not_utf_8_is_decoded_with_replacements() -> None:
    message = decode_publish(0x30, b"\x00\x02a\xff\x00x", mqtt5=True)
    assert message is not None
    assert message[0] == "a\ufffd"


@pytest.mark.parametrize(("left_s", "seconds"), [(29.5, 30), (0.01, 1), (-5.0, 1), (70_000.5, 70_001)])
def test_an_expiry_is_in_whole_seconds_from_the_moment_of_sending(left_s: float, seconds: int) -> None:
    packed = PublishProperties(SCHEMA, monotonic() + left_s).pack()
    assert packed == bytes([len(SCHEMA) + 5]) + SCHEMA + b"\x02" + seconds.to_bytes(4, "big")
    assert PublishProperties(SCHEMA).pack() == bytes([len(SCHEMA)]) + SCHEMA


def test_a_session_expiry_and_an_acknowledgement_are_as_the_specification_writes_them() -> None:
    assert SessionExpiry(PacketTypes.CONNECT, 60).pack() == bytes.fromhex("05 11 0000003c")
    assert encode_puback(b"\x12\x34") == bytes.fromhex("40 02 12 34")


def test_a_schema_version_is_a_user_property_of_at_most_64_bytes() -> None:
    assert schema_property("2") == b"\x26\x00\x06schema\x00\x012"
    assert schema_property("") == b""
    assert len(schema_property("x" * 64)) == 9 + 2 + 64
    with pytest.raises(ValueError, match="65 bytes; at most 64"):
        schema_property("x" * 65)


def test_a_message_matches_unless_it_states_another_schema_version() -> None:
    other = schema_property("1")
    assert schema_matches(b"", SCHEMA)
    assert schema_matches(b"\x02\x00\x00\x00\x05", SCHEMA)
    assert schema_matches(b"\x02\x00\x00\x00\x05" + SCHEMA, SCHEMA)
    assert not schema_matches(other, SCHEMA)
    assert not schema_matches(schema_property("22")[:-1], schema_property("22"))
