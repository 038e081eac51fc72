"""The HTTP server of the live page: files, the configuration, the stream of a run, and the relay to its broker.

Every answer has the same strict headers. Connections are bounded: in number, in the time until a request is whole, and
in the time that a browser may take to accept an answer.
"""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from gridfleet.broker.address import BrokerAddress
from gridfleet.dashboards.console.assets import Asset, folder_file
from gridfleet.dashboards.console.relay import connect, open_handshake, relay
from gridfleet.dashboards.console.show import Show
from gridfleet.dashboards.console.stream import MAX_REQUEST, SUBPROTOCOL, Viewer

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
RELAY_PATH: Final = "/mqtt"
STREAM_PATH: Final = "/stream"
FILES_PATH: Final = "/files/"
REQUEST_S: Final = 10.0
"""How long a connection may take to send a request, in seconds; also how long it may stay open without one."""
SEND_S: Final = 60.0
"""How long a browser may take to accept an answer, in seconds."""
MAX_CONNECTIONS: Final = 256
MAX_SOCKETS: Final = 128
"""The most WebSockets at a time; the rest of the connections are for files."""
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n"


class PageHttpServer(ThreadingHTTPServer):
    """Holds the files to serve, and the connections that are open."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        where: tuple[str, int],
        files: Mapping[str, Asset],
        *,
        broker: BrokerAddress | str | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.files = dict(files)
        self.hostnames = LOOPBACK if where[0] in LOOPBACK else None
        self.broker = broker if isinstance(broker, BrokerAddress) else None
        self.tls = tls
        self.show: Show | None = None
        self.sockets: set[socket.socket] = set()
        """The connections that are WebSockets."""
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._deadlines: dict[socket.socket, float] = {}
        super().__init__(where, _Handler)
        port = self.server_address[1]
        own = f"ws://127.0.0.1:{port} ws://localhost:{port}"
        self.headers = page_headers(broker if isinstance(broker, str) else own)
        self.file_headers = page_headers("", styles="'unsafe-inline'")

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's own
        """Give a connection a thread, if there is a place for it."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            request.sendall(_BUSY + headers.encode() + b"\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._deadlines.pop(request, None)
            self._places.release()

    def expect_request(self, link: socket.socket) -> None:
        """From now on a connection has REQUEST_S to send a request."""
        self._deadlines[link] = time.monotonic() + REQUEST_S

    def has_request(self, link: socket.socket) -> None:
        """A request is whole."""
        self._deadlines.pop(link, None)

    def service_actions(self) -> None:
        """End the connections whose request takes too long, however they send it; called ten times a second."""
        now_s = time.monotonic()
        for link, deadline_s in list(self._deadlines.items()):
            if now_s > deadline_s:
                self._deadlines.pop(link, None)
                with suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def close_sockets(self) -> None:
        """Close all WebSockets."""
        for link in list(self.sockets):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's own
        """Log nothing when a browser has disconnected."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files of the page, and refuses everything else."""

    server: PageHttpServer
    protocol_version = "HTTP/1.1"
    server_version = "GridFleet"
    sys_version = ""
    timeout = SEND_S

    def handle_one_request(self) -> None:
        """Serve one request, which must come within its time."""
        self.server.expect_request(self.connection)
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the headers; the request is whole then, because none has a body."""
        is_valid = super().parse_request()
        self.server.has_request(self.connection)
        return is_valid

    def do_GET(self) -> None:
        """Serve a file, or a WebSocket."""
        path = urlsplit(self.path).path
        if self.server.broker is not None and path == RELAY_PATH:
            self._relay(self.server.broker)
        elif self.server.show is not None and path == STREAM_PATH:
            self._stream(self.server.show)
        else:
            self._answer(path, with_body=True)

    def do_HEAD(self) -> None:
        """Serve a file's headers."""
        self._answer(urlsplit(self.path).path, with_body=False)

    def _answer(self, path: str, *, with_body: bool) -> None:
        if not self._is_own_host():
            return self._send_text(HTTPStatus.MISDIRECTED_REQUEST, "this server has another name", with_body)
        found = self._file(path)
        if found is None:
            return self._send_text(HTTPStatus.NOT_FOUND, "not found", with_body)
        headers = self.server.file_headers if path.startswith(FILES_PATH) else self.server.headers
        if self.headers.get("If-None-Match") == found.tag:
            return self._send(HTTPStatus.NOT_MODIFIED, {**headers, "ETag": found.tag}, b"")
        fields = {"Content-Type": found.kind, "ETag": found.tag, "Vary": "Accept-Encoding"}
        body = found.body
        if found.packed is not None and "gzip" in self.headers.get("Accept-Encoding", ""):
            fields["Content-Encoding"] = "gzip"
            body = found.packed
        fields["Content-Length"] = str(len(body))
        return self._send(HTTPStatus.OK, {**fields, **headers}, body if with_body else b"")

    def _file(self, path: str) -> Asset | None:
        folder = None if self.server.show is None else self.server.show.folder
        if folder is not None and path.startswith(FILES_PATH):
            return folder_file(folder, unquote(path.removeprefix(FILES_PATH)))
        return self.server.files.get(path)

    def _send(self, status: HTTPStatus, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(body)

    def _send_text(self, status: HTTPStatus, text: str, with_body: bool) -> None:  # noqa: FBT001 - GET or HEAD
        body = text.encode() + b"\n"
        fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        self._send(status, {**fields, **self.server.headers}, body if with_body else b"")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer an error as every other request: with the strict headers, in plain text."""
        del explain
        self.close_connection = True
        self.request_version = (
            self.protocol_version
        )  # also where the request has none, which answers without headers
        status = HTTPStatus(code)
        self._send_text(status, message or status.phrase, getattr(self, "command", None) != "HEAD")

    # --- WebSockets --------------------------------------------------------------------------------------

    def _relay(self, broker: BrokerAddress) -> None:
        """Relay a WebSocket to the broker, for pages of this server only."""
        handshake = self._handshake("mqtt", None, compressed=False)
        if handshake is None:
            return None
        try:
            link = connect(broker, self.server.tls)
        except OSError:
            return self.send_error(HTTPStatus.BAD_GATEWAY)
        with link, _Socket(self):
            self.wfile.write(handshake.response)
            relay(self.connection, handshake.protocol, link)
        return None

    def _stream(self, show: Show) -> None:
        """Show the run to a page of this server."""
        handshake = self._handshake(SUBPROTOCOL, MAX_REQUEST, compressed=True)
        if handshake is not None:
            with _Socket(self):
                self.wfile.write(handshake.response)
                Viewer(self.connection, handshake.protocol, show).serve()

    def _handshake(self, subprotocol: str, max_size: int | None, *, compressed: bool) -> Any:  # noqa: ANN401
        """Return the answer to a request for a WebSocket; None when it has been refused."""
        self.close_connection = True
        if not self._is_own_host() or not self._is_own_origin():
            return self.send_error(HTTPStatus.FORBIDDEN)
        if len(self.server.sockets) >= MAX_SOCKETS:
            return self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "too many viewers")
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        request = f"{self.requestline}\r\n{headers}\r\n".encode("latin-1")
        handshake = open_handshake(request, subprotocol, max_size, compressed=compressed)
        if handshake.accepted:
            return handshake
        return self.send_error(handshake.status)

    def _is_own_origin(self) -> bool:
        """Whether the WebSocket is opened by a page of this server: browsers state the page's origin."""
        origin = self.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == self.headers.get("Host")

    def _is_own_host(self) -> bool:
        """Whether the request names this server. On loopback only loopback's names do, against DNS rebinding."""
        hostnames = self.server.hostnames
        try:
            return hostnames is None or urlsplit(f"//{self.headers.get('Host', '')}").hostname in hostnames
        except ValueError:
            return False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's own
        """Log nothing: the terminal shows the run."""


class _Socket:
    """Context manager: while it is open, the server closes the connection with itself."""

    def __init__(self, handler: _Handler) -> None:
        self._sockets, self._link = handler.server.sockets, handler.connection

    def __enter__(self) -> None:
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.add(self._link)

    def __exit__(self, *_: object) -> None:
        self._sockets.discard(self._link)


def page_headers(connect_to: str, styles: str = "'self'") -> dict[str, str]:
    """Return the headers of every answer; the page may connect to its server and to the URLs given."""
    policy = (
        f"default-src 'none'; script-src 'self'; worker-src 'self'; style-src {styles}; img-src 'self' data:; "
        f"connect-src 'self' {connect_to}".rstrip()
        + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    if not connect_to:  # a report: styles of its own, and no script
        policy = policy.replace("script-src 'self'; worker-src 'self'; ", "").replace(
            "connect-src 'self'; ", ""
        )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-cache",
    }
