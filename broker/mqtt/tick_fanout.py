"""One subscription to the tick for all clients of a process, which else keep connections of their own.

The tick goes to every device, so with a subscription for each it is most of what a fleet receives. Here it comes
once, over a connection that may be allowed to hear nothing else, and is handed on in memory:

with MqttLoop(address) as loop:
    lines = OneTick(loop, "home", "fleet-1")
    house = lines.open("house-1", on_message=print, filters=[("gridfleet/home/tick/+", 1)])

A broker keeps order only within a connection. So a tick is handed on when everything that had come before it over
the other connections has been handled: what was said in time is in time. What is newer than a tick may be heard
before it; agents keep what is for the coming tick. Only lock-step needs more, because there a phase follows
another's last message at once, be it on another machine: then each device subscribes.
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
"""So many clients have acted before what they say is written: the broker need not wait for the last."""


class _Client:
    """One that hears the tick through us."""

    __slots__ = ("connection", "on_message", "on_online", "qos")

    def __init__(
        self, on_message: Callable[[str, bytes, bool], None], on_online: Callable[[], None] | None, qos: int
    ) -> None:
        self.on_message = on_message
        self.on_online = on_online
        self.qos = qos
        self.connection: Connection


class TickFanout:
    """Opens connections as `MqttLoop` does, and hears the tick for all of them."""

    def __init__(self, loop: MqttLoop, site: str, client_id: str, login: Login = NO_LOGIN) -> None:
        """Open the connection that hears the tick, as `client_id`."""
        self._loop = loop
        self._filter = topic_filter(site, Tick.TYPE)
        self._clients: list[_Client] = []
        self._last: tuple[str, bytes] | None = None
        self._each = False
        self._queue: deque[tuple[str, bytes, bool, deque[_Client]]] = deque()
        self.connection = loop.open(
            client_id, on_message=self._hear, filters=[(self._filter, 1)], login=login
        )

    @property
    def via(self) -> None:
        """No host: every client has a connection of its own."""
        return None

    @property
    def idle(self) -> bool:
        """Whether nothing that has arrived waits to be handled."""
        return not self._queue and self._loop.idle

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Have the call made after that many seconds, while the loop runs."""
        return self._loop.call_later(delay_s, call)

    def open(  # noqa: PLR0913 - as MqttLoop.open
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
    ) -> Connection:
        """Return a connection as `MqttLoop.open` does; if it wants the tick, it hears it through ours."""
        qos = dict(filters).get(self._filter)
        client = None
        if qos is not None:
            client = _Client(on_message, on_online, qos)
            on_online = lambda: self._online(client)  # noqa: E731
            if not self._each:
                filters = [pair for pair in filters if pair[0] != self._filter]
        connection = self._loop.open(
            client_id,
            on_message=on_message,
            filters=filters,
            will=will,
            on_online=on_online,
            on_trouble=on_trouble,
            session_s=session_s,
            login=login,
            rng=rng,
        )
        if client is not None:
            client.connection = connection
            self._clients.append(client)
        return connection

    def _online(self, client: _Client) -> None:
        """Tell a client that it is online, and then the time, as the broker would."""
        if client.on_online is not None:
            client.on_online()
        if self._last is not None and not self._each:
            client.on_message(*self._last, True)  # noqa: FBT003 - the loop's signature

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        self._clients = [client for client in self._clients if not client.connection.closed]
        lockstep = _is_lockstep(payload)
        if lockstep != self._each:
            self._each = lockstep
            for client in self._clients:
                if lockstep:
                    client.connection.subscribe(self._filter, client.qos)
                else:
                    client.connection.unsubscribe(self._filter)
        self._last = topic, payload
        if not lockstep:
            self._queue.append((topic, payload, retained, deque(self._clients)))
            self._loop.call_when_served(self._hand_on)

    def _hand_on(self) -> None:
        try:
            while self._queue:
                topic, payload, retained, clients = self._queue[0]
                while clients:
                    client = clients.popleft()
                    if client.connection.online:
                        client.on_message(topic, payload, retained)
                    if not len(clients) % _WRITE_AFTER:
                        self._loop.flush()
                self._queue.popleft()
        finally:
            if self._queue:  # an exception of one does not cost the others their tick
                self._loop.call_when_served(self._hand_on)


def _is_lockstep(payload: bytes) -> bool:
    try:
        tick = decode(Tick.TYPE, payload)
    except PayloadError:
        return False  # for the clients to refuse
    return isinstance(tick, Tick) and tick.mode is Mode.LOCKSTEP
