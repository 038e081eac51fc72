"""Ours on the plainest workload, against benchmarks.raw_paho's `paho-plain`: each tick is answered by 150 bytes.

python -m benchmarks.plain_group KIND PORT CELLS, where KIND is plain-each or plain-own.
"""

import signal
import sys
import time
from functools import partial

from benchmarks.device_group import CONSUMERS, HOST, PRODUCERS, print_json
from benchmarks.measure import memory_kb
from benchmarks.raw_paho import PLAIN, SITE
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.network.descriptors import raise_descriptor_limit
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout


def main(kind: str, port: int, cells: int) -> None:
    """Connect, print a line, serve until SIGTERM, disconnect, print a line."""
    count = cells * (CONSUMERS + PRODUCERS)
    raise_descriptor_limit(count)
    with MqttLoop(BrokerAddress("127.0.0.1", port)) as loop:
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        before_kb, began_s = memory_kb("VmRSS"), time.perf_counter()
        channels = TickFanout(loop, SITE, HOST) if kind == "plain-own" else loop
        connections: list[Connection] = []

        def answer(number: int, *_: object) -> None:
            connections[number].publish(f"gridfleet/{SITE}/plain/{number}", PLAIN, qos=0)

        for number in range(count):
            on_message = partial(answer, number)
            filters = [(f"gridfleet/{SITE}/tick/+", 0)]
            connections.append(channels.open(f"device-{number}", on_message=on_message, filters=filters))
        loop.wait_online(300)
        print_json(devices=count, connect_s=time.perf_counter() - began_s, before_kb=before_kb)
        loop.run_until(lambda: False)
        memory, began_s = memory_kb("VmRSS"), time.perf_counter()
        for connection in connections:
            connection.close()
        loop.run_until(lambda: all(connection.closed for connection in connections), 60)
        print_json(memory_kb=memory - before_kb, part_s=time.perf_counter() - began_s)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
