"""One client's connection to the broker: connecting, online, lost and reconnecting, closed."""

import logging
import random
import select
import ssl
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final, NamedTuple
from zlib import crc32

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client_options import ClientOptions
from gridfleet.broker.mqtt.event_loop import EventLoop
from gridfleet.broker.mqtt.network.failures import (
    TAKEN_OVER,
    Failure,
    certificate_failure,
    closed_early,
    refusal,
    socket_failure,
)
from gridfleet.broker.mqtt.network.transport import Framing, WatchedTransport
from gridfleet.broker.mqtt.network.websocket import WebSocketFraming, websocket_url
from gridfleet.broker.mqtt.paho_client import PahoClient
from gridfleet.broker.mqtt.protocol_version import MQTT_5, ProtocolVersion
from gridfleet.broker.mqtt.reconnect import Reconnector, backoff_s
from gridfleet.broker.mqtt.send_queue import MAX_UNACKNOWLEDGED, SendQueue
from gridfleet.broker.mqtt.session import Inbox

_log: Final = logging.getLogger(__name__)
NO_ANSWER: Final = "the broker gives no answer"
CLOSE_TIMEOUT_S: Final = 5.0
"""How long a closing connection waits for the broker to take its last messages, in seconds."""
MAX_FILTERS: Final = 200
"""The most filters in one SUBSCRIBE packet: brokers limit its size."""
SESSION_TAKEN_OVER: Final = "taken over"
"""The reason given to `on_problem` when another client has connected with the same client id."""
DENIED: Final = "denied"
"""The reason given to `on_problem` when the broker did not allow a publication; with its topic."""
TAKEN_OVER_WAIT_S: Final = 2.0
"""Additional wait after that, in seconds, because two clients with one id disconnect each other."""
STEADY_S: Final = 10.0
"""A connection that was online for so long, in seconds, begins with the shortest wait again when it is lost."""
MAX_SHORT: Final = 3
"""After so many shorter ones in a row, which the broker ended without a reason, another client is suspected."""
_TAKEN_OVER_CODE: Final = 0x8E
_OTHER_VERSION_CODE: Final = 0x84
_ID_IN_USE_CODE: Final = 0x91
_READABLE: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class ConnectionContext(NamedTuple):
    """What all connections of a loop share."""

    loop: EventLoop
    reconnector: "Reconnector[Connection]"
    version: ProtocolVersion
    schema: bytes
    """The encoded user property with the schema version."""
    keepalive_s: int
    on_refused: Callable[[BrokerError], bool]
    """Takes a permanent refusal; returns whether it ends the connection."""
    on_accepted: Callable[[BrokerAddress], None]
    """Is called whenever a broker accepts a connection, with the address."""
    spread: bool
    """Whether clients begin at different ones of several addresses."""


class Connection:
    """A client of the broker, opened by `MqttLoop.open`; it reconnects by itself until `close()`."""

    def __init__(
        self, context: ConnectionContext, client_id: str, options: ClientOptions, rng: random.Random | None
    ) -> None:
        self.client_id = client_id
        self.offline_reason = "not connected yet"
        """Why the connection is not online; empty while it is."""
        self._context = context
        self._options = options
        self._rng = rng
        self._transport: WatchedTransport | None = None
        self._inbox = Inbox(options)
        self._subscribing: set[int] = set()
        self._added: dict[int, tuple[str, int]] = {}
        """Filters that were added later and are not accepted yet, by packet id."""
        self.remedy = ""
        """What to do about it, as far as the cause is known."""
        addresses = options.address.all
        self._next_address = crc32(client_id.encode()) % len(addresses) if context.spread else 0
        self._address = addresses[self._next_address]
        """The address that is tried or used now."""
        self._tried: int = context.version.number
        """The MQTT version of the present connection, or of the last attempt."""
        self._failures = 0
        self._online_s = 0.0
        """When the connection came online last, by `monotonic()`."""
        self._short = 0
        """How many connections in a row the broker has ended soon after it had accepted them."""
        self._offline_s = 0.0
        self._refused_for_good = False
        self._known = False
        """Whether the broker has accepted it before."""
        self._warned = False
        """Whether it was said that the broker, which knew it, refuses it now."""
        self._accepted = False
        self._online = False
        self._closing = False
        self._closed = False
        self._client = client = PahoClient(
            client_id,
            version=context.version.number,
            connector=self._open_transport,
            deliver=self._inbox.add,
            on_denied=self._denied,
            on_schema_mismatch=partial(options.report_problem, "version"),
            on_unsent=self._write_later,
            on_other_version=self._on_other_version,
            schema=context.schema,
            deliver_unacknowledged=None if self._inbox.session is None else self._inbox.add_unacknowledged,
        )
        client.configure(options.address, options.will, context.keepalive_s, options.session_s)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_socket_close = self._socket_closes
        client.on_socket_register_write = self._write_later
        self._queue = SendQueue(client, mqtt5=context.version.number == MQTT_5, schema=context.schema)

    # --- for its owner ---

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters, and it is not closing."""
        return self._online and not self._closing

    @property
    def attempts(self) -> int:
        """The number of failed attempts since it was online last."""
        return self._failures

    @property
    def all_acknowledged(self) -> bool:
        """Whether the broker has acknowledged everything of QoS 1 and 2 that was published."""
        return self._queue.all_acknowledged

    @property
    def closed(self) -> bool:
        """Whether the connection is closed for good: nothing more is sent or received."""
        return self._closed

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
        """Publish a message; return False when it was dropped, as QoS 0 is while there is no connection.

        QoS 1 and 2 are queued meanwhile, in order, and sent after reconnecting, unless `expiry_s` seconds have passed
        or a later message of the same topic `supersedes` it. Raises BrokerError after close, ValueError for a topic
        that is not allowed.
        """
        self._check_open()
        return self._queue.publish(
            topic, payload, qos, retain=retain, expiry_s=expiry_s, supersedes=supersedes
        )

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Add a filter, now and after every reconnection; raise BrokerError after close."""
        self._check_open()
        self._options.filters.append((topic_filter, qos))
        if self._accepted:
            self._add_filter(topic_filter, qos)

    def unsubscribe(self, topic_filter: str) -> None:
        """Remove a filter, now and for every reconnection; raise BrokerError after close."""
        self._check_open()
        filters = self._options.filters
        filters[:] = [pair for pair in filters if pair[0] != topic_filter]
        if self._accepted:
            self._client.unsubscribe(topic_filter)

    @property
    def resumed(self) -> bool:
        """Whether the broker resumed an earlier persistent session when it accepted the connection last."""
        return self._inbox.session is not None and self._inbox.session.resumed

    @property
    def unacknowledged(self) -> int:
        """The number of messages of a persistent session that were delivered and are not acknowledged."""
        return 0 if self._inbox.session is None else len(self._inbox.session.unacknowledged)

    def acknowledge(self) -> None:
        """Acknowledge everything that a persistent session has delivered so far: it is stored now."""
        session = self._inbox.session
        if session is not None and session.unacknowledged:
            self._client.acknowledge(session.take_unacknowledged())
            self._write_later()

    def close(self) -> None:
        """Begin to close: everything published is still sent, nothing is received; `closed` when done."""
        if self._closing:
            return
        self._closing = True
        self._inbox.close()
        if self._accepted:
            self._context.loop.call_later(CLOSE_TIMEOUT_S, self.abort)
            self._write_later()
        else:
            self.abort()

    # --- for the loop ---

    def connect(self) -> None:
        """Begin to connect; `Reconnector.attempt_ended` is called once the result is known."""
        self.offline_reason = NO_ANSWER
        addresses, version = self._options.address.all, self._context.version
        self._address = addresses[self._next_address % len(addresses)]
        self.remedy = f"is it an MQTT broker that listens at {self._address.host} port {self._address.port}?"
        self._tried = version.number
        self._client.set_version(version.number)
        self._queue.set_version(mqtt5=version.number == MQTT_5)
        try:
            self._client.reconnect()
        except (OSError, UnicodeError) as error:
            self._fail(socket_failure(error, self._address))
            self._lost(self.offline_reason)

    def drop(self, reason: str, *, offline_s: float = 0.0) -> None:
        """Give up the present attempt or connection without a DISCONNECT; reconnect after `offline_s` at least."""
        transport = self._transport
        if transport is not None and not transport.half_closed:  # else DISCONNECT was sent already
            self._offline_s = offline_s
            self.offline_reason = reason
            transport.eof = True
            while self._transport is transport:
                self._client.loop_read()  # finds the end, and paho calls _disconnected

    def keep_alive(self) -> None:
        """Send a ping when one is due; close the connection when an answer is overdue."""
        if self._accepted and not self._closing:
            self._client.loop_misc()

    def write(self) -> None:
        """Write what paho has queued; send DISCONNECT when closing and everything is sent."""
        transport = self._transport
        if transport is None:
            return
        if self._client.want_write():
            self._client.loop_write()
        if transport.open:
            transport.flush()
        if self._closing and self._accepted and not transport.half_closed:
            self._disconnect(transport)
        transport.update_events()

    def abort(self) -> None:
        """Close at once, without a DISCONNECT. Twice is safe."""
        if self._closed:
            return
        self._closed = self._closing = True
        self._inbox.close()
        self._discard_transport()
        self._online = self._accepted = False
        self._queue.clear()
        self._context.reconnector.remove(self)

    # --- the transport ---

    def _open_transport(self) -> WatchedTransport:
        options, context, address = self._options, self._context, self._address
        where = context.reconnector.resolve(address, self._failures // len(options.address.all))
        framing: Framing | None = None
        if address.path is not None:
            framing = WebSocketFraming(websocket_url(address.tls, address.host, address.port, address.path))
        tls = options.tls if address.tls else None
        self._transport = WatchedTransport(where, tls, address.host, context.loop, self._ready, framing)
        return self._transport

    def _ready(self, events: int) -> None:
        transport = self._transport
        if transport is None or not (transport.open or self._continue_connecting(transport)):
            return
        if not events & _READABLE:
            self.write()
            return
        transport.read()
        if transport.half_closed:
            if transport.eof:  # the broker has read everything and closed its side
                self.abort()
            return
        try:
            self._client.loop_read()
            self._inbox.dispatch(self._is_online)
            self._queue.send_queued()
        finally:
            self.write()  # acknowledgements, whatever a callback raises

    def _continue_connecting(self, transport: WatchedTransport) -> bool:
        try:
            done = transport.continue_connecting()
        except ssl.SSLCertVerificationError as error:
            self._refused_login(str(certificate_failure(error, self._address)))
            self.drop(self.offline_reason)
        except OSError as error:
            self._fail(socket_failure(error, self._address))
            self.drop(self.offline_reason)
        else:
            transport.update_events()
            return done
        return False

    def _disconnect(self, transport: WatchedTransport) -> None:
        self._queue.send_queued()
        if self._queue.all_acknowledged and not transport.unsent and not self._client.want_write():
            transport.half_closed = True
            self._client.disconnect_for_good()
            self._client.loop_write()

    def _lost(self, reason: str) -> None:
        context = self._context
        self._discard_transport()
        self._online = self._accepted = False
        self._subscribing.clear()
        self._added.clear()
        self._inbox.connection_lost()
        self._queue.disconnected()
        context.reconnector.went_offline(self)
        self.offline_reason = reason
        if self._closing or self._refused_for_good:
            self.abort()
            return
        if self._online_s and monotonic() - self._online_s >= STEADY_S:
            self._failures = 0
        self._online_s = 0.0
        self._failures += 1
        self._next_address += 1
        rng = self._rng or random.Random(f"{self.client_id} {self._failures}")  # keeping one would take 3 kB
        wait_s = backoff_s(
            rng, (self._failures - 1) // len(self._options.address.all), context.reconnector.max_wait_s
        )
        offline_s, self._offline_s = self._offline_s, 0.0
        context.reconnector.retry_later(self, offline_s + wait_s)

    def _discard_transport(self) -> None:
        self._context.reconnector.attempt_ended(self)
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # --- what paho calls ---

    def _write_later(self, *_: object) -> None:
        self._context.loop.write_later(self)

    def _socket_closes(self, *_: object) -> None:
        transport = self._transport
        if transport is not None and not transport.half_closed:
            transport.unwatch()

    def _denied(self, topic: str) -> None:
        if not self._options.report_problem(DENIED, topic):
            self._refused(f"it may not publish to {topic}: give its user the right to")

    def _connected(
        self, _: Client, __: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.offline_reason = f"refused: {code}"
            if code.value == _OTHER_VERSION_CODE and self._context.version.on_refused(self._tried):
                return
            found = refusal(code.value, self._address)
            if found is not None:
                self._refused_login(str(found))
            return
        self._context.on_accepted(self._address)
        self._context.reconnector.attempt_ended(self)
        self._accepted = self._known = True
        self._warned = False
        if self._inbox.session is not None:
            self._inbox.session.begin(resumed=flags.session_present)
        self._subscribe()
        if not self._options.filters:
            self._came_online()
        self._queue.connected(getattr(properties, "ReceiveMaximum", MAX_UNACKNOWLEDGED))

    def _add_filter(self, topic_filter: str, qos: int) -> None:
        packet_id = self._client.subscribe([(topic_filter, qos)])[1]
        if packet_id is not None:
            self._added[packet_id] = topic_filter, qos

    def _subscribe(self) -> None:
        filters = self._options.filters
        for begin in range(0, len(filters), MAX_FILTERS):
            packet_id = self._client.subscribe(filters[begin : begin + MAX_FILTERS])[1]
            if packet_id is not None:
                self._subscribing.add(packet_id)

    def _subscribed(
        self, _: Client, __: object, packet_id: int, codes: list[ReasonCode], *___: object
    ) -> None:
        added = self._added.pop(packet_id, None)
        if any(code.value == _ID_IN_USE_CODE for code in codes):
            # mochi-mqtt refuses the id of a message that it has sent and we acknowledge at this moment: take the next.
            if added is not None:
                self._add_filter(*added)
            else:
                self._subscribing.clear()
                self._subscribe()
        elif any(code.is_failure for code in codes):
            self._refused(f"it may not subscribe to all of {self._options.filters}: give it the right to")
        elif packet_id in self._subscribing:
            self._subscribing.discard(packet_id)
            if not self._subscribing:
                self._came_online()

    def _came_online(self) -> None:
        self._online = True
        self._online_s = monotonic()
        self.offline_reason = self.remedy = ""
        self._context.reconnector.went_online(self)
        self._inbox.add_online()

    def _is_online(self) -> bool:
        return self._online

    def _refused_login(self, reason: str) -> None:
        """Take a refusal to connect: one that the broker has accepted before may be accepted again."""
        if not self._known:
            self._refused(reason)
            return
        self.offline_reason = f"refused: {reason}"
        options = self._options
        if options.renew():
            self._client.username_pw_set(options.address.username, options.address.password)
            _log.warning("%s: its secrets were replaced; it logs in with the new ones", self.client_id)
        elif not self._warned:
            self._warned = True
            _log.warning(
                "%s refuses %s, which it accepted before: %s. Trying again, also with new secrets where they are "
                "replaced.",
                self._address,
                self.client_id,
                reason,
            )

    def _refused(self, reason: str) -> None:
        self.offline_reason = f"refused: {reason}"
        error = BrokerError(f"{self._address} refuses {self.client_id}: {reason}")
        self._refused_for_good = self._context.on_refused(error) and not self._accepted

    def _disconnected(
        self, _: Client, __: object, flags: DisconnectFlags, code: ReasonCode, *___: object
    ) -> None:
        if self._transport is not None and self._transport.half_closed:
            return
        if flags.is_disconnect_packet_from_server:
            if code.value == _TAKEN_OVER_CODE:
                self._offline_s = TAKEN_OVER_WAIT_S
                self._options.report_problem(SESSION_TAKEN_OVER, self.client_id)
            self._lost(f"the broker ended the connection: {code}")
        else:
            self._closed_by_broker()
            self._lost(self.offline_reason)

    def _closed_by_broker(self) -> None:
        """Find out why the broker, or something on the way to it, has closed the connection without a reason."""
        transport = self._transport
        if self._online_s:  # it was online
            is_short = monotonic() - self._online_s < STEADY_S
            self._short = self._short + 1 if is_short else 0
            self.offline_reason = self.offline_reason or "the broker closed the connection"
            if self._short >= MAX_SHORT:
                self.offline_reason = (
                    f"the broker closed {self._short} connections in a row soon after accepting them"
                )
                self.remedy = TAKEN_OVER
                self._options.report_problem(SESSION_TAKEN_OVER, self.client_id)
        elif transport is not None and transport.open and transport.eof and not self._accepted:
            if transport.error is not None and not isinstance(transport.error, ConnectionError):
                self._fail(socket_failure(transport.error, self._address))
            elif self.offline_reason == NO_ANSWER:
                self._fail(closed_early(self._address))
                self._context.version.on_closed(self._tried)

    def _on_other_version(self) -> None:
        """Take an answer to CONNECT in the format of an older version."""
        if not self._context.version.on_refused(self._tried):
            self._refused("it speaks neither MQTT 5 nor 3.1.1: use a port of it that does")
        else:
            self.offline_reason = (
                f"the broker does not speak MQTT 5: {self._context.version.name} is tried next"
            )

    def _fail(self, failure: Failure) -> None:
        self.offline_reason, self.remedy = failure.reason, failure.remedy

    def _check_open(self) -> None:
        if self._closing:
            raise BrokerError(f"the connection of {self.client_id} is closed: open a new one")
