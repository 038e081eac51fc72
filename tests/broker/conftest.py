"""Fixtures: an embedded broker, and a check that no thread is left."""

import threading
from collections.abc import Iterator

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import BrokerAddress


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
