"""Reconnection: waits that grow with each failure, a bounded number of attempts at a time, and DNS look-ups."""

import random
import socket
from collections import deque
from functools import partial
from time import monotonic
from typing import Final, Generic, Protocol, TypeVar

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.event_loop import EventLoop, Timer
from gridfleet.broker.mqtt.network.transport import SocketAddress

MAX_CONNECTING: Final = 50
"""Connections that may wait for the broker's answer at the same time, so that a fleet does not overload it."""
CONNECT_TIMEOUT_S: Final = 10.0
"""How long a broker may take from the first TCP packet to CONNACK, in seconds."""
FIRST_WAIT_S: Final = 0.2
"""The wait after the first failure, in seconds; it doubles with each further one."""
MAX_WAIT_S: Final = 30.0
"""The longest wait between two attempts, in seconds."""
ADDRESS_CACHE_S: Final = 10.0
"""How long the looked-up addresses of a host are used, in seconds."""


class Connectable(Protocol):
    """What the reconnector needs of a connection."""

    client_id: str
    offline_reason: str

    @property
    def closed(self) -> bool:
        """Whether it is closed for good."""
        ...

    def connect(self) -> None:
        """Begin to connect; `Reconnector.attempt_ended` is called once the result is known."""

    def drop(self, reason: str, *, offline_s: float = 0.0) -> None:
        """Give up the attempt."""


C = TypeVar("C", bound=Connectable)


def backoff_s(rng: random.Random, failures: int, max_wait_s: float) -> float:
    """Return the wait before the next attempt, in seconds: doubled with each failure, reduced at random by up to half.

    >>> [round(backoff_s(random.Random(1), failures, 30.0), 1) for failures in range(4)]
    [0.1, 0.2, 0.5, 0.9]
    """
    longest_s = min(max_wait_s, FIRST_WAIT_S * 2.0 ** min(failures, 16))
    return rng.uniform(longest_s / 2, longest_s)


class Reconnector(Generic[C]):
    """Starts the attempts of all connections of a loop and knows which are offline.

    After all connections were lost, the first one that is online again makes the others try at once.
    """

    def __init__(self, loop: EventLoop, max_wait_s: float) -> None:
        self.max_wait_s = max_wait_s
        self.connections: set[C] = set()
        """All connections that are not closed."""
        self.offline: set[C] = set()
        """Those of them that are not online."""
        self._loop = loop
        self._due: deque[C] = deque()
        self._connecting: dict[C, Timer] = {}
        self._waiting: dict[C, Timer] = {}
        self._addresses: dict[tuple[str, int], tuple[list[SocketAddress], float]] = {}
        """The addresses of hosts, and until when they are used; a burst of connections shares one look-up."""

    def add(self, connection: C) -> None:
        """Take in a new connection and let it connect."""
        self.connections.add(connection)
        self.offline.add(connection)
        self._due.append(connection)

    def remove(self, connection: C) -> None:
        """Forget a closed connection."""
        self.connections.discard(connection)
        self.offline.discard(connection)
        timer = self._waiting.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def start_attempts(self) -> None:
        """Let connections that are due connect, as many as may do so at the same time."""
        while self._due and len(self._connecting) < MAX_CONNECTING:
            connection = self._due.popleft()
            if not connection.closed:
                too_late = partial(
                    connection.drop, f"the broker did not answer within {CONNECT_TIMEOUT_S:g} s"
                )
                self._connecting[connection] = self._loop.call_later(CONNECT_TIMEOUT_S, too_late)
                connection.connect()

    def attempt_ended(self, connection: C) -> None:
        """Take note that an attempt has succeeded or failed."""
        timer = self._connecting.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def retry_later(self, connection: C, delay_s: float) -> None:
        """Let a connection try again after that many seconds."""
        former = self._waiting.pop(connection, None)
        if former is not None:
            former.cancel()
        self._waiting[connection] = self._loop.call_later(delay_s, lambda: self._retry(connection))

    def went_online(self, connection: C) -> None:
        """Take note that a connection is online; if all were offline, let the others try at once."""
        first = len(self.offline) == len(self.connections)
        self.offline.discard(connection)
        if first:
            for each in [*self._waiting]:
                self._retry(each)

    def went_offline(self, connection: C) -> None:
        """Take note that a connection is not online any more."""
        self.offline.add(connection)

    def resolve(self, address: BrokerAddress, attempt: int) -> SocketAddress:
        """Return the socket address to try, each of a host's in turn; raise OSError when the host is unknown."""
        key = (address.host, address.port)
        found, until_s = self._addresses.get(key, ([], 0.0))
        if monotonic() >= until_s:  # a restarted broker may have another address
            try:
                answers = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
            except OSError:
                if not found:
                    raise
            else:
                found = [(family, where) for family, _, _, _, where in answers]
            self._addresses[key] = found, monotonic() + ADDRESS_CACHE_S
        return found[attempt % len(found)]

    def _retry(self, connection: C) -> None:
        timer = self._waiting.pop(connection, None)
        if timer is not None:  # else it is due already
            timer.cancel()
            self._due.append(connection)
