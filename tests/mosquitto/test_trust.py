"""A liar on a real broker with access rules: it is suspended, said so, and lifted by an operator alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.messages import Award, Message, Suspension
from gridfleet.broker.protocol.topics import RECORDER_ID
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.site import SiteRun
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.clients.trust_client import TrustClient
from gridfleet.provisioning.runs.results import open_recording
from gridfleet.provisioning.site.register_file import read_register

pytestmark = pytest.mark.mosquitto
LIARS = ("household-1=bid-everything", "charger-1=overbill")
TICKS = 6


@pytest.fixture(scope="module")
def log() -> list[tuple[str, str, Message]]:
    return []


@pytest.fixture(scope="module")
def site(secrets: Path, scenario: Scenario, log: list[tuple[str, str, Message]]) -> Iterator[BrokerAddress]:
    """A run with two liars that has ended; its broker still retains what was said of them."""
    fleet = Fleet(scenario, liars=parse_liars(LIARS))
    with MosquittoBroker(secrets) as broker, open_recording(scenario, None) as recorded:
        address = BrokerAddress.parse(broker.url)
        SiteRun(
            fleet,
            address,
            ticks=TICKS,
            receivers=(
                recorded.receive,
                lambda _, scope, sender, message: log.append((scope, sender, message)),
            ),
            credentials=FileCredentials(secrets),
            judge=recorded.judgements,
            signed=read_register(SecretsFolder(secrets)),
        ).run()
        recorded.finish()
        yield address


def client(address: BrokerAddress, secrets: Path, user: str) -> TrustClient:
    return TrustClient(address, "town", FileCredentials(secrets).login(user))


def test_who_lies_over_a_broker_is_suspended_and_an_operator_lifts_it(
    site: BrokerAddress,
    secrets: Path,
    log: list[tuple[str, str, Message]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin = {scope: message for scope, sender, message in log if isinstance(message, Suspension)}
    assert set(begin) == {"household-1", "charger-1"}
    last = max(message.since_tick for message in begin.values())
    assert last <= 3
    awarded = {
        scope
        for scope, _, message in log
        if isinstance(message, Award) and message.tick > last and message.lots
    }
    assert awarded
    assert not awarded & {"household-1", "charger-1"}
    options = ["--site", "town", "--broker", str(site), "--secrets", str(secrets)]
    assert main(["trust", *options]) == ExitCode.SUCCESS
    shown = capsys.readouterr().out
    assert "2 suspended" in shown
    assert "bid beyond limits" in shown
    assert "offer beyond call" in shown
    assert main(["trust", "--limits", *options]) == ExitCode.SUCCESS
    assert "turbine-1 to 3" in capsys.readouterr().out
    assert main(["trust", "--lift", "household-1", "--reason", "replaced", *options]) == ExitCode.SUCCESS
    shown = capsys.readouterr().out
    assert "1 suspended" in shown
    assert "household-1: suspension lifted" in shown
    assert main(["trust", "--lift", "turbine-2", *options]) == ExitCode.FAILED
    assert "turbine-2 is not suspended" in capsys.readouterr().err
    with client(site, secrets, "operator") as other:
        assert other.read() == ""
        assert [(each.device, each.judge) for each in other.judgements()] == [
            ("charger-1", RECORDER_ID),
            ("household-1", "operator"),
        ]


def test_nobody_but_recorder_and_operators_suspends(site: BrokerAddress, secrets: Path) -> None:
    with client(site, secrets, "viewer") as viewer:
        assert viewer.read() == ""
        with pytest.raises(BrokerError, match="may not publish"):
            viewer.suspend("turbine-2", "for fun", 9)
    with client(site, secrets, "turbine-1") as liar:
        assert liar.read() == ""
        with pytest.raises(BrokerError, match="may not publish"):
            liar.lift("charger-1", "for a friend")
    with client(site, secrets, "operator") as operator:
        assert operator.read() == ""
        assert {each.device for each in operator.judgements()} == {"household-1", "charger-1"}
