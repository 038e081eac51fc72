"""Clients that connect to a broker with their credentials and keep what they receive."""

from types import TracebackType
from typing import Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.client_options import Login

WAIT_S = 5.0
SENTINEL = "gridfleet/town/tick/clock"


class Client:
    """One client."""

    def __init__(self, loop: MqttLoop, name: str, login: Login, *filters: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.connection: Connection = loop.open(
            name,
            on_message=lambda topic, payload, _: self.received.append((topic, payload)),
            filters=[(each, 1) for each in filters],
            login=login,
        )

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.received]


class Clients:
    """Context manager: a loop, and clients of it."""

    def __init__(self, broker: MosquittoBroker, credentials: FileCredentials) -> None:
        self.credentials = credentials
        self.loop = MqttLoop(BrokerAddress.parse(broker.url), retry_refused=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.close()

    def connect(self, name: str, *filters: str, login: Login | None = None) -> Client:
        client = self.start_connecting(name, *filters, login=login)
        self.loop.wait_online(WAIT_S)
        return client

    def start_connecting(self, name: str, *filters: str, login: Login | None = None) -> Client:
        return Client(self.loop, name, login or self.credentials.login(name), *filters)

    def wait_delivered(self, clock: Client, *listeners: Client) -> None:
        """Return once everything published before has been received: the broker handles one packet after the other."""
        assert self.loop.run_until(lambda: not self.unacknowledged(), WAIT_S)
        clock.connection.publish(SENTINEL, b"", qos=1)
        assert self.loop.run_until(
            lambda: all(SENTINEL in listener.topics() for listener in listeners), WAIT_S
        )
        for listener in listeners:
            listener.received = [each for each in listener.received if each[0] != SENTINEL]

    def unacknowledged(self) -> int:
        return sum(not each.all_acknowledged for each in self.loop.connections)
