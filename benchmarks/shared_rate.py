"""Messages per second on one shared connection, from device to device.

python -m benchmarks.shared_rate PORT MESSAGES is the sender: 500 chargers on one connection, which publish bids.
The receiver splits the batches and decodes topics and payloads.
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
from gridfleet.broker.protocol.messages import Bid, Package, Presence, Role
from gridfleet.broker.protocol.topics import all_topics_filter, topic

SITE: Final = "here"
CELL: Final = "north"
HOST: Final = "fleet-1"
SENDERS: Final = 500
WAIT_S: Final = 60.0


class Rate(NamedTuple):
    """Messages per second, and microseconds of CPU per message, in sender, broker and receiver."""

    messages_s: float
    send_us: float
    broker_us: float
    receive_us: float
    batches: int


def measure(messages: int) -> Rate:
    """Receive messages that another process sends."""
    decoder = SiteDecoder(SITE)
    received = batches = 0
    began_s = ended_s = 0.0

    def refuse(text: str, error: GridFleetError) -> None:
        raise RuntimeError(f"{text}: {error}")

    def on_message(text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        nonlocal received, batches, began_s, ended_s
        batch = "/batch/" in text
        if batch and not received:
            began_s = time.perf_counter()
        for _ in decoder.decode(text, payload, refuse):
            received += batch
        batches += batch
        ended_s = time.perf_counter()

    with MosquittoBroker() as broker:
        port = broker.ports.plain or 0
        with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
            loop.open("receiver", on_message=on_message, filters=[(all_topics_filter(SITE), 1)])
            loop.wait_online(10)
            cpu_s, broker_s = time.process_time(), cpu_of(broker.pid)
            command = [sys.executable, "-m", "benchmarks.shared_rate", str(port), str(messages)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sender:
                if not loop.run_until(lambda: received >= messages, WAIT_S):
                    raise RuntimeError(f"{received} of {messages} messages within {WAIT_S:g} s")
                cpu_s, broker_s = time.process_time() - cpu_s, cpu_of(broker.pid) - broker_s
                send_us = float(sender.communicate()[0])
    return Rate(
        messages / (ended_s - began_s), send_us, broker_s / messages * 1e6, cpu_s / messages * 1e6, batches
    )


def main(port: int, messages: int) -> None:
    """Send messages in rounds of 500; print the microseconds of CPU per message."""
    with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
        shared = SharedConnection(loop, SiteDecoder(SITE), HOST)
        members: list[tuple[str, SharedChannel]] = []
        for number in range(SENDERS):
            name = f"charger-{number:03d}"
            offline = Presence(
                online=False, role=Role.CHARGER, cell=CELL, latitude=51.0, longitude=9.5, via=HOST
            )
            text = topic(SITE, offline, f"{CELL}/{Role.CHARGER}", name)
            members.append(
                (name, shared.open(name, on_message=lambda *_: None, will=Will(text, encode(offline))))
            )
        loop.wait_online(10)
        for name, member in members:
            online_presence = Presence(
                online=True, role=Role.CHARGER, cell=CELL, latitude=51.0, longitude=9.5, via=HOST
            )
            text = topic(SITE, online_presence, f"{CELL}/{Role.CHARGER}", name)
            member.publish(text, encode(online_presence), qos=1, retain=True)
        loop.run_until(lambda: shared.connection.all_acknowledged, 10)
        began_s = time.process_time()
        for round_number in range(messages // SENDERS):
            for name, member in members:
                bid = Bid(round_number, (Package(0, 10_000, 500_000 + round_number),))
                member.publish(topic(SITE, bid, CELL, name), encode(bid), qos=1)
            loop.run_until(lambda: True)
        loop.run_until(lambda: shared.connection.all_acknowledged, WAIT_S)
        print((time.process_time() - began_s) / messages * 1e6, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
