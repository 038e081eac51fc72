"""A process with many devices on a broker, measured from outside.

python -m benchmarks.device_group KIND PORT CELLS

With `each` and `own` every device has its own connection, and receives the tick on each connection or once for all;
with `shared` all use one connection; `paho` are raw paho-mqtt clients on one epoll with the same messages
(benchmarks.raw_paho). Prints a line of JSON when all are online, and another after SIGTERM. Memory in kB, times in
seconds.
"""

import gc
import json
import signal
import sys
import time
from typing import Any

from benchmarks.fleets import bare_market
from benchmarks.measure import memory_kb
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.network.descriptors import raise_descriptor_limit
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet

CONSUMERS = 30
PRODUCERS = 3
"""Devices in a cell."""
HOST = "fleet-1"


def main(kind: str, port: int, cells: int) -> None:
    """Connect, print a line, serve until SIGTERM, disconnect, print a line."""
    scenario = bare_market(cells, CONSUMERS, PRODUCERS)
    fleet = Fleet(scenario)
    raise_descriptor_limit(len(fleet.ids))
    with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        decoder = SiteDecoder(scenario.site)
        gc.collect()
        before_kb, began_s = memory_kb("VmRSS"), time.perf_counter()
        channels: ChannelFactory = loop
        if kind == "own":
            channels = TickFanout(loop, scenario.site, HOST)
        elif kind == "shared":
            channels = SharedConnection(loop, decoder, HOST)
        runners = [DeviceRunner(agent, channels, decoder) for agent in fleet.agents()]
        loop.wait_online(300)
        connected_s = time.perf_counter() - began_s
        for runner in runners:
            runner.start()
        if not loop.run_until(fleet.discovery_complete, 60):
            raise RuntimeError("the devices have not discovered each other")
        print_json(devices=len(runners), connect_s=connected_s, before_kb=before_kb)
        loop.run_until(lambda: False)
        memory = memory_kb("VmRSS")
        began_s = time.perf_counter()
        for runner in runners:
            runner.stop()
        loop.run_until(
            lambda: not loop.connections or loop.connections == {getattr(channels, "connection", None)}, 60
        )
        print_json(memory_kb=memory - before_kb, part_s=time.perf_counter() - began_s)


def print_json(**values: Any) -> None:  # noqa: ANN401 - any JSON
    """Print a line of JSON."""
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    if sys.argv[1].startswith("paho"):
        from benchmarks import raw_paho

        raw_paho.main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
