"""One subscription to the tick for all clients of a process; for everything else each has a connection of its own.

With a subscription for each device, most of what a fleet receives is ticks. Here a tick arrives once, over a connection
whose access rules may allow nothing else, and is passed on in memory:

with MqttLoop(address) as loop:
    channels = TickFanout(loop, "home", "fleet-1")
    house = channels.open("house-1", on_message=print, filters=[("gridfleet/home/tick/+", 1)])

A broker keeps the order only within a connection. So a tick is passed on once everything that had arrived before it
over the other connections has been handled: no message that was in time becomes late. Messages that are newer than a
tick may be handled before it; agents keep what belongs to the next tick. Lock-step needs a strict order, because a
phase follows the last message of the one before at once, also from another machine: there each device subscribes.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN, Login, Will
from gridfleet.broker.mqtt.connection import Connection
from gridfleet.broker.mqtt.event_loop import Timer
from gridfleet.broker.protocol.codec import decode
from gridfleet.broker.protocol.messages import Mode, Tick
from gridfleet.broker.protocol.topics import topic_filter

_WRITE_AFTER: Final = 64
"""The number of clients after which their messages are written, so that the broker does not wait for the last one."""


class _Client:
    """A client that receives the tick through the fan-out."""

    __slots__ = ("connection", "on_message", "on_online", "qos")

    def __init__(
        self, on_message: Callable[[str, bytes, bool], None], on_online: Callable[[], None] | None, qos: int
    ) -> None:
        self.on_message = on_message
        self.on_online = on_online
        self.qos = qos
        self.connection: Connection


class TickFanout:
    """Opens connections as `MqttLoop` does, and receives the tick for all of them."""

    def __init__(self, loop: MqttLoop, site: str, client_id: str, login: Login = NO_LOGIN) -> None:
        """Open the connection that receives the tick, as `client_id`."""
        self._loop = loop
        self._filter = topic_filter(site, Tick.TYPE)
        self._clients: list[_Client] = []
        self._last: tuple[str, bytes] | None = None
        self._each_subscribes = False
        self._queue: deque[tuple[str, bytes, bool, deque[_Client]]] = deque()
        self.connection = loop.open(
            client_id, on_message=self._on_tick, filters=[(self._filter, 1)], login=login
        )

    @property
    def via(self) -> None:
        """None: every client has a connection of its own."""
        return None

    @property
    def idle(self) -> bool:
        """Whether everything that has arrived has been handled."""
        return not self._queue and self._loop.idle

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make the call after that many seconds, while the loop runs."""
        return self._loop.call_later(delay_s, call)

    def open(  # noqa: PLR0913 - as MqttLoop.open
        self,
        client_id: str,
        *,
        on_message: Callable[[str, bytes, bool], None],
        filters: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        on_online: Callable[[], None] | None = None,
        on_problem: Callable[[str, str], None] | None = None,
        session_s: int = 0,
        login: Login = NO_LOGIN,
        rng: random.Random | None = None,
    ) -> Connection:
        """Return a connection as `MqttLoop.open` does; a filter for the tick is served by the fan-out."""
        qos = dict(filters).get(self._filter)
        client = None
        if qos is not None:
            client = _Client(on_message, on_online, qos)
            on_online = lambda: self._online(client)  # noqa: E731
            if not self._each_subscribes:
                filters = [pair for pair in filters if pair[0] != self._filter]
        connection = self._loop.open(
            client_id,
            on_message=on_message,
            filters=filters,
            will=will,
            on_online=on_online,
            on_problem=on_problem,
            session_s=session_s,
            login=login,
            rng=rng,
        )
        if client is not None:
            client.connection = connection
            self._clients.append(client)
        return connection

    def _online(self, client: _Client) -> None:
        """Report to a client that it is online, and pass the retained tick, as the broker would."""
        if client.on_online is not None:
            client.on_online()
        if self._last is not None and not self._each_subscribes:
            client.on_message(*self._last, True)  # noqa: FBT003 - the loop's signature

    def _on_tick(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        self._clients = [client for client in self._clients if not client.connection.closed]
        lockstep = _is_lockstep(payload)
        if lockstep != self._each_subscribes:
            self._each_subscribes = lockstep
            for client in self._clients:
                if lockstep:
                    client.connection.subscribe(self._filter, client.qos)
                else:
                    client.connection.unsubscribe(self._filter)
        self._last = topic, payload
        if not lockstep:
            self._queue.append((topic, payload, retained, deque(self._clients)))
            self._loop.call_after_events(self._pass_on)

    def _pass_on(self) -> None:
        """Pass the oldest tick to its clients; a newer one waits for a call of its own."""
        topic, payload, retained, clients = self._queue[0]
        try:
            while clients:
                client = clients.popleft()
                if client.connection.online:
                    client.on_message(topic, payload, retained)
                if not len(clients) % _WRITE_AFTER:
                    self._loop.write_now()
        finally:
            if clients:  # after an exception of one client, the others still get the tick
                self._loop.call_after_events(self._pass_on)
            else:
                self._queue.popleft()


def _is_lockstep(payload: bytes) -> bool:
    try:
        tick = decode(Tick.TYPE, payload)
    except PayloadError:
        return False  # the clients refuse it
    return isinstance(tick, Tick) and tick.mode is Mode.LOCKSTEP
