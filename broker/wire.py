"""The one place that reaches below paho's public surface: a client on our own stream, lean for QoS 0 and 1.

paho's decoder builds MQTT 5 property and reason tables anew for every packet, empty or not: 17 µs per
message and 14 µs per acknowledgement. `tests/broker/test_mqtt.py` pins what is relied on here.
"""

from collections.abc import Callable, Iterable
from math import ceil
from time import monotonic
from typing import Final

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .address import BrokerAddress
from .stream import Stream
from .wishes import Will

REFUSED: Final = 0x80
"""Reason codes from here on are refusals."""
LASTING: Final = {
    0x84: "it does not speak this MQTT version: choose another version, or a port of it that does",
    0x85: "it does not accept this client id",
    0x86: "wrong user name or password: check the credentials in mqtt://user:password@host",
    0x87: "not authorised: give this user the right to connect",
    0x8A: "this client is banned there",
    0x8C: "it wants another authentication method",
}
"""CONNACK reason codes that trying again does not mend, and what does."""
_QOS: Final = 0x06
_QOS1: Final = 0x02
_RETAIN: Final = 0x01
_AGAIN: Final = 0x08
"""The bit that marks a message which the broker delivers again."""
_ONE_BYTE_LENGTH: Final = 0x7F


_SCHEMA_KEY: Final = b"\x26\x00\x06schema"
"""MQTT 5's user property of that name, as it begins on the wire."""


class Stated(Properties):
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


def schema_property(version: str) -> bytes:
    """Return the user property `schema` with a version of at most 64 bytes; nothing for no version."""
    text = version.encode()
    if len(text) > 64:
        raise ValueError(f"{version!r} is too long for a version")
    return _SCHEMA_KEY + len(text).to_bytes(2, "big") + text if text else b""


class WireClient(Client):
    """A paho client that gets its stream from `connector` and hands its messages to `deliver`."""

    def __init__(
        self,
        client_id: str,
        *,
        version: int,
        connector: Callable[[], Stream],
        deliver: Callable[[str, bytes, bool, int, bool], None],
        refused: Callable[[str], None],
        misfit: Callable[[str], object],
        schema: bytes,
        answers: bool = True,
    ) -> None:
        """`deliver` gets topic, payload, retained, packet id, delivered again; `refused` a refused publish's topic.

        `misfit` gets the topic of a message of another schema. With `answers` messages of QoS 1 are acknowledged at
        once, else by `acknowledge`.
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
        self._misfit = misfit
        self._schema = schema
        self._answers = answers
        self.manual_ack_set(not answers)
        self.on_message = self._deliver_message

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 and 2 the broker has not answered for yet."""
        return len(self._out_messages)

    def prepare(
        self,
        address: BrokerAddress,
        will: Will | None,
        keepalive_s: int,
        session_s: int = 0,
        *,
        resume: bool = False,
    ) -> None:
        """Set what CONNECT will say; `reconnect()` then begins a connection.

        The first begins without an earlier session unless it is to `resume` one, the next go on where the last broke
        off `session_s` ago or less.
        """
        if address.username is not None:
            self.username_pw_set(address.username, address.password)
        if will is not None:
            self.will_set(*will)
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            about = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            about.SessionExpiryInterval = session_s
            first = False if resume else MQTT_CLEAN_START_FIRST_ONLY
            fresh = first if session_s else True
            self.connect_async(address.host, address.port, keepalive_s, clean_start=fresh, properties=about)
        else:
            self.connect_async(address.host, address.port, keepalive_s)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Answer for messages of QoS 1 that were delivered, in their order."""
        for packet_id in packet_ids:
            self._send_puback(packet_id)

    def part(self, *, for_ever: bool = True) -> None:
        """Say good-bye; for ever, the broker may forget the session."""
        if self._protocol != MQTTProtocolVersion.MQTTv5 or not for_ever:
            self.disconnect()
            return
        about = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
        about.SessionExpiryInterval = 0
        self.disconnect(properties=about)

    def _create_socket(self) -> Stream:
        return self._connector()

    def _handle_publish(self) -> MQTTErrorCode:
        command, packet = self._in_packet["command"], self._in_packet["packet"]
        qos = command & _QOS
        end = 2 + int.from_bytes(packet[:2], "big")
        start = end + 2 if qos else end
        fits = True
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            if len(packet) <= start or packet[start] > _ONE_BYTE_LENGTH:
                return super()._handle_publish()
            stated = packet[start + 1 : start + 1 + packet[start]]
            start += 1 + packet[start]
            fits = not stated or _SCHEMA_KEY not in stated or self._schema in stated
        if qos > _QOS1 or len(packet) < start or end == 2:
            return super()._handle_publish()
        topic = packet[2:end].decode(errors="replace")  # for the receiver to refuse, not to stumble over
        packet_id = int.from_bytes(packet[end : end + 2], "big") if qos else 0
        if fits:
            payload = bytes(packet[start:])
            self._deliver(topic, payload, bool(command & _RETAIN), packet_id, bool(command & _AGAIN))
        else:
            self._misfit(topic)
        if qos and (self._answers or not fits):
            return self._send_puback(packet_id)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: str) -> MQTTErrorCode:  # noqa: ARG002 - PUBACK and PUBCOMP look alike
        packet = self._in_packet["packet"]
        if len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        message = self._out_messages.pop(int.from_bytes(packet[:2], "big"), None)
        if message is not None and len(packet) > 2 and packet[2] >= REFUSED:
            self._refused(message.topic)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _deliver_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        topic = message._topic.decode(errors="replace")  # noqa: SLF001 - `topic` itself may raise
        if any(schema_property(value) != self._schema for value in _versions(message)):
            self._misfit(topic)
            if not self._answers:
                self.ack(message.mid, message.qos)
        else:
            self._deliver(topic, bytes(message.payload), message.retain, message.mid, message.dup)


def _versions(message: MQTTMessage) -> list[str]:
    """Return the versions that a message states, which should be one at most."""
    stated = getattr(message.properties, "UserProperty", ())
    return [value[:64] for key, value in stated if key == "schema"]
