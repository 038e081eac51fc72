"""Cost of the same run over the embedded broker in lock-step and in simulation."""

import time
from collections.abc import Callable
from statistics import median
from typing import Final, NamedTuple

from benchmarks.measure import cpu_of, spent
from benchmarks.table import Cell, show
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import ClockState, Grant, Message, Ready, Tick
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.runtime.site import SiteRun

MILLI: Final = 1e3


class RunCost(NamedTuple):
    """One run: seconds of wall and CPU time until its first tick, and from there to its end; messages."""

    start_s: float
    broker_start_s: float
    wall_s: float
    cpu_s: float
    broker_cpu_s: float
    messages: int
    lockstep: int
    """Messages that only lock-step needs: ready and grant."""


def run(*, quick: bool) -> None:
    """Measure and print."""
    ticks, runs = (3, 1) if quick else (24, 5)
    scenario = load("normal")
    wired, simulated = [], []
    for _ in range(runs):
        simulated.append(_simulate(scenario, ticks))
        wired.append(_run_on_broker(scenario, ticks))
    columns = ["", "wall, ms per tick", "CPU, ms per tick", "of it broker", "messages per tick", "messages/s"]
    rows = [_row("simulation", simulated, ticks), _row("embedded broker, lock-step", wired, ticks)]
    ratios = [one.cpu_s / other.cpu_s for one, other in zip(wired, simulated, strict=True)]
    lockstep = median(one.lockstep for one in wired) / ticks
    broker_ms = median(one.broker_start_s for one in wired) * MILLI
    fleet_ms = median(one.start_s for one in wired) * MILLI
    show(
        f"Wire: the default fleet, {ticks} ticks, median of {runs}",
        columns,
        rows,
        [
            f"CPU over the simulation's: {median(ratios):.1f}.",
            f"Of the messages over the broker, {lockstep:.0f} per tick are ready and grant, which only lock-step has.",
            f"Start: broker {broker_ms:.0f} ms, then {fleet_ms:.0f} ms until all devices have discovered each other.",
        ],
    )


def _row(name: str, runs: list[RunCost], ticks: int) -> list[Cell]:
    wall_s, cpu_s = median(run.wall_s for run in runs), median(run.cpu_s for run in runs)
    broker_s = median(run.broker_cpu_s for run in runs)
    messages = median(run.messages for run in runs)
    own: list[Cell] = [broker_s / ticks * MILLI if broker_s else None]
    return [
        name,
        wall_s / ticks * MILLI,
        cpu_s / ticks * MILLI,
        *own,
        messages / ticks,
        round(messages / wall_s),
    ]


def _simulate(scenario: Scenario, ticks: int) -> RunCost:
    watch = _Watch(lambda: 0.0)
    spent(Simulation(scenario, ticks=ticks, receivers=(watch.receive,)).run)
    return watch.cost(0.0, 0.0)


def _run_on_broker(scenario: Scenario, ticks: int) -> RunCost:
    launched_s = time.perf_counter()
    with EmbeddedBroker() as broker:
        pid, up_s = broker.pid, time.perf_counter()
        watch = _Watch(lambda: cpu_of(pid))
        site = SiteRun(
            Fleet(scenario), BrokerAddress.parse(broker.url), ticks=ticks, receivers=(watch.receive,)
        )
        spent(site.run)
    return watch.cost(launched_s, up_s)


class _Watch:
    """Reads the clocks at the first tick and at the end of the run, and counts messages in between."""

    def __init__(self, broker_cpu_s: Callable[[], float]) -> None:
        self._broker_cpu_s = broker_cpu_s
        self._times: list[tuple[float, float, float]] = []
        self._messages = 0
        self._lockstep = 0

    def receive(self, _now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        finished = isinstance(message, ClockState) and message.status == "finished"
        if finished or (not self._times and isinstance(message, Tick)):
            self._times.append((time.perf_counter(), time.process_time(), self._broker_cpu_s()))
        if self._times:
            self._messages += 1
            self._lockstep += isinstance(message, Ready | Grant)

    def cost(self, launched_s: float, up_s: float) -> RunCost:
        (wall_s, cpu_s, broker_s), (wall_end_s, cpu_end_s, broker_end_s) = self._times
        return RunCost(
            start_s=wall_s - up_s,
            broker_start_s=up_s - launched_s,
            wall_s=wall_end_s - wall_s,
            cpu_s=cpu_end_s - cpu_s + broker_end_s - broker_s,
            broker_cpu_s=broker_end_s - broker_s,
            messages=self._messages,
            lockstep=self._lockstep,
        )
