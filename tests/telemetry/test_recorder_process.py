"""The recorder as a process: a broker that lost the session, a second client with its id, a folder in use."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import StoreError
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.broker.protocol.topics import RECORDER_ID
from gridfleet.dashboards.recording.durable.journal import Journal
from gridfleet.dashboards.recording.durable.process import RecorderProcess, record
from gridfleet.dashboards.recording.durable.recorder import JOURNAL, RUNS
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.site import SiteRun
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from gridfleet.provisioning.clients.trust_client import TrustClient
from tests.ports import free_port
from tests.waiting import wait_until


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


def test_the_recorder_of_a_site_publishes_suspensions(tmp_path: Path) -> None:
    """It is a process of its own beside a run whose listener judges nobody."""
    scenario = load("normal", ["ticks=6", "vehicles.count=12"])
    ended = threading.Event()
    reported: list[str] = []
    with EmbeddedBroker() as broker:
        address = BrokerAddress.parse(broker.url)
        recorder = threading.Thread(
            target=lambda: record(
                tmp_path, scenario.site, address, facts, stop_requested=ended.is_set, report=reported.append
            )
        )
        recorder.start()
        try:
            wait_until(lambda: f"connected, recording {scenario.site}" in reported)
            SiteRun(Fleet(scenario, liars=parse_liars(["turbine-1=announce"])), address).run()
            with TrustClient(address, scenario.site, NO_LOGIN) as client:
                wait_until(lambda: client.read() == "" and bool(client.judgements()))
                (judgement,) = client.judgements()
        finally:
            ended.set()
            recorder.join()
    assert (judgement.device, judgement.judge) == ("turbine-1", RECORDER_ID)
    assert judgement.suspension.lie == "supply beyond limits"
    (run,) = (tmp_path / RUNS).iterdir()
    with Store.open(run / STORE) as store:
        assert [each.subject for each in store.events() if each.kind == "suspended"] == ["turbine-1"]
