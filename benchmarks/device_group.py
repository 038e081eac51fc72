"""A process full of devices on a broker, to be measured from outside.

python -m benchmarks.device_group KIND PORT CELLS

`each` and `own` connect every device by itself, hearing the tick on each connection or once for all; `shared` puts all
behind one connection; `paho` are raw paho-mqtt clients on one epoll that say and hear the same (benchmarks.raw_paho).
A line of JSON when all are there, another when SIGTERM has ended it. Memory in kB, times in seconds.
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
from gridfleet.broker.mqtt.descriptors import allow_descriptors
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet

CONSUMERS = 30
PRODUCERS = 3
"""In a cell."""
HOST = "fleet-1"


def main(kind: str, port: int, cells: int) -> None:
    """Connect, tell, serve until SIGTERM, part, tell."""
    scenario = bare_market(cells, CONSUMERS, PRODUCERS)
    fleet = Fleet(scenario)
    allow_descriptors(len(fleet.ids))
    with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        wire = SiteDecoder(scenario.site)
        gc.collect()
        before_kb, began_s = memory_kb("VmRSS"), time.perf_counter()
        lines: ChannelFactory = loop
        if kind == "own":
            lines = TickFanout(loop, scenario.site, HOST)
        elif kind == "shared":
            lines = SharedConnection(loop, wire, HOST)
        seats = [DeviceRunner(agent, lines, wire) for agent in fleet.agents()]
        loop.wait_online(300)
        connected_s = time.perf_counter() - began_s
        for seat in seats:
            seat.start()
        if not loop.run_until(fleet.discovery_complete, 60):
            raise RuntimeError("the devices have not heard of each other")
        tell(devices=len(seats), connect_s=connected_s, before_kb=before_kb)
        loop.run_until(lambda: False)
        memory = memory_kb("VmRSS")
        began_s = time.perf_counter()
        for seat in seats:
            seat.stop()
        loop.run_until(
            lambda: not loop.connections or loop.connections == {getattr(lines, "connection", None)}, 60
        )
        tell(memory_kb=memory - before_kb, part_s=time.perf_counter() - began_s)


def tell(**said: Any) -> None:  # noqa: ANN401 - any JSON
    """Write a line of JSON."""
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    if sys.argv[1].startswith("paho"):
        from benchmarks import raw_paho

        raw_paho.main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
