"""One client with valid credentials floods Mosquitto: the broker passes on its quota, and everything of others."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from gridfleet.broker.brokers.mosquitto import quota_plugin, server
from gridfleet.broker.brokers.mosquitto.config import (
    MAX_PACKET,
    MAX_QUEUED,
    MAX_QUEUED_ALONE,
    MEMORY_LIMIT,
    Access,
    Version,
    configuration,
)
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Call, Mode, Phase, Settings, Tick
from gridfleet.broker.protocol.quota import budget_of
from gridfleet.broker.protocol.topics import TOPIC_TABLE, topic
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet
from tests.conftest import CONSOLE
from tests.mosquitto.clients import WAIT_S, Client, Clients
from tests.waiting import wait_ended

CALL: Final = "gridfleet/town/call/cell-1-1/vehicle-1"
MARKER: Final = "gridfleet/town/state/clock/clock"
LAST: Final = "gridfleet/town/state/vehicle/vehicle-1"
STATE: Final = "gridfleet/town/state/producer/turbine-1"
FLOOD: Final = 2_000
PERMITTED: Final = budget_of("call", 0)
Flooder = Callable[[Clients, MosquittoBroker, Path, str, int], object]


def own_client(clients: Clients, _broker: MosquittoBroker, _secrets: Path, text: str, qos: int) -> None:
    """Flood with our own client."""
    vehicle = clients.connect("vehicle-1")
    for _ in range(FLOOD):
        vehicle.connection.publish(CALL, text.encode(), qos=qos)
    vehicle.connection.publish(LAST, b"{}", qos=1)  # acknowledged after everything before it
    assert clients.loop.run_until(lambda: vehicle.connection.all_acknowledged, 10 * WAIT_S)
    vehicle.connection.close()


def mqtt_js(
    clients: Clients,
    broker: MosquittoBroker,
    secrets: Path,
    text: str,
    qos: int,
    *,
    user: str = "vehicle-1",
    name: str = CALL,
    count: int = FLOOD,
    retain: bool = False,
) -> int:
    """Flood with mqtt.js; return how many publications it was denied."""
    own = SecretsFolder(secrets)
    options = {
        "url": broker.url, "authority": str(own.authority), "user": user,
        "password": own.password_of(user).read_text(encoding="ascii").strip(),
        "topic": name, "payload": text, "count": count, "qos": qos, "retain": retain,
    }  # fmt: skip
    command = ["node", str(Path(__file__).with_name("flood.mjs")), str(CONSOLE), json.dumps(options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_ended(clients.loop, [process])
    assert process.returncode == 0
    return int(process.communicate()[0])


def tick(clients: Clients, clock: Client, number: int, now_ms: int = 0) -> None:
    message = Tick(number, Phase.BID, now_ms, now_ms + 1, Mode.SCALED, 1.0, 9, False, Settings())
    clock.connection.publish(topic("town", message, "", "clock"), encode(message), qos=1)
    assert clients.loop.run_until(lambda: clock.connection.all_acknowledged, WAIT_S)


def wait_delivered(clients: Clients, clock: Client, receiver: Client) -> None:
    """Wait until the receiver has everything that was published before; ticks are messages of these tests."""
    marker = str(len(receiver.received)).encode()
    assert clients.loop.run_until(lambda: not clients.unacknowledged(), 10 * WAIT_S)
    clock.connection.publish(MARKER, marker, qos=1)
    assert clients.loop.run_until(lambda: (MARKER, marker) in receiver.received, 10 * WAIT_S)


@pytest.mark.mosquitto
@pytest.mark.node
@pytest.mark.parametrize("flood", [own_client, mqtt_js])
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("size", [100, MAX_PACKET - 200])
@pytest.mark.usefixtures("node_modules")
def test_the_broker_passes_on_the_quota_and_everything_of_others(
    clients: Clients, mosquitto: MosquittoBroker, secrets: Path, flood: Flooder, qos: int, size: int
) -> None:
    assert mosquitto.has_quota
    recorder, clock = clients.connect("recorder", "gridfleet/town/#"), clients.connect("clock")
    other = clients.connect("vehicle-2")
    for number in (1, 2):
        tick(clients, clock, number)
        flood(clients, mosquitto, secrets, "x" * size, qos)
        for _ in range(PERMITTED):
            other.connection.publish(CALL.replace("vehicle-1", "vehicle-2"), b"{}", qos=1)
        wait_delivered(clients, clock, recorder)
        received = Counter(recorder.topics())
        assert received[CALL] == number * PERMITTED
        assert received[CALL.replace("vehicle-1", "vehicle-2")] == number * PERMITTED


@pytest.mark.mosquitto
def test_the_same_tick_again_fills_no_budget(
    clients: Clients, mosquitto: MosquittoBroker, secrets: Path
) -> None:
    recorder, clock = (
        clients.connect("recorder", "gridfleet/town/call/#", "gridfleet/town/state/#"),
        clients.connect("clock"),
    )
    for _ in range(3):
        tick(clients, clock, 7)
        own_client(clients, mosquitto, secrets, "x", 1)
    wait_delivered(clients, clock, recorder)
    assert Counter(recorder.topics())[CALL] == PERMITTED


@pytest.mark.mosquitto
@pytest.mark.node
@pytest.mark.usefixtures("node_modules")
def test_only_what_is_retained_by_its_type_is_retained(
    clients: Clients, mosquitto: MosquittoBroker, secrets: Path
) -> None:
    award = "gridfleet/town/award/nobody-{}/turbine-1"
    early, clock = clients.connect("recorder", "gridfleet/town/#"), clients.connect("clock")
    assert (
        mqtt_js(clients, mosquitto, secrets, "x", 1, user="turbine-1", name=award, count=100, retain=True)
        == 0
    )
    mqtt_js(clients, mosquitto, secrets, "state", 1, user="turbine-1", name=STATE, count=1, retain=True)
    wait_delivered(clients, clock, early)
    assert len([each for each in early.topics() if "/award/" in each]) == 100
    late = clients.connect("viewer", "gridfleet/town/#")
    wait_delivered(clients, clock, late)
    assert late.topics() == [STATE, MARKER]


@pytest.mark.mosquitto
@pytest.mark.node
@pytest.mark.usefixtures("node_modules")
def test_a_sender_learns_that_it_was_refused(
    clients: Clients, mosquitto: MosquittoBroker, secrets: Path
) -> None:
    assert mqtt_js(clients, mosquitto, secrets, "x", 1, count=3 * PERMITTED) == 2 * PERMITTED


@pytest.mark.mosquitto
def test_without_a_compiler_the_broker_runs_without_quotas(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_plugin, "COMPILER", "no-such-compiler")
    quota_plugin.compiled_plugin.cache_clear()
    try:
        with MosquittoBroker(secrets) as broker, Clients(broker, FileCredentials(secrets)) as clients:
            assert not broker.has_quota
            recorder, clock = clients.connect("recorder", "gridfleet/town/#"), clients.connect("clock")
            own_client(clients, broker, secrets, "x", 1)
            wait_delivered(clients, clock, recorder)
            assert Counter(recorder.topics())[CALL] == FLOOD
    finally:
        quota_plugin.compiled_plugin.cache_clear()


def test_a_compiler_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'no headers' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(quota_plugin, "COMPILER", str(broken))
    quota_plugin.compiled_plugin.cache_clear()
    try:
        with pytest.raises(BrokerError, match=r"does not compile it \(no headers\): install a working one"):
            quota_plugin.compiled_plugin()
    finally:
        quota_plugin.compiled_plugin.cache_clear()


@pytest.mark.parametrize(("version", "keyword"), [(Version.V2_0, "plugin"), (Version.V2_1, "global_plugin")])
def test_the_plugin_has_the_budgets_of_the_receivers(version: Version, keyword: str) -> None:
    access = Access(Path("/s/passwords"), Path("/s/acl"), 100)
    lines = configuration([], access, version=version, quota_plugin=Path("/s/quota.so")).splitlines()
    options = lines[lines.index(f"{keyword} /s/quota.so") + 1 :]
    budgets = {
        found[1]: int(found[2])
        for each in options
        if (found := re.fullmatch(r"plugin_opt_budget_?(\w*) (\d+)", each))
    }
    for name in (*(each.name for each in TOPIC_TABLE), "batch", "unknown"):
        assert budgets.get(name, budgets[""]) == budget_of(name, 100), name
    assert f"memory_limit {MEMORY_LIMIT + 100 * 65_536}" in lines
    assert f"max_queued_messages {MAX_QUEUED}" in lines
    alone = configuration([], access, version=version).splitlines()
    assert f"max_queued_messages {MAX_QUEUED_ALONE}" in alone
    assert not any("plugin_opt_budget" in each for each in alone)
    retained = next(each for each in options if each.startswith("plugin_opt_retain ")).split()[1:]
    assert set(retained) == {each.name for each in TOPIC_TABLE if each.retain} | {"homeassistant"}


@pytest.mark.mosquitto
def test_an_agent_ignores_a_flood_and_answers_others(
    secrets: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receivers count by themselves where the broker does not."""
    monkeypatch.setattr(server, "compiled_plugin", lambda: None)
    call = Call(1, scenario.start_ms, 10_000, 1_000_000, 51.0, 9.0, 150.0)
    with MosquittoBroker(secrets) as broker, Clients(broker, FileCredentials(secrets)) as clients:
        charger = Fleet(scenario).build_agent("charger-1")
        cell = charger.cell
        runner = DeviceRunner(charger, clients.loop, SiteDecoder("town"), clients.credentials)
        other = clients.connect("vehicle-2", "gridfleet/town/+/vehicle-2/+")
        clock, vehicle = clients.connect("clock"), clients.connect("vehicle-1")
        runner.start()
        tick(clients, clock, 1, scenario.start_ms)
        assert clients.loop.run_until(lambda: charger.tick_message.tick == 1, WAIT_S)
        for _ in range(FLOOD):
            vehicle.connection.publish(topic("town", call, cell, "vehicle-1"), b"\x00", qos=1)
        assert clients.loop.run_until(lambda: vehicle.connection.all_acknowledged, 10 * WAIT_S)
        other.connection.publish(topic("town", call, cell, "vehicle-2"), encode(call), qos=1)
        assert clients.loop.run_until(lambda: bool(other.received), WAIT_S)
        assert {each.split("/")[2] for each in other.topics()} <= {"offer", "decline"}
        assert charger.refused["malformed"] == PERMITTED
        assert charger.refused["flood"] == FLOOD - PERMITTED
