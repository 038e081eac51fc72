"""Runs after each other on one broker: each gives the files of the simulation, whatever the broker has kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.mqtt.connection import MAX_SHORT
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.clients.retained import read_retained, sender_of
from gridfleet.provisioning.runs.results import open_recording
from tests.provisioning.shell import start
from tests.waiting import wait_until

pytestmark = pytest.mark.mosquitto

FILES: Final = ("ledger.csv", "ticks.csv", "agents.csv", "reservations.csv")
SMALL: Final = (
    "turbines.count=3",
    "households.count=3",
    "farms.count=1",
    "chargers.count=3",
    "vehicles.count=8",
)


@pytest.fixture(params=["mosquitto", "with store", "rumqttd"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "rumqttd":
        with EmbeddedBroker() as embedded:
            yield embedded.url
    else:
        store = tmp_path / "store" if request.param == "with store" else None
        with MosquittoBroker(store=store) as broker:
            yield broker.url


def simulated(scenario: Scenario, folder: Path) -> Path:
    with open_recording(scenario, folder) as recorded:
        Simulation(scenario, receivers=(recorded.receive,), judge=recorded.judgements).run()
        assert recorded.finish().holds
    return folder


def run_and_compare(name: str, changes: tuple[str, ...], url: str, folder: Path) -> None:
    """Run a scenario on a broker; check that the files are those of the simulation."""
    expected = simulated(load(name, list(changes)), folder / "simulated")
    out = folder / "run"
    options = ["--broker", url, "--out", str(out), "--no-console", "--no-report"]
    assert main(["run", name, "--set", *changes, *options]) == 0
    for file in FILES:
        assert (out / file).read_bytes() == (expected / file).read_bytes(), file


def test_each_run_on_a_broker_equals_the_simulation(url: str, tmp_path: Path) -> None:
    """The same again; a storm after a normal run; a smaller fleet after a larger one."""
    run_and_compare("normal", (*SMALL, "ticks=6"), url, tmp_path / "first")
    run_and_compare("normal", (*SMALL, "ticks=6"), url, tmp_path / "second")
    run_and_compare("storm", (*SMALL, "ticks=4"), url, tmp_path / "storm")
    run_and_compare("normal", (*SMALL, "ticks=4", "vehicles.count=4"), url, tmp_path / "smaller")
    left = read_retained(BrokerAddress.parse(url), "germany", NO_LOGIN)
    assert {sender_of(topic) for topic in left if "vehicle" in topic} >= {
        f"vehicle-{number}" for number in range(1, 5)
    }
    assert not [
        topic for topic in left if sender_of(topic) in {f"vehicle-{number}" for number in range(5, 9)}
    ]


def test_a_run_after_a_killed_one_equals_the_simulation(tmp_path: Path) -> None:
    with MosquittoBroker() as broker:
        address = BrokerAddress.parse(broker.url)
        arguments = ("--broker", broker.url, "--no-console", "--no-report", "--seconds-per-tick", "0.3")
        child = start("run", "normal", "--set", *SMALL, *arguments, cwd=tmp_path)
        try:
            wait_until(
                lambda: any("/state/" in topic for topic in read_retained(address, "germany", NO_LOGIN))
            )
        finally:
            child.kill()
            child.communicate()
        run_and_compare("normal", (*SMALL, "ticks=4"), broker.url, tmp_path / "after")


def test_two_clients_of_one_id_end_each_other_a_few_times_and_both_say_why() -> None:
    """Mosquitto 2.0 gives no reason; each waits longer before it comes back."""
    problems: dict[str, list[str]] = {"one": [], "other": []}
    times = dict.fromkeys(problems, 0)
    with MosquittoBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        for name, said in problems.items():

            def on_online(name: str = name) -> None:
                times[name] += 1

            loop.open(
                "charger-1",
                on_message=lambda *_: None,
                on_online=on_online,
                on_problem=lambda reason, about, said=said: said.append(f"{reason}: {about}"),  # type: ignore[misc]
            )
        assert loop.run_until(lambda: all(problems.values()), 120), times
        assert problems["one"][0] == problems["other"][0] == "taken over: charger-1"
        assert max(times.values()) <= 2 * MAX_SHORT, times
