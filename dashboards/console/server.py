"""Serve the live console over HTTP: the built page, its configuration, and a relay to brokers without WebSocket.

The page's sources are in `console/`; `make page` builds them into `page/`, which is part of the package, so that
users need no Node. The headers allow the page to load nothing but itself, and to connect to nothing but its broker.
"""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from importlib.resources.abc import Traversable
from threading import Thread
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.console.relay import connect, open_handshake, relay

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
RELAY_PATH: Final = "/mqtt"
IDLE_S: Final = 10.0
"""How long a connection may stay open without a request, in seconds."""


class ConsoleError(GridFleetError, OSError):
    """The console cannot be served."""


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The page's configuration: where the broker is, which site to show, and whether a login is required.

    The broker is a WebSocket URL that the browser connects to itself, or an address that this server relays to.
    """

    broker: str | BrokerAddress
    site: str
    access: Literal["open", "login"] = "open"
    tls: ssl.SSLContext | None = None
    """The TLS settings for the broker; None for the system's certificate authorities."""

    def __post_init__(self) -> None:
        """Check the address; raise ConsoleError when it is not a WebSocket URL."""
        if isinstance(self.broker, str):
            check_ws_url(self.broker)

    def as_json(self) -> bytes:
        """Return the configuration as the page reads it, as JSON."""
        return json_text(
            {
                "ws_url": self.broker if isinstance(self.broker, str) else RELAY_PATH.lstrip("/"),
                "broker": str(self.broker),
                "site": self.site,
                "access": self.access,
            }
        ).encode()


def check_ws_url(url: str) -> str:
    """Return the URL of a broker's WebSocket listener; raise ConsoleError when it is not one."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
        parts = urlsplit("")
    if not valid or any(letter in url for letter in " ;,'\"\\\r\n\t") or not url.isascii():
        raise ConsoleError(f"{url!r} is not a WebSocket URL such as ws://127.0.0.1:9001")
    if parts.username is not None or parts.password is not None:
        raise ConsoleError("a WebSocket URL must not contain a name or password: the page asks for them")
    return url


def page_files() -> dict[str, bytes]:
    """Return the built page, path by path; raise ConsoleError when it has not been built."""
    found: dict[str, bytes] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            else:
                found[f"{prefix}{entry.name}"] = entry.read_bytes()

    page = files("gridfleet.dashboards.console") / "page"
    if page.is_dir():
        walk(page, "/")
    if "/index.html" not in found:
        raise ConsoleError("the console's page is missing from this installation: build it with `make page`")
    return found


class ConsoleServer:
    """Context manager: the console at `url`, served by a thread of its own until closed."""

    def __init__(self, config: ConsoleConfig, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on a host and port; port 0 is any free one."""
        self._config = config
        self._address = (host, port)
        self._server: _Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        host, port = self._address
        try:
            self._server = _Server(self._address, page_files(), self._config)
        except (OSError, OverflowError) as error:
            if isinstance(error, ConsoleError):
                raise
            raise ConsoleError(
                f"the console cannot be served on {host}:{port} ({error}): choose another port, or 0 for any free one"
            ) from None
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="console", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The page's URL; raises ConsoleError unless it is being served."""
        if self._server is None:
            raise ConsoleError("the console is not being served: use it inside its `with` block")
        host = self._address[0]
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._server.server_address[1]}/"

    def close(self) -> None:
        """End the server and free its port. Closing twice is safe."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.close_relays()
        if self._thread is not None:
            self._thread.join()


class _Server(ThreadingHTTPServer):
    """Holds the files to serve, and the connections that are relayed."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, where: tuple[str, int], pages: Mapping[str, bytes], config: ConsoleConfig) -> None:
        self.answers = {
            path: (TYPES.get(path[path.rfind(".") :], "application/octet-stream"), body)
            for path, body in pages.items()
        }
        self.answers["/"] = self.answers["/index.html"]
        self.answers["/config.json"] = ("application/json", config.as_json())
        self.hostnames = LOOPBACK if where[0] in LOOPBACK else None
        self.broker = config.broker if isinstance(config.broker, BrokerAddress) else None
        self.tls = config.tls
        self.relayed: set[socket.socket] = set()
        super().__init__(where, _Handler)
        port = self.server_address[1]
        self.headers = _headers(
            config.broker
            if isinstance(config.broker, str)
            else f"ws://127.0.0.1:{port} ws://localhost:{port}"
        )

    def close_relays(self) -> None:
        """Close all connections between browsers and the broker."""
        for link in list(self.relayed):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's own
        """Log nothing when a browser has disconnected."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files of the page, and refuses everything else."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "GridFleet"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        """Serve a file, or relay a WebSocket."""
        if self.server.broker is not None and urlsplit(self.path).path == RELAY_PATH:
            self._relay(self.server.broker)
        else:
            self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Serve a file's headers."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        found = self.server.answers.get(urlsplit(self.path).path)
        if not self._is_own_host():
            status, kind, body = (
                HTTPStatus.MISDIRECTED_REQUEST,
                "text/plain",
                b"this server has another name\n",
            )
        elif found is None:
            status, kind, body = HTTPStatus.NOT_FOUND, "text/plain", b"not found\n"
        else:
            status, (kind, body) = HTTPStatus.OK, found
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _relay(self, broker: BrokerAddress) -> None:
        """Relay a WebSocket to the broker, for pages of this server only."""
        self.close_connection = True
        if not self._is_own_host() or not self._is_own_origin():
            return self.send_error(HTTPStatus.FORBIDDEN)
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        handshake = open_handshake(f"{self.requestline}\r\n{headers}\r\n".encode("latin-1"))
        if not handshake.accepted:
            self.wfile.write(handshake.response)
            return None
        try:
            link = connect(broker, self.server.tls)
        except OSError:
            return self.send_error(HTTPStatus.BAD_GATEWAY)
        browser = self.connection
        self.server.relayed.add(browser)
        try:
            with link:
                browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.wfile.write(handshake.response)
                relay(browser, handshake.protocol, link)
        finally:
            self.server.relayed.discard(browser)
        return None

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


def _headers(broker: str) -> dict[str, str]:
    policy = (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {broker}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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
