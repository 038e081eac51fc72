"""Fleet processes on Mosquitto with TLS and access rules, as the commands start them; one that forges messages."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.network.descriptors import raise_descriptor_limit
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import (
    Award,
    ClockState,
    FleetPresence,
    Message,
    Mode,
    Package,
    Presence,
    Registration,
)
from gridfleet.broker.protocol.topics import CLOCK_ID, batch_topic
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.clock_process import new_epoch, start_clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import ConnectionMode, fleet_process_id, run_devices
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.partitioning import part_of
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.site.register_file import read_register
from tests.dashboards.runs import audit, broken
from tests.mosquitto.clients import Clients
from tests.system.message_log import MessageLog, simulate
from tests.system.test_shared_connections import TIME_AND_PRESENCE
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.mosquitto


class FleetProcess:
    """Context manager: a part of a fleet as `gridfleet site fleet` carries it, in a thread of its own."""

    def __init__(
        self,
        scenario: Scenario,
        broker: MosquittoBroker,
        secrets: Path,
        number: int,
        mode: ConnectionMode,
    ) -> None:
        self.reported: list[str] = []
        self._ended = False
        self.fleet = Fleet(scenario)
        self._thread = threading.Thread(
            target=run_devices,
            args=(self.fleet, BrokerAddress.parse(broker.url), part_of(self.fleet, number, 2)),
            kwargs={
                "mode": mode,
                "process_id": fleet_process_id(number),
                "credentials": FileCredentials(secrets),
                "stop_requested": lambda: self._ended,
                "report": self.reported.append,
            },
        )

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.mark.parametrize(
    "modes",
    [
        (ConnectionMode.SHARED, ConnectionMode.SHARED),
        (ConnectionMode.SHARED, ConnectionMode.OWN),
        (ConnectionMode.OWN, ConnectionMode.OWN),
    ],
    ids=["shared", "mixed", "own"],
)
def test_fleet_processes_give_the_ledger_of_the_simulation_within_their_access_rules(
    modes: tuple[ConnectionMode, ConnectionMode],
    mosquitto: MosquittoBroker,
    secrets: Path,
    scenario: Scenario,
) -> None:
    log, fleet, credentials = MessageLog(), Fleet(scenario), FileCredentials(secrets)
    signed = read_register(SecretsFolder(secrets))
    clock = fleet.clock(Mode.LOCKSTEP, 0.0, 6, epoch=new_epoch(), signed=signed)
    with (
        FleetProcess(scenario, mosquitto, secrets, 1, modes[0]) as first,
        FleetProcess(scenario, mosquitto, secrets, 2, modes[1]) as second,
        MqttLoop(BrokerAddress.parse(mosquitto.url), schema=SCHEMA) as loop,
    ):
        listener = SiteListener(loop, SiteDecoder(scenario.site), (log.receive,), credentials)
        runner = ClockRunner(clock, loop, SiteDecoder(scenario.site), credentials)
        loop.wait_online(60)
        start_clock(loop, runner)
        assert loop.run_until(lambda: clock.online_devices >= set(fleet.ids), 60)
        wait_until(lambda: all(part.fleet.discovery_complete() for part in (first, second)))
        runner.begin()
        over: Callable[[], bool] = lambda: any(s.status == "finished" for _, _, s in log.of(ClockState))  # noqa: E731
        assert loop.run_until(over, 60)
        runner.stop()
        assert loop.run_until(
            lambda: any(not each.online for _, sender, each in log.of(Presence) if sender == CLOCK_ID), 60
        )
    simulated = simulate(scenario, 6)
    assert sorted(line[1:] for line in log.lines(but=(*TIME_AND_PRESENCE, Registration))) == sorted(
        line[1:] for line in simulated.lines(but=(*TIME_AND_PRESENCE, Registration))
    )
    assert broken(audit(log.messages)) == {}
    assert (listener.refused, clock.refused, clock.lockstep.late_phases) == (0, {}, 0)
    fleets = {fleet_id for _, fleet_id, _ in log.of(FleetPresence)}
    assert fleets == {
        fleet_process_id(n) for n, mode in enumerate(modes, start=1) if mode is ConnectionMode.SHARED
    }
    via = {sender: presence.via for _, sender, presence in log.of(Presence) if presence.online}
    for number, mode in enumerate(modes, start=1):
        for each in part_of(fleet, number, 2):
            assert via[each] == (fleet_process_id(number) if mode is ConnectionMode.SHARED else None)
    for number, process in enumerate((first, second), start=1):
        assert process.reported == [f"{len(part_of(fleet, number, 2))} devices are online"]


@pytest.mark.parametrize("rotated", [["--only", "reactor-1"], []], ids=["one device", "everything"])
def test_rotated_secrets_are_taken_by_the_devices_of_a_running_fleet_process(
    mosquitto: MosquittoBroker, secrets: Path, scenario: Scenario, rotated: list[str]
) -> None:
    births: Counter[str] = Counter()

    def note(_: int, __: str, sender: str, message: Message) -> None:
        if isinstance(message, Presence) and message.online:
            births[sender] += 1

    with (
        FleetProcess(scenario, mosquitto, secrets, 1, ConnectionMode.OWN) as process,
        MqttLoop(BrokerAddress.parse(mosquitto.url), schema=SCHEMA) as loop,
    ):
        devices = part_of(process.fleet, 1, 2)
        assert "reactor-1" in devices
        SiteListener(loop, SiteDecoder(scenario.site), (note,), FileCredentials(secrets))
        assert loop.run_until(lambda: all(births[name] for name in devices), 60)
        births.clear()
        assert main(["site", "rotate", str(secrets), *rotated]) == ExitCode.SUCCESS
        mosquitto.reload()
        back = ["reactor-1"] if rotated else devices
        assert loop.run_until(lambda: all(births[name] for name in back), 60)
        assert process.alive


def test_a_fleet_process_cannot_publish_for_the_devices_of_another(
    clients: Clients, scenario: Scenario
) -> None:
    """It can put their messages into a batch, but cannot publish their presence, so receivers refuse the batch."""
    fleet = Fleet(scenario)
    other = next(each for each in part_of(fleet, 2, 2) if "turbine" in each)
    cell = fleet.build_agent(other).cell
    log: list[tuple[str, str]] = []
    loop, credentials = clients.loop, clients.credentials
    listener = SiteListener(
        loop,
        SiteDecoder("town"),
        (lambda _, __, sender, message: log.append((sender, message.TYPE)),),
        credentials,
    )
    clients.connect("clock")
    forger, owner = clients.connect("fleet-1"), clients.connect("fleet-2")

    def presence(via: str) -> bytes:
        return encode(
            Presence(online=True, role=fleet.role_of(other), cell=cell, latitude=1, longitude=1, via=via)
        )

    text = f"gridfleet/town/presence/{cell}/producer/{other}"
    forged = pack([(f"charger-1/{other}", encode(Award(0, 0, (Package(0, 10_000, 500_000),))))])
    owner.connection.publish(text, presence("fleet-2"), qos=1, retain=True)
    assert loop.run_until(lambda: (other, "presence") in log, 60)
    forger.connection.publish(text, presence("fleet-1"), qos=1, retain=True)  # the broker denies it
    forger.connection.publish(batch_topic("town", "award", cell, "fleet-1"), forged, qos=1)
    forger.connection.publish(batch_topic("town", "award", cell, "fleet-2"), forged, qos=1)  # and this
    forger.connection.publish(
        "gridfleet/town/fleet/fleet-2", encode(FleetPresence(online=False, devices=0, refused={})), qos=1
    )
    forger.connection.publish(
        "gridfleet/town/fleet/fleet-1", encode(FleetPresence(online=True, devices=1, refused={})), qos=1
    )
    assert loop.run_until(lambda: ("fleet-1", "fleet") in log, 60)
    assert listener.refused == 1
    assert log.count((other, "presence")) == 1
    assert (other, "award") not in log
    assert ("fleet-2", "fleet") not in log
    owner.connection.publish(batch_topic("town", "award", cell, "fleet-2"), forged, qos=1)
    assert loop.run_until(lambda: (other, "award") in log, 60)


def test_the_error_names_too_few_descriptors_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(256, 1_024)]
    monkeypatch.setattr("resource.getrlimit", lambda _: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda _, pair: limits.append(pair))
    raise_descriptor_limit(100)
    assert limits == [(256, 1_024)]
    raise_descriptor_limit(900)
    assert limits[-1] == (964, 1_024)
    with pytest.raises(
        BrokerError, match=r"2000 connections need 2064 file descriptors.*1024.*ulimit -Hn 2064"
    ):
        raise_descriptor_limit(2_000)
