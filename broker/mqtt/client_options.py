"""What a client asks of its connection; `MqttLoop.open` explains each."""

import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.event_loop import Timer

SESSION_S: Final = 60
"""How long the broker keeps messages for an agent's connection that is lost, in seconds."""


class Will(NamedTuple):
    """What the broker publishes when the connection is lost without a good-bye."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Login:
    """How one client makes itself known; its text never shows the password. Without a name, as the address says."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


NO_LOGIN: Final = Login()


@dataclass(frozen=True, slots=True)
class PersistentSession:
    """A session that outlives its process: what is said meanwhile, the broker keeps and delivers to the next one.

    What has been delivered is acknowledged by `Connection.acknowledge` alone, when it is safe; what was not, the
    broker delivers again, marked so or before anything else. `known` tells whether such a message had been kept all
    the same.
    """

    known: Callable[[str, bytes], bool]


class Credentials(Protocol):
    """Knows how each client of a site logs in."""

    def login(self, client_id: str) -> Login:
        """Return a client's login; raise BrokerError where there is none."""
        ...


class _Anybody:
    """Everybody logs in as the broker's address says, or not at all."""

    def login(self, client_id: str) -> Login:  # noqa: ARG002 - the protocol's signature
        """Return a login without a name."""
        return NO_LOGIN


ADDRESS_CREDENTIALS: Final[Credentials] = _Anybody()


class Channel(Protocol):
    """A client's way to the broker and back: a connection of its own, or a part in one."""

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it has ended for good."""
        ...

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: float | None = None,
        supersedes: bool = False,
    ) -> bool:
        """Say something; return False when it was dropped."""
        ...

    def drop(self, trouble: str, *, away_s: float = 0.0) -> None:
        """Lose the connection, without a good-bye, and come back after so long."""
        ...

    def close(self) -> None:
        """Part, when all that was published is said."""
        ...


class ChannelFactory(Protocol):
    """Where clients get their lines from; `MqttLoop.open` explains the arguments."""

    @property
    def via(self) -> str | None:
        """The host through whose connection they speak; None for connections of their own."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing that has arrived waits to be handled."""
        ...

    def open(  # noqa: PLR0913 - as many as MQTT lets a client say
        self,
        client_id: str,
        *,
        on_message: Callable[[str, bytes, bool], None],
        filters: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        on_online: Callable[[], None] | None = None,
        on_trouble: Callable[[str, str], None] | None = None,
        session_s: int = 0,
        login: Login = NO_LOGIN,
        rng: random.Random | None = None,
    ) -> Channel:
        """Return a line that comes online while the loop runs."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Have the call made after that many seconds, while the loop runs."""
        ...


@dataclass(slots=True)
class ClientOptions:
    """The filters are pairs of topic filter and QoS; more may be added later."""

    address: BrokerAddress
    tls: ssl.SSLContext | None
    on_message: Callable[[str, bytes, bool], None]
    on_online: Callable[[], None] | None
    on_trouble: Callable[[str, str], None] | None
    session_s: int
    will: Will | None
    filters: list[tuple[str, int]]
    lasting: PersistentSession | None = None

    def tell(self, reason: str, topic: str) -> bool:
        """Tell of a message that did not get through; return whether anybody wanted to know."""
        if self.on_trouble is None:
            return False
        self.on_trouble(reason, topic)
        return True
