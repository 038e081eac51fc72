"""A TCP proxy between a process and the broker, which can hold back, reset or refuse connections.

It runs on the event loop of the experiment, so that a fault begins between two packets.
"""

import contextlib
import select
import socket
import struct
from functools import partial
from typing import Final

from gridfleet.broker.mqtt.event_loop import EventLoop

_CHUNK: Final = 65_536
_MAX_BUFFERED: Final = 4 * 1_048_576
"""Bytes buffered for an end that does not read; beyond that the proxy stops reading from the other end."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of 0: closing sends a TCP reset."""


class Proxy:
    """Forwards connections to a port of this machine until a caller holds or refuses them."""

    def __init__(self, loop: EventLoop, target_port: int) -> None:
        """Listen on a free port of the loopback interface."""
        self._loop = loop
        self._target = ("127.0.0.1", target_port)
        self._links: set[_Link] = set()
        self._held = self._refusing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)  # noqa: FBT003 - the signature of socket
        self.port = int(self._listener.getsockname()[1])
        loop.watch(self._listener.fileno(), select.EPOLLIN, self._accept)

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._links)

    def hold(self) -> None:
        """Forward nothing and reset nothing, like a network that loses all packets."""
        self._held = True
        self._loop.rewatch(self._listener.fileno(), 0)
        for link in self._links:
            link.watch(held=True)

    def refuse(self) -> None:
        """Reset every connection, also new ones."""
        self._refusing = True
        self.reset()

    def restore(self) -> None:
        """Forward again; held data is delivered."""
        self._held = self._refusing = False
        self._loop.rewatch(self._listener.fileno(), select.EPOLLIN)
        for link in self._links:
            link.watch(held=False)

    def reset(self) -> None:
        """Reset every connection, once."""
        for link in [*self._links]:
            link.close()

    def close(self) -> None:
        """Stop listening and reset every connection. Closing twice is safe."""
        if self._listener.fileno() >= 0:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
        self.reset()

    def _accept(self, _events: int) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if self._refusing:
            _reset(client)
        else:
            self._links.add(_Link(self._loop, client, self._target, self._links))


class _Link:
    """One forwarded connection: two sockets, and the data not yet written to each."""

    def __init__(
        self, loop: EventLoop, client: socket.socket, target: tuple[str, int], links: "set[_Link]"
    ) -> None:
        self._loop = loop
        self._links = links
        self._ends = (client, socket.socket())
        self._unsent = (bytearray(), bytearray())
        """Data to be written to each end."""
        self._held = False
        for side, end in enumerate(self._ends):
            end.setblocking(False)  # noqa: FBT003 - the signature of socket
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if side:
                end.connect_ex(target)
            loop.watch(end.fileno(), select.EPOLLIN, partial(self._ready, side))

    def watch(self, *, held: bool) -> None:
        """Watch no event while held; otherwise watch each end for reading and writing as needed."""
        self._held = held
        for side, end in enumerate(self._ends):
            reads = len(self._unsent[1 - side]) < _MAX_BUFFERED
            events = (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if self._unsent[side] else 0)
            self._loop.rewatch(end.fileno(), 0 if held else events)

    def close(self) -> None:
        """Reset both ends."""
        self._links.discard(self)
        for end in self._ends:
            if end.fileno() >= 0:
                self._loop.unwatch(end.fileno())
                _reset(end)

    def _ready(self, side: int, events: int) -> None:
        if self._held and not events & (select.EPOLLHUP | select.EPOLLERR):
            return
        try:
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                data = self._ends[side].recv(_CHUNK)
                if not data:
                    self._flush(1 - side)
                    self.close()
                    return
                self._unsent[1 - side].extend(data)
            self._flush(0)
            self._flush(1)
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self.watch(held=self._held)

    def _flush(self, side: int) -> None:
        unsent = self._unsent[side]
        with contextlib.suppress(BlockingIOError):
            while unsent:
                del unsent[: self._ends[side].send(unsent)]


def _reset(end: socket.socket) -> None:
    """Close a connection with a TCP reset."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()
