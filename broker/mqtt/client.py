"""Many MQTT clients in one thread: paho-mqtt clients on one epoll.

with MqttLoop(BrokerAddress.parse("mqtt://localhost")) as loop:
    house = loop.open("house-1", on_message=print, filters=[("gridfleet/home/tick/+", 1)])
    loop.wait_online(5.0)
    house.publish("gridfleet/home/ready/house-1", b"{}", qos=1)
    loop.run_until(lambda: False, timeout_s=60.0)
"""

import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Final, Literal, Protocol

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client_options import NO_LOGIN, ClientOptions, Login, PersistentSession, Will
from gridfleet.broker.mqtt.connection import CLOSE_S, Connection
from gridfleet.broker.mqtt.event_loop import EventLoop, Timer
from gridfleet.broker.mqtt.packet_codec import schema_property
from gridfleet.broker.mqtt.transport import SocketAddress

__all__ = ["BrokerAddress", "BrokerError", "Connection", "Login", "MqttLoop", "Timer", "Will"]

MOST_DIALLING: Final = 50
"""Connections that may wait for the broker's answer at the same time: more would only storm it."""
DIAL_S: Final = 10.0
"""How long a broker may take from the first packet of TCP to CONNACK, in seconds."""
LONGEST_WAIT_S: Final = 30.0
"""Longest wait before dialling again, in seconds."""
KEEPALIVE_S: Final = 60
RESOLVED_S: Final = 10.0
"""How long a host is known by the addresses that were looked up, in seconds."""

_log = logging.getLogger(__name__)


class Writes(Protocol):
    """Keeps what is said until the loop has it written."""

    def write(self) -> None:
        """Hand on what has been kept."""


class MqttLoop(EventLoop):
    """Context manager: clients of one broker and the timers beside them, all in the thread that runs it."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        tls: ssl.SSLContext | None = None,
        keepalive_s: int = KEEPALIVE_S,
        version: Literal[4, 5] = 5,
        retry_refused: bool = False,
        schema: str = "",
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        """Connect nothing yet. `version` is 5 for MQTT 5 and 4 for 3.1.1, keep-alive at least 30 s.

        A lost connection is dialled again after waits that grow up to `longest_wait_s`. Where all were lost, the
        first that gets through has the others follow at once.

        `schema` is the version of all that is said, stated with every message of MQTT 5; messages that state
        another are not delivered.

        A refusal that trying again does not mend is raised as BrokerError out of `run_until`, and ends the
        connection it met; with `retry_refused` it is logged, and tried again like any other failure.
        """
        super().__init__()
        if keepalive_s < 30:
            raise BrokerError(f"a keep-alive of {keepalive_s} s is too short: 30 s are the least")
        self.keepalive_s = keepalive_s
        self.version = version
        self.schema = schema_property(schema)
        self.longest_wait_s = longest_wait_s
        self.connections: set[Connection] = set()
        """All that were opened and have not ended."""
        self._address = address
        self._tls = tls
        self._retry_refused = retry_refused
        self._marked: list[Writes] = []
        self._to_dial: deque[Connection] = deque()
        self._dialling: dict[Connection, Timer] = {}
        self._waiting: dict[Connection, Timer] = {}
        self._addresses: dict[tuple[str, int], tuple[list[SocketAddress], float]] = {}
        """What hosts are known by, and until when; all connections of a burst share one look-up."""
        self._failure: BrokerError | None = None
        self._offline: set[Connection] = set()
        self.call_later(keepalive_s / 4, self._keep_alive)

    @property
    def via(self) -> None:
        """No host: every client has a connection of its own."""
        return None

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
        lasting: PersistentSession | None = None,
        login: Login = NO_LOGIN,
        rng: random.Random | None = None,
    ) -> Connection:
        """Return a connection that comes online while the loop runs, and comes back whenever it is lost.

        `on_message` gets topic, payload and whether it was retained; `filters` are pairs of topic filter and
        QoS; `on_online` is called whenever the broker has accepted all of them, before any message that comes
        after. A `login` without a name is the address's. `rng` spreads reconnections. Exceptions of callbacks come
        out of `run_until`. Raises BrokerError after close.

        `on_trouble` gets a reason and a topic: `taken over` and the client id when another client came with it,
        `version` for a message that states another schema, `denied` for
        one of ours that the broker does not let through, which else is a refusal that lasts. What is said while
        the connection is lost is delivered if it comes back within `session_s`. A `lasting` session (filters of QoS 1)
        is gone on with by the next process too, and what it is given is acknowledged by hand.
        """
        self._check_open()
        address = self._address
        tls = login.tls if address.tls else None
        if login.username is not None:
            address = replace(address, username=login.username, password=login.password)
        if tls is None and address.tls:
            self._tls = tls = self._tls or ssl.create_default_context()
        wishes = ClientOptions(
            address, tls, on_message, on_online, on_trouble, session_s, will, list(filters), lasting
        )
        connection = Connection(self, client_id, wishes, rng)
        self._offline.add(connection)
        self.connections.add(connection)
        self._to_dial.append(connection)
        return connection

    def wait_online(self, timeout_s: float) -> None:
        """Run until every connection is online; raise BrokerError with the reason when that takes longer."""
        if not self.run_until(lambda: self.all_online, timeout_s):
            raise BrokerError(self.trouble or "stopped before every connection was online")

    @property
    def all_online(self) -> bool:
        """Whether every connection is online."""
        return not self._offline

    @property
    def trouble(self) -> str:
        """What keeps connections from being online, in words; empty when all are."""
        if not self._offline:
            return ""
        first = min(self._offline, key=lambda each: each.client_id)
        return (
            f"{len(self._offline)} of {len(self.connections)} connections to {self._address} are not online; "
            f"{first.client_id}: {first.trouble}. Is a broker running there, and can this machine reach it?"
        )

    def close(self) -> None:
        """Say good-bye for every connection, wait until the broker has all that was published, and let go.

        Takes 5 s at most; callbacks and timers are not called any more. Closing twice is safe.
        """
        if self.closed:
            return
        self._timers.clear()
        self._failure = None
        self._retry_refused = True
        try:
            self.flush()  # while connections still take what was kept
            for connection in list(self.connections):
                connection.close()
            if not self.running:
                self.run_until(lambda: not self.connections, CLOSE_S)
        finally:
            for connection in list(self.connections):
                connection.end()
            super().close()

    # --- for connections ---

    def settle(self) -> None:
        """Write what is to be written, dial who is to be dialled, raise what is to be raised."""
        self.flush()
        while self._to_dial and len(self._dialling) < MOST_DIALLING:
            connection = self._to_dial.popleft()
            if not connection.closed:
                late = partial(connection.drop, "the broker took too long to answer")
                self._dialling[connection] = self.call_later(DIAL_S, late)
                connection.dial()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def flush(self) -> None:
        """Write what is to be written."""
        marked = self._marked
        while marked:
            self._marked = []
            for each in marked:
                each.write()
            marked = self._marked

    def mark(self, each: "Writes") -> None:
        """Have `each.write()` called before the loop waits again."""
        self._marked.append(each)

    def dialled(self, connection: Connection) -> None:
        """Note that an attempt to connect has come to its end, good or bad."""
        timer = self._dialling.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def dial_later(self, connection: Connection, delay_s: float) -> None:
        """Have another attempt made after that many seconds."""
        former = self._waiting.pop(connection, None)
        if former is not None:
            former.cancel()
        self._waiting[connection] = self.call_later(delay_s, lambda: self._dial(connection))

    def online(self, connection: Connection) -> None:
        """Note that a connection has come online; if it is the first, the broker is back and nobody waits longer."""
        first = len(self._offline) == len(self.connections)
        self._offline.discard(connection)
        if first:
            for each in [*self._waiting]:
                self._dial(each)

    def offline(self, connection: Connection) -> None:
        """Note that a connection is not online any more."""
        self._offline.add(connection)

    def gone(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self._offline.discard(connection)
        timer = self._waiting.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def refused(self, error: BrokerError) -> bool:
        """Take note of a refusal that lasts; return whether it is the end of the connection."""
        if self._retry_refused:
            _log.warning("%s", error)
        elif self._failure is None:
            self._failure = error
        return not self._retry_refused

    def resolve(self, address: BrokerAddress, attempt: int) -> SocketAddress:
        """Return the address to try, each of a host's in turn; raise OSError when the host is unknown."""
        key = (address.host, address.port)
        found, until_s = self._addresses.get(key, ([], 0.0))
        if monotonic() >= until_s:  # a broker that comes back may have moved
            try:
                answers = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
            except OSError:
                if not found:
                    raise
            else:
                found = [(family, where) for family, _, _, _, where in answers]
            self._addresses[key] = found, monotonic() + RESOLVED_S
        return found[attempt % len(found)]

    def _dial(self, connection: Connection) -> None:
        timer = self._waiting.pop(connection, None)
        if timer is not None:  # else it is dialled already
            timer.cancel()
            self._to_dial.append(connection)

    def _keep_alive(self) -> None:
        self.call_later(self.keepalive_s / 4, self._keep_alive)
        for connection in list(self.connections):
            connection.keep_alive()
