"""The live page of a run: served from its first message until the person who watches is done with it."""

import os
import ssl
import sys
import webbrowser
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from time import monotonic
from types import TracebackType
from typing import Final, Literal, Self

from gridfleet.broker.address import PAGE_PORT, BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Message
from gridfleet.dashboards.console.errors import ConsoleError
from gridfleet.dashboards.console.history.page_history import PageHistory
from gridfleet.dashboards.console.history.segments import HISTORY_FILE
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.console.show import RunStatus, Show
from gridfleet.dashboards.reports.metrics import metric_values, number_text
from gridfleet.dashboards.reports.summary import BROKEN, HOLDS, verdict
from gridfleet.dashboards.store.database import Store
from gridfleet.provisioning.cli.interrupt import Interruption
from gridfleet.provisioning.cli.terminal import print_message

PORTS: Final = 20
"""So many ports from the default one are tried."""
WAIT_S: Final = 15.0
"""How long a run waits for somebody to open the page, in seconds."""
_POLL_S: Final = 0.25
_FILES: Final = ("ledger.csv", "ticks.csv", "reservations.csv", "agents.csv", "summary.json")
Mode = Literal["live", "replay"]


class LivePage:
    """Context manager: the page of a command; it may show several runs, one after the other."""

    def __init__(
        self,
        site: str,
        *,
        port: int | None,
        mode: Mode = "live",
        again: bool = False,
        browser: bool = True,
        needs_login: bool = False,
    ) -> None:
        """Prepare; `port` is the one to listen on, None for the default one or the next that is free.

        `again` lets viewers ask for another run. With `browser` the desktop's browser opens the page. Where the broker
        `needs_login`, the page has only what the broker gives to its users, and no history.
        """
        self._site = site
        self._port = port
        self._browser = browser
        self._access: Literal["open", "login"] = "login" if needs_login else "open"
        self._tls: ssl.SSLContext | None = None
        self._mode: Mode = mode
        self._again = again
        self._history = PageHistory(site)
        self.show = Show(self._history, RunStatus(mode=mode))
        self._server: ConsoleServer | None = None

    def begin(
        self,
        broker: BrokerAddress | str,
        title: str,
        ticks: int,
        folder: Path,
        tls: ssl.SSLContext | None = None,
    ) -> "Watched":
        """Show a run from now on, and return what takes its messages.

        `broker` is where the page's controls go, with `tls`. The history is kept in the run's folder. Raises
        ConsoleError where no page can be served.
        """
        self._history.close()
        self._tls = tls
        self._history = PageHistory(self._site, folder / HISTORY_FILE)
        status = RunStatus("starting", self._mode, title, ticks)
        self.show.begin(self._history, status, folder)
        if self._server is None:
            self._server = self._listen(broker)
        elif isinstance(broker, BrokerAddress):
            self._server.relay_to(broker)
        return Watched(self._history)

    def print_address(self, broker: EmbeddedBroker | None) -> None:
        """Print the page's address, and who can reach the run's own broker."""
        print(f"Console   {self.url}", flush=True)
        if broker is not None:
            print(
                f"          The broker ({broker.url}) is open to every program on this machine.", flush=True
            )

    def start_run(self, go_on: Callable[[], bool], *, wait: bool) -> None:
        """Open the page in a browser; with `wait` give somebody WAIT_S to open it, while `go_on` returns True."""
        Thread(target=_prepare_report, name="report", daemon=True).start()
        if wait and not self.show.wait_for_viewer(0):
            self.open_browser()
        if wait and not self.show.wait_for_viewer(0):
            print(f"          The run begins when somebody opens it, or in {WAIT_S:.0f} s.", flush=True)
            self.wait_for_viewer(go_on)
        self.show.update(state="running")

    def replay(self, history: PageHistory, status: RunStatus, folder: Path | None) -> None:
        """Show a run that is over."""
        self._history.close()
        self._history = history
        self.show.begin(history, status, folder)
        if self._server is None:
            self._server = self._listen(None)

    @property
    def url(self) -> str:
        """The page's address; raises ConsoleError before a run is shown."""
        if self._server is None:
            raise ConsoleError("the page is not being served: begin a run first")
        return self._server.url

    def open_browser(self) -> bool:
        """Open the page in the browser of the desktop, if that is wanted; return whether there is one."""
        if not self._browser or not has_desktop():
            return False
        Thread(target=webbrowser.open, args=(self.url,), name="browser", daemon=True).start()
        return True

    def wait_for_viewer(self, go_on: Callable[[], bool]) -> None:
        """Wait until somebody watches, at most WAIT_S and while `go_on` returns True."""
        end_s = monotonic() + WAIT_S
        while go_on() and monotonic() < end_s:
            if self.show.wait_for_viewer(_POLL_S):
                return

    def finish(self, store: Store, state: Literal["finished", "stopped"]) -> None:
        """Show the result of the run that has ended."""
        self._history.finish()
        ended = status_of(store, self.show.folder, self._mode, state)
        self.show.update(
            state=state,
            result=ended.result,
            good=ended.good,
            progress=0.0,
            files=ended.files,
            marks=ended.marks,
        )

    def report_progress(self, share: float) -> None:
        """Show how much of the report is made, from 0 to 1."""
        self.show.update(progress=share)

    def report_made(self, report: bool) -> None:  # noqa: FBT001 - whether there is one
        """Link to the report, and offer another run."""
        self.show.update(report="files/report.html" if report else None, progress=None, again=self._again)

    def stay(self, seconds: float | None) -> bool:
        """Keep the page until Ctrl-C, or for some seconds; return whether a viewer asks for another run."""
        if seconds == 0:
            return False
        print(f"Console   {self.url} (Ctrl-C to stop)", flush=True)
        end_s = None if seconds is None else monotonic() + seconds
        with Interruption() as interruption:
            while not interruption.requested and (end_s is None or monotonic() < end_s):
                if self.show.again.wait(_POLL_S):
                    return True
        return False

    def _listen(self, broker: BrokerAddress | str | None) -> ConsoleServer:
        """Return the server on the port asked for, or the first free one from the default port on."""
        config = ConsoleConfig(broker, self._site, self._access, self._tls)
        show = self.show if self._access == "open" else None
        if self._port is not None:
            return ConsoleServer(config, port=self._port, show=show).__enter__()
        for port in range(PAGE_PORT, PAGE_PORT + PORTS):
            try:
                server = ConsoleServer(config, port=port, show=show).__enter__()
            except ConsoleError:
                continue
            if port != PAGE_PORT:
                print_message(f"Port {PAGE_PORT} is in use: the page is on the next free one, {port}.")
            return server
        return ConsoleServer(config, show=show).__enter__()

    def __enter__(self) -> Self:
        """Return the page itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.show.status.state in {"starting", "running"}:
            self.show.update(state="lost", reason=str(error), good=False)
        if self._server is not None:
            self._server.close()
        self._history.close()


class Watched:
    """Passes a run's messages to a history until the run is over: what devices publish when they stop is no news."""

    def __init__(self, history: PageHistory) -> None:
        self._history = history
        self.over = False
        """Set it when the run is being ended."""

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Take a message of the run."""
        if not self.over:
            self._history.receive(simulated_ms, scope, sender, message)
            self.over = getattr(message, "status", "") == "finished" and sender == "clock"


def _prepare_report() -> None:
    """Load what draws the report while the run begins, so that the report is there sooner at its end."""
    import_module("gridfleet.dashboards.reports.report")


def has_desktop() -> bool:
    """Whether a browser window can be opened here."""
    if os.environ.get("SSH_CONNECTION") and not os.environ.get("DISPLAY"):
        return False
    if sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def status_of(
    store: Store, folder: Path | None, mode: Mode, state: Literal["finished", "stopped"] = "finished"
) -> RunStatus:
    """Return how a stored run stands; of a report that is being made nothing is known."""
    facts, found = store.facts(), verdict(store)
    ((ticks,),) = store.select("SELECT coalesce(max(tick) + 1, 0) FROM ticks")
    report = folder is not None and (folder / "report.html").is_file()
    return RunStatus(
        state,
        mode,
        facts.title or facts.scenario,
        ticks,
        result=result_text(store, state),
        good=found == HOLDS or (found != BROKEN and state == "stopped"),
        report="files/report.html" if report else None,
        files=files_of(folder),
        marks=marks_of(store),
    )


def result_text(store: Store, state: str = "finished") -> str:
    """Return the result of a run in one sentence."""
    share = metric_values(store)["reactor_share"]
    supply = "nothing was traded" if share != share else f"{number_text(share, 1)} % from the reactor"  # noqa: PLR0124 NaN
    checks = {HOLDS: "all checks hold", BROKEN: "a check is breached"}.get(
        verdict(store), "no check was made"
    )
    return f"Run {state} – {supply}, {checks}"


def files_of(folder: Path | None) -> tuple[tuple[str, str], ...]:
    """Return the results that a folder has, with their addresses under the page."""
    if folder is None:
        return ()
    return tuple((name, f"files/{name}") for name in _FILES if (folder / name).is_file())


def marks_of(store: Store) -> tuple[tuple[int, str], ...]:
    """Return the events of a run to which the page offers to jump."""
    return tuple((event.tick, f"{event.subject}: {event.text}"[:120]) for event in store.events())
