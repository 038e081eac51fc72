"""What a client says and the broker has not taken yet: kept in order, sent when it can be."""

from time import monotonic
from typing import Final

from paho.mqtt.properties import Properties

from gridfleet.broker.mqtt.packet_codec import OutgoingMessage, PahoClient, PublishProperties

MOST_UNACKNOWLEDGED: Final = 30_000
"""Most messages of QoS 1 and 2 on their way at once; packet identifiers end at 65 535."""


class SendQueue:
    """Sends through a client, never more unacknowledged messages at once than the broker takes."""

    __slots__ = ("_client", "_held", "_quota", "_schema", "_stated")

    def __init__(self, client: PahoClient, *, states: bool, schema: bytes) -> None:
        """`states` says whether messages may state their schema and expiry, which MQTT 3.1.1 does not know."""
        self._client = client
        self._schema = schema
        self._stated = PublishProperties(schema) if states else None
        self._held: list[OutgoingMessage] = []
        self._quota = 0

    @property
    def taken(self) -> bool:
        """Whether the broker has answered for all messages of QoS 1 and 2."""
        return not self._held and not self._client.unacknowledged

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
        """Send or keep a message; return False when it was dropped, as QoS 0 is without a connection.

        One that `supersedes` replaces what is kept of the same topic.
        """
        if supersedes and self._held:
            self._held = [held for held in self._held if held.topic != topic]
        properties: Properties | None = self._stated
        if expiry_s is not None and properties is not None:
            properties = PublishProperties(self._schema, monotonic() + expiry_s)
        said = OutgoingMessage(topic, payload, qos, retain, properties)
        if qos == 0:
            if not self._quota:
                return False
            self._client.say(said)
        elif self._client.unacknowledged < self._quota and not self._held:
            self._client.say(said)
        else:
            self._held.append(said)
        return True

    def connected(self, quota: int) -> None:
        """Begin to send; `quota` messages of QoS 1 and 2 may be unacknowledged at once."""
        self._quota = min(quota, MOST_UNACKNOWLEDGED)
        self.release()

    def disconnected(self) -> None:
        """Take back what the broker has not answered for, to be sent again first."""
        self._quota = 0
        self._held[:0] = self._client.take_back()

    def release(self) -> None:
        """Send what is held as far as the quota goes, without what has expired meanwhile."""
        held, client = self._held, self._client
        done = 0
        while done < len(held) and client.unacknowledged < self._quota:
            said = held[done]
            done += 1
            deadline_s = (
                said.properties.deadline_s if isinstance(said.properties, PublishProperties) else None
            )
            if deadline_s is None or deadline_s > monotonic():
                client.say(said)
        del held[:done]

    def clear(self) -> None:
        """Forget everything."""
        self._quota = 0
        self._held.clear()
