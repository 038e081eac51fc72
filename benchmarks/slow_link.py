"""Seconds until the live page is live over a slow link: 50 kB/s and 400 ms from a request to its answer.

The server shows a run of the normal scenario near its end; a proxy delays and slows down what it sends, for all
connections of the browser together. Needs Chromium, Node.js and npm.
"""

import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from statistics import median
from types import TracebackType
from typing import Final, Self

from benchmarks.console import in_chromium
from benchmarks.table import Cell, show
from gridfleet.dashboards.console.history.page_history import PageHistory
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.console.show import RunStatus, Show
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.simulation import Simulation

BYTES_PER_S: Final = 50_000
ROUND_TRIP_S: Final = 0.4
TICKS: Final = 118
"""So many of the scenario's 120 ticks are over when the page is opened."""
LIVE: Final = "Boolean(globalThis.gridfleetSite?.tick && gridfleetSite.history.finished().length > 100)"
_CHUNK: Final = 2_048
_MAX_S: Final = 60.0


class SlowLink:
    """Context manager: a proxy in front of a port of this machine."""

    def __init__(
        self, port: int, bytes_per_s: float = BYTES_PER_S, round_trip_s: float = ROUND_TRIP_S
    ) -> None:
        self._to = ("127.0.0.1", port)
        self._bytes_per_s = bytes_per_s
        self._delay_s = round_trip_s / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._free_s = 0.0
        """When the link has sent what it has taken."""
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(browser,), daemon=True).start()

    def _serve(self, browser: socket.socket) -> None:
        time.sleep(2 * self._delay_s)  # the connection's own handshake
        with browser, suppress(OSError), socket.create_connection(self._to) as server:
            browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting: deque[tuple[float, socket.socket, bytes]] = deque()
            while not self._closed:
                left_s = min((each[0] for each in waiting), default=time.monotonic() + 0.2) - time.monotonic()
                for link in select.select([browser, server], [], [], max(left_s, 0.0))[0]:
                    data = link.recv(_CHUNK)
                    if not data:
                        return
                    waiting.append(
                        (self._due_s(link is server, len(data)), browser if link is server else server, data)
                    )
                while waiting and waiting[0][0] <= time.monotonic():
                    _, to, data = waiting.popleft()
                    to.sendall(data)

    def _due_s(self, downwards: bool, size: int) -> float:  # noqa: FBT001 - of the two directions
        """Return when bytes arrive: what the server sends shares the link."""
        now_s = time.monotonic()
        if not downwards:
            return now_s + self._delay_s
        with self._lock:
            self._free_s = max(self._free_s, now_s) + size / self._bytes_per_s
            return self._free_s + self._delay_s


def measure(bytes_per_s: float = BYTES_PER_S, round_trip_s: float = ROUND_TRIP_S) -> float:
    """Return the seconds until the page shows the run; raise RuntimeError when a tool is missing or the page fails."""
    scenario = load("normal", ())
    with PageHistory(scenario.site) as history:
        Simulation(scenario, ticks=TICKS, receivers=(history.receive,)).run()
        shown = Show(history, RunStatus("running", title=scenario.title, ticks=scenario.ticks))
        with (
            ConsoleServer(ConsoleConfig(None, scenario.site), show=shown) as server,
            SlowLink(int(server.url.rstrip("/").rpartition(":")[2]), bytes_per_s, round_trip_s) as link,
        ):
            url = f"http://127.0.0.1:{link.port}/"
            return float(in_chromium("tests/until.mjs", url, LIVE, most_s=_MAX_S))


def run(*, quick: bool) -> None:
    """Measure and print."""
    times = [measure() for _ in range(1 if quick else 5)]
    rows: list[list[Cell]] = [
        [f"{BYTES_PER_S / 1000:.0f} kB/s, {ROUND_TRIP_S * 1000:.0f} ms", median(times), max(times)]
    ]
    show("Live page over a slow link: seconds until it is live", ["link", "median", "slowest"], rows)
