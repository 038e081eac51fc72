"""The MQTT client: many clients of one broker in one thread, paho-mqtt clients on one event loop.

with MqttLoop(BrokerAddress.parse("mqtt://localhost")) as loop:
    house = loop.open("house-1", on_message=print, filters=[("gridfleet/home/tick/+", 1)])
    loop.wait_online(5.0)
    house.publish("gridfleet/home/ready/house-1", b"{}", qos=1)
    loop.run_until(lambda: False, timeout_s=60.0)
"""

import logging
import random
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from time import monotonic
from typing import Final, Literal

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError, error_reason
from gridfleet.broker.mqtt.client_options import NO_LOGIN, ClientOptions, Login, PersistentSession, Will
from gridfleet.broker.mqtt.connection import CLOSE_TIMEOUT_S, Connection, ConnectionContext
from gridfleet.broker.mqtt.event_loop import EventLoop, Timer
from gridfleet.broker.mqtt.packet_codec import schema_property
from gridfleet.broker.mqtt.protocol_version import LACKS, ProtocolVersion
from gridfleet.broker.mqtt.reconnect import MAX_WAIT_S, Reconnector

__all__ = ["BrokerAddress", "BrokerError", "Connection", "Login", "MqttLoop", "Timer", "Will"]

KEEPALIVE_S: Final = 60
MIN_KEEPALIVE_S: Final = 30
FIRST_REPEAT_S: Final = 60.0
"""After how many seconds a refusal that was logged is logged again; the time doubles with each repetition."""
MAX_REPEAT_S: Final = 3600.0
"""The longest time until a refusal that lasts is logged again, in seconds."""

_log = logging.getLogger(__name__)


class MqttLoop(EventLoop):
    """Context manager: the event loop that drives all clients of one broker, and their timers, in one thread."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        tls: ssl.SSLContext | None = None,
        keepalive_s: int = KEEPALIVE_S,
        version: Literal[4, 5] | None = None,
        retry_refused: bool = False,
        schema: str = "",
        max_wait_s: float = MAX_WAIT_S,
        spread: bool = False,
    ) -> None:
        """Connect nothing yet. `version` is 5 for MQTT 5, 4 for 3.1.1, None for 5 or else 3.1.1, as the broker speaks.

        Keep-alive is at least 30 s. Of several addresses a client tries the next one when it loses one; with `spread`
        clients begin at different ones.

        A lost connection reconnects after waits that grow up to `max_wait_s`. When all were lost, the first that is
        online again makes the others try at once.

        `schema` is the schema version of all published messages, stated with each of them in MQTT 5; received messages
        that state another version are not delivered.

        A permanent refusal, such as a wrong password, is raised as BrokerError out of `run_until`, and closes the
        connection; with `retry_refused`, and for a login that was accepted before, it is logged, and the connection
        tries again as after any other failure.
        """
        super().__init__()
        if keepalive_s < MIN_KEEPALIVE_S:
            raise BrokerError(f"a keep-alive of {keepalive_s} s is too short: at least {MIN_KEEPALIVE_S} s")
        self.keepalive_s = keepalive_s
        self._address = address
        self._tls = tls
        self._retry_refused = retry_refused
        self._failure: BrokerError | None = None
        self._warnings: dict[str, tuple[float, float]] = {}
        """Refusals that were logged: when each may be logged again, and the wait after that, in seconds."""
        self._reconnector: Reconnector[Connection] = Reconnector(self, max_wait_s)
        self._context = ConnectionContext(
            self,
            self._reconnector,
            ProtocolVersion(version),
            schema_property(schema),
            keepalive_s,
            self._on_refused,
            self._on_accepted,
            spread,
        )
        self.call_later(keepalive_s / 4, self._keep_alive)

    @property
    def via(self) -> None:
        """None: every client has a connection of its own."""
        return None

    def open(  # noqa: PLR0913 - MQTT's CONNECT has as many
        self,
        client_id: str,
        *,
        on_message: Callable[[str, bytes, bool], None],
        filters: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        on_online: Callable[[], None] | None = None,
        on_problem: Callable[[str, str], None] | None = None,
        session_s: int = 0,
        persistent_session: PersistentSession | None = None,
        login: Login = NO_LOGIN,
        rng: random.Random | None = None,
    ) -> Connection:
        """Return a connection that comes online while the loop runs, and reconnects whenever it is lost.

        - `on_message` gets topic, payload and whether the message was retained.
        - `filters` are pairs of topic filter and QoS.
        - `on_online` is called whenever the broker has accepted all of them, before messages that come after.
        - `on_problem` gets a reason and a topic: `version` for a message that states another schema version,
          `denied` for a publication that the broker does not allow (without `on_problem` that is a permanent refusal),
          `taken over` and the client id when another client has connected with it.
        - `session_s`: for how many seconds after a lost connection the broker keeps messages for the client.
        - `persistent_session` (filters of QoS 1): the next process resumes it; messages are acknowledged by hand.
        - `login` without a user name uses that of the broker's address.
        - `rng` spreads reconnections.

        Exceptions of callbacks are raised out of `run_until`. Raises BrokerError after close.
        """
        self._check_open()
        address = self._address
        is_tls = any(each.tls for each in address.all)
        tls = login.tls if is_tls else None
        if login.username is not None:
            address = address.with_login(login.username, login.password)
        if tls is None and is_tls:
            self._tls = tls = self._tls or _tls_context(address)
        options = ClientOptions(
            address,
            tls,
            on_message,
            on_online,
            on_problem,
            session_s,
            will,
            list(filters),
            persistent_session,
            login.renew,
        )
        connection = Connection(self._context, client_id, options, rng)
        self._reconnector.add(connection)
        return connection

    def wait_online(self, timeout_s: float) -> None:
        """Run until every connection is online; raise BrokerError with the reason when that takes longer."""
        if not self.run_until(lambda: self.all_online, timeout_s):
            raise BrokerError(self.offline_reason or "stopped before every connection was online")

    @property
    def connections(self) -> set[Connection]:
        """All connections that are not closed."""
        return set(self._reconnector.connections)

    @property
    def all_online(self) -> bool:
        """Whether every connection is online."""
        return not self._reconnector.offline

    @property
    def offline_reason(self) -> str:
        """Why connections are not online; empty when all are."""
        offline = self._reconnector.offline
        if not offline:
            return ""
        first = min(offline, key=lambda each: each.client_id)
        return (
            f"{len(offline)} of {len(self._reconnector.connections)} connections to {self._address} are not online; "
            f"{first.client_id}: {first.offline_reason}" + (f" – {first.remedy}" if first.remedy else "")
        )

    @property
    def version_name(self) -> str:
        """The MQTT version that the clients speak: `MQTT 5` or `MQTT 3.1.1`."""
        return self._context.version.name

    def close(self) -> None:
        """Disconnect every connection after the broker has taken everything that was published.

        Takes 5 s at most; callbacks and timers are not called any more. Closing twice is safe.
        """
        if self.closed:
            return
        self._timers.clear()
        self._failure = None
        self._retry_refused = True
        try:
            self.write_now()  # while connections still accept what was buffered
            for connection in self.connections:
                connection.close()
            if not self.running:
                self.run_until(lambda: not self._reconnector.connections, CLOSE_TIMEOUT_S)
        finally:
            for connection in self.connections:
                connection.abort()
            super().close()

    def before_wait(self) -> None:
        """Write what is buffered, start attempts to connect that are due, and raise a permanent refusal."""
        super().before_wait()
        self._reconnector.start_attempts()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _on_refused(self, error: BrokerError) -> bool:
        """Take a permanent refusal; return whether it closes the connection."""
        if self._retry_refused:
            self._warn(str(error))
        elif self._failure is None:
            self._failure = error
        return not self._retry_refused

    def _on_accepted(self, address: BrokerAddress) -> None:
        """Say once that the broker speaks only MQTT 3.1.1, and what is lacking then."""
        if self._context.version.on_accepted():
            _warn_of_version(str(address))

    def _warn(self, text: str) -> None:
        """Log a refusal the first time, then at growing intervals while it is repeated."""
        now_s = monotonic()
        due_s, wait_s = self._warnings.get(text, (now_s, FIRST_REPEAT_S))
        if now_s >= due_s:
            self._warnings[text] = now_s + wait_s, min(2 * wait_s, MAX_REPEAT_S)
            _log.warning("%s", text)

    def _keep_alive(self) -> None:
        self.call_later(self.keepalive_s / 4, self._keep_alive)
        for connection in self.connections:
            connection.keep_alive()


def _tls_context(address: BrokerAddress) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities of an address's file, or those of the system."""
    try:
        return ssl.create_default_context(cafile=address.ca)
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(
            f"{address.ca} cannot be used as CA certificate ({error_reason(error)}): give a PEM file of the authority"
        ) from None


@cache
def _warn_of_version(address: str) -> None:
    """Say once in a process that a broker speaks only MQTT 3.1.1, and what is lacking then."""
    _log.warning("%s speaks MQTT 3.1.1 only: %s", address, LACKS)
