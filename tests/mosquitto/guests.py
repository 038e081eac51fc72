"""Clients that come to a broker with the credentials they hold, and remember what they get."""

from types import TracebackType
from typing import Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.client_options import Login

WAIT_S = 5.0
SENTINEL = "gridfleet/town/tick/clock"


class ClientRole:
    """One client."""

    def __init__(self, loop: MqttLoop, name: str, login: Login, *filters: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.connection: Connection = loop.open(
            name,
            on_message=lambda topic, payload, _: self.heard.append((topic, payload)),
            filters=[(each, 1) for each in filters],
            login=login,
        )

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.heard]


class Guests:
    """Context manager: a loop, and clients of it."""

    def __init__(self, broker: MosquittoBroker, keyring: FileCredentials) -> None:
        self.keyring = keyring
        self.loop = MqttLoop(BrokerAddress.parse(broker.url), retry_refused=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.close()

    def come(self, name: str, *filters: str, login: Login | None = None) -> ClientRole:
        guest = self.try_to_come(name, *filters, login=login)
        self.loop.wait_online(WAIT_S)
        return guest

    def try_to_come(self, name: str, *filters: str, login: Login | None = None) -> ClientRole:
        return ClientRole(self.loop, name, login or self.keyring.login(name), *filters)

    def settle(self, clock: ClientRole, *ears: ClientRole) -> None:
        """Return once all that was said before has been heard: the broker takes one packet after the other."""
        assert self.loop.run_until(lambda: not self.unanswered(), WAIT_S)
        clock.connection.publish(SENTINEL, b"", qos=1)
        assert self.loop.run_until(lambda: all(SENTINEL in ear.topics() for ear in ears), WAIT_S)
        for ear in ears:
            ear.heard = [each for each in ear.heard if each[0] != SENTINEL]

    def unanswered(self) -> int:
        return sum(not each.all_acknowledged for each in self.loop.connections)
