"""The same round without GridFleet: a raw paho loop, or mango-agents, on two connections in one process.

python benchmarks/contract_net.py KIND PORT CONSUMERS TICKS, by an interpreter that has what it needs: `paho` and
`paho-batched` (500 messages in a publish) paho-mqtt, `mango` mango-agents 2.4. Cells of 30 consumers and 3 producers: a
consumer calls its three, each of these awards the ten next dearest, each award is receipted: five messages for a
consumer. One connection holds all consumers, the other all producers, QoS 0. Imports nothing of ours. Prints the
seconds of a tick: wall and CPU.
"""

import asyncio
import importlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from itertools import chain
from statistics import median
from typing import Any

CONSUMERS = 30
PRODUCERS = 3
PER_PRODUCER = 10
IN_A_BATCH = 500
WAIT_S = 60.0
Times = list[tuple[float, float]]
"""Wall and CPU seconds of each tick."""
Call = dict[str, Any]


def price(consumer: int, tick: int) -> int:
    """Return a price that looks random and is the same everywhere."""
    return (consumer * 7_919 + tick * 104_729 + 1_299_709) * 2_654_435_761 % 1_000_003


class Market:
    """State and decisions of consumers and producers, the same for every framework."""

    def __init__(self, consumers: int) -> None:
        self.consumers = range(consumers)
        self.producers = range(consumers // PER_PRODUCER)
        self.received: list[list[Call]] = [[] for _ in self.producers]
        self.open = 0

    def begin(self) -> None:
        """Expect a receipt from every consumer."""
        self.open = len(self.consumers)

    def calls(self, consumer: int, tick: int) -> list[tuple[int, Call]]:
        """Return the calls of a consumer by producer."""
        call = {"k": "call", "t": tick, "i": consumer, "need": 1, "price": price(consumer, tick)}
        first = consumer // CONSUMERS * PRODUCERS
        return [(producer, call) for producer in range(first, first + PRODUCERS)]

    def sell(self, producer: int, content: Call) -> list[tuple[int, Call]]:
        """Handle a receipt or a call; after the last call return the awards."""
        if content["k"] == "receipt":
            self.open -= 1
            return []
        received = self.received[producer]
        received.append(content)
        if len(received) < CONSUMERS:
            return []
        received.sort(key=lambda each: (-each["price"], each["i"]))
        rank = producer % PRODUCERS
        mine = received[rank * PER_PRODUCER :][:PER_PRODUCER]
        received.clear()
        return [
            (
                each["i"],
                {"k": "award", "t": each["t"], "i": each["i"], "by": producer, "price": each["price"]},
            )
            for each in mine
        ]

    def receipt(self, award: Call) -> tuple[int, Call]:
        """Return what a consumer answers to receiver."""
        return award["by"], {"k": "receipt", "t": award["t"], "i": award["i"], "ok": True}


def _no_delay(_client: object, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho's socket
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class PahoSide:
    """One side of the market on a paho client with its own thread and TCP_NODELAY."""

    def __init__(self, port: int, side: str, *, batched: bool) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._batched = batched
        self._ready = threading.Event()
        self.react: Callable[[list[tuple[int, Call]]], None] = lambda _: None
        self._client = client = Client(CallbackAPIVersion.VERSION2, f"side-{side}")
        client.on_message = lambda _, __, message: self.react(
            self._read(message.topic, bytes(message.payload))
        )
        client.on_socket_open = _no_delay
        client.on_subscribe = lambda *_: self._ready.set()
        client.connect("127.0.0.1", port, 600)
        client.subscribe(f"net/{side}" if batched else f"net/{side}/+", 0)
        client.loop_start()
        if not self._ready.wait(10):
            raise TimeoutError("no subscription")

    def send(self, side: str, messages: list[tuple[int, Call]]) -> None:
        """Publish to the other side."""
        if not self._batched:
            for receiver, content in messages:
                self._client.publish(f"net/{side}/{receiver}", json.dumps(content), 0)
            return
        for begin in range(0, len(messages), IN_A_BATCH):
            self._client.publish(f"net/{side}", json.dumps(messages[begin : begin + IN_A_BATCH]), 0)

    def close(self) -> None:
        """End the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _read(self, topic: str, payload: bytes) -> list[tuple[int, Call]]:
        content = json.loads(payload)
        return content if self._batched else [(int(topic.rpartition("/")[2]), content)]


def run_paho(port: int, consumers: int, ticks: int, *, batched: bool) -> Times:
    """Run on two paho clients; return the seconds of each tick."""
    market, done = Market(consumers), threading.Event()
    buyers, sellers = (PahoSide(port, side, batched=batched) for side in ("c", "p"))

    def sold(messages: list[tuple[int, Call]]) -> None:
        sellers.send(
            "c", [award for producer, content in messages for award in market.sell(producer, content)]
        )
        if not market.open:
            done.set()

    buyers.react = lambda messages: buyers.send("p", [market.receipt(award) for _, award in messages])
    sellers.react = sold
    times: Times = []
    for tick in range(ticks + 1):
        done.clear()
        market.begin()
        began = time.perf_counter(), time.process_time()
        calls = [market.calls(consumer, tick) for consumer in market.consumers]
        for messages in [list(chain.from_iterable(calls))] if batched else calls:
            buyers.send("p", messages)
        if not done.wait(WAIT_S):
            raise TimeoutError(f"tick {tick} has not ended")
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    for side in (buyers, sellers):
        side.close()
    return times[1:]


async def run_mango(port: int, consumers: int, ticks: int) -> Times:  # noqa: C901 - a class within
    """Run on two MQTT containers of mango-agents; return the seconds of each tick."""
    mango: Any = importlib.import_module("mango")
    market, done = Market(consumers), asyncio.Event()

    class Trader(mango.Agent):  # type: ignore[misc]  # it has no types here
        """Sends dictionaries, which mango's JSON codec carries unchanged."""

        def __init__(self, number: int, react: "Callable[[int, Call], list[tuple[Any, Call]]]") -> None:
            super().__init__()
            self.number = number
            self.react = react

        async def send(self, messages: list[tuple[Any, Call]]) -> None:
            for receiver, content in messages:
                await self.send_message(content, receiver_addr=receiver.addr, qos=0)

        def handle_message(self, content: Call, meta: object) -> None:  # noqa: ARG002 - mango's signature
            messages = self.react(self.number, content)
            if messages:
                self.schedule_instant_task(self.send(messages))

    def buy(_: int, award: Call) -> list[tuple[Any, Call]]:
        receiver, receipt = market.receipt(award)
        return [(sellers[receiver], receipt)]

    def sell(seller: int, content: Call) -> list[tuple[Any, Call]]:
        awards = market.sell(seller, content)
        if not market.open:
            done.set()
        return [(buyers[receiver], award) for receiver, award in awards]

    create: Any = importlib.import_module("mango.container.factory").create_mqtt
    containers = [
        create(broker_addr=("127.0.0.1", port, 600), client_id=name) for name in ("buyers", "sellers")
    ]
    buyers = [containers[0].register(Trader(number, buy)) for number in market.consumers]
    sellers = [containers[1].register(Trader(number, sell)) for number in market.producers]
    times: Times = []
    async with mango.activate(*containers):
        for tick in range(ticks + 1):
            done.clear()
            market.begin()
            began = time.perf_counter(), time.process_time()
            for buyer in buyers:
                calls = [(sellers[receiver], call) for receiver, call in market.calls(buyer.number, tick)]
                buyer.schedule_instant_task(buyer.send(calls))
            await asyncio.wait_for(done.wait(), WAIT_S)
            times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return times[1:]


def main(kind: str, port: int, consumers: int, ticks: int) -> None:
    """Run, and print the medians of a tick in seconds."""
    if kind == "mango":
        times = asyncio.run(run_mango(port, consumers, ticks))
    else:
        times = run_paho(port, consumers, ticks, batched=kind == "paho-batched")
    print(json.dumps([median(wall_s for wall_s, _ in times), median(cpu_s for _, cpu_s in times)]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
