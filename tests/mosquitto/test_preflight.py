"""The preflight: what a broker does with messages, by name; lock-step on a cluster that loses some is refused."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.protocol.messages import Mode
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.clients.retained import read_retained
from gridfleet.provisioning.doctor.capabilities import preflight, try_capabilities
from gridfleet.provisioning.doctor.diagnosis import Severity
from tests.waiting import wait_until

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def mosquitto() -> Iterator[MosquittoBroker]:
    with MosquittoBroker() as broker:
        yield broker


@pytest.fixture
def strangers() -> Iterator[BrokerAddress]:
    """Two brokers that share nothing, as a cluster of which the nodes do not know each other."""
    with ExitStack() as stack:
        urls = [stack.enter_context(MosquittoBroker()).url for _ in range(2)]
        yield BrokerAddress.parse(",".join(urls))


def severities(address: BrokerAddress, *, thorough: bool = True) -> dict[str, Severity]:
    return {
        each.diagnosis.subject: each.diagnosis.severity
        for each in try_capabilities(address, thorough=thorough)
    }


def test_mosquitto_has_everything_and_nothing_is_left_on_it(mosquitto: MosquittoBroker) -> None:
    address = BrokerAddress.parse(mosquitto.url)
    found = severities(address)
    assert set(found) == {
        "version", "subscriptions", "retained messages", "wildcards", "packet size", "sessions", "expiry",
        "shared subscriptions",
    }  # fmt: skip
    assert set(found.values()) == {Severity.OK}
    assert read_retained(address, "germany", NO_LOGIN) == {}


def test_the_embedded_broker_serves_lock_step() -> None:
    said: list[str] = []
    with EmbeddedBroker() as broker:
        preflight(BrokerAddress.parse(broker.url), Mode.LOCKSTEP, said.append)
    assert said == []


def test_two_bridged_brokers_serve_lock_step() -> None:
    said: list[str] = []
    with MosquittoBroker() as near, MosquittoBroker(bridge=BrokerAddress.parse(near.url)) as far:
        address = BrokerAddress.parse(f"{near.url},{far.url}")
        wait_until(
            lambda: set(severities(address, thorough=False).values()) == {Severity.OK}
        )  # the bridge is up
        preflight(address, Mode.LOCKSTEP, said.append)
    assert said == []


def test_lock_step_on_nodes_that_lose_messages_is_refused_and_scaled_time_is_warned(
    strangers: BrokerAddress,
) -> None:
    with pytest.raises(CommandError, match="messages after an accepted subscription are lost from"):
        preflight(strangers, Mode.LOCKSTEP, print)
    said: list[str] = []
    preflight(strangers, Mode.SCALED, said.append)
    assert sum("subscriptions:" in each for each in said) == 2
    assert sum("retained messages:" in each for each in said) == 2


def test_run_and_broker_check_use_it(strangers: BrokerAddress, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (str(node) for node in strangers.all)
    assert (
        main(["run", "normal", "--broker", first, "--broker", second, "--no-console", "--ticks", "1"])
        == ExitCode.USAGE
    )
    assert "lock-step would not give the ledger of the simulation" in capsys.readouterr().err
    assert main(["broker", "check", "--broker", first, "--broker", second]) == ExitCode.FAILED
    assert "do not reach a new subscriber from" in capsys.readouterr().out
