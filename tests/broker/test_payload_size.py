"""What is longer than a valid message of its type can be is refused before it is read."""

import json
from typing import Annotated

import pytest
from hypothesis import given, settings
from pydantic import Field

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol import messages as m
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, decode, encode, max_payload_of
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.messages.payload_size import max_payload
from gridfleet.broker.protocol.topics import TOPIC_TABLE, MessageType
from tests.devices.message_strategies import any_message

LARGEST_PACKAGES = tuple(m.Package(255, 10**6, 10**6) for _ in range(256))
LONGEST = (
    m.Bid(2**31 - 1, LARGEST_PACKAGES),
    m.Award(2**31 - 1, 2**31 - 1, LARGEST_PACKAGES),
    m.Call(2**31 - 1, 253_402_300_799_999, 10**9, 10**9, -89.999999999999986, -179.99999999999997, 9999.9999999999982),
    m.Correction(2**31 - 1, 10**12, 10**12, 10**12, -(10**21)),
    m.Control("\x00" * 64, 2**31 - 1),
    m.Facts(
        "\x00" * 120, -89.999999999999986, -89.999999999999984, -89.999999999999986, -179.99999999999997,
        1000, 1000, 10**9, ("x" * 48,) * 128, ("y" * 48,) * 128,
    ),
    m.Presence(
        True, m.Role.GRID_SUPPLY, "c" * 48, -89.999999999999986, -179.99999999999997, "\x00" * 64, "v" * 48, "k" * 32,
        tuple(m.Figure("f" * 48, "µ" * 32, "d" * 200) for _ in range(32)),
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(any_message())
def test_every_valid_message_is_short_enough(message: Message) -> None:
    assert len(encode(message)) <= max_payload_of(message.TYPE)


@pytest.mark.parametrize("message", LONGEST, ids=lambda each: each.TYPE)
def test_the_longest_messages_are_decoded(message: Message) -> None:
    assert decode(message.TYPE, encode(message)) == message
    assert len(encode(message)) <= max_payload_of(message.TYPE)


@pytest.mark.parametrize(
    "message", [each for each in LONGEST if len(encode(each)) < 10_000], ids=lambda each: each.TYPE
)
def test_there_is_room_for_the_blanks_of_others(message: Message) -> None:
    with_blanks = json.dumps(json.loads(encode(message)), ensure_ascii=False).encode()
    assert len(with_blanks) > len(encode(message))
    assert decode(message.TYPE, with_blanks) == message


@pytest.mark.parametrize("message_type", TOPIC_TABLE, ids=lambda each: each.name)
def test_what_is_longer_is_refused_unread(message_type: MessageType) -> None:
    name = message_type.name
    limit = max_payload_of(name)
    assert 64 < limit <= MAX_PAYLOAD
    with pytest.raises(PayloadError, match=f"at most {limit} are allowed") as caught:
        decode(name, b"[" * (limit + 1))
    assert caught.value.reason == "oversized"


def test_most_types_have_a_low_limit() -> None:
    """What a vehicle may make all chargers of a cell read has to be short."""
    limits = {each.name: max_payload_of(each.name) for each in TOPIC_TABLE}
    assert all(limits[name] < 1_000 for name in ("call", "accept", "close", "supply", "heartbeat", "ready"))
    assert limits["award"] == MAX_PAYLOAD


def test_a_type_without_bounds_has_the_largest_limit() -> None:
    assert max_payload(m.Tick) == MAX_PAYLOAD
    assert max_payload(Annotated[int, Field(ge=-5, le=100)]) == int(3 * 1.5) + 64


def test_an_unknown_type_of_a_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        max_payload(bytes)


def test_many_mistakes_are_counted_and_not_described() -> None:
    payload = b'{"tick":0,"packages":[' + b",".join([b"{}"] * 200) + b"]}"
    with pytest.raises(PayloadError, match="600 keys or values") as caught:
        decode("bid", payload)
    assert caught.value.reason == "invalid"
    assert len(str(caught.value)) < 200
