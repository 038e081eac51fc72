"""The recorder as a process: a broker that lost the session, a second client with its id, a folder in use."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import StoreError
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.dashboards.recording.durable.journal import Journal
from gridfleet.dashboards.recording.durable.process import RecorderProcess, record
from gridfleet.dashboards.recording.durable.recorder import JOURNAL
from gridfleet.dashboards.store.rows import RunFacts
from tests.ports import free_port


def facts(name: str) -> RunFacts:
    return RunFacts("normal", name, 1, "0", 0)


def test_a_broker_that_has_lost_the_session_leaves_a_gap_in_the_journal(
    tmp_path: Path,
) -> None:
    port = free_port()
    reported: list[str] = []
    with ExitStack() as stack:
        brokers = [stack.enter_context(EmbeddedBroker(port))]

        def stop_requested() -> bool:
            if len(brokers) == 1 and "connected, recording home" in reported:
                brokers[0].close()
                brokers.append(stack.enter_context(EmbeddedBroker(port)))
            return reported.count("connected, recording home") == 2

        address = BrokerAddress("127.0.0.1", port)
        record(tmp_path, "home", address, facts, stop_requested=stop_requested, report=reported.append)
    assert any("has lost the session" in text for text in reported)
    assert [entry.topic for entry in Journal(tmp_path / JOURNAL).read()] == [""]


def test_nothing_can_be_missing_before_the_first_connection(tmp_path: Path) -> None:
    """A recorder that was started before its broker has written a status, but the broker has kept nothing for it."""
    port = free_port()
    reported: list[str] = []

    def reported_online() -> bool:
        return "connected, recording home" in reported

    address = BrokerAddress("127.0.0.1", port)
    with RecorderProcess(tmp_path, "home", facts) as process:
        process.run(
            address,
            lambda _: NO_LOGIN,
            "recorder",
            stop_requested=lambda: True,
            report=reported.append,
        )
    with EmbeddedBroker(port):
        record(tmp_path, "home", address, facts, stop_requested=reported_online, report=reported.append)
    assert not any("has lost the session" in text for text in reported)
    reported.clear()
    with EmbeddedBroker(port):  # another one, without the session of the former
        record(tmp_path, "home", address, facts, stop_requested=reported_online, report=reported.append)
    assert any("has lost the session" in text for text in reported)


def test_a_recorder_reports_once_that_another_has_its_id(tmp_path: Path) -> None:
    reported: list[str] = []
    with RecorderProcess(tmp_path, "home", facts) as process:
        for reason in (SESSION_TAKEN_OVER, "version", SESSION_TAKEN_OVER):
            process.on_problem(reason, reported.append)
    assert [text.partition(":")[0] for text in reported] == ["disconnected"]


def test_two_recorders_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        RecorderProcess(tmp_path, "home", facts),
        pytest.raises(StoreError, match="another recorder writes there"),
    ):
        RecorderProcess(tmp_path, "home", facts)
    with RecorderProcess(tmp_path, "home", facts):
        pass
