"""The channels that share one connection, and which of them receives a message (multiplexing)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.topics import ALL, scope_matches


class ChannelOwner(Protocol):
    """What a channel needs of the connection that it shares."""

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        ...

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: float | None) -> bool:
        """Publish a message of a channel."""
        ...

    def remove(self, channel: "SharedChannel") -> None:
        """Forget a closed channel."""
        ...

    def drop(self, reason: str, *, offline_s: float) -> None:
        """Give up the connection without a DISCONNECT; reconnect after that many seconds."""
        ...


class SharedChannel:
    """A device's share of a connection."""

    __slots__ = ("_owner", "cell", "client_id", "closed", "on_message", "on_online", "on_problem")

    def __init__(
        self,
        owner: ChannelOwner,
        client_id: str,
        cell: str,
        on_message: Callable[[str, bytes, bool], None],
        on_online: Callable[[], None] | None,
        on_problem: Callable[[str, str], None] | None,
    ) -> None:
        self._owner = owner
        self.client_id = client_id
        self.cell = cell
        self.on_message = on_message
        self.on_online = on_online
        self.on_problem = on_problem
        self.closed = False
        """Whether it is closed for good."""

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        return not self.closed and self._owner.online

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: float | None = None,
        supersedes: bool = False,  # noqa: ARG002 - no message of a device supersedes another
    ) -> bool:
        """Publish a message; it is sent at the end of the loop's turn. Raises BrokerError after close."""
        if self.closed:
            raise BrokerError(f"the channel of {self.client_id} is closed: open a new one")
        return self._owner.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    def drop(self, reason: str, *, offline_s: float = 0.0) -> None:
        """Give up the shared connection, and with it every channel, for that many seconds."""
        self._owner.drop(reason, offline_s=offline_s)

    def close(self) -> None:
        """Close the channel; the connection ends with the last one."""
        if not self.closed:
            self.closed = True
            self._owner.remove(self)


@dataclass(frozen=True, slots=True)
class Subscription:
    """The messages that a channel receives: a message type, and a scope whose levels may be `+`."""

    message_type: str
    scope: str

    @classmethod
    def from_filter(cls, topic_filter: str) -> "Subscription":
        """Return the subscription of a topic filter, for any sender."""
        _, _, message_type, *scope, _ = topic_filter.split("/")
        return cls(message_type, "/".join(scope))


class SharedChannels:
    """The channels of a connection, by client id and by what they receive."""

    def __init__(self) -> None:
        self._by_id: dict[str, SharedChannel] = {}
        self._exact: dict[tuple[str, str], list[SharedChannel]] = {}
        self._with_wildcard: list[tuple[Subscription, SharedChannel]] = []
        self._receivers: dict[tuple[str, str], tuple[SharedChannel, ...]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[SharedChannel]:
        return iter(list(self._by_id.values()))

    def get(self, client_id: str) -> SharedChannel | None:
        """Return a channel by its client id."""
        return self._by_id.get(client_id)

    def add(self, channel: SharedChannel) -> None:
        """Take in a channel."""
        self._by_id[channel.client_id] = channel

    def remove(self, channel: SharedChannel) -> None:
        """Forget a closed channel."""
        del self._by_id[channel.client_id]
        self._receivers.clear()

    def subscribe(self, channel: SharedChannel, subscription: Subscription) -> None:
        """Add a subscription of a channel."""
        if ALL in subscription.scope:
            self._with_wildcard.append((subscription, channel))
        else:
            key = subscription.message_type, subscription.scope
            self._exact.setdefault(key, []).append(channel)
        self._receivers.clear()

    def receivers(self, message_type: str, scope: str) -> tuple[SharedChannel, ...]:
        """Return the channels that receive a message type in a scope."""
        key = message_type, scope
        found = self._receivers.get(key)
        if found is None:
            matching = [
                channel
                for subscription, channel in self._with_wildcard
                if subscription.message_type == message_type and scope_matches(subscription.scope, scope)
            ]
            channels = (*self._exact.get(key, ()), *matching)
            found = self._receivers[key] = tuple(each for each in channels if not each.closed)
        return found
