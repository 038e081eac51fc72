"""The recorder as a process: what it says of a broker that has forgotten it, a double, and a folder in use."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import StoreError
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.dashboards.recording.durable_recorder import JOURNAL
from gridfleet.dashboards.recording.journal import Journal
from gridfleet.dashboards.recording.recorder_process import Service, record
from gridfleet.dashboards.store.rows import RunFacts
from tests.ports import free_port


def facts(name: str) -> RunFacts:
    return RunFacts("normal", name, 1, "0", 0)


def test_a_broker_that_has_forgotten_the_session_leaves_a_gap_in_the_journal(
    tmp_path: Path,
) -> None:
    port = free_port()
    told: list[str] = []
    with ExitStack() as stack:
        brokers = [stack.enter_context(EmbeddedBroker(port))]

        def stop_requested() -> bool:
            if len(brokers) == 1 and "hears home" in told:
                brokers[0].close()
                brokers.append(stack.enter_context(EmbeddedBroker(port)))
            return told.count("hears home") == 2

        address = BrokerAddress("127.0.0.1", port)
        record(tmp_path, "home", address, facts, stop_requested=stop_requested, tell=told.append)
    assert any("has forgotten the session" in text for text in told)
    assert [entry.topic for entry in Journal(tmp_path / JOURNAL).read()] == [""]


def test_a_recorder_says_once_that_another_has_its_id(tmp_path: Path) -> None:
    told: list[str] = []
    with Service(tmp_path, "home", facts) as service:
        for reason in (SESSION_TAKEN_OVER, "version", SESSION_TAKEN_OVER):
            service._trouble(reason, told.append)
    assert [text.partition(":")[0] for text in told] == ["was thrown out"]


def test_two_recorders_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with Service(tmp_path, "home", facts), pytest.raises(StoreError, match="another recorder writes there"):
        Service(tmp_path, "home", facts)
    with Service(tmp_path, "home", facts):
        pass
