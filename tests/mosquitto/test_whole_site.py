"""A whole site over Mosquitto with TLS, passwords and access rules: the ledger equals the simulation."""

from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.errors import BrokerError
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.runtime.site import SiteRun
from gridfleet.provisioning.runs.results import open_recording
from gridfleet.provisioning.site.secrets import identities, make_secrets

pytestmark = pytest.mark.mosquitto


def over(
    broker: MosquittoBroker, secrets: Path, scenario: Scenario, out: Path, *, certificates: bool = False
) -> str:
    """Run a scenario on a broker, every device as itself; return the ledger."""
    with open_recording(scenario, out) as recorded:
        address = BrokerAddress.parse(broker.url)
        known = FileCredentials(secrets, certificates=certificates)
        SiteRun(Fleet(scenario), address, receivers=(recorded.receive,), credentials=known).run()
        recorded.finish()
    return (out / "ledger.csv").read_text()


def simulated(scenario: Scenario, out: Path) -> str:
    with open_recording(scenario, out) as recorded:
        Simulation(scenario, receivers=(recorded.receive,)).run()
        recorded.finish()
    return (out / "ledger.csv").read_text()


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Path, str]:
    scenario = load("normal", ["ticks=6"])
    folder = tmp_path_factory.mktemp("normal")
    make_secrets(folder / "secrets", scenario.site, identities(Fleet(scenario)))
    out = folder / "simulated"
    out.mkdir()
    return scenario, folder / "secrets", simulated(scenario, out)


@pytest.mark.parametrize("certificates", [False, True], ids=["passwords", "certificates"])
def test_the_normal_scenario_gives_the_ledger_of_the_simulation(
    normal: tuple[Scenario, Path, str], tmp_path: Path, certificates: bool
) -> None:
    scenario, secrets, ledger = normal
    with MosquittoBroker(secrets, client_certificates=certificates) as broker:
        assert over(broker, secrets, scenario, tmp_path, certificates=certificates) == ledger
    assert len(ledger.splitlines()) > 50


def test_cells_trade_with_each_other_within_their_access_rules(
    mosquitto: MosquittoBroker, secrets: Path, scenario: Scenario, tmp_path: Path
) -> None:
    other = tmp_path / "simulated"
    other.mkdir()
    assert over(mosquitto, secrets, scenario, tmp_path) == simulated(scenario, other)


def test_the_error_names_a_device_without_secrets(mosquitto: MosquittoBroker, secrets: Path) -> None:
    address = BrokerAddress.parse(mosquitto.url)
    with pytest.raises(BrokerError, match=r"clients/.*\.password cannot be read \(no such file"):
        SiteRun(Fleet(load("normal", ["site=town"])), address, credentials=FileCredentials(secrets)).run()
