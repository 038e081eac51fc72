"""Fixtures: a small fleet that runs on a broker and is recorded, and a browser that follows commands."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.decoder import MessageReceiver
from gridfleet.broker.protocol.messages import ClockState, Control, Message, Mode, Tick
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.recording.recorder import Recorder
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import EventRow, ReservationRow, TickRow, TradeRow, VehicleRow
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.site import SiteRun
from tests.console.made_site import SITE, MadeSite
from tests.waiting import PATIENCE_S, wait_until

SOURCES: Final = Path(__file__).resolve().parent.parent.parent / "console"
LIVE: Final = "document.querySelector('#live').dataset.state === 'live'"
SMALL: Final = (
    "area.rows=1",
    "area.columns=2",
    "turbines.count=4",
    "vehicles.count=8",
    "chargers.count=6",
    "settings.turbine_scale=0.1",
)


@dataclass
class Ledger:
    """The recorded rows of a run, and the invariants that it breached."""

    ticks: list[TickRow] = field(default_factory=list)
    trades: list[TradeRow] = field(default_factory=list)
    reservations: list[ReservationRow] = field(default_factory=list)
    vehicles: list[VehicleRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    breaches: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Running:
    """A fleet that runs in a thread, with the clock's last messages, and after its end, if recorded, the ledger."""

    def __init__(
        self,
        url: str,
        *changes: str,
        seconds_per_tick: float = 0.6,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        recorded: bool = False,
        receivers: tuple[MessageReceiver, ...] = (),
    ) -> None:
        fleet = Fleet(load("normal", changes or SMALL))
        self.site = SiteRun(
            fleet,
            BrokerAddress.parse(url),
            mode=Mode.SCALED,
            seconds_per_tick=seconds_per_tick,
            ticks=100_000,
            receivers=(self._receive, *receivers),
            credentials=credentials,
        )
        self.tick: Tick | None = None
        self.clock: ClockState | None = None
        self.controls: list[tuple[str, str, Control]] = []
        """Setting, operator and message of every control that the broker delivered."""
        self.ledger = Ledger()
        self.error: BaseException | None = None
        self._stop = False
        self._recorded = recorded
        self._recorder: Recorder | None = None
        self._auditor = Auditor(exact=False)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            if not self._recorded:
                self.site.run(lambda _site: not self._stop)
                return
            with Store.create() as store:
                self._recorder = Recorder(store)
                self.site.run(lambda _site: not self._stop)
                self._recorder.finish()
                self.ledger = Ledger(
                    list(store.ticks()),
                    list(store.trades()),
                    list(store.reservations()),
                    list(store.vehicles()),
                    list(store.events()),
                    {each.name: each.examples for each in self._auditor.finish() if not each.holds},
                )
        except BaseException as error:  # noqa: BLE001 - raised by the test that stops it
            self.error = error

    def _receive(self, now_ms: int, scope: str, sender: str, message: Message) -> None:
        if isinstance(message, Tick):
            self.tick = message
        elif isinstance(message, ClockState):
            self.clock = message
        elif isinstance(message, Control):
            self.controls.append((scope, sender, message))
        if self._recorder is not None:
            self._recorder.receive(now_ms, scope, sender, message)
            self._auditor.receive(now_ms, scope, sender, message)

    @property
    def now(self) -> Tick:
        """The last tick received."""
        assert self.tick is not None
        return self.tick

    def stop(self) -> None:
        """End the run, if it has not ended; after that the ledger is complete."""
        self._stop = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.error or (self.tick is not None and self.tick.tick >= 2))
        assert self.error is None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            assert self.error is None


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
def running(broker: EmbeddedBroker) -> Iterator[Running]:
    with Running(broker.url) as fleet:
        yield fleet


class Browser:
    """A page in Chromium, driven by console/tests/driver.mjs."""

    def __init__(self, chromium: Path) -> None:
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, "tests/driver.mjs"],
            cwd=SOURCES,
            env={**os.environ, "CHROMIUM": str(chromium)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def do(self, command: str, **rest: object) -> Any:  # noqa: ANN401 - any JSON value
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **rest}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(f"{command} {rest}: {answer['error']}")
        return answer["value"]

    def text(self, selector: str) -> str:
        return str(self.do("text", selector=selector))

    def wait(self, code: str, seconds: float = PATIENCE_S) -> None:
        self.do("wait", code=code, seconds=seconds)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def browser(node_modules: Path, chromium_program: Path) -> Iterator[Browser]:
    page = Browser(chromium_program)
    try:
        yield page
    finally:
        page.close()


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[MadeSite, str]]:
    """A site of messages, and the address of its page."""
    with EmbeddedBroker() as broker:
        config = ConsoleConfig(BrokerAddress.parse(broker.url), SITE)
        with MadeSite(broker.url) as site, ConsoleServer(config) as server:
            yield site, server.url


@pytest.fixture(scope="module")
def window(node_modules: Path, chromium_program: Path) -> Iterator[Browser]:
    """A browser for the tests of a module."""
    with closing(Browser(chromium_program)) as browser:
        yield browser
