"""A TCP or TLS connection that never blocks and is buffered both ways; paho takes it for its socket.

A whole buffer is read at once and handed out packet by packet, and everything said in one turn goes out
together: one system call each way, however many packets.
"""

import contextlib
import os
import select
import socket
import ssl
from typing import Any, Final

_READ: Final = 65_536
_LAST_WORDS_S: Final = 1.0
_MOST_LENGTH_BYTES: Final = 4
_WANTS_MORE: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

SocketAddress = tuple[int, Any]
"""An address family and what connect() takes for it."""


class Stream:
    """A connection under construction, then open, then closed."""

    __slots__ = (
        "_host",
        "_inbox",
        "_outbox",
        "_position",
        "_sock",
        "_tls",
        "ended",
        "error",
        "half_closed",
        "open",
        "wants",
    )

    def __init__(self, address: SocketAddress, tls: ssl.SSLContext | None, host: str) -> None:
        """Begin to connect; raise OSError if that fails at once. TLS expects a certificate for `host`."""
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
        self._inbox = b""
        self._position = 0
        self._outbox = bytearray()
        self.wants = select.EPOLLIN | select.EPOLLOUT
        """The epoll events that would get the stream further."""
        self.open = False
        self.ended = False
        """The other side will say no more."""
        self.half_closed = False
        """Whether `close()` says good-bye and leaves the rest of the reading to the owner."""
        self.error: OSError | None = None

    # --- what paho calls ---

    def send(self, data: bytes | bytearray) -> int:
        """Take all of the data, to be written by `flush`."""
        self._outbox += data
        return len(data)

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - paho calls it so
        """Do nothing: a stream never blocks."""

    def close(self) -> None:
        """Close the connection; when `half_closed`, only our side of it, after the last words."""
        if not self.half_closed:
            self._sock.close()
            return
        with contextlib.suppress(OSError):
            self.flush()
            if self._outbox:  # the kernel's buffer is full: rare, and worth a short wait
                self._sock.settimeout(_LAST_WORDS_S)
                self._sock.sendall(self._outbox)
                self._sock.setblocking(False)  # noqa: FBT003 - the socket's own way
            self._sock.shutdown(socket.SHUT_WR)

    # --- what the owner calls ---

    def packet(self) -> tuple[int, bytes] | None:
        """Return the next whole MQTT packet that was read, as first byte and body; None when there is none.

        Raises ValueError for a length that is none.
        """
        inbox, start = self._inbox, self._position
        have = len(inbox)
        length = shift = 0
        for place in range(start + 1, start + 1 + _MOST_LENGTH_BYTES):
            if place >= have:
                return None
            length |= (inbox[place] & 0x7F) << shift
            if inbox[place] < 0x80:
                break
            shift += 7
        else:
            raise ValueError("a packet whose length never ends")
        end = place + 1 + length
        if end > have:
            return None
        self._position = end
        return inbox[start], inbox[place + 1 : end]

    @property
    def unsent(self) -> int:
        """How many bytes wait to be written."""
        return len(self._outbox)

    def advance(self) -> bool:
        """Get on with connecting and the TLS handshake; return True once open, raise OSError on failure."""
        if self.open:
            return True
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        try:
            self._sock.getpeername()  # a stale event may come before the connection
            if self._tls is not None:
                if not isinstance(self._sock, ssl.SSLSocket):
                    self._sock = self._tls.wrap_socket(
                        self._sock, server_hostname=self._host, do_handshake_on_connect=False
                    )
                self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self.wants = select.EPOLLIN
            return False
        except ssl.SSLWantWriteError:
            self.wants = select.EPOLLOUT
            return False
        self.open = True
        self.wants = select.EPOLLIN
        return True

    def fill(self) -> None:
        """Read what there is, once; what cannot be read any more counts as the end."""
        try:
            data = self._sock.recv(_READ)
            if not data:
                self.ended = True
            elif self._tls is not None:
                data = self._rest(data)
        except _WANTS_MORE:
            return
        except OSError as error:
            self.error = error
            self.ended = True
            return
        self._inbox = self._inbox[self._position :] + data
        self._position = 0

    def flush(self) -> bool:
        """Write as much as the kernel takes; return True when nothing is left."""
        if not self.open:
            return False
        outbox = self._outbox
        while outbox:
            try:
                sent = self._sock.send(outbox)
            except _WANTS_MORE:
                self.wants = select.EPOLLIN | select.EPOLLOUT
                return False
            except OSError as error:  # reading will find the end of the connection
                self.error = error
                outbox.clear()
                break
            if sent == len(outbox):
                outbox.clear()
            else:
                del outbox[:sent]
        self.wants = select.EPOLLIN
        return True

    def abort(self) -> None:
        """Close the socket at once."""
        self._sock.close()

    def _rest(self, data: bytes) -> bytes:
        """Return the data and what the TLS layer has decrypted already, of which epoll knows nothing."""
        sock = self._sock
        parts = [data]
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            parts.append(sock.recv(_READ))
        return b"".join(parts)
