"""Fixtures: a site with secrets, and Mosquitto with TLS and access rules for each device."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.registrations import registrations_of
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.mosquitto.clients import Clients


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    """Four cells, so that there are neighbours and strangers."""
    changes = ["site=town", "area.rows=3", "area.columns=1", "turbines.count=3", "vehicles.count=3"]
    return parse("", "town.toml", "", [*changes, "chargers.count=3", "households.count=6", "ticks=6"])


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Path:
    """The secrets of that site; not to be changed."""
    folder = tmp_path_factory.mktemp("site") / "secrets"
    users = identities(Fleet(scenario), processes=2, shared=True, discovery=True)
    make_secrets(folder, scenario.site, users, registrations=registrations_of(scenario))
    return folder


@pytest.fixture
def mosquitto(secrets: Path) -> Iterator[MosquittoBroker]:
    with MosquittoBroker(secrets) as broker:
        yield broker


@pytest.fixture
def clients(mosquitto: MosquittoBroker, secrets: Path) -> Iterator[Clients]:
    with Clients(mosquitto, FileCredentials(secrets)) as clients:
        yield clients
