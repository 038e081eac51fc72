"""Those who share a connection, and which of them hears what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.topics import ALL


class ChannelOwner(Protocol):
    """What a member needs of the connection that it shares."""

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        ...

    def publish(self, text: str, payload: bytes, *, qos: int, retain: bool, expiry_s: float | None) -> bool:
        """Say something for a member."""
        ...

    def leave(self, member: "SharedChannel") -> None:
        """Forget a member."""
        ...

    def drop(self, trouble: str, *, away_s: float) -> None:
        """Give up the connection for so long, without a good-bye."""
        ...


class SharedChannel:
    """A device's part in a shared connection."""

    __slots__ = ("_shared", "cell", "closed", "name", "on_message", "on_online", "on_trouble")

    def __init__(
        self,
        shared: ChannelOwner,
        name: str,
        cell: str,
        on_message: Callable[[str, bytes, bool], None],
        on_online: Callable[[], None] | None,
        on_trouble: Callable[[str, str], None] | None,
    ) -> None:
        self._shared = shared
        self.name = name
        self.cell = cell
        self.on_message = on_message
        self.on_online = on_online
        self.on_trouble = on_trouble
        self.closed = False
        """Whether it has parted."""

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        return not self.closed and self._shared.online

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: float | None = None,
        supersedes: bool = False,  # noqa: ARG002 - nothing that devices say does
    ) -> bool:
        """Say something; it leaves at the end of the turn. Raises BrokerError after close."""
        if self.closed:
            raise BrokerError(f"the line of {self.name} is closed: open a new one")
        return self._shared.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    def drop(self, trouble: str, *, away_s: float = 0.0) -> None:
        """Give up the connection that is shared, and with it everybody's part, for so long."""
        self._shared.drop(trouble, away_s=away_s)

    def close(self) -> None:
        """Part; the connection ends with its last device."""
        if not self.closed:
            self.closed = True
            self._shared.leave(self)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which messages a device hears: a word, and a scope of which levels may be '+'."""

    word: str
    scope: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Subscription":
        """Return what a filter asks for, of any sender."""
        _, _, word, *scope, _ = text.split("/")
        return cls(word, tuple(scope))

    def takes(self, scope: str) -> bool:
        """Tell whether it asks for a scope."""
        levels = scope.split("/") if scope else []
        return len(levels) == len(self.scope) and all(
            asked in {ALL, level} for asked, level in zip(self.scope, levels, strict=True)
        )


class SharedChannels:
    """The members by name, and by what they hear."""

    def __init__(self) -> None:
        self._by_name: dict[str, SharedChannel] = {}
        self._exact: dict[tuple[str, str], list[SharedChannel]] = {}
        self._wide: list[tuple[Subscription, SharedChannel]] = []
        self._receivers: dict[tuple[str, str], tuple[SharedChannel, ...]] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[SharedChannel]:
        return iter(list(self._by_name.values()))

    def get(self, name: str) -> SharedChannel | None:
        """Return a member by its name."""
        return self._by_name.get(name)

    def add(self, member: SharedChannel) -> None:
        """Take in a member."""
        self._by_name[member.name] = member

    def remove(self, member: SharedChannel) -> None:
        """Forget a member that has closed its line."""
        del self._by_name[member.name]
        self._receivers.clear()

    def subscribe(self, member: SharedChannel, asked: Subscription) -> None:
        """Note what a member wants to hear."""
        if ALL in asked.scope:
            self._wide.append((asked, member))
        else:
            self._exact.setdefault((asked.word, "/".join(asked.scope)), []).append(member)
        self._receivers.clear()

    def hearing(self, word: str, scope: str) -> tuple[SharedChannel, ...]:
        """Return who hears a word in a scope."""
        key = word, scope
        found = self._receivers.get(key)
        if found is None:
            wide = [member for asked, member in self._wide if asked.word == word and asked.takes(scope)]
            all_ = (*self._exact.get(key, ()), *wide)
            found = self._receivers[key] = tuple(member for member in all_ if not member.closed)
        return found
