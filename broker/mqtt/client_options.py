"""The options of a client: last will, login, session; `MqttLoop.open` explains each."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.messages import Verify

SESSION_S: Final = 60
"""How long the broker keeps messages for an agent whose connection is lost, in seconds."""


class Will(NamedTuple):
    """The last will: what the broker publishes when the connection is lost without a DISCONNECT."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Login:
    """User name, password and TLS context of a client; its repr never shows the password.

    Without a user name, that of the broker's address is used.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    renew: "Callable[[], Login] | None" = field(default=None, repr=False, compare=False)
    """Reads the login again, for secrets that were replaced; raises BrokerError where it cannot."""
    verify: Verify | None = field(default=None, repr=False, compare=False)
    """Checks what the site's CA has signed; None at a site without a CA."""


NO_LOGIN: Final = Login()


@dataclass(frozen=True, slots=True)
class PersistentSession:
    """A session that outlives its process: the broker keeps messages meanwhile and delivers them to the next one.

    Only `Connection.acknowledge` acknowledges delivered messages, once they are stored. The broker delivers others
    again, before new ones. `already_stored(topic, payload)` returns whether such a message was stored after all.
    """

    already_stored: Callable[[str, bytes], bool]


class Credentials(Protocol):
    """Gives each client of a site its login, and checks what the site has signed."""

    @property
    def verify(self) -> Verify | None:
        """Checks what the site's CA has signed; None at a site without a CA."""
        ...

    def login(self, client_id: str) -> Login:
        """Return a client's login; raise BrokerError where there is none."""
        ...


class _AddressCredentials:
    """Every client logs in with the user name and password of the broker's address, if it has any."""

    verify = None

    def login(self, client_id: str) -> Login:  # noqa: ARG002 - the protocol's signature
        """Return a login without a user name."""
        return NO_LOGIN


ADDRESS_CREDENTIALS: Final[Credentials] = _AddressCredentials()


@dataclass(slots=True)
class ClientOptions:
    """What a client has asked of its connection; the filters (topic filter and QoS) may change later."""

    address: BrokerAddress
    tls: ssl.SSLContext | None
    on_message: Callable[[str, bytes, bool], None]
    on_online: Callable[[], None] | None
    on_problem: Callable[[str, str], None] | None
    session_s: int
    will: Will | None
    filters: list[tuple[str, int]]
    persistent_session: PersistentSession | None = None
    renew_login: Callable[[], Login] | None = None

    def renew(self) -> bool:
        """Read the login again; return whether it has changed."""
        if self.renew_login is None:
            return False
        try:
            new = self.renew_login()
        except BrokerError:
            return False  # the files are being replaced
        address = self.address.with_login(new.username, new.password)
        changed = address != self.address or new.tls is not self.tls
        self.address, self.tls = address, new.tls
        return changed

    def report_problem(self, reason: str, topic: str) -> bool:
        """Call `on_problem`; return False when there is none."""
        if self.on_problem is None:
            return False
        self.on_problem(reason, topic)
        return True
