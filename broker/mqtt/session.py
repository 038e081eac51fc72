"""The inbox of a client, and its persistent session: which messages are unacknowledged or duplicates."""

from collections.abc import Callable
from typing import Any

from gridfleet.broker.mqtt.client_options import ClientOptions, PersistentSession


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

        The broker delivers unacknowledged messages again before new ones, with the DUP flag; rumqttd does not set
        it. A message without a payload is only acknowledged.
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


class Inbox:
    """Received messages, and the moments at which the connection came online, in order, until they are dispatched."""

    __slots__ = ("_closed", "_items", "_options", "session")

    def __init__(self, options: ClientOptions) -> None:
        persistent = options.persistent_session
        self.session = None if persistent is None else Session(persistent)
        self._items: list[tuple[Any, ...] | None] = []  # None: came online
        self._options = options
        self._closed = False

    def add(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - a hot path
        """Take a message that is acknowledged already."""
        if not self._closed:
            self._items.append((topic, payload, retained))

    def add_unacknowledged(
        self,
        topic: str,
        payload: bytes | None,
        retained: bool,  # noqa: FBT001 - a hot path
        packet_id: int,
        duplicate: bool,  # noqa: FBT001 - a hot path
    ) -> None:
        """Take a message of a persistent session."""
        if not self._closed:
            self._items.append((topic, payload, retained, packet_id, duplicate))

    def add_online(self) -> None:
        """Take note that the connection came online."""
        if not self._closed:
            self._items.append(None)

    def close(self) -> None:
        """Discard everything that is not dispatched yet, and everything that is added from now on."""
        self._closed = True
        self._items.clear()

    def connection_lost(self) -> None:
        """Forget what a persistent session has not acknowledged: the broker will deliver it again."""
        if self.session is not None:
            self.session.lost()
            self._items.clear()

    def dispatch(self, is_online: Callable[[], bool]) -> None:
        """Call the client's callbacks; an exception of one leaves the rest for the next call.

        `on_online` is not called when the connection was lost again meanwhile.
        """
        items, options, session = self._items, self._options, self.session
        done = 0
        try:
            while done < len(items):
                item = items[done]
                done += 1
                if item is None:
                    if options.on_online is not None and is_online():
                        options.on_online()
                elif session is None or session.is_new(*item):
                    options.on_message(*item[:3])
        finally:
            del items[:done]
