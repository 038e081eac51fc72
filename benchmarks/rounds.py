"""The clock of a measured fleet: each phase begins as soon as the one before is complete.

The fleet has its own process, so that its CPU time can be measured; this process and Mosquitto share the other core.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks.device_group import CONSUMERS, PRODUCERS
from benchmarks.fleets import bare_market
from benchmarks.measure import ROOT, cpu_of
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.batch import unpack
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.messages import Mode, Phase, Settings, Tick
from gridfleet.broker.protocol.topics import ALL, batch_topic, topic, topic_filter
from gridfleet.broker.protocol.units import TICK_MS

WAIT_S: Final = 120.0
SCENARIO: Final = bare_market(1, CONSUMERS, PRODUCERS)
SITE: Final = SCENARIO.site
PACE_S: Final = 9_000.0
"""Seconds per tick in the tick message, so long that no deadline passes within a measurement."""
PHASES: Final = {
    Phase.BID: (0, 5),
    Phase.TRADE: (5, 10),
    Phase.IMPORT: (10, 14),
    Phase.SETTLE: (14, 15),
}


class TickCost(NamedTuple):
    """What a tick costs a fleet; CPU in seconds per tick."""

    devices: int
    connect_s: float
    cpu_s: float
    broker_cpu_s: float
    receipt_s: float
    """From the first phase to the last receipt."""
    wall_s: float
    messages: float
    """Awards, receipts and states of a tick."""
    memory_kb: int
    part_s: float | None

    @property
    def us(self) -> float:
        """Microseconds of CPU per device and tick."""
        return self.cpu_s / self.devices * 1e6

    @property
    def broker_us(self) -> float:
        """The broker's microseconds of CPU per device and tick."""
        return self.broker_cpu_s / self.devices * 1e6


def measure_ticks(kind: str, cells: int, ticks: int) -> TickCost:
    """Measure ticks of a fleet of a kind (see benchmarks.device_group), after a first tick that is not measured."""
    module = "benchmarks.plain_group" if kind.startswith("plain") else "benchmarks.device_group"
    with MosquittoBroker() as broker:
        port = broker.ports.plain or 0
        with _device_process(module, kind, port, cells) as (group, started):
            with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
                clock = Clock(loop, cells, started["devices"], plain="plain" in kind)
                clock.tick(0)
                cpu_s, broker_s = cpu_of(group.pid), cpu_of(broker.pid)
                times = [clock.tick(number) for number in range(1, ticks + 1)]
                cpu_s, broker_s = cpu_of(group.pid) - cpu_s, cpu_of(broker.pid) - broker_s
            group.terminate()
            assert group.stdout is not None
            ended = json.loads(group.stdout.readline())
    return TickCost(
        devices=started["devices"],
        connect_s=started["connect_s"],
        cpu_s=cpu_s / ticks,
        broker_cpu_s=broker_s / ticks,
        receipt_s=median(receipt_s for receipt_s, _, _ in times),
        wall_s=median(wall_s for _, wall_s, _ in times),
        messages=median(messages for _, _, messages in times),
        memory_kb=ended["memory_kb"],
        part_s=ended["part_s"],
    )


@contextmanager
def _device_process(
    module: str, kind: str, port: int, cells: int
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", module, kind, str(port), str(cells)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as group:
        try:
            assert group.stdout is not None
            started = group.stdout.readline()
            if not started:
                raise RuntimeError(f"the measured fleet did not start: {' '.join(command)}")
            yield group, json.loads(started)
        finally:
            group.terminate()


class Clock:
    """Publishes the phases, and counts the messages of the devices."""

    def __init__(self, loop: MqttLoop, cells: int, devices: int, *, plain: bool) -> None:
        self._loop = loop
        self._bids = cells * CONSUMERS
        self._devices = devices
        self._plain = plain
        self._counts: Counter[str] = Counter()
        self._last_receipt_s = 0.0
        message_types = ("award", "receipt")
        filters = [topic_filter(SITE, message_type) for message_type in (*message_types, "state")]
        filters += [batch_topic(SITE, message_type, ALL, ALL) for message_type in message_types]
        if plain:
            filters = [f"gridfleet/{SITE}/plain/+"]
        self._connection = loop.open(
            "clock", on_message=self._on_message, filters=[(each, 0) for each in filters]
        )
        loop.wait_online(10)
        loop.run_until(lambda: False, 0.2)  # receive retained messages

    def _on_message(self, text: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        if retained:
            return
        message_type, count = text.split("/")[2], 1
        if message_type == "batch":
            message_type, count = text.split("/")[3], len(unpack(payload))
        self._counts[message_type] += count
        if message_type == "receipt":
            self._last_receipt_s = time.perf_counter()

    def tick(self, number: int) -> tuple[float, float, int]:
        """Run a tick; return seconds to the last receipt and to the last account, and the number of messages."""
        counts = self._counts
        counts.clear()
        began_s = time.perf_counter()
        self._publish_tick(number, Phase.BID)
        if self._plain:
            self._wait("plain", self._devices)
            return 0.0, time.perf_counter() - began_s, counts.total()
        self._publish_tick(number, Phase.TRADE)
        self._loop.run_until(lambda: counts["receipt"] >= counts["award"] >= self._bids * 0.8, WAIT_S)
        self._publish_tick(number, Phase.IMPORT)
        self._publish_tick(number, Phase.SETTLE)
        self._wait("state", self._devices)
        if counts["receipt"] != counts["award"]:
            raise RuntimeError(f"receipts are missing in tick {number}: {dict(counts)}")
        return self._last_receipt_s - began_s, time.perf_counter() - began_s, counts.total()

    def _wait(self, message_type: str, count: int) -> None:
        if not self._loop.run_until(lambda: self._counts[message_type] >= count, WAIT_S):
            raise RuntimeError(f"{message_type}: {self._counts[message_type]} of {count} within {WAIT_S:g} s")

    def _publish_tick(self, number: int, phase: Phase) -> None:
        begin, end = PHASES[phase]
        start_ms = SCENARIO.start_ms + number * TICK_MS
        tick = Tick(
            tick=number,
            phase=phase,
            simulated_ms=start_ms + begin * 60_000,
            ends_ms=start_ms + end * 60_000,
            mode=Mode.SCALED,
            seconds_per_tick=PACE_S,
            ticks_left=1_000,
            paused=False,
            settings=Settings(),
            epoch=1,
        )
        self._connection.publish(topic(SITE, tick, "", "clock"), encode(tick), qos=1, retain=True)
