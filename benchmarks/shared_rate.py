"""How many messages a second one shared connection carries, from agent to agent.

python -m benchmarks.shared_rate PORT MESSAGES is the side that speaks: 500 chargers behind one connection, each of
which bids again and again. The side that hears takes the batches apart, and topics and payloads to messages.
"""

import subprocess
import sys
import time
from typing import Final, NamedTuple

from benchmarks.measure import ROOT, cpu_of
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import Will
from gridfleet.broker.mqtt.sharing.shared_channel import SharedChannel
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Bid, Kind, Package, Presence
from gridfleet.broker.protocol.topics import all_topics_filter, topic

SITE: Final = "here"
CELL: Final = "north"
HOST: Final = "fleet-1"
SPEAKERS: Final = 500
WAIT_S: Final = 60.0


class Rate(NamedTuple):
    """Messages per second, and microseconds of CPU for each where it is said, carried and heard."""

    messages_s: float
    say_us: float
    broker_us: float
    hear_us: float
    batches: int


def measure(messages: int) -> Rate:
    """Have messages said by a process of their own, and hear them."""
    decoder = SiteDecoder(SITE)
    heard = batches = 0
    began_s = ended_s = 0.0

    def refuse(text: str, error: GridFleetError) -> None:
        raise RuntimeError(f"{text}: {error}")

    def hear(text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        nonlocal heard, batches, began_s, ended_s
        batch = "/batch/" in text
        if batch and not heard:
            began_s = time.perf_counter()
        for _ in decoder.decode(text, payload, refuse):
            heard += batch
        batches += batch
        ended_s = time.perf_counter()

    with MosquittoBroker() as broker:
        port = broker.ports.plain or 0
        with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
            loop.open("ear", on_message=hear, filters=[(all_topics_filter(SITE), 1)])
            loop.wait_online(10)
            cpu_s, broker_s = time.process_time(), cpu_of(broker.pid)
            command = [sys.executable, "-m", "benchmarks.shared_rate", str(port), str(messages)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as speaker:
                if not loop.run_until(lambda: heard >= messages, WAIT_S):
                    raise RuntimeError(f"{heard} of {messages} messages within {WAIT_S:g} s")
                cpu_s, broker_s = time.process_time() - cpu_s, cpu_of(broker.pid) - broker_s
                said_us = float(speaker.communicate()[0])
    return Rate(
        messages / (ended_s - began_s), said_us, broker_s / messages * 1e6, cpu_s / messages * 1e6, batches
    )


def main(port: int, messages: int) -> None:
    """Say so many messages, 500 in a turn; print the microseconds of CPU for each."""
    with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
        lines = SharedConnection(loop, SiteDecoder(SITE), HOST)
        members: list[tuple[str, SharedChannel]] = []
        for number in range(SPEAKERS):
            name = f"charger-{number:03d}"
            gone = Presence(
                online=False, kind=Kind.CHARGER, cell=CELL, latitude=51.0, longitude=9.5, via=HOST
            )
            text = topic(SITE, gone, f"{CELL}/{Kind.CHARGER}", name)
            members.append(
                (name, lines.open(name, on_message=lambda *_: None, will=Will(text, encode(gone))))
            )
        loop.wait_online(10)
        for name, member in members:
            born = Presence(online=True, kind=Kind.CHARGER, cell=CELL, latitude=51.0, longitude=9.5, via=HOST)
            text = topic(SITE, born, f"{CELL}/{Kind.CHARGER}", name)
            member.publish(text, encode(born), qos=1, retain=True)
        loop.run_until(lambda: lines.connection.all_acknowledged, 10)
        began_s = time.process_time()
        for turn in range(messages // SPEAKERS):
            for name, member in members:
                bid = Bid(turn, (Package(0, 10_000, 500_000 + turn),))
                member.publish(topic(SITE, bid, CELL, name), encode(bid), qos=1)
            loop.run_until(lambda: True)
        loop.run_until(lambda: lines.connection.all_acknowledged, WAIT_S)
        print((time.process_time() - began_s) / messages * 1e6, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
