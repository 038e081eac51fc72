"""One client's connection: dialled, accepted, subscribed; lost and dialled again; at last closed."""

import random
import select
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client_options import ClientOptions, PersistentSession
from gridfleet.broker.mqtt.packet_codec import PERMANENT_REFUSALS, PahoClient
from gridfleet.broker.mqtt.send_queue import MOST_UNACKNOWLEDGED, SendQueue
from gridfleet.broker.mqtt.transport import SocketAddress, Stream

FIRST_WAIT_S: Final = 0.2
"""First wait before dialling again, in seconds; it doubles up to the loop's longest, less up to half at random."""
CLOSE_S: Final = 5.0
"""How long a closing connection may take until the broker has taken its last messages, in seconds."""
MOST_FILTERS: Final = 200
"""Most filters in one packet: brokers bound its size."""
TAKEN_OVER: Final = "taken over"
"""The reason given to `on_trouble` when another client has come with the same client id."""
TAKEN_OVER_S: Final = 2.0
"""How much longer to wait then, in seconds: two with one id, which end each other, leave the broker some peace."""
_SESSION_TAKEN_OVER: Final = 0x8E
_READABLE: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class ConnectionLoop(Protocol):
    """What a connection needs of the event loop that drives it; `MqttLoop` is the one there is."""

    version: Literal[4, 5]
    schema: bytes
    keepalive_s: int
    longest_wait_s: float

    def call_later(self, delay_s: float, call: Callable[[], object]) -> object:
        """Have the call made after that many seconds."""

    def watch(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Call the handler with the epoll events that occur on a descriptor."""

    def rewatch(self, descriptor: int, events: int) -> None:
        """Change the epoll events that are waited for."""

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed."""

    def resolve(self, address: BrokerAddress, attempt: int) -> SocketAddress:
        """Return the address to try; raise OSError when the host is unknown."""
        ...

    def mark(self, each: "Connection") -> None:
        """Have `each.write()` called before the loop waits again."""

    def dialled(self, connection: "Connection") -> None:
        """Note that an attempt to connect has ended."""

    def dial_later(self, connection: "Connection", delay_s: float) -> None:
        """Have another attempt made after that many seconds."""

    def online(self, connection: "Connection") -> None:
        """Note that a connection is online."""

    def offline(self, connection: "Connection") -> None:
        """Note that a connection is not online any more."""

    def gone(self, connection: "Connection") -> None:
        """Forget a connection that has ended."""

    def refused(self, error: BrokerError) -> bool:
        """Note a refusal that lasts; return whether it ends the connection."""
        ...


class _Session:
    """What a connection knows of its lasting session."""

    __slots__ = ("_lasting", "_resuming", "owed", "resumed")

    def __init__(self, lasting: PersistentSession) -> None:
        self.owed: list[int] = []
        """Packet ids of what was delivered and is not acknowledged, in order."""
        self.resumed = False
        self._lasting = lasting
        self._resuming = False

    def begin(self, *, resumed: bool) -> None:
        """Note whether the broker goes on with an earlier session."""
        self.resumed = self._resuming = resumed

    def is_new(
        self,
        topic: str,
        payload: bytes | None,
        retained: bool,  # noqa: FBT001 - a hot path
        packet_id: int,
        again: bool,  # noqa: FBT001 - a hot path
    ) -> bool:
        """Note what is owed; tell whether a message is one that had not been kept before.

        What is given again comes before anything new, and is marked; rumqttd does not mark it.
        """
        if packet_id:
            self.owed.append(packet_id)
        if payload is None:
            return False
        again |= self._resuming and not retained
        if again and self._lasting.known(topic, payload):
            return False
        self._resuming &= retained
        return True


class Connection:
    """A client of the broker, made by `MqttLoop.open`; it comes back by itself until `close()`."""

    def __init__(
        self, loop: "ConnectionLoop", client_id: str, wishes: ClientOptions, rng: random.Random | None
    ) -> None:
        self.client_id = client_id
        self.trouble = "not connected yet"
        """Why the connection is not online, in words; empty while it is."""
        self._loop = loop
        self._wishes = wishes
        self._rng = rng
        self._stream: Stream | None = None
        self._watched = 0
        self._inbox: list[tuple[Any, ...] | None] = []  # None: came online
        self._session: _Session | None = None if wishes.lasting is None else _Session(wishes.lasting)
        self._subscribing: set[int] = set()
        self._failures = 0
        self._away_s = 0.0
        self._hopeless = False
        self._accepted = False
        self._online = False
        self._closing = False
        self._closed = False
        self._client = client = PahoClient(
            client_id,
            version=loop.version,
            connector=self._connect,
            deliver=self._received,
            refused=self._denied,
            on_schema_mismatch=partial(wishes.tell, "version"),
            has_said=partial(loop.mark, self),
            schema=loop.schema,
            keep=None if wishes.lasting is None else self._kept,
        )
        client.prepare(wishes.address, wishes.will, loop.keepalive_s, wishes.session_s)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_socket_close = self._socket_closes
        client.on_socket_register_write = lambda *_: loop.mark(self)
        self._outbox = SendQueue(self._client, states=loop.version == 5, schema=loop.schema)

    # --- for those who use it ---

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters, and it is not parting."""
        return self._online and not self._closing

    @property
    def attempts(self) -> int:
        """How often it has been dialled in vain since it was online last."""
        return self._failures

    @property
    def settled(self) -> bool:
        """Whether the broker has answered for everything of QoS 1 and 2 that was said."""
        return self._outbox.taken

    @property
    def closed(self) -> bool:
        """Whether the connection has ended for good: nothing more will be sent or received."""
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
        """Say something; return False when it was dropped, as QoS 0 is while there is no connection.

        QoS 1 and 2 are kept while there is none, in order, and sent afterwards, unless `expiry_s` seconds are
        over by then, or a later one of the same topic `supersedes` it. Raises BrokerError after close, ValueError
        for a topic with wildcards.
        """
        self._check_open()
        return self._outbox.publish(
            topic, payload, qos, retain=retain, expiry_s=expiry_s, supersedes=supersedes
        )

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Add a filter, now and after every reconnection; raise BrokerError after close."""
        self._check_open()
        self._wishes.filters.append((topic_filter, qos))
        if self._accepted:
            self._client.subscribe([(topic_filter, qos)])

    def unsubscribe(self, topic_filter: str) -> None:
        """Take a filter back, now and for every reconnection; raise BrokerError after close."""
        self._check_open()
        filters = self._wishes.filters
        filters[:] = [pair for pair in filters if pair[0] != topic_filter]
        if self._accepted:
            self._client.unsubscribe(topic_filter)

    @property
    def resumed(self) -> bool:
        """Whether the broker went on with an earlier lasting session, when it accepted the connection last."""
        return self._session is not None and self._session.resumed

    @property
    def owed(self) -> int:
        """How many messages of a lasting session were delivered and are not acknowledged."""
        return 0 if self._session is None else len(self._session.owed)

    def acknowledge(self) -> None:
        """Answer for everything that a lasting session has delivered so far: it is safe now."""
        session = self._session
        if session is not None and session.owed:
            owed, session.owed = session.owed, []
            self._client.acknowledge(owed)
            self._loop.mark(self)

    def close(self) -> None:
        """Begin to part: all that was published is still sent, nothing received; `closed` when done."""
        if self._closing:
            return
        self._closing = True
        self._inbox.clear()
        if self._accepted:
            self._loop.call_later(CLOSE_S, self.end)
            self._loop.mark(self)
        else:
            self.end()

    # --- for the loop ---

    def dial(self) -> None:
        """Begin to connect; `MqttLoop.dialled` is called once when it is known how that went."""
        self.trouble = "the broker gives no answer"
        try:
            self._client.reconnect()
        except (OSError, UnicodeError) as error:
            self._lost(f"cannot connect: {error}")

    def drop(self, trouble: str, *, away_s: float = 0.0) -> None:
        """Give up the present attempt or connection, without a good-bye; there will be another after `away_s`."""
        stream = self._stream
        if stream is not None and not stream.half_closed:  # else it has said good-bye already
            self._away_s = away_s
            self.trouble = trouble
            stream.ended = True
            while self._stream is stream:
                self._client.loop_read()  # finds the end, and paho calls _disconnected

    def keep_alive(self) -> None:
        """Send a ping when one is due; notice when an answer is overdue."""
        if self._accepted and not self._closing:
            self._client.loop_misc()

    def write(self) -> None:
        """Hand the kernel what paho has queued; part from the broker when that is wished and all is said."""
        stream = self._stream
        if stream is None:
            return
        if self._client.want_write():
            self._client.loop_write()
        if stream.open:
            stream.flush()
        if self._closing and self._accepted and not stream.half_closed:
            self._part(stream)
        self._rewatch(stream)

    def end(self) -> None:
        """End at once, without a good-bye. Twice is safe."""
        if self._closed:
            return
        self._closed = self._closing = True
        self._forget_stream()
        self._online = self._accepted = False
        self._outbox.clear()
        self._loop.gone(self)

    # --- the stream ---

    def _connect(self) -> Stream:
        wishes, loop = self._wishes, self._loop
        stream = Stream(loop.resolve(wishes.address, self._failures), wishes.tls, wishes.address.host)
        self._stream = stream
        self._watched = stream.wants
        loop.watch(stream.fileno(), stream.wants, self._ready)
        return stream

    def _ready(self, events: int) -> None:
        stream = self._stream
        if stream is None or not (stream.open or self._advance(stream)):
            return
        if not events & _READABLE:
            self.write()
            return
        stream.fill()
        if stream.half_closed:
            if stream.ended:  # the broker has read everything and closed its side
                self.end()
            return
        try:
            self._client.loop_read()
            self._dispatch()
        finally:
            self.write()  # acknowledgements, whatever a callback raises

    def _advance(self, stream: Stream) -> bool:
        try:
            done = stream.advance()
        except ssl.SSLCertVerificationError as error:
            self._refused(f"its certificate is not trusted ({error.verify_message}): name who signed it")
            self.drop(self.trouble)
        except OSError as error:
            self.drop(f"cannot connect: {error}")
        else:
            self._rewatch(stream)
            return done
        return False

    def _rewatch(self, stream: Stream) -> None:
        if stream.wants != self._watched and self._stream is stream:
            self._watched = stream.wants
            self._loop.rewatch(stream.fileno(), stream.wants)

    def _dispatch(self) -> None:
        inbox, wishes = self._inbox, self._wishes
        done = 0
        try:
            while done < len(inbox):
                item = inbox[done]
                done += 1
                if item is not None:
                    if self._session is None or self._session.is_new(*item):
                        wishes.on_message(*item[:3])
                elif wishes.on_online is not None and self._online:
                    wishes.on_online()
        finally:
            del inbox[:done]
        self._outbox.release()

    def _part(self, stream: Stream) -> None:
        self._outbox.release()
        if self._outbox.taken and not stream.unsent and not self._client.want_write():
            stream.half_closed = True
            self._client.part()
            self._client.loop_write()

    def _lost(self, trouble: str) -> None:
        self._forget_stream()
        self._online = self._accepted = False
        self._subscribing.clear()
        if self._session is not None:  # the broker will deliver them again
            self._session.owed.clear()
            self._inbox.clear()
        self._outbox.disconnected()
        self._loop.offline(self)
        self.trouble = trouble
        if self._closing or self._hopeless:
            self.end()
        else:
            longest_s = min(self._loop.longest_wait_s, FIRST_WAIT_S * 2.0 ** min(self._failures, 16))
            self._failures += 1
            away_s, self._away_s = self._away_s, 0.0
            rng = self._rng or random.Random(f"{self.client_id} {self._failures}")  # kept, it would take 3 kB
            self._loop.dial_later(self, away_s + rng.uniform(longest_s / 2, longest_s))

    def _forget_stream(self) -> None:
        self._loop.dialled(self)
        stream, self._stream = self._stream, None
        if stream is not None and stream.fileno() >= 0:
            self._loop.unwatch(stream.fileno())
            stream.abort()

    # --- what paho calls ---

    def _socket_closes(self, *_: object) -> None:
        stream = self._stream
        if stream is not None and not stream.half_closed:
            self._loop.unwatch(stream.fileno())

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - a hot path
        if not self._closing:
            self._inbox.append((topic, payload, retained))

    def _kept(
        self,
        topic: str,
        payload: bytes | None,
        retained: bool,  # noqa: FBT001 - a hot path
        packet_id: int,
        again: bool,  # noqa: FBT001 - a hot path
    ) -> None:
        if not self._closing:
            self._inbox.append((topic, payload, retained, packet_id, again))

    def _denied(self, topic: str) -> None:
        if not self._wishes.tell("denied", topic):
            self._refused(f"it may not publish to {topic}: give its user the right to")

    def _connected(
        self, client: Client, _: object, flags: ConnectFlags, code: ReasonCode, about: Properties | None
    ) -> None:
        if code.is_failure:
            self.trouble = f"refused: {code}"
            if code.value in PERMANENT_REFUSALS:
                self._refused(PERMANENT_REFUSALS[code.value])
            return
        self._loop.dialled(self)
        self._accepted = True
        if self._session is not None:
            self._session.begin(resumed=flags.session_present)
        filters = self._wishes.filters
        for begin in range(0, len(filters), MOST_FILTERS):
            number = client.subscribe(filters[begin : begin + MOST_FILTERS])[1]
            if number is not None:
                self._subscribing.add(number)
        if not filters:
            self._is_online()
        self._outbox.connected(getattr(about, "ReceiveMaximum", MOST_UNACKNOWLEDGED))

    def _subscribed(self, _: Client, __: object, mid: int, codes: list[ReasonCode], *___: object) -> None:
        if any(code.is_failure for code in codes):
            self._refused(f"it may not subscribe to all of {self._wishes.filters}: give it the right to")
        elif mid in self._subscribing:
            self._subscribing.discard(mid)
            if not self._subscribing:
                self._is_online()

    def _is_online(self) -> None:
        self._failures = 0
        self._online = True
        self.trouble = ""
        self._loop.online(self)
        if not self._closing:
            self._inbox.append(None)

    def _refused(self, mend: str) -> None:
        self.trouble = f"refused: {mend}"
        error = BrokerError(f"{self._wishes.address} refuses {self.client_id}: {mend}")
        self._hopeless = self._loop.refused(error) and not self._accepted

    def _disconnected(
        self, _: Client, __: object, flags: DisconnectFlags, code: ReasonCode, *___: object
    ) -> None:
        if self._stream is not None and self._stream.half_closed:
            return
        if flags.is_disconnect_packet_from_server:
            if code.value == _SESSION_TAKEN_OVER:
                self._away_s = TAKEN_OVER_S
                self._wishes.tell(TAKEN_OVER, self.client_id)
            self._lost(f"the broker ended the connection: {code}")
        else:
            self._lost(self.trouble or "the broker closed the connection")

    def _check_open(self) -> None:
        if self._closing:
            raise BrokerError(f"the connection of {self.client_id} is closed: open a new one")
