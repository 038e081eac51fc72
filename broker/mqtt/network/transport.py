"""The transport below MQTT: a non-blocking TCP or TLS connection, buffered both ways. paho uses it as its socket.

It reads a whole buffer at once and returns it packet by packet. Everything sent in one turn of the loop is written
together. So there is one system call each way, however many packets.
"""

import contextlib
import os
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

from gridfleet.broker.mqtt.event_loop import EventLoop

_READ_SIZE: Final = 65_536
_CLOSE_FLUSH_S: Final = 1.0
_MAX_LENGTH_BYTES: Final = 4
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

SocketAddress = tuple[int, Any]
"""An address family, and the address that connect() takes for it."""


class Framing(Protocol):
    """A protocol between TCP and MQTT, such as WebSocket."""

    open: bool
    """Whether the other side has accepted it."""

    def outgoing(self) -> bytes:
        """Return the bytes that it sends itself."""
        ...

    def wrap(self, data: bytes) -> bytes:
        """Return MQTT bytes as they are sent."""
        ...

    def receive(self, data: bytes) -> tuple[bytes, bool]:
        """Return the MQTT bytes in received ones, and whether the other side ends the connection; raise OSError."""
        ...


class Transport:
    """A TCP or TLS connection: connecting, then open, then closed."""

    __slots__ = (
        "_framing",
        "_host",
        "_plain",
        "_position",
        "_read_buffer",
        "_sock",
        "_tls",
        "_write_buffer",
        "eof",
        "error",
        "events",
        "half_closed",
        "open",
    )

    def __init__(
        self, address: SocketAddress, tls: ssl.SSLContext | None, host: str, framing: Framing | None = None
    ) -> None:
        """Begin to connect; raise OSError if that fails at once. TLS expects a certificate for `host`.

        With `framing` the bytes are sent as messages of another protocol: WebSocket.
        """
        family, where = address
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket's own way
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                sock.connect(where)
        except BaseException:
            sock.close()
            raise
        self._sock: socket.socket = sock
        self._tls = tls
        self._host = host
        self._framing = framing
        self._plain = bytearray()
        """What waits until the framing is open."""
        self._read_buffer = b""
        self._position = 0
        self._write_buffer = bytearray()
        self.events = select.EPOLLIN | select.EPOLLOUT
        """The epoll events that it waits for."""
        self.open = False
        self.eof = False
        """Whether the broker has closed its side, or reading failed."""
        self.half_closed = False
        """Whether `close()` closes only our side, after writing what is unsent; the owner reads on until `eof`."""
        self.error: OSError | None = None

    # --- what paho calls ---

    def send(self, data: bytes | bytearray) -> int:
        """Buffer the data for `flush` to write."""
        framing = self._framing
        if framing is None:
            self._write_buffer += data
        elif framing.open:
            self._write_buffer += framing.wrap(bytes(data))
        else:
            self._plain += data
        return len(data)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - paho calls it so
        """Do nothing: a transport never blocks."""

    def close(self) -> None:
        """Close the connection; when `half_closed`, only our side of it, after writing what is unsent."""
        if not self.half_closed:
            self._sock.close()
            return
        with contextlib.suppress(OSError):
            self.flush()
            if self._write_buffer:  # the kernel's buffer is full: rare, and worth a short wait
                self._sock.settimeout(_CLOSE_FLUSH_S)
                self._sock.sendall(self._write_buffer)
                self._sock.setblocking(False)  # noqa: FBT003 - the socket's own way
            self._sock.shutdown(socket.SHUT_WR)

    # --- what the owner calls ---

    def next_packet(self) -> tuple[int, bytes] | None:
        """Return the next complete MQTT packet, as first byte and body; None when there is none.

        Raises ValueError for a malformed remaining length.
        """
        buffer, start = self._read_buffer, self._position
        have = len(buffer)
        length = shift = 0
        for place in range(start + 1, start + 1 + _MAX_LENGTH_BYTES):
            if place >= have:
                return None
            length |= (buffer[place] & 0x7F) << shift
            if buffer[place] < 0x80:
                break
            shift += 7
        else:
            raise ValueError("the remaining length of a packet has more than 4 bytes")
        end = place + 1 + length
        if end > have:
            return None
        self._position = end
        return buffer[start], buffer[place + 1 : end]

    @property
    def unsent(self) -> int:
        """The number of bytes that wait to be written."""
        return len(self._write_buffer) + len(self._plain)

    def continue_connecting(self) -> bool:
        """Continue the TCP connection and the TLS handshake; return True once open, raise OSError on failure."""
        if self.open:
            return True
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        try:
            self._sock.getpeername()  # raises while there is no connection: an old event may arrive before it
            if self._tls is not None:
                if not isinstance(self._sock, ssl.SSLSocket):
                    self._sock = self._tls.wrap_socket(
                        self._sock, server_hostname=self._host, do_handshake_on_connect=False
                    )
                self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self.events = select.EPOLLIN
            return False
        except ssl.SSLWantWriteError:
            self.events = select.EPOLLOUT
            return False
        self.open = True
        self.events = select.EPOLLIN
        if self._framing is not None:
            self._write_buffer += self._framing.outgoing()
        return True

    def read(self) -> None:
        """Read once what has arrived; a failure counts as the end of the connection."""
        try:
            data = self._sock.recv(_READ_SIZE)
            if not data:
                self.eof = True
            elif self._tls is not None:
                data = self._with_decrypted(data)
            if data and self._framing is not None:
                data = self._unframed(data, self._framing)
        except _WOULD_BLOCK:
            return
        except OSError as error:
            self.error = error
            self.eof = True
            return
        self._read_buffer = self._read_buffer[self._position :] + data
        self._position = 0

    def flush(self) -> bool:
        """Write as much as the kernel accepts; return True when nothing is left."""
        if not self.open:
            return False
        buffer = self._write_buffer
        while buffer:
            try:
                sent = self._sock.send(buffer)
            except _WOULD_BLOCK:
                self.events = select.EPOLLIN | select.EPOLLOUT
                return False
            except OSError as error:  # reading will find the end of the connection
                self.error = error
                buffer.clear()
                break
            if sent == len(buffer):
                buffer.clear()
            else:
                del buffer[:sent]
        self.events = select.EPOLLIN
        return True

    def abort(self) -> None:
        """Close the socket at once."""
        self._sock.close()

    def _unframed(self, data: bytes, framing: Framing) -> bytes:
        """Return the MQTT bytes in framed data; answer what the framing itself asks for."""
        found, closed = framing.receive(data)
        if framing.open and self._plain:
            plain, self._plain = bytes(self._plain), bytearray()
            self._write_buffer += framing.wrap(plain)
        self._write_buffer += framing.outgoing()
        self.eof = self.eof or closed
        return found

    def _with_decrypted(self, data: bytes) -> bytes:
        """Return the data and what the TLS layer has decrypted already; epoll does not report that."""
        sock = self._sock
        parts = [data]
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            parts.append(sock.recv(_READ_SIZE))
        return b"".join(parts)


class WatchedTransport(Transport):
    """A transport that an event loop watches."""

    __slots__ = ("_loop", "_watched_events")

    def __init__(
        self,
        address: SocketAddress,
        tls: ssl.SSLContext | None,
        host: str,
        loop: EventLoop,
        on_ready: Callable[[int], None],
        framing: Framing | None = None,
    ) -> None:
        """Begin to connect; `on_ready` gets the epoll events that occur. Raises OSError if that fails at once."""
        super().__init__(address, tls, host, framing)
        self._loop = loop
        self._watched_events = self.events
        loop.watch(self.fileno(), self.events, on_ready)

    def update_events(self) -> None:
        """Let the loop watch for the events that the transport waits for now."""
        if self.events != self._watched_events and self.fileno() >= 0:
            self._watched_events = self.events
            self._loop.rewatch(self.fileno(), self.events)

    def unwatch(self) -> None:
        """End the watch, before the socket is closed."""
        if self.fileno() >= 0:
            self._loop.unwatch(self.fileno())

    def abort(self) -> None:
        """End the watch and close the socket at once."""
        self.unwatch()
        super().abort()
