"""Safe mode: the contactor is open, the market does not wait for the device, and the reason is published."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.config.device_file import DeviceFile, parse
from gridfleet.devices.edge.hil.mock_pi import MockPi
from gridfleet.devices.edge.safe_mode import SafeMode
from gridfleet.provisioning.site.enrolment import Enrolment, enrol

CONTACTOR = 27
FILE = """\
id = "charger-01"
kind = "charger"
site = "town"
cell = "{cell}"
backend = "mock"
[broker]
url = "{url}"
[telemetry]
every_s = 0.1
[adc]
[plug]
pin = 17
[contactor]
pin = 27
closed_when = "{closed_when}"
[stop]
pin = 22
[current]
channel = 0
"""


@pytest.fixture
def pi() -> Iterator[MockPi]:
    mocked = MockPi()
    yield mocked
    mocked.close()


def device(cell: str, url: str, closed_when: str = "high") -> DeviceFile:
    return parse(FILE.format(cell=cell, url=url, closed_when=closed_when), "device.toml")


def published_by(
    mosquitto: MosquittoBroker, secrets: Path, safe: SafeMode
) -> dict[str, list[dict[str, object]]]:
    """Return the messages of a device in safe mode by message type, in order."""
    published: dict[str, list[dict[str, object]]] = {}

    def on_message(topic: str, payload: bytes, _retained: bool) -> None:
        published.setdefault(topic.split("/")[2], []).append(json.loads(payload))

    with MqttLoop(BrokerAddress.parse(mosquitto.url)) as loop:
        loop.open(
            "viewer",
            on_message=on_message,
            filters=[("gridfleet/town/#", 1)],
            login=FileCredentials(secrets).login("viewer"),
        )
        loop.wait_online(60)
        with safe:
            safe.run(lambda: loop.run_until(lambda: len(published.get("sample", ())) >= 2, 0.05))
    return published


@pytest.mark.mosquitto
@pytest.mark.parametrize("closed_when", ["high", "low"])
def test_the_contactor_is_open_and_an_incident_is_published(
    secrets: Path, cell: str, pi: MockPi, closed_when: str
) -> None:
    enrol(secrets, Enrolment("charger-01", Role.CHARGER, cell))
    with MosquittoBroker(secrets) as broker:
        file = device(cell, broker.url, closed_when)
        safe = SafeMode(file, credentials=FileCredentials(secrets), open_board=lambda _: pi.board())
        high, _ = pi.level(CONTACTOR)
        assert high is (closed_when == "low")
        published = published_by(broker, secrets, safe)
    assert [each["online"] for each in published["presence"]] == [False]
    (incident,) = published["incident"]
    assert (incident["part"], incident["what"], incident["reason"]) == ("controller", "failed", "safe mode")
    assert published["sample"][0]["faults"] == ["controller: safe mode"]
    assert set(published) == {"presence", "incident", "sample"}  # no bid, no offer


@pytest.mark.mosquitto
def test_pins_that_cannot_be_opened_are_reported(secrets: Path, cell: str) -> None:
    enrol(secrets, Enrolment("charger-01", Role.CHARGER, cell))

    def broken(_: DeviceFile) -> MockPi:
        raise OSError("no such chip")

    with MosquittoBroker(secrets) as broker:
        safe = SafeMode(device(cell, broker.url), credentials=FileCredentials(secrets), open_board=broken)  # type: ignore[arg-type]
        published = published_by(broker, secrets, safe)
    assert published["sample"][0]["faults"] == ["controller: safe mode", "pins: OSError"]


def test_without_pins_safe_mode_runs_too(cell: str) -> None:
    file = device(cell, "mqtt://127.0.0.1:9", "high")
    with SafeMode(file, open_board=lambda _: None) as safe:
        safe.run(lambda: True)
        assert safe.faults == ("controller: safe mode",)
