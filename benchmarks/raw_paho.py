"""Floors: paho-mqtt clients, each with its own connection, on one epoll by paho's hooks, without any code of GridFleet.

`paho` runs the market of a bare cell: it publishes and receives what our devices do, as JSON of the same size, but has
no weather, books, deadlines or validation. `paho-plain` answers each tick with 150 bytes of QoS 0.
"""

import json
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.measure import memory_kb

SITE: Final = "germany"
CONSUMERS: Final = 30
PRODUCERS: Final = 3
PER_PRODUCER: Final = 10
PLAIN: Final = b"x" * 150
AT_ONCE: Final = 50
"""Connections that are opened at the same time."""
_ACCOUNTS: Final = (
    "latitude", "longitude", "power_w", "balance_neur", "demand_wh", "bought_wh", "paid_neur", "stored_wh",
    "capacity_wh", "delivered_wh", "charge_loss_wh", "discharge_loss_wh", "earned_neur", "ports", "ports_reserved",
)  # fmt: skip
OutgoingMessage = list[tuple[str, dict[str, Any], bool]]
"""Topic, content, whether retained."""


class Consumer:
    """Publishes a bid, receipts and an account."""

    def __init__(self, name: str, cell: str, rank: int) -> None:
        self.name = name
        self.cell = cell
        self.rank = rank
        self.filters = [f"gridfleet/{SITE}/tick/+", f"gridfleet/{SITE}/award/{name}/+"]

    def handle(self, message_type: str, _sender: str, content: dict[str, Any]) -> OutgoingMessage:
        """Return the messages to publish."""
        if message_type == "award":
            receipt = {"tick": content["tick"], "serial": content["serial"], "lots": content["lots"]}
            return [(f"receipt/{content['by']}/{self.name}", receipt, False)]
        if content["phase"] == "bid":
            price = (self.rank * 7_919 + content["tick"] * 104_729) % 1_000_000
            package = {"index": 0, "energy_wh": 10_000, "price_ueur_per_kwh": price}
            return [(f"bid/{self.cell}/{self.name}", {"tick": content["tick"], "packages": [package]}, False)]
        return [(f"state/{self.name}", _state(content["tick"]), True)] if content["phase"] == "settle" else []


class Producer:
    """Publishes a supply, awards for its share of the highest bids, and an account."""

    def __init__(self, name: str, cell: str, rank: int) -> None:
        self.name = name
        self.cell = cell
        self.rank = rank
        self.bids: list[tuple[int, str, dict[str, Any]]] = []
        self.trading = False
        self.filters = [
            f"gridfleet/{SITE}/tick/+",
            f"gridfleet/{SITE}/receipt/{name}/+",
            f"gridfleet/{SITE}/bid/{cell}/+",
            f"gridfleet/{SITE}/supply/{cell}/+",
        ]

    def handle(self, message_type: str, sender: str, content: dict[str, Any]) -> OutgoingMessage:
        """Return the messages to publish."""
        tick = content["tick"]
        if message_type == "bid":
            package = content["packages"][0]
            self.bids.append((-package["price_ueur_per_kwh"], sender, package))
            return self._clear(tick)
        if message_type != "tick":
            return []
        if content["phase"] == "bid":
            self.trading = False
            return [(f"supply/{self.cell}/{self.name}", {"tick": tick, "energy_wh": 100_000}, False)]
        if content["phase"] == "trade":
            self.trading = True
            return self._clear(tick)
        return [(f"state/{self.name}", _state(tick), True)] if content["phase"] == "settle" else []

    def _clear(self, tick: int) -> OutgoingMessage:
        if not self.trading or len(self.bids) < CONSUMERS:
            return []
        self.bids.sort(key=lambda bid: bid[:2])
        mine = self.bids[self.rank * PER_PRODUCER :][:PER_PRODUCER]
        self.bids = []
        return [
            (
                f"award/{consumer}/{self.name}",
                {"tick": tick, "serial": 0, "lots": [lot], "by": self.name},
                False,
            )
            for _, consumer, lot in mine
        ]


def _state(tick: int) -> dict[str, Any]:
    """Return an account of about the length of a charger's."""
    return {
        "tick": tick,
        "kind": "charger",
        "measured": False,
        "status": "idle",
        "refused": {},
        **dict.fromkeys(_ACCOUNTS, 123_456),
    }


class Loop:
    """All clients on one epoll."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Client] = {}
        self.subscribed = 0
        self.clients: list[Client] = []
        self.running = True

    def add(
        self, name: str, filters: list[str], qos: int, on_message: Callable[[Client, MQTTMessage], None]
    ) -> None:
        """Connect a client."""
        client = Client(CallbackAPIVersion.VERSION2, name)
        client.max_inflight_messages_set(0)
        client.on_socket_open = self._opened
        client.on_socket_register_write = lambda _, __, sock: self._epoll.modify(
            sock.fileno(), select.EPOLLIN | select.EPOLLOUT
        )
        client.on_socket_unregister_write = lambda _, __, sock: self._epoll.modify(
            sock.fileno(), select.EPOLLIN
        )

        def connected(*_: object) -> None:
            client.subscribe([(each, qos) for each in filters])

        client.on_connect = connected
        client.on_subscribe = self._count
        client.on_message = lambda _, __, message: on_message(client, message)
        client.connect("127.0.0.1", self._port, 600)
        self.clients.append(client)

    def _opened(self, client: Client, _: object, sock: Any) -> None:  # noqa: ANN401 - paho's socket
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._by_descriptor[sock.fileno()] = client
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _count(self, *_: object) -> None:
        self.subscribed += 1

    def turn(self, timeout_s: float) -> None:
        """Wait and serve once."""
        for descriptor, events in self._epoll.poll(timeout_s, 256):
            client = self._by_descriptor[descriptor]
            if events & select.EPOLLIN:
                client.loop_read()
            if events & select.EPOLLOUT:
                client.loop_write()

    def stop(self, *_: object) -> None:
        """End `serve`."""
        self.running = False

    def serve(self) -> None:
        """Serve until stopped."""
        while self.running:
            self.turn(0.2)


def _message_handler(device: Consumer | Producer) -> Callable[[Client, MQTTMessage], None]:
    def on_message(client: Client, message: MQTTMessage) -> None:
        levels = message.topic.split("/")
        for topic, reply, retain in device.handle(levels[2], levels[-1], json.loads(message.payload)):
            client.publish(f"gridfleet/{SITE}/{topic}", json.dumps(reply), 1, retain)

    return on_message


def _plain(number: int) -> Callable[[Client, MQTTMessage], None]:
    topic = f"gridfleet/{SITE}/plain/{number}"

    def on_message(client: Client, _: MQTTMessage) -> None:
        client.publish(topic, PLAIN, 0)

    return on_message


def main(kind: str, port: int, cells: int) -> None:
    """Connect, print a line, serve until SIGTERM, print a line."""
    loop = Loop(port)
    signal.signal(signal.SIGTERM, loop.stop)
    before_kb, began_s = memory_kb("VmRSS"), time.perf_counter()
    for cell in range(cells):
        name = f"cell-1-{cell + 1}"
        members: list[Consumer | Producer] = [
            *(Consumer(f"charger-{cell}-{rank}", name, cell * CONSUMERS + rank) for rank in range(CONSUMERS)),
            *(Producer(f"turbine-{cell}-{rank}", name, rank) for rank in range(PRODUCERS)),
        ]
        for member in members:
            if kind == "paho-plain":
                loop.add(member.name, member.filters[:1], 0, _plain(len(loop.clients)))
            else:
                loop.add(member.name, member.filters, 1, _message_handler(member))
            while len(loop.clients) - loop.subscribed > AT_ONCE:
                loop.turn(1.0)
    while loop.subscribed < len(loop.clients):
        loop.turn(1.0)
    started = {
        "devices": len(loop.clients),
        "connect_s": time.perf_counter() - began_s,
        "before_kb": before_kb,
    }
    print(json.dumps(started), flush=True)
    loop.serve()
    print(json.dumps({"memory_kb": memory_kb("VmRSS") - before_kb, "part_s": None}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
