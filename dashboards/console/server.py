"""Serve the live console over HTTP: the built page, its configuration, a run's stream, and a relay to its broker.

The page's sources are in `console/`; `make page` builds them into `page/`, which is part of the package, so that
users need no Node. The headers allow the page to load nothing but itself, and to connect to nothing but its broker.
"""

import ssl
from dataclasses import dataclass, replace
from html import escape
from threading import Thread
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.console.assets import Asset, asset, page_files
from gridfleet.dashboards.console.errors import ConsoleError
from gridfleet.dashboards.console.http_server import RELAY_PATH, STREAM_PATH, PageHttpServer
from gridfleet.dashboards.console.show import Show


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The page's configuration: where the broker is, which site to show, and whether a login is required.

    The broker is a WebSocket URL that the browser connects to itself, or an address that this server relays to; None
    where there is none, because a run is replayed.
    """

    broker: str | BrokerAddress | None
    site: str
    access: Literal["open", "login"] = "open"
    tls: ssl.SSLContext | None = None
    """The TLS settings for the broker; None for the system's certificate authorities."""

    def __post_init__(self) -> None:
        """Check the address; raise ConsoleError when it is not a WebSocket URL."""
        if isinstance(self.broker, str):
            check_ws_url(self.broker)

    def as_json(self, *, stream: bool = False) -> bytes:
        """Return the configuration as the page reads it, as JSON; `stream` says that the server has a run to show."""
        relayed = None if self.broker is None else RELAY_PATH.lstrip("/")
        return json_text(
            {
                "ws_url": self.broker if isinstance(self.broker, str) else relayed,
                "broker": "" if self.broker is None else str(self.broker),
                "site": self.site,
                "access": self.access,
                "stream": STREAM_PATH.lstrip("/") if stream else None,
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


class ConsoleServer:
    """Context manager: the console at `url`, served by a thread of its own until closed."""

    def __init__(
        self, config: ConsoleConfig, *, host: str = "127.0.0.1", port: int = 0, show: Show | None = None
    ) -> None:
        """Listen on a host and port; port 0 is any free one.

        `show` is a run that every page gets from its beginning: give none where a login is required to see it.
        """
        self._config = config
        self._address = (host, port)
        self._show = show
        self._server: PageHttpServer | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        host, port = self._address
        try:
            self._server = self._listen()
        except (OSError, OverflowError) as error:
            if isinstance(error, ConsoleError):
                raise
            raise ConsoleError(
                f"the console cannot be served on {host}:{port} ({error}): choose another port, or 0 for any free one"
            ) from None
        self._server.show = self._show
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="console", daemon=True)
        self._thread.start()
        return self

    def _listen(self) -> PageHttpServer:
        config = self._config
        found = {path: asset(path, body) for path, body in page_files().items()}
        found.update(self._configured())
        return PageHttpServer(self._address, found, broker=config.broker, tls=config.tls)

    def _configured(self) -> dict[str, Asset]:
        """Return the files that depend on the configuration: itself, and the page with it in its head."""
        config = self._config.as_json(stream=self._show is not None)
        meta = f'<meta name="gridfleet-config" content="{escape(config.decode())}">\n  </head>'.encode()
        page = asset("/index.html", page_files()["/index.html"].replace(b"</head>", meta, 1))
        return {"/": page, "/index.html": page, "/config.json": asset("/config.json", config)}

    def relay_to(self, broker: BrokerAddress) -> None:
        """Relay to another broker from now on, as that of the next run."""
        self._config = replace(self._config, broker=broker)
        if self._server is not None:
            self._server.broker = broker
            self._server.files.update(self._configured())

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
            server.close_sockets()
        if self._thread is not None:
            self._thread.join()
