"""How many rows a second the local store takes, how many points the spool, and the memory that needs.

The stand-in for InfluxDB 2 (`tests/telemetry/standin.py`: InfluxDB 1 behind a shim) shares the machine, and its shim
this very process, so the sender's rate is a lower bound of what it can do.
"""

import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from benchmarks.measure import memory_kb
from benchmarks.table import show
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import topic
from gridfleet.dashboards.recording.durable.recorder import DurableRecorder
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, RunFacts, TradeRow
from gridfleet.dashboards.telemetry.influx.client import InfluxWriter, Target
from gridfleet.dashboards.telemetry.influx.sender import Sender
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.dashboards.telemetry.points import Point, line_protocol
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.simulation import Simulation
from tests.conftest import find_program
from tests.telemetry.standin import TOKEN, standin
from tests.telemetry.zygote import Zygote

SITE: Final = "germany"
_TICKS: Final = 96
_PER_SYNC: Final = 5_000


def run(*, quick: bool) -> None:
    """Measure store, recorder and spool; without InfluxDB 1 on the machine, leave the last out and print that."""
    amount = 20_000 if quick else 1_000_000
    _lines()  # a run is simulated first
    rows = [_measured("rows of trades and devices into the local store", amount, _into_store)]
    rows.append(_measured("points of a run made and spelt as lines", amount // 10, _points_made))
    rows.append(_measured("messages received, in journal, store and spool", amount // 20, _record_messages))
    rows.append(_measured("points into the spool, synced", amount, _into_spool))
    notes = [
        "Each line in a folder on this machine's disk; fsync after every 5 000, the store once a second."
    ]
    program = find_program("influxdb")
    if program is None:
        notes.append("InfluxDB 1 is not installed (sudo apt-get install influxdb): not sent to the stand-in.")
    else:
        rows.append(_measured("points through the spool to the stand-in", amount // 2, _through(program)))
    columns = ("", "amount", "wall s", "per second", "CPU µs each", "memory grows by, MB")
    show("Telemetry: how much a second", columns, rows, notes)
    if program is not None:
        _soak(program, 10.0 if quick else 60.0)


def _measured(
    what: str, amount: int, work: Callable[[Path, int], None]
) -> tuple[str, int, float, float, float, float]:
    """Return a row of the table; memory is what the process has more at its end than after a tenth of the work."""
    with tempfile.TemporaryDirectory() as folder:
        work(Path(folder) / "first", amount // 10)
        before_kb = memory_kb("VmRSS")
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        work(Path(folder) / "whole", amount)
        wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
        grown_mb = (memory_kb("VmRSS") - before_kb) / 1024
        return what, amount, wall_s, float(round(amount / wall_s)), 1e6 * cpu_s / amount, grown_mb


def _into_store(folder: Path, amount: int) -> None:
    folder.mkdir()
    committed_s = time.monotonic()
    with Store.create(folder / "run.sqlite") as store:
        for first in range(0, amount, 1_000):
            tick = first // 1_000
            store.add_agents(
                AgentRow(
                    tick, f"vehicle-{each:04}", "vehicle", "vehicle", 51.1, 9.2, 0.42, -11_000, 123_456_789
                )
                for each in range(500)
            )
            store.add_trades(
                TradeRow(
                    tick, "cell-1-1", f"turbine-{each % 9}", f"charger-{each:03}", each % 5, 10_000, 250_000
                )
                for each in range(500)
            )
            if time.monotonic() - committed_s >= 1.0:
                store.commit()
                committed_s = time.monotonic()


@cache
def _messages_of_a_run() -> list[tuple[int, str, str, Message]]:
    log: list[tuple[int, str, str, Message]] = []
    Simulation(load("normal"), ticks=_TICKS, receivers=(lambda *message: log.append(message),)).run()
    return log


@cache
def _lines() -> list[str]:
    found: list[str] = []
    with Recording(
        None, RunFacts("normal", "", 1, "", 0), sink=lambda point: found.append(line_protocol(point))
    ) as recording:
        for message in _messages_of_a_run():
            recording.receive(*message)
    return [each for each in found if each]


def _points_made(_folder: Path, amount: int) -> None:
    made = 0
    log = _messages_of_a_run()
    while made < amount:
        counts = [0]

        def take(point: Point, counts: list[int] = counts) -> None:
            counts[0] += bool(line_protocol(point))

        with Recording(None, RunFacts("normal", "", 1, "", 0), sink=take) as recording:
            for message in log:
                recording.receive(*message)
        made += counts[0]


def _record_messages(folder: Path, amount: int) -> None:
    encoded = [(topic(SITE, each[3], each[1], each[2]), encode(each[3])) for each in _messages_of_a_run()]
    facts = RunFacts("normal", "", 1, "", 0)
    with Spool(folder / "spool") as spool, DurableRecorder(folder, SITE, lambda _run: facts, spool) as live:
        for number, (text, payload) in enumerate(islice(cycle(encoded), amount)):
            live.receive(text, payload, number)
            if number % 500 == 0:  # as often as messages come in bursts
                live.sync()
            if number % 5_000 == 0:
                live.checkpoint()


def _numbered() -> Iterator[str]:
    """Yield points of a run without end, each with a time of its own."""
    for number, text in enumerate(cycle(_lines())):
        yield f"{text.rpartition(' ')[0]} {1_700_000_000_000 + number}"


def _into_spool(folder: Path, amount: int) -> None:
    points = _numbered()
    with Spool(folder) as spool:
        for _ in range(0, amount, _PER_SYNC):
            spool.add(islice(points, _PER_SYNC))
            spool.sync()


def _through(program: Path) -> Callable[[Path, int], None]:
    def work(folder: Path, amount: int) -> None:
        with standin(program, folder / "engine") as shim:
            target = Target(shim.url, "gridfleet", "raw", TOKEN)
            with InfluxWriter(target) as write, Spool(folder / "spool") as spool:
                sender = Sender(spool, write)
                sender.start()
                points = _numbered()
                for _ in range(0, amount, _PER_SYNC):
                    spool.add(islice(points, _PER_SYNC))
                    spool.sync()
                    while spool.backlog > 10 * _PER_SYNC:
                        time.sleep(0.005)
                while spool.backlog:
                    time.sleep(0.005)
                sender.stop()
                assert spool.status().sent >= amount, sender.last_error

    return work


def _soak(program: Path, seconds: float) -> None:
    """Kill, freeze and restart writer and engine for a while; nothing may be lost or doubled."""
    rng = random.Random(time.time_ns())
    with (
        tempfile.TemporaryDirectory() as name,
        standin(program, Path(name) / "engine") as shim,
        Zygote() as zygote,
    ):
        progress = Path(name) / "progress"
        order = ("writer", f"{name}/spool", shim.url, progress)
        writer, deaths = zygote.start(*order), 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(rng.uniform(0.05, 0.6))
            deaths += 1
            match rng.choice(("writer", "engine", "frozen")):
                case "writer":
                    zygote.kill(writer)
                    writer = zygote.start(*order)
                case "engine":
                    shim.engine.kill()
                    time.sleep(rng.uniform(0.0, 1.0))
                    shim.engine.start()
                case "frozen":
                    shim.engine.signal(signal.SIGSTOP)
                    time.sleep(rng.uniform(0.0, 2.0))
                    shim.engine.signal(signal.SIGCONT)
        assert zygote.kill(writer, signal.SIGTERM) == 0
        safe, there = int(progress.read_text()), shim.engine.count("raw", "known", "number")
        columns = ("", "deaths and freezes", "points", "lost", "doubled")
        lost, doubled = max(safe - there, 0), max(there - safe, 0)
        show(
            f"Telemetry: {seconds:g} s of deaths",
            columns,
            [("writer and engine", deaths, safe, lost, doubled)],
        )
