"""A fleet on Mosquitto: one contract net against others, 10 000 devices in a process, growth, sharing, one device."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.device_group import CONSUMERS
from benchmarks.measure import ROOT, exponent
from benchmarks.rounds import SCENARIO, TickCost, measure_ticks
from benchmarks.shared_rate import measure
from benchmarks.table import Cell, show
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.messages import Mode, Phase, Settings, Tick
from gridfleet.broker.protocol.topics import topic, topic_filter

MILLI: Final = 1e3
PER_CONSUMER: Final = 5
"""Messages: three producers receive its bid, one award, one receipt."""
NAMES: Final = {
    "own": "GridFleet, own connections",
    "each": "… and an own subscription to the tick",
    "shared": "GridFleet, shared connection",
    "paho": "raw paho, own connections on epoll",
    "plain-own": "GridFleet, own connections",
    "plain-each": "… and an own subscription to the tick",
    "paho-plain": "raw paho, own connections on epoll",
}
PEERS: Final = {
    "paho": "raw paho, 2 connections, a publish per message",
    "paho-batched": "raw paho, 2 connections, 500 messages per publish",
    "mango": "mango-agents, 2 connections",
}
PEERS_PYTHON: Final = "PEERS_PYTHON"
"""The environment variable with the interpreter that has mango-agents, where this one has not."""
HOW_TO: Final = (
    "mango-agents: not run. Make an environment (python -m venv peers; peers/bin/pip install mango-agents==2.4.0) "
    f"and set {PEERS_PYTHON}=peers/bin/python; GridFleet does not use it."
)


def run_contract_net(*, quick: bool) -> None:
    """Compare one round with raw paho and mango-agents, each three times in turn."""
    cells, ticks, runs = (3, 2, 1) if quick else (33, 9, 3)
    consumers = cells * CONSUMERS
    interpreter = _with_mango()
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(runs):
        for kind in PEERS:
            if kind != "mango" or interpreter:
                python = interpreter if kind == "mango" else sys.executable
                found.setdefault(PEERS[kind], []).append(_peer_times(python, kind, consumers, ticks))
        for kind in ("own", "shared"):
            costs = measure_ticks(kind, cells, ticks)
            found.setdefault(NAMES[kind], []).append((costs.receipt_s, costs.cpu_s))
    rows: list[list[Cell]] = []
    for name, times in found.items():
        wall_s, cpu_s = (median(column) for column in zip(*times, strict=True))
        speeds = [_speeds(found.get(PEERS[other]), times) for other in ("paho", "mango")]
        rate = round(PER_CONSUMER * consumers / wall_s)
        rows.append([name, wall_s * MILLI, rate, cpu_s * MILLI, *speeds[0], *speeds[1]])
    show(
        f"Contract net on Mosquitto: {consumers} consumers, {consumers // 10} producers, median of {runs} runs",
        [
            "", "ms per tick", "messages/s", "CPU, ms per tick", "× raw paho's speed", "… by CPU", "× mango's speed",
            "… by CPU",
        ],
        rows,
        [] if interpreter else [HOW_TO],
    )  # fmt: skip


def _speeds(others: list[tuple[float, float]] | None, ours: list[tuple[float, float]]) -> list[Cell]:
    """Return the ratios of speed and of CPU, as medians over the runs of the same round."""
    if others is None:
        return [None, None]
    return [median(other[n] / one[n] for other, one in zip(others, ours, strict=True)) for n in range(2)]


def run_identities(*, quick: bool) -> None:
    """Measure 10 000 devices of one process and raw paho, on the same workload and on the simplest one."""
    cells, ticks, runs = (3, 2, 1) if quick else (303, 2, 1)
    for title, floor, kinds in (
        ("the market: tick, bid, award, receipt, account", "paho", ("paho", "each", "own", "shared")),
        ("tick in, 150 bytes out, QoS 0", "paho-plain", ("paho-plain", "plain-each", "plain-own")),
    ):
        found: dict[str, list[TickCost]] = {kind: [] for kind in kinds}
        for _ in range(runs):
            for kind in kinds:
                found[kind].append(measure_ticks(kind, cells, ticks))
        devices = found[floor][0].devices
        rows = [_identity_row(NAMES[kind], costs, found[floor]) for kind, costs in found.items()]
        columns = [
            "", "CPU, µs per device and tick", "× raw paho", "broker, µs", "tick to last receipt, ms",
            "whole tick, ms", "messages per device", "connect, s", "part, s", "kB per device",
        ]  # fmt: skip
        show(f"{devices} devices in one process; {title}; median of {runs} runs", columns, rows)


def run_growth(*, quick: bool) -> None:
    """Measure how the cost of a tick grows with the fleet."""
    sizes, ticks, runs = ((3, 6), 2, 1) if quick else ((15, 30, 76, 152, 303), 5, 3)
    for kind in ("own", "shared"):
        found = [[measure_ticks(kind, cells, ticks) for _ in range(runs)] for cells in sizes]
        rows: list[list[Cell]] = [
            [
                str(costs[0].devices),
                median(one.cpu_s for one in costs) * MILLI,
                median(one.us for one in costs),
                median(one.broker_us for one in costs),
                median(one.messages for one in costs) / costs[0].devices,
            ]
            for costs in found
        ]
        devices = [costs[0].devices for costs in found]
        power = exponent(devices, [median(one.cpu_s for one in costs) for costs in found])
        with_broker = exponent(
            devices, [median(one.cpu_s + one.broker_cpu_s for one in costs) for costs in found]
        )
        columns = [
            "devices",
            "CPU, ms per tick",
            "µs per device",
            "broker, µs per device",
            "messages per device",
        ]
        notes = [f"Exponent of CPU over devices: {power:.3f}, with the broker's {with_broker:.3f}."]
        show(f"Growth: {NAMES[kind]}, median of {runs} runs", columns, rows, notes)


def run_shared(*, quick: bool) -> None:
    """Measure how many messages a second a shared connection carries."""
    messages, runs = (5_000, 1) if quick else (200_000, 5)
    rates = [measure(messages) for _ in range(runs)]
    row: list[Cell] = [
        "bids of 500 devices, decoded by the receiver",
        round(median(rate.messages_s for rate in rates)),
        f"{min(rate.messages_s for rate in rates):.0f}–{max(rate.messages_s for rate in rates):.0f}",
        median(rate.send_us for rate in rates),
        median(rate.broker_us for rate in rates),
        median(rate.receive_us for rate in rates),
        messages / rates[0].batches,
    ]
    columns = [
        "",
        "messages/s",
        "from–to",
        "send, µs CPU",
        "broker, µs",
        "receive, µs",
        "messages per publish",
    ]
    show(f"Shared connection: {messages} messages, median of {runs} runs", columns, [row])


def run_device(*, quick: bool) -> None:
    """Measure a process with one device: from its start to its first bid, and its memory."""
    runs = 2 if quick else 11
    times: list[float] = []
    peaks: list[int] = []
    for number in range(runs + 1):
        bid_s, peak_kb = _one_device()
        if number:  # the first run fills the caches of bytecode and files
            times.append(bid_s)
            peaks.append(peak_kb)
    row: list[Cell] = ["a charger on Mosquitto", median(times), f"{min(times):.2f}–{max(times):.2f}"]
    columns = ["", "start to first bid, s", "from–to", "peak memory, MB"]
    show(f"One device as a process: median of {runs}", columns, [[*row, median(peaks) / 1024]])


def _identity_row(name: str, costs: list[TickCost], floors: list[TickCost]) -> list[Cell]:
    receipts = [one.receipt_s for one in costs if one.receipt_s]
    parts = [one.part_s for one in costs if one.part_s is not None]
    return [
        name,
        median(one.us for one in costs),
        _median_ratio([one.us for one in costs], [floor.us for floor in floors]),
        median(one.broker_us for one in costs),
        median(receipts) * MILLI if receipts else None,
        median(one.wall_s for one in costs) * MILLI,
        median(one.messages for one in costs) / costs[0].devices,
        median(one.connect_s for one in costs),
        median(parts) if parts else None,
        median(one.memory_kb for one in costs) / costs[0].devices,
    ]


def _median_ratio(ones: Iterable[float], others: Iterable[float]) -> float:
    """Return the median of the ratios within the same round."""
    return median(one / other for one, other in zip(ones, others, strict=True))


@cache
def _with_mango() -> str:
    """Return an interpreter that has mango-agents, or nothing."""
    for python in (os.environ.get(PEERS_PYTHON, ""), sys.executable):
        if python:
            tried = subprocess.run([python, "-c", "import mango"], capture_output=True, check=False)
            if tried.returncode == 0:
                return python
    return ""


def _peer_times(python: str, kind: str, consumers: int, ticks: int) -> tuple[float, float]:
    """Return the wall and CPU seconds of a tick of another framework."""
    script = Path(__file__).with_name("contract_net.py")
    with MosquittoBroker() as broker:
        command = [python, str(script), kind, str(broker.ports.plain), str(consumers), str(ticks)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind} has failed:\n{done.stderr}")
    wall_s, cpu_s = json.loads(done.stdout)
    return float(wall_s), float(cpu_s)


def _one_device() -> tuple[float, int]:
    """Return seconds from the start of a device's process to its bid, and its peak memory in kB."""
    bids: list[float] = []
    tick = Tick(
        tick=0,
        phase=Phase.BID,
        simulated_ms=SCENARIO.start_ms,
        ends_ms=SCENARIO.start_ms + 300_000,
        mode=Mode.REALTIME,
        seconds_per_tick=900.0,
        ticks_left=9,
        paused=False,
        settings=Settings(),
    )
    with MosquittoBroker() as broker:
        port = broker.ports.plain or 0
        with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
            filters = [(topic_filter("here", "bid"), 1)]
            clock = loop.open(
                "clock", on_message=lambda *_: bids.append(time.perf_counter()), filters=filters
            )
            loop.wait_online(10)
            clock.publish(topic("here", tick, "", "clock"), encode(tick), qos=1, retain=True)
            loop.run_until(lambda: clock.all_acknowledged, 10)
            began_s = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.one_device", str(port)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as device:
                if not loop.run_until(lambda: bool(bids), 20):
                    raise RuntimeError("the device has published no bid")
                peak_kb = int(device.communicate()[0])
    return bids[0] - began_s, peak_kb
