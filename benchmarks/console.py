"""Frames per second of the live page in Chromium, with a thousand devices.

The devices are simulated in one process, and their messages are published to a broker at the pace of a scaled run: the
page receives the same as from a fleet, and the cost of the fleet does not count. Needs Chromium, Node.js and npm.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import replace
from statistics import median
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from benchmarks.measure import ROOT
from benchmarks.table import Cell, show
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.messages import ClockState, Message, Mode, Tick
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.simulation import Simulation

SOURCES: Final = ROOT / "console"
CROWDS: Final = {100: (2, 2), 1_000: (4, 4), 3_000: (6, 6), 5_000: (8, 8)}
"""Devices, and the rows and columns of their cells."""
SECONDS_PER_TICK: Final = 4.0
TICKS: Final = 2_000
"""More than a measurement lasts."""
MAX_RUN_S: Final = 120.0


class Frames(NamedTuple):
    """What Chromium drew in some seconds."""

    devices: str
    frames: int
    frames_per_s: float
    p95_frame_ms: float
    slowest_frame_ms: int
    pictures: int
    """How many of four screenshots of the map were different."""


class Crowd:
    """Context manager: a simulated fleet that publishes to a broker, in its own thread, until closed."""

    def __init__(self, url: str, scenario: Scenario, seconds_per_tick: float = SECONDS_PER_TICK) -> None:
        """`url` is the broker's; `scenario` gives the devices."""
        self._address = BrokerAddress.parse(url)
        self._scenario = scenario
        self._seconds_per_tick = seconds_per_tick
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="crowd")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            with MqttLoop(self._address, schema=SCHEMA) as loop:
                self._publish_all(loop)
        except BaseException as error:  # noqa: BLE001 - raised again where the crowd is closed
            self._error = error

    def _publish_all(self, loop: MqttLoop) -> None:
        site, start_ms = self._scenario.site, self._scenario.start_ms
        link = loop.open("crowd", on_message=lambda *_: None)
        loop.wait_online(5.0)
        began_s = time.monotonic()

        def receive(_now_ms: int, scope: str, sender: str, message: Message) -> None:
            if isinstance(message, Tick):
                due_s = began_s + (message.simulated_ms - start_ms) / TICK_MS * self._seconds_per_tick
                loop.run_until(lambda: self._stopping, max(due_s - time.monotonic(), 0.0))
            if isinstance(message, Tick | ClockState):
                message = replace(message, mode=Mode.SCALED, seconds_per_tick=self._seconds_per_tick)
            message_type = MESSAGE_TYPES[message.TYPE]
            link.publish(
                topic(site, message, scope, sender),
                encode(message),
                qos=message_type.qos,
                retain=message_type.retain,
            )

        Simulation(self._scenario, ticks=TICKS, receivers=(receive,)).run(lambda _: not self._stopping)


def crowd(devices: int) -> Scenario:
    """Return the normal scenario with a number of devices, a key of CROWDS."""
    rows, columns = CROWDS[devices]
    turbines, chargers, vehicles = devices * 12 // 100, devices * 30 // 100, devices * 50 // 100
    others = devices - turbines - chargers - vehicles - 1
    changes = (
        *(f"area.rows={rows}", f"area.columns={columns}"),
        *(f"turbines.count={turbines}", f"chargers.count={chargers}", f"vehicles.count={vehicles}"),
        *(f"households.count={others}", "commerce.count=0", "farms.count=0", "reactors.count=1"),
    )
    return load("normal", changes)


def in_chromium(script: str, *words: str, most_s: float) -> Any:  # noqa: ANN401 - what the script prints as JSON
    """Run a script of the page's tests in Chromium for `most_s` seconds at most; return what it prints.

    Raises RuntimeError when a tool is missing or the page fails.
    """
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None or chromium is None or not (SOURCES / "node_modules").is_dir():
        raise RuntimeError(
            "the console is measured in Chromium: sudo apt-get install chromium nodejs npm, then make page"
        )
    done = subprocess.run(
        [node, script, *words],
        cwd=SOURCES,
        env={**os.environ, "CHROMIUM": chromium},
        capture_output=True,
        text=True,
        check=False,
        timeout=most_s,
    )
    if done.returncode:
        raise RuntimeError(f"the page could not be measured: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(devices: int, seconds: float) -> Frames:
    """Count the frames of the page for so long; raise RuntimeError when a tool is missing or the page fails."""
    with (
        EmbeddedBroker() as broker,
        Crowd(broker.url, crowd(devices)),
        ConsoleServer(ConsoleConfig(BrokerAddress.parse(broker.url), "germany")) as server,
    ):
        return Frames(**in_chromium("tests/frames.mjs", server.url, str(seconds), most_s=MAX_RUN_S))


def run(*, quick: bool) -> None:
    """Measure and print."""
    rounds, seconds = (1, 3.0) if quick else (3, 10.0)
    rows: list[list[Cell]] = []
    for devices in (1_000,) if quick else CROWDS:
        found = [measure(devices, seconds) for _ in range(rounds)]
        rows.append(
            [
                f"{devices} devices",
                median(each.frames_per_s for each in found),
                f"{min(each.frames_per_s for each in found)}–{max(each.frames_per_s for each in found)}",
                median(each.p95_frame_ms for each in found),
                max(each.slowest_frame_ms for each in found),
            ]
        )
    columns = ["1440 × 1000, no graphics card", "frames/s", "from–to", "95 % within, ms", "slowest, ms"]
    show(
        f"Live console: median of {rounds}, {seconds:g} s each, {SECONDS_PER_TICK:g} s per tick",
        columns,
        rows,
    )
