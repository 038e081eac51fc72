"""A broker to talk to, and no threads left behind."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import BrokerAddress


@pytest.fixture
def free_port() -> Callable[[], int]:
    def pick() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    return pick


@pytest.fixture
def bus() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def address(bus: EmbeddedBroker) -> BrokerAddress:
    return BrokerAddress.parse(bus.url)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
