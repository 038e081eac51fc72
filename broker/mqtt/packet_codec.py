"""The one place that reaches below paho's public surface: a client on our own stream, lean for QoS 0 and 1.

paho connects, subscribes, pings and parts, and does QoS 2. Messages of QoS 0 and 1 and their acknowledgements,
which are nearly all there is, are read and written here: paho reads a packet in three steps, builds tables of
MQTT 5 properties and reasons anew for each, and wraps each message in locks that one thread has no use for.
`tests/broker/test_mqtt.py` pins what is relied on here.
"""

from collections.abc import Callable, Iterable
from math import ceil
from time import monotonic
from typing import Final, NamedTuple

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client_options import Will
from gridfleet.broker.mqtt.transport import Stream

REFUSED: Final = 0x80
"""Reason codes from here on are refusals."""
PERMANENT_REFUSALS: Final = {
    0x84: "it does not speak this MQTT version: choose another version, or a port of it that does",
    0x85: "it does not accept this client id",
    0x86: "wrong user name or password: check the credentials in mqtt://user:password@host",
    0x87: "not authorised: give this user the right to connect",
    0x8A: "this client is banned there",
    0x8C: "it wants another authentication method",
}
"""CONNACK reason codes that trying again does not mend, and what does."""
_KIND: Final = 0xF0
_PUBLISH: Final = 0x30
_PUBACK: Final = 0x40
_QOS: Final = 0x06
_QOS1: Final = 0x02
_RETAIN: Final = 0x01
_AGAIN: Final = 0x08
"""The bit that marks a message which the broker delivers again."""
_ONE_BYTE_LENGTH: Final = 0x7F
_MOST_TOPIC: Final = 65_535
_WILDCARDS: Final = frozenset(b"+#")
_ACKNOWLEDGED: Final = b"\x40\x02"
_NO_PROPERTIES: Final = b"\x00"
_SESSION_EXPIRY: Final = b"\x05\x11"

_SCHEMA_KEY: Final = b"\x26\x00\x06schema"
"""MQTT 5's user property of that name, as it begins on the wire."""


class PublishProperties(Properties):
    """What a message says of itself: the version of its schema, and when it is worthless.

    Packed when the message is sent, so that it states the time that is left then; the deadline is a time of
    `time.monotonic()`.
    """

    schema: bytes
    deadline_s: float | None

    def __init__(self, schema: bytes, deadline_s: float | None = None) -> None:
        object.__setattr__(self, "packetType", PacketTypes.PUBLISH)
        object.__setattr__(self, "schema", schema)
        object.__setattr__(self, "deadline_s", deadline_s)

    def pack(self) -> bytes:
        """Return the properties on the wire; the expiry interval is in whole seconds, at least 1."""
        if self.deadline_s is None:
            return bytes([len(self.schema)]) + self.schema
        left_s = max(1, ceil(self.deadline_s - monotonic()))
        return bytes([len(self.schema) + 5]) + self.schema + b"\x02" + left_s.to_bytes(4, "big")


class _Session(Properties):
    """For how long the broker is to keep a session: paho's own tables take 4 kB for each connection."""

    wire: bytes

    def __init__(self, packet_type: int, session_s: int) -> None:
        object.__setattr__(self, "packetType", packet_type)
        object.__setattr__(self, "wire", _SESSION_EXPIRY + session_s.to_bytes(4, "big"))

    def pack(self) -> bytes:
        """Return the properties on the wire."""
        return self.wire


class OutgoingMessage(NamedTuple):
    """A message on its way to the broker."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties | None


def schema_property(version: str) -> bytes:
    """Return the user property `schema` with a version of at most 64 bytes; nothing for no version."""
    text = version.encode()
    if len(text) > 64:
        raise ValueError(f"{version!r} is too long for a version")
    return _SCHEMA_KEY + len(text).to_bytes(2, "big") + text if text else b""


Keep = Callable[[str, bytes | None, bool, int, bool], None]
"""Takes what `deliver` does, packet id and whether it is given again; no payload: only to be answered for."""


class PahoClient(Client):
    """A paho client that gets its stream from `connector` and hands its messages to `deliver`."""

    def __init__(  # noqa: PLR0913 - as many as it answers to
        self,
        client_id: str,
        *,
        version: int,
        connector: Callable[[], Stream],
        deliver: Callable[[str, bytes, bool], None],
        refused: Callable[[str], None],
        on_schema_mismatch: Callable[[str], object],
        has_said: Callable[[], object],
        schema: bytes,
        keep: Keep | None = None,
    ) -> None:
        """`deliver` gets topic, payload, retained; `refused` the topic of a refused publish.

        `on_schema_mismatch` gets the topic of a message that states another schema version.

        `has_said` is called when there is something to write again. With `keep`, that gets messages in place of
        `deliver`, with their packet id and whether they are given again, and `acknowledge` answers for them.
        """
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
        )
        self.max_inflight_messages_set(0)  # the outbox keeps count of what the broker will take
        self._connector = connector
        self._deliver = deliver
        self._refused = refused
        self._misfit = on_schema_mismatch
        self._has_said = has_said
        self._keep = keep
        self.manual_ack_set(keep is not None)
        self._schema = schema
        self._unanswered: dict[int, OutgoingMessage] = {}
        self._stream: Stream
        self.on_message = self._deliver_message

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 and 2 the broker has not answered for yet."""
        return len(self._unanswered) + len(self._out_messages)

    def say(self, said: OutgoingMessage) -> None:
        """Send a message; raise ValueError for a topic that is none. The connection must be accepted."""
        topic, payload, qos, retain, properties = said
        if qos > 1:
            self.publish(topic, payload, qos, retain, properties)
            return
        text = topic.encode()
        if not text or len(text) > _MOST_TOPIC or not _WILDCARDS.isdisjoint(text):
            raise ValueError(f"{topic!r} is no topic to publish to")
        stream = self._stream
        parts = [len(text).to_bytes(2, "big"), text]
        if qos:
            number = self._mid_generate()
            while number in self._unanswered:
                number = self._mid_generate()
            self._unanswered[number] = said
            parts.append(number.to_bytes(2, "big"))
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            parts.append(_NO_PROPERTIES if properties is None else properties.pack())  # type: ignore[no-untyped-call]
        parts.append(payload)
        if not stream.unsent:
            self._has_said()
        stream.send(bytes([_PUBLISH | qos << 1 | retain]))
        stream.send(_length(sum(map(len, parts))))
        stream.send(b"".join(parts))
        self._last_msg_out = monotonic()

    def take_back(self) -> list[OutgoingMessage]:
        """Return what the broker has not answered for, in order, and forget it."""
        unanswered = [*self._unanswered.values()]
        self._unanswered.clear()
        rest = [
            OutgoingMessage(
                message.topic, bytes(message.payload), message.qos, message.retain, message.properties
            )
            for message in self.drop_out_messages()
        ]
        return unanswered + rest

    def loop_read(self, max_packets: int = 0) -> MQTTErrorCode:  # noqa: ARG002 - paho's signature
        """Take all packets that have been read."""
        while self._sock is not None:
            code = self._packet_read()
            if code == MQTTErrorCode.MQTT_ERR_AGAIN:
                break
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._loop_rc_handle(code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def prepare(
        self, address: BrokerAddress, will: Will | None, keepalive_s: int, session_s: int = 0
    ) -> None:
        """Set what CONNECT will say; `reconnect()` then begins a connection.

        The first begins without an earlier session unless messages are kept, the next go on where the last broke off
        `session_s` ago or less.
        """
        if address.username is not None:
            self.username_pw_set(address.username, address.password)
        if will is not None:
            self.will_set(*will)
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            about = _Session(PacketTypes.CONNECT, session_s)
            first = MQTT_CLEAN_START_FIRST_ONLY if self._keep is None else False
            fresh = first if session_s else True
            self.connect_async(address.host, address.port, keepalive_s, clean_start=fresh, properties=about)
        else:
            self.connect_async(address.host, address.port, keepalive_s)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Answer for messages of QoS 1 that were kept, in their order."""
        for packet_id in packet_ids:
            self._stream.send(_ACKNOWLEDGED + packet_id.to_bytes(2, "big"))

    def part(self) -> None:
        """Say good-bye for ever, unless messages are kept: the broker may forget the session."""
        if self._protocol != MQTTProtocolVersion.MQTTv5 or self._keep is not None:
            self.disconnect()
            return
        self.disconnect(properties=_Session(PacketTypes.DISCONNECT, 0))

    def _create_socket(self) -> Stream:  # type: ignore[override]  # paho does not read from it
        self._stream = self._connector()
        return self._stream

    def _packet_read(self) -> MQTTErrorCode:
        stream = self._stream
        try:
            packet = stream.packet()
        except ValueError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if packet is None:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST if stream.ended else MQTTErrorCode.MQTT_ERR_AGAIN
        self._last_bytes_received = monotonic()
        command, body = packet
        kind = command & _KIND
        if kind == _PUBLISH and self._published(command, body):
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if kind == _PUBACK and len(body) >= 2:
            said = self._unanswered.pop(int.from_bytes(body[:2], "big"), None)
            if said is not None and len(body) > 2 and body[2] >= REFUSED:
                self._refused(said.topic)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        self._in_packet["command"] = command
        self._in_packet["remaining_length"] = len(body)
        self._in_packet["packet"] = bytearray(body)
        try:
            return self._packet_handle()
        except MalformedPacket:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _published(self, command: int, packet: bytes) -> bool:
        """Deliver a message of QoS 0 or 1 and acknowledge it; return False for one that paho must look at."""
        qos = command & _QOS
        end = 2 + int.from_bytes(packet[:2], "big")
        start = end + 2 if qos else end
        fits = True
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            if len(packet) <= start or packet[start] > _ONE_BYTE_LENGTH:
                return False
            stated = packet[start + 1 : start + 1 + packet[start]]
            start += 1 + packet[start]
            fits = not stated or _SCHEMA_KEY not in stated or self._schema in stated
        if qos > _QOS1 or len(packet) < start or end == 2:
            return False
        topic = packet[2:end].decode(errors="replace")  # for the receiver to refuse, not to stumble over
        if not fits:
            self._misfit(topic)
        if self._keep is not None:
            packet_id = int.from_bytes(packet[end : end + 2], "big") if qos else 0
            payload = packet[start:] if fits else None  # answered for in its turn all the same
            self._keep(topic, payload, bool(command & _RETAIN), packet_id, bool(command & _AGAIN))
            return True
        if fits:
            self._deliver(topic, packet[start:], bool(command & _RETAIN))
        if qos:
            self._stream.send(_ACKNOWLEDGED + packet[end : end + 2])
        return True

    def _deliver_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        topic = message._topic.decode(errors="replace")  # noqa: SLF001 - `topic` itself may raise
        if any(schema_property(value) != self._schema for value in _versions(message)):
            self._misfit(topic)
            if self._keep is not None:
                self._keep(topic, None, message.retain, message.mid, message.dup)
        elif self._keep is not None:
            self._keep(topic, bytes(message.payload), message.retain, message.mid, message.dup)
        else:
            self._deliver(topic, bytes(message.payload), message.retain)


def _length(number: int) -> bytes:
    """Return a packet's remaining length on the wire: seven bits to the byte, the lowest first."""
    found = bytearray()
    while number > _ONE_BYTE_LENGTH:
        found.append(number & _ONE_BYTE_LENGTH | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _versions(message: MQTTMessage) -> list[str]:
    """Return the versions that a message states, which should be one at most."""
    stated = getattr(message.properties, "UserProperty", ())
    return [value[:64] for key, value in stated if key == "schema"]
