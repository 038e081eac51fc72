"""Two Mosquittos with a bridge between them: one site, one ledger, no message twice."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import Connection, MqttLoop, Will
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ClockState, Message, Tick
from gridfleet.broker.protocol.topics import topic
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.runs.results import open_recording
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.provisioning.shell import end, start
from tests.system.message_log import EXCHANGING
from tests.waiting import wait_ended

pytestmark = pytest.mark.mosquitto
TICKS = 4


class TwoBrokers:
    """An event loop at each of two brokers, run together."""

    def __init__(self, near: MqttLoop, far: MqttLoop, credentials: Credentials) -> None:
        self.near = near
        self.far = far
        self._credentials = credentials
        self.received: dict[str, list[tuple[str, bytes, bool]]] = {}

    def connect(self, loop: MqttLoop, name: str, *filters: str, will: Will | None = None) -> Connection:
        received = self.received.setdefault(name, [])
        connection = loop.open(
            name,
            on_message=lambda *message: received.append(message),
            filters=[(each, 1) for each in filters],
            will=will,
            login=self._credentials.login(name),
        )
        loop.wait_online(60)
        return connection

    def expect(self, name: str, *messages: tuple[str, bytes, bool]) -> None:
        """Wait until a client has received these messages, and check that it received no others."""
        for _ in range(500):
            self.run_for(0.01)
            if len(self.received[name]) >= len(messages):
                break
        self.run_for(0.2)
        assert self.received[name] == list(messages)
        self.received[name].clear()

    def run_for(self, seconds: float) -> None:
        self.near.run_until(lambda: False, seconds / 2)
        self.far.run_until(lambda: False, seconds / 2)


@contextmanager
def bridged(secrets: Path | None = None) -> Iterator[tuple[MosquittoBroker, MosquittoBroker]]:
    with (
        MosquittoBroker(secrets) as near,
        MosquittoBroker(secrets, bridge=BrokerAddress.parse(near.url)) as far,
    ):
        yield near, far


@contextmanager
def both(
    near: MosquittoBroker, far: MosquittoBroker, credentials: Credentials = ADDRESS_CREDENTIALS
) -> Iterator[TwoBrokers]:
    with MqttLoop(BrokerAddress.parse(near.url)) as one, MqttLoop(BrokerAddress.parse(far.url)) as other:
        two = TwoBrokers(one, other, credentials)
        two.connect(one, "viewer", "gridfleet/germany/#")
        two.connect(other, "recorder", "gridfleet/germany/#")
        yield two


def presence(device: str) -> str:
    return f"gridfleet/germany/presence/germany/turbine/{device}"


def wait_for_bridge(two: TwoBrokers, clock: Connection) -> None:
    """Wait until the bridge is up: a message published at one broker arrives at the other."""
    for number in range(500):
        clock.publish("gridfleet/germany/tick/clock", b"%d" % number, qos=1)
        two.run_for(0.02)
        if two.received["recorder"]:
            break
    two.run_for(0.3)
    two.received["viewer"].clear()
    two.received["recorder"].clear()


def test_every_message_arrives_once_on_both_sides_also_retained_ones_and_wills() -> None:
    with bridged() as (near, far), both(near, far) as two:
        clock = two.connect(two.near, "clock")
        wait_for_bridge(two, clock)
        clock.publish("gridfleet/germany/tick/clock", b"tick", qos=1, retain=True)
        for client in ("viewer", "recorder"):
            two.expect(client, ("gridfleet/germany/tick/clock", b"tick", False))
        turbine = two.connect(two.far, "turbine-1", will=Will(presence("turbine-1"), b"offline"))
        turbine.publish(presence("turbine-1"), b"born", qos=1, retain=True)
        for client in ("viewer", "recorder"):
            two.expect(client, (presence("turbine-1"), b"born", False))
        two.connect(two.near, "late-near", "gridfleet/germany/presence/#")
        two.expect("late-near", (presence("turbine-1"), b"born", True))
        turbine.abort()
        for client in ("viewer", "recorder"):
            two.expect(client, (presence("turbine-1"), b"offline", False))
        two.connect(two.far, "late-far", "gridfleet/germany/tick/#")
        two.expect("late-far", ("gridfleet/germany/tick/clock", b"tick", True))


def test_with_secrets_the_bridge_has_its_own_user_and_access_rules_hold(tmp_path: Path) -> None:
    fleet = Fleet(load("normal"))
    secrets = tmp_path / "secrets"
    make_secrets(secrets, fleet.scenario.site, identities(fleet, bridged=True))
    with bridged(secrets) as (near, far), both(near, far, FileCredentials(secrets)) as two:
        clock = two.connect(two.near, "clock")
        wait_for_bridge(two, clock)
        turbine = two.connect(two.far, "turbine-1")
        turbine.publish("gridfleet/germany/state/producer/turbine-1", b"mine", qos=1)
        for client in ("viewer", "recorder"):
            two.expect(client, ("gridfleet/germany/state/producer/turbine-1", b"mine", False))


def test_messages_during_an_outage_of_the_other_broker_arrive_when_it_is_back() -> None:
    with bridged() as (near, far), both(near, far) as two:
        wait_for_bridge(two, two.connect(two.near, "clock"))
        near.kill()
        two.connect(two.far, "turbine-1").publish(
            "gridfleet/germany/state/producer/turbine-1", b"kept", qos=1, retain=True
        )
        two.run_for(0.3)
        near.start()
        two.connect(two.near, "late", "gridfleet/germany/state/#")
        two.run_for(0.1)
        for _ in range(500):
            if two.received["late"]:
                break
            two.run_for(0.02)
        # At least once: a bridge publishes again what may have been lost; devices accept that.
        assert {message[:2] for message in two.received["late"]} == {
            ("gridfleet/germany/state/producer/turbine-1", b"kept")
        }


def simulated(scenario: Scenario, out: Path) -> str:
    with open_recording(scenario, out) as recorded:
        Simulation(scenario, receivers=(recorded.receive,)).run()
        recorded.finish()
    return (out / "ledger.csv").read_text()


def test_a_fleet_on_two_brokers_has_the_ledger_of_the_simulation(tmp_path: Path) -> None:
    scenario = load("normal", [*EXCHANGING, f"ticks={TICKS}"])
    expected = simulated(scenario, tmp_path / "simulated")
    options = ("normal", "--ticks", str(TICKS), "--set", *EXCHANGING)
    finished: list[ClockState] = []

    def on_message(_now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, ClockState) and message.status == "finished":
            finished.append(message)

    with ExitStack() as stack:
        near, far = stack.enter_context(bridged())
        recorded = stack.enter_context(open_recording(scenario, tmp_path / "bridged"))
        loop = stack.enter_context(MqttLoop(BrokerAddress.parse(near.url), schema=SCHEMA))
        SiteListener(loop, SiteDecoder(scenario.site), (recorded.receive, on_message))
        loop.wait_online(60)
        children = [
            start("site", "fleet", *options, "--broker", near.url, "--part", "1/2", cwd=tmp_path),
            start("site", "fleet", *options, "--broker", far.url, "--part", "2/2", cwd=tmp_path),
            start("site", "clock", *options, "--broker", far.url, "--mode", "lockstep", cwd=tmp_path),
        ]
        for child in children:
            stack.callback(child.wait)
            stack.callback(child.kill)
        assert loop.run_until(lambda: bool(finished), 60)
        children[0].terminate()
        children[1].terminate()
        wait_ended(loop, children)
        assert [end(child).code for child in children] == [ExitCode.SUCCESS] * 3
        audit = recorded.finish()
    assert audit.holds, audit.broken
    ledger = (tmp_path / "bridged" / "ledger.csv").read_text()
    assert ledger == expected
    assert len({line.split(",")[1] for line in ledger.splitlines()[1:]}) > 1  # both cells, on both brokers


def test_a_second_broker_that_dies_and_returns_with_a_former_run_changes_nothing_in_the_recording(
    tmp_path: Path,
) -> None:
    """It has stored the end of a former run, and brings it to the other broker when it is back."""
    ticks = 10
    scenario = load("normal", [*EXCHANGING, f"ticks={ticks}"])
    options = ("normal", "--ticks", str(ticks), "--set", *EXCHANGING)
    with ExitStack() as stack:
        near = stack.enter_context(MosquittoBroker())
        far = stack.enter_context(
            MosquittoBroker(store=tmp_path / "store", bridge=BrokerAddress.parse(near.url))
        )
        recorded = stack.enter_context(open_recording(scenario, tmp_path / "bridged", exact=False))
        loop = stack.enter_context(MqttLoop(BrokerAddress.parse(near.url), schema=SCHEMA))
        at_far = stack.enter_context(MqttLoop(BrokerAddress.parse(far.url), schema=SCHEMA))
        former = at_far.open("former", on_message=lambda *_: None)
        at_far.wait_online(60)
        for name, payload in former_end(scenario):
            former.publish(name, payload, qos=1, retain=True)
        assert at_far.run_until(lambda: former.all_acknowledged, 60)
        former.close()
        received: list[Message] = []
        epochs: set[int] = set()

        def on_message(_now_ms: int, _scope: str, _sender: str, message: Message) -> None:
            received.append(message)
            if isinstance(message, Tick):
                epochs.add(message.epoch)

        SiteListener(loop, SiteDecoder(scenario.site, epoch=FORMER_EPOCH + 1), (recorded.receive, on_message))
        loop.wait_online(60)
        children = [
            start("site", "fleet", *options, "--broker", near.url, "--part", "1/2", cwd=tmp_path),
            start("site", "fleet", *options, "--broker", far.url, "--part", "2/2", cwd=tmp_path),
            start("site", "clock", *options, "--broker", near.url, "--seconds-per-tick", "1.5", cwd=tmp_path),
        ]
        for child in children:
            stack.callback(child.wait)
            stack.callback(child.kill)
        assert loop.run_until(lambda: now_tick(received) >= 2, 120)
        far.kill()
        assert loop.run_until(lambda: now_tick(received) >= 4, 120)
        far.start()
        over = lambda: any(isinstance(each, ClockState) and each.status == "finished" for each in received)  # noqa: E731
        assert loop.run_until(over, 120)
        assert now_tick(received) == ticks - 1, "the former run's end did not end this one"
        for child in children[:2]:
            child.terminate()
        wait_ended(loop, children)
        for child in children:
            child.communicate()
        recorded.finish()
    assert len(epochs) == 1
    rows = [line.split(",") for line in (tmp_path / "bridged" / "ticks.csv").read_text().splitlines()[1:]]
    cells = {row[1] for row in rows}
    assert "" not in cells
    assert len(cells) > 1
    keys = [(int(row[0]), row[1]) for row in rows]
    assert len(keys) == len(set(keys))
    assert {tick for tick, _ in keys} == set(range(ticks)), "a cell without its broker misses, a tick never"
    ledger = (tmp_path / "bridged" / "ledger.csv").read_text().splitlines()[1:]
    assert ledger
    assert all(line.split(",")[1] for line in ledger)


FORMER_EPOCH = 1_600_000_000


def now_tick(received: list[Message]) -> int:
    return next((each.tick for each in reversed(received) if isinstance(each, Tick)), -1)


def former_end(scenario: Scenario) -> list[tuple[str, bytes]]:
    """Return the tick and the clock's state with which a former run ended."""
    last: dict[str, tuple[str, bytes]] = {}

    def receive(_now_ms: int, scope: str, sender: str, message: Message) -> None:
        if isinstance(message, Tick):
            message = replace(message, epoch=FORMER_EPOCH)
        if isinstance(message, Tick | ClockState):
            last[message.TYPE] = topic(scenario.site, message, scope, sender), encode(message, FORMER_EPOCH)

    Simulation(scenario, receivers=(receive,)).run()
    return [*last.values()]
