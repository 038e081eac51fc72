"""Hands out the live console: a built page, and what it must know of the run. It never speaks to the broker itself.

The page's sources are in `console/`; `npm run build` there writes `page/`, which is part of the package, so that
users need no Node. The headers let the page load nothing but itself, and connect to nothing but its broker.
"""

import json
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
from gridfleet.dashboards.console.relay import PROTOCOL, accept_key, carry, dial

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
RELAY_PATH: Final = "/mqtt"
MOST_KEY: Final = 64
IDLE_S: Final = 10.0
"""How long a connection may stay open without a request, in seconds."""


class ConsoleError(GridFleetError, OSError):
    """The console cannot be served."""


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """What the page is told: where the broker is, which site to show, and whether one has to log in.

    The broker is a WebSocket address that the browser reaches itself, or one that this server carries it to.
    """

    broker: str | BrokerAddress
    site: str
    access: Literal["open", "login"] = "open"
    tls: ssl.SSLContext | None = None
    """Whom to trust as a broker by TLS; the machine's own list where it is None."""

    def __post_init__(self) -> None:
        """Refuse an address that is none; raise ConsoleError."""
        if isinstance(self.broker, str):
            check_ws_url(self.broker)

    def as_json(self) -> bytes:
        """Return the configuration as the page reads it."""
        return json.dumps(
            {
                "ws_url": self.broker if isinstance(self.broker, str) else RELAY_PATH.lstrip("/"),
                "broker": str(self.broker),
                "site": self.site,
                "access": self.access,
            }
        ).encode()


def check_ws_url(url: str) -> str:
    """Return the address of a broker's WebSocket listener; raise ConsoleError when it cannot be one."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
        parts = urlsplit("")
    if not fine or any(letter in url for letter in " ;,'\"\\\r\n\t") or not url.isascii():
        raise ConsoleError(f"{url!r} is no WebSocket address (for example ws://127.0.0.1:9001)")
    if parts.username is not None or parts.password is not None:
        raise ConsoleError("a WebSocket address takes no name or password: the page asks for them")
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
        raise ConsoleError("the console's page is not built: run `make page`")
    return found


class ConsoleServer:
    """Context manager: the console at `url`, served by a thread of its own until closed."""

    def __init__(self, config: ConsoleConfig, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Say where to listen, port 0 being any free one."""
        self._config = config
        self._wanted = (host, port)
        self._server: _Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        host, port = self._wanted
        try:
            self._server = _Server(self._wanted, page_files(), self._config)
        except (OSError, OverflowError) as error:
            if isinstance(error, ConsoleError):
                raise
            raise ConsoleError(
                f"the console cannot be served on {host}:{port} ({error}): choose another port, or 0"
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
        """The page's address; raises ConsoleError unless it is served."""
        if self._server is None:
            raise ConsoleError("the console is not served: use it inside its `with` block")
        host = self._wanted[0]
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._server.server_address[1]}/"

    def close(self) -> None:
        """End the server and free its port. Closing twice is safe."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.part()
        if self._thread is not None:
            self._thread.join()


class _Server(ThreadingHTTPServer):
    """Holds what there is to hand out."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, where: tuple[str, int], pages: Mapping[str, bytes], config: ConsoleConfig) -> None:
        self.answers = {
            path: (TYPES.get(path[path.rfind(".") :], "application/octet-stream"), body)
            for path, body in pages.items()
        }
        self.answers["/"] = self.answers["/index.html"]
        self.answers["/config.json"] = ("application/json", config.as_json())
        self.names = LOOPBACK if where[0] in LOOPBACK else None
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

    def part(self) -> None:
        """End all connections between browsers and the broker."""
        for link in list(self.relayed):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's own
        """Say nothing of a browser that went away."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files there are, and refuses everything else."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "GridFleet"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        """Hand out a file, or carry a WebSocket."""
        if self.server.broker is not None and urlsplit(self.path).path == RELAY_PATH:
            self._relay(self.server.broker)
        else:
            self._answer(whole=True)

    def do_HEAD(self) -> None:
        """Hand out a file's headers."""
        self._answer(whole=False)

    def _answer(self, *, whole: bool) -> None:
        found = self.server.answers.get(urlsplit(self.path).path)
        if not self._named_rightly():
            status, kind, body = HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"not my name\n"
        elif found is None:
            status, kind, body = HTTPStatus.NOT_FOUND, "text/plain", b"nothing here\n"
        else:
            status, (kind, body) = HTTPStatus.OK, found
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if whole:
            self.wfile.write(body)

    def _relay(self, broker: BrokerAddress) -> None:
        """Carry a WebSocket to the broker, for pages of our own only."""
        self.close_connection = True
        key = self.headers.get("Sec-WebSocket-Key", "")
        offered = [each.strip() for each in self.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        upgrade = self.headers.get("Upgrade", "").lower()
        if not self._named_rightly() or not self._from_our_page():
            return self.send_error(HTTPStatus.FORBIDDEN)
        if upgrade != "websocket" or PROTOCOL not in offered or len(key) > MOST_KEY:
            return self.send_error(HTTPStatus.BAD_REQUEST)
        try:
            link = dial(broker, self.server.tls)
        except OSError:
            return self.send_error(HTTPStatus.BAD_GATEWAY)
        browser = self.connection
        self.server.relayed.add(browser)
        try:
            with link:
                browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", accept_key(key))
                self.send_header("Sec-WebSocket-Protocol", PROTOCOL)
                self.end_headers()
                carry(browser, link)
        finally:
            self.server.relayed.discard(browser)

    def _from_our_page(self) -> bool:
        """Every browser says from which page a WebSocket comes: any other page's is refused."""
        origin = self.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == self.headers.get("Host")

    def _named_rightly(self) -> bool:
        """On loopback, answer only to loopback's names: no stranger's page gets in under a name of its own."""
        names = self.server.names
        try:
            return names is None or urlsplit(f"//{self.headers.get('Host', '')}").hostname in names
        except ValueError:
            return False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's own
        """Keep quiet: the terminal belongs to the run."""


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
