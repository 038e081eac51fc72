"""MQTT packets as bytes: PUBLISH and PUBACK of QoS 0 and 1, and the MQTT 5 properties that GridFleet sends.

Source: MQTT Version 5.0 (OASIS Standard, 7 March 2019), sections 2.1 to 2.2 and 3.3 to 3.4.
"""

from math import ceil
from time import monotonic
from typing import Final, NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PUBLISH: Final = 0x30
PUBACK: Final = 0x40
PACKET_TYPE: Final = 0xF0
"""The bits of a packet's first byte that hold its type."""
RETAIN: Final = 0x01
DUP: Final = 0x08
"""The flag of a message that the broker delivers again."""
FAILURE: Final = 0x80
"""Reason codes from here on are failures."""
_QOS: Final = 0x06
_QOS1: Final = 0x02
_MAX_ONE_BYTE: Final = 0x7F
"""The longest length that takes one byte."""
_MAX_TOPIC_BYTES: Final = 65_535
_MAX_VERSION_BYTES: Final = 64
_WILDCARDS: Final = frozenset(b"+#")
_PUBACK_HEAD: Final = b"\x40\x02"
_NO_PROPERTIES: Final = b"\x00"
_MESSAGE_EXPIRY: Final = b"\x02"
_SESSION_EXPIRY: Final = b"\x05\x11"
_SCHEMA_KEY: Final = b"\x26\x00\x06schema"
"""The beginning of a user property with that name."""


class PublishProperties(Properties):
    """The properties of a message: the version of its schema, and when it expires.

    They are packed when the message is sent, so that they state the time that is left then. `deadline_s` is a time of
    `time.monotonic()`, in seconds.
    """

    schema: bytes
    deadline_s: float | None

    def __init__(self, schema: bytes, deadline_s: float | None = None) -> None:
        object.__setattr__(self, "packetType", PacketTypes.PUBLISH)
        object.__setattr__(self, "schema", schema)
        object.__setattr__(self, "deadline_s", deadline_s)

    def pack(self) -> bytes:
        """Return the encoded properties; the expiry interval is in whole seconds, at least 1."""
        if self.deadline_s is None:
            return bytes([len(self.schema)]) + self.schema
        left_s = max(1, ceil(self.deadline_s - monotonic()))
        return bytes([len(self.schema) + 5]) + self.schema + _MESSAGE_EXPIRY + left_s.to_bytes(4, "big")


class SessionExpiry(Properties):
    """The session expiry interval of CONNECT or DISCONNECT; paho's own tables take 4 kB for each connection."""

    packed: bytes

    def __init__(self, packet_type: int, session_s: int) -> None:
        object.__setattr__(self, "packetType", packet_type)
        object.__setattr__(self, "packed", _SESSION_EXPIRY + session_s.to_bytes(4, "big"))

    def pack(self) -> bytes:
        """Return the encoded properties."""
        return self.packed


class OutgoingMessage(NamedTuple):
    """A message that is to be published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties | None


IncomingMessage = tuple[str, bytes, bytes, bytes]
"""A received message of QoS 0 or 1: topic, payload, packet id (two bytes; empty for QoS 0) and encoded properties."""


def schema_property(version: str) -> bytes:
    """Return the encoded user property `schema`; empty for no version. Raises ValueError beyond 64 bytes."""
    text = version.encode()
    if len(text) > _MAX_VERSION_BYTES:
        raise ValueError(
            f"the schema version {version!r} has {len(text)} bytes; at most {_MAX_VERSION_BYTES} are allowed"
        )
    return _SCHEMA_KEY + len(text).to_bytes(2, "big") + text if text else b""


def schema_matches(properties: bytes, expected: bytes) -> bool:
    """Return whether encoded properties state the expected schema version or none; `expected` as `schema_property`."""
    return not properties or _SCHEMA_KEY not in properties or expected in properties


def encode_publish(message: OutgoingMessage, packet_id: int, *, mqtt5: bool) -> bytes:
    """Return the PUBLISH packet of a message of QoS 0 or 1; raise ValueError for a topic that is not allowed.

    >>> encode_publish(OutgoingMessage("a/b", b"hi", 1, False, None), 7, mqtt5=True).hex(" ")
    '32 0a 00 03 61 2f 62 00 07 00 68 69'
    """
    topic = message.topic.encode()
    if not topic or len(topic) > _MAX_TOPIC_BYTES or not _WILDCARDS.isdisjoint(topic):
        raise ValueError(
            f"cannot publish to {message.topic!r}: a topic has 1 to {_MAX_TOPIC_BYTES} bytes and no + or #"
        )
    qos, properties = message.qos, message.properties
    parts = [len(topic).to_bytes(2, "big"), topic]
    if qos:
        parts.append(packet_id.to_bytes(2, "big"))
    if mqtt5:
        parts.append(_NO_PROPERTIES if properties is None else properties.pack())  # type: ignore[no-untyped-call]
    parts.append(message.payload)
    head = bytes([PUBLISH | qos << 1 | message.retain]) + _length(sum(map(len, parts)))
    return b"".join((head, *parts))


def decode_publish(first_byte: int, body: bytes, *, mqtt5: bool) -> IncomingMessage | None:
    """Return the message of a PUBLISH packet; None for QoS 2 and for what is rare or malformed: paho decodes that.

    Bytes of the topic that are not UTF-8 are replaced, so that the receiver refuses the topic.
    """
    qos = first_byte & _QOS
    end = 2 + int.from_bytes(body[:2], "big")
    start = end + 2 if qos else end
    properties = b""
    if mqtt5:
        if len(body) <= start or body[start] > _MAX_ONE_BYTE:
            return None
        properties = body[start + 1 : start + 1 + body[start]]
        start += 1 + body[start]
    if qos > _QOS1 or len(body) < start or end == 2:
        return None
    topic = body[2:end].decode(errors="replace")
    return topic, body[start:], body[end : end + 2] if qos else b"", properties


def encode_puback(packet_id: bytes) -> bytes:
    """Return the PUBACK packet for a packet id of two bytes."""
    return _PUBACK_HEAD + packet_id


def _length(number: int) -> bytes:
    """Return a packet's remaining length: seven bits per byte, the lowest first."""
    found = bytearray()
    while number > _MAX_ONE_BYTE:
        found.append(number & _MAX_ONE_BYTE | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
