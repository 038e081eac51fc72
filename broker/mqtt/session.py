"""The client's side of a persistent session: which messages are unacknowledged, and which are delivered again."""

from gridfleet.broker.mqtt.client_options import PersistentSession


class Session:
    """Tracks what a persistent session has delivered to one connection."""

    __slots__ = ("_options", "_resuming", "resumed", "unacknowledged")

    def __init__(self, options: PersistentSession) -> None:
        self.unacknowledged: list[int] = []
        """Packet ids of delivered messages that are not acknowledged, in order."""
        self.resumed = False
        """Whether the broker resumed an earlier session when it accepted the connection last."""
        self._options = options
        self._resuming = False

    def begin(self, *, resumed: bool) -> None:
        """Take note of a CONNACK and its flag *session present*."""
        self.resumed = self._resuming = resumed

    def is_new(
        self,
        topic: str,
        payload: bytes | None,
        retained: bool,  # noqa: FBT001 - a hot path
        packet_id: int,
        duplicate: bool,  # noqa: FBT001 - a hot path
    ) -> bool:
        """Take note of a delivered message; return whether it was not stored before.

        What the broker delivers again comes before anything new, and has the DUP flag; rumqttd does not set it. A
        message without a payload is only acknowledged.
        """
        if packet_id:
            self.unacknowledged.append(packet_id)
        if payload is None:
            return False
        duplicate |= self._resuming and not retained
        if duplicate and self._options.already_stored(topic, payload):
            return False
        self._resuming &= retained
        return True

    def take_unacknowledged(self) -> list[int]:
        """Return the packet ids to acknowledge now, in order."""
        packet_ids, self.unacknowledged = self.unacknowledged, []
        return packet_ids

    def lost(self) -> None:
        """Take note of a lost connection: the broker will deliver unacknowledged messages again."""
        self.unacknowledged.clear()
