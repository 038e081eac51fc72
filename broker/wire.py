"""The one place that reaches below paho's public surface: a client on our own stream, lean for QoS 0 and 1.

paho's decoder builds MQTT 5 property and reason tables anew for every packet, empty or not: 17 µs per
message and 14 µs per acknowledgement. `tests/broker/test_mqtt.py` pins what is relied on here.
"""

from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import Final

from paho.mqtt.client import Client, MQTTMessage
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
_ONE_BYTE_LENGTH: Final = 0x7F


class Expiry(Properties):
    """Properties of a message that is worthless after `deadline_s` of `time.monotonic()`.

    Packed when the message is sent, so that it states the time that is left then.
    """

    deadline_s: float

    def __init__(self, deadline_s: float) -> None:
        object.__setattr__(self, "packetType", PacketTypes.PUBLISH)
        object.__setattr__(self, "deadline_s", deadline_s)

    def pack(self) -> bytes:
        """Return the property on the wire: message expiry interval in whole seconds, at least 1."""
        return b"\x05\x02" + max(1, ceil(self.deadline_s - monotonic())).to_bytes(4, "big")


class WireClient(Client):
    """A paho client that gets its stream from `connector` and hands its messages to `deliver`."""

    def __init__(
        self,
        client_id: str,
        *,
        version: int,
        connector: Callable[[], Stream],
        deliver: Callable[[str, bytes, bool], None],
        refused: Callable[[str], None],
    ) -> None:
        """`deliver` gets topic, payload, retained; `refused` the topic of a refused publish."""
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
        self.on_message = self._deliver_message

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 and 2 the broker has not answered for yet."""
        return len(self._out_messages)

    def prepare(self, address: BrokerAddress, will: Will | None, keepalive_s: int) -> None:
        """Set what CONNECT will say; `reconnect()` then begins a connection without an earlier session."""
        if address.username is not None:
            self.username_pw_set(address.username, address.password)
        if will is not None:
            self.will_set(*will)
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            self.connect_async(address.host, address.port, keepalive_s, clean_start=True)
        else:
            self.connect_async(address.host, address.port, keepalive_s)

    def _create_socket(self) -> Stream:
        return self._connector()

    def _handle_publish(self) -> MQTTErrorCode:
        command, packet = self._in_packet["command"], self._in_packet["packet"]
        qos = command & _QOS
        end = 2 + int.from_bytes(packet[:2], "big")
        start = end + 2 if qos else end
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            if len(packet) <= start or packet[start] > _ONE_BYTE_LENGTH:
                return super()._handle_publish()
            start += 1 + packet[start]
        if qos > _QOS1 or len(packet) < start or end == 2:
            return super()._handle_publish()
        topic = packet[2:end].decode(errors="replace")  # for the receiver to refuse, not to stumble over
        self._deliver(topic, bytes(packet[start:]), bool(command & _RETAIN))
        if qos:
            return self._send_puback(int.from_bytes(packet[end : end + 2], "big"))
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
        self._deliver(topic, bytes(message.payload), message.retain)
