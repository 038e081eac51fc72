"""The only file that uses private names of paho-mqtt: a paho client on our own transport, fast for QoS 0 and 1.

paho connects, subscribes, pings and disconnects, and handles QoS 2. This class reads and writes messages of QoS 0 and
1 and their acknowledgements, which are nearly all traffic: paho reads a packet in three steps, builds tables of
properties and reasons for each, and locks each message although one thread needs no locks.

`tests/broker/test_paho_contract.py` checks that every name in PRIVATE_NAMES exists and does what is expected here.
"""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client_options import Will
from gridfleet.broker.mqtt.network.transport import Transport
from gridfleet.broker.mqtt.packet_codec import (
    DUP,
    FAILURE,
    PACKET_TYPE,
    PUBACK,
    PUBLISH,
    RETAIN,
    OutgoingMessage,
    SessionExpiry,
    decode_publish,
    encode_puback,
    encode_publish,
    schema_matches,
    schema_property,
)

PRIVATE_NAMES: Final = {
    "_clean_session": "whether MQTT 3.1.1 begins a new session",
    "_create_socket": "called by reconnect(); overridden to return our transport",
    "_in_packet": "where _packet_handle expects the packet",
    "_last_bytes_received": "when something was received last; decides whether a ping is due",
    "_last_msg_out": "when something was sent last; decides whether a ping is due",
    "_loop_rc_handle": "closes the socket after an error and calls on_disconnect",
    "_mid_generate": "returns the next packet id",
    "_out_messages": "messages of QoS 2 that are not acknowledged",
    "_packet_handle": "handles the packet in _in_packet",
    "_packet_read": "reads a packet from the socket; overridden to read from our transport",
    "_protocol": "the MQTT version of the next CONNECT",
    "_sock": "the socket; None when there is no connection",
    "_topic": "of a message: the topic as bytes; `topic` raises for bytes that are not UTF-8",
}
"""What is used of paho's private names, and for what."""

CONNACK: Final = 0x20
OLD_CONNACK: Final = 2
"""The length of a CONNACK before MQTT 5, which has no properties."""
WRONG_VERSION: Final = 1
"""The return code of such a CONNACK for a version that the broker does not speak."""

OnDelivery = Callable[[str, bytes | None, bool, int, bool], None]
"""Takes topic, payload, retained, packet id and DUP; a message without a payload is only to be acknowledged."""


class PahoClient(Client):
    """A paho client that gets its transport from `connector` and passes its messages to `deliver`."""

    def __init__(  # noqa: PLR0913 - one for each event
        self,
        client_id: str,
        *,
        version: int,
        connector: Callable[[], Transport],
        deliver: Callable[[str, bytes, bool], None],
        on_denied: Callable[[str], None],
        on_schema_mismatch: Callable[[str], object],
        on_unsent: Callable[[], object],
        on_other_version: Callable[[], object],
        schema: bytes,
        deliver_unacknowledged: OnDelivery | None = None,
    ) -> None:
        """`deliver` gets topic, payload and retained; `on_denied` the topic of a publication that was not allowed.

        `on_schema_mismatch` gets the topic of a message that states another schema version. `on_unsent` is called
        when there is something to write again. Where `deliver_unacknowledged` is given, it gets the messages instead
        of `deliver`, and `acknowledge` acknowledges them. `on_other_version` is called when a broker answers CONNECT in
        an older version.
        """
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
        )
        self.max_inflight_messages_set(0)  # the send queue limits unacknowledged messages
        self._is_mqtt5 = version == 5
        self._connector = connector
        self._deliver = deliver
        self._on_denied = on_denied
        self._on_schema_mismatch = on_schema_mismatch
        self._on_unsent = on_unsent
        self._on_other_version = on_other_version
        self._configuration: tuple[BrokerAddress, int, int] | None = None
        self._deliver_unacknowledged = deliver_unacknowledged
        self.manual_ack_set(deliver_unacknowledged is not None)
        self._schema = schema
        self._unacknowledged: dict[int, OutgoingMessage] = {}
        self._own_transport: Transport
        self.on_message = self._on_paho_message

    @property
    def unacknowledged(self) -> int:
        """The number of sent messages of QoS 1 and 2 that the broker has not acknowledged."""
        return len(self._unacknowledged) + len(self._out_messages)

    def send(self, message: OutgoingMessage) -> None:
        """Send a message; raise ValueError for a topic that is not allowed. The connection must be accepted."""
        if message.qos > 1:
            self.publish(*message)
            return
        packet_id = 0
        if message.qos:
            packet_id = self._mid_generate()
            while packet_id in self._unacknowledged:
                packet_id = self._mid_generate()
        packet = encode_publish(message, packet_id, mqtt5=self._is_mqtt5)
        if message.qos:
            self._unacknowledged[packet_id] = message
        transport = self._own_transport
        if not transport.unsent:
            self._on_unsent()
        transport.send(packet)
        self._last_msg_out = monotonic()

    def take_unacknowledged(self) -> list[OutgoingMessage]:
        """Return the messages that the broker has not acknowledged, in order, and forget them."""
        messages = [*self._unacknowledged.values()]
        self._unacknowledged.clear()
        rest = [
            OutgoingMessage(
                message.topic, bytes(message.payload), message.qos, message.retain, message.properties
            )
            for message in self.drop_out_messages()
        ]
        return messages + rest

    def loop_read(self, max_packets: int = 0) -> MQTTErrorCode:  # noqa: ARG002 - paho's signature
        """Handle all packets that have been read."""
        while self._sock is not None:
            code = self._packet_read()
            if code == MQTTErrorCode.MQTT_ERR_AGAIN:
                break
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._loop_rc_handle(code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def configure(
        self, address: BrokerAddress, will: Will | None, keepalive_s: int, session_s: int = 0
    ) -> None:
        """Set the fields of CONNECT; `reconnect()` then begins a connection.

        The first connection starts a new session, unless messages are acknowledged by hand. Later ones resume the
        session if it was lost at most `session_s` seconds ago.
        """
        if address.username is not None:
            self.username_pw_set(address.username, address.password)
        if will is not None:
            self.will_set(*will)
        self._configuration = address, keepalive_s, session_s
        if self._is_mqtt5:
            expiry = SessionExpiry(PacketTypes.CONNECT, session_s)
            first = MQTT_CLEAN_START_FIRST_ONLY if self._deliver_unacknowledged is None else False
            clean = first if session_s else True
            self.connect_async(address.host, address.port, keepalive_s, clean_start=clean, properties=expiry)
        else:
            self._clean_session = self._deliver_unacknowledged is None
            self.connect_async(address.host, address.port, keepalive_s)

    def set_version(self, version: int) -> None:
        """Speak another MQTT version from the next connection on: 5, or 4 for 3.1.1."""
        if self._is_mqtt5 == (version == MQTTProtocolVersion.MQTTv5) or self._configuration is None:
            return
        self._is_mqtt5 = version == MQTTProtocolVersion.MQTTv5
        self._protocol = MQTTProtocolVersion(version)
        address, keepalive_s, session_s = self._configuration
        self.configure(address, None, keepalive_s, session_s)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge messages of QoS 1, in order."""
        for packet_id in packet_ids:
            self._own_transport.send(encode_puback(packet_id.to_bytes(2, "big")))

    def disconnect_for_good(self) -> None:
        """Send DISCONNECT; the broker may delete the session, unless messages are acknowledged by hand."""
        if not self._is_mqtt5 or self._deliver_unacknowledged is not None:
            self.disconnect()
            return
        self.disconnect(properties=SessionExpiry(PacketTypes.DISCONNECT, 0))

    def handle_publish(self, first_byte: int, body: bytes) -> bool:
        """Deliver a message of QoS 0 or 1 and acknowledge it; return False for one that paho must decode."""
        message = decode_publish(first_byte, body, mqtt5=self._is_mqtt5)
        if message is None:
            return False
        topic, payload, packet_id, properties = message
        matches = not properties or schema_matches(properties, self._schema)
        if not matches:
            self._on_schema_mismatch(topic)
        if self._deliver_unacknowledged is not None:
            number = int.from_bytes(packet_id, "big")
            # a message of another schema is acknowledged in its turn, too
            self._deliver_unacknowledged(
                topic, payload if matches else None, bool(first_byte & RETAIN), number, bool(first_byte & DUP)
            )
            return True
        if matches:
            self._deliver(topic, payload, bool(first_byte & RETAIN))
        if packet_id:
            self._own_transport.send(encode_puback(packet_id))
        return True

    def _create_socket(self) -> Transport:  # type: ignore[override]  # paho does not read from it
        self._own_transport = self._connector()
        return self._own_transport

    def _packet_read(self) -> MQTTErrorCode:
        transport = self._own_transport
        try:
            packet = transport.next_packet()
        except ValueError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if packet is None:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST if transport.eof else MQTTErrorCode.MQTT_ERR_AGAIN
        self._last_bytes_received = monotonic()
        first_byte, body = packet
        packet_type = first_byte & PACKET_TYPE
        if packet_type == PUBLISH and self.handle_publish(first_byte, body):
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if packet_type == PUBACK and len(body) >= 2:
            message = self._unacknowledged.pop(int.from_bytes(body[:2], "big"), None)
            if message is not None and len(body) > 2 and body[2] >= FAILURE:
                self._on_denied(message.topic)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return self._handle_other_packet(first_byte, body)

    def _handle_other_packet(self, first_byte: int, body: bytes) -> MQTTErrorCode:
        """Let paho handle a packet that is no PUBLISH or PUBACK of QoS 0 or 1."""
        is_old = first_byte & PACKET_TYPE == CONNACK and len(body) == OLD_CONNACK
        if is_old and (self._is_mqtt5 or body[1] == WRONG_VERSION):
            self._on_other_version()
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._in_packet["command"] = first_byte
        self._in_packet["remaining_length"] = len(body)
        self._in_packet["packet"] = bytearray(body)
        try:
            return self._packet_handle()
        except MalformedPacket:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _on_paho_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        topic = message._topic.decode(errors="replace")  # noqa: SLF001 - see PRIVATE_NAMES
        matches = all(schema_property(value) == self._schema for value in _versions(message))
        if not matches:
            self._on_schema_mismatch(topic)
        if self._deliver_unacknowledged is not None:
            payload = bytes(message.payload) if matches else None
            self._deliver_unacknowledged(topic, payload, message.retain, message.mid, message.dup)
        elif matches:
            self._deliver(topic, bytes(message.payload), message.retain)


def _versions(message: MQTTMessage) -> list[str]:
    """Return the schema versions that a message states; it should state one at most."""
    stated = getattr(message.properties, "UserProperty", ())
    return [value[:64] for key, value in stated if key == "schema"]
