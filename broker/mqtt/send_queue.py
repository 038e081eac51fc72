"""The send queue: messages wait in order until the broker accepts them, and again when they were not acknowledged."""

from time import monotonic
from typing import Final

from paho.mqtt.properties import Properties

from gridfleet.broker.mqtt.packet_codec import OutgoingMessage, PublishProperties
from gridfleet.broker.mqtt.paho_client import PahoClient

MAX_UNACKNOWLEDGED: Final = 30_000
"""The most unacknowledged messages of QoS 1 and 2 at once; packet ids end at 65 535."""


class SendQueue:
    """Sends through a client, never more unacknowledged messages at once than the broker accepts."""

    __slots__ = ("_client", "_default_properties", "_queued", "_receive_maximum", "_schema")

    def __init__(self, client: PahoClient, *, mqtt5: bool, schema: bytes) -> None:
        """`mqtt5` says whether messages may state their schema and expiry; MQTT 3.1.1 has no properties."""
        self._client = client
        self._schema = schema
        self._default_properties = PublishProperties(schema) if mqtt5 else None
        self._queued: list[OutgoingMessage] = []
        self._receive_maximum = 0

    def set_version(self, *, mqtt5: bool) -> None:
        """Give messages properties from now on, or none; those of queued ones are left out where there are none."""
        self._default_properties = PublishProperties(self._schema) if mqtt5 else None

    @property
    def all_acknowledged(self) -> bool:
        """Whether the broker has acknowledged all messages of QoS 1 and 2."""
        return not self._queued and not self._client.unacknowledged

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool,
        expiry_s: float | None,
        supersedes: bool = False,
    ) -> bool:
        """Send or queue a message; return False when it was dropped, as QoS 0 is without a connection.

        One that `supersedes` replaces queued messages of the same topic.
        """
        if supersedes and self._queued:
            self._queued = [queued for queued in self._queued if queued.topic != topic]
        properties: Properties | None = self._default_properties
        if expiry_s is not None and properties is not None:
            properties = PublishProperties(self._schema, monotonic() + expiry_s)
        message = OutgoingMessage(topic, payload, qos, retain, properties)
        if qos == 0:
            if not self._receive_maximum:
                return False
            self._client.send(message)
        elif self._client.unacknowledged < self._receive_maximum and not self._queued:
            self._client.send(message)
        else:
            self._queued.append(message)
        return True

    def connected(self, receive_maximum: int) -> None:
        """Begin to send; at most `receive_maximum` messages of QoS 1 and 2 may be unacknowledged at once."""
        self._receive_maximum = min(receive_maximum, MAX_UNACKNOWLEDGED)
        self.send_queued()

    def disconnected(self) -> None:
        """Keep the messages that the broker has not acknowledged, to send them first after reconnecting."""
        self._receive_maximum = 0
        self._queued[:0] = self._client.take_unacknowledged()

    def send_queued(self) -> None:
        """Send queued messages as far as the broker accepts more, except those that have expired."""
        queued, client = self._queued, self._client
        done = 0
        while done < len(queued) and client.unacknowledged < self._receive_maximum:
            message = queued[done]
            done += 1
            properties = message.properties
            deadline_s = properties.deadline_s if isinstance(properties, PublishProperties) else None
            if deadline_s is None or deadline_s > monotonic():
                client.send(message)
        del queued[:done]

    def clear(self) -> None:
        """Forget all messages."""
        self._receive_maximum = 0
        self._queued.clear()
