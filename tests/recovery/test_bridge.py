"""Two Mosquittos with a bridge between them: one site, one ledger, and nothing said twice."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import Connection, MqttLoop, Will
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ClockState, Message
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.runs.results import open_recording
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.provisioning.shell import end, start
from tests.system.heard import EXCHANGING

pytestmark = pytest.mark.mosquitto
TICKS = 4


class Two:
    """A loop at each of two brokers, driven together."""

    def __init__(self, near: MqttLoop, far: MqttLoop, credentials: Credentials) -> None:
        self.near = near
        self.far = far
        self._credentials = credentials
        self.heard: dict[str, list[tuple[str, bytes, bool]]] = {}

    def come(self, loop: MqttLoop, name: str, *filters: str, will: Will | None = None) -> Connection:
        heard = self.heard.setdefault(name, [])
        connection = loop.open(
            name,
            on_message=lambda *message: heard.append(message),
            filters=[(each, 1) for each in filters],
            will=will,
            login=self._credentials.login(name),
        )
        loop.wait_online(10)
        return connection

    def hear(self, name: str, *messages: tuple[str, bytes, bool]) -> None:
        """Wait until a client has heard these, and see that it has heard no others."""
        for _ in range(500):
            self.settle(0.01)
            if len(self.heard[name]) >= len(messages):
                break
        self.settle(0.2)
        assert self.heard[name] == list(messages)
        self.heard[name].clear()

    def settle(self, seconds: float) -> None:
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
) -> Iterator[Two]:
    with MqttLoop(BrokerAddress.parse(near.url)) as one, MqttLoop(BrokerAddress.parse(far.url)) as other:
        two = Two(one, other, credentials)
        two.come(one, "viewer", "gridfleet/germany/#")
        two.come(other, "recorder", "gridfleet/germany/#")
        yield two


def presence(device: str) -> str:
    return f"gridfleet/germany/presence/germany/turbine/{device}"


def connected(two: Two, clock: Connection) -> None:
    """Wait until the bridge is up: what is said here is heard there."""
    for number in range(500):
        clock.publish("gridfleet/germany/tick/clock", b"%d" % number, qos=1)
        two.settle(0.02)
        if two.heard["recorder"]:
            break
    two.settle(0.3)
    two.heard["viewer"].clear()
    two.heard["recorder"].clear()


def test_all_is_heard_once_on_both_sides_and_retained_and_wills_cross() -> None:
    with bridged() as (near, far), both(near, far) as two:
        clock = two.come(two.near, "clock")
        connected(two, clock)
        clock.publish("gridfleet/germany/tick/clock", b"tick", qos=1, retain=True)
        for ear in ("viewer", "recorder"):
            two.hear(ear, ("gridfleet/germany/tick/clock", b"tick", False))
        turbine = two.come(two.far, "turbine-1", will=Will(presence("turbine-1"), b"gone"))
        turbine.publish(presence("turbine-1"), b"born", qos=1, retain=True)
        for ear in ("viewer", "recorder"):
            two.hear(ear, (presence("turbine-1"), b"born", False))
        two.come(two.near, "late-near", "gridfleet/germany/presence/#")
        two.hear("late-near", (presence("turbine-1"), b"born", True))
        turbine.abort()
        for ear in ("viewer", "recorder"):
            two.hear(ear, (presence("turbine-1"), b"gone", False))
        two.come(two.far, "late-far", "gridfleet/germany/tick/#")
        two.hear("late-far", ("gridfleet/germany/tick/clock", b"tick", True))


def test_with_secrets_the_bridge_enters_as_itself_and_rights_hold(tmp_path: Path) -> None:
    fleet = Fleet(load("normal"))
    secrets = tmp_path / "secrets"
    make_secrets(secrets, fleet.scenario.site, identities(fleet, bridged=True))
    with bridged(secrets) as (near, far), both(near, far, FileCredentials(secrets)) as two:
        clock = two.come(two.near, "clock")
        connected(two, clock)
        turbine = two.come(two.far, "turbine-1")
        turbine.publish("gridfleet/germany/state/turbine-1", b"mine", qos=1)
        for ear in ("viewer", "recorder"):
            two.hear(ear, ("gridfleet/germany/state/turbine-1", b"mine", False))


def test_what_is_said_while_the_other_broker_is_dead_arrives_when_it_is_back() -> None:
    with bridged() as (near, far), both(near, far) as two:
        connected(two, two.come(two.near, "clock"))
        near.kill()
        two.come(two.far, "turbine-1").publish(
            "gridfleet/germany/state/turbine-1", b"kept", qos=1, retain=True
        )
        two.settle(0.3)
        near.start()
        two.come(two.near, "late", "gridfleet/germany/state/#")
        two.settle(0.1)
        for _ in range(500):
            if two.heard["late"]:
                break
            two.settle(0.02)
        # At least once: a bridge says again what may have been lost, and no device minds.
        assert {message[:2] for message in two.heard["late"]} == {
            ("gridfleet/germany/state/turbine-1", b"kept")
        }


def simulated(scenario: Scenario, out: Path) -> str:
    with open_recording(scenario, out) as recorded:
        Simulation(scenario, taps=(recorded.tap,)).run()
        recorded.finish()
    return (out / "ledger.csv").read_text()


def test_a_fleet_on_two_brokers_keeps_one_ledger_that_of_the_simulation(tmp_path: Path) -> None:
    scenario = load("normal", [*EXCHANGING, f"ticks={TICKS}"])
    expected = simulated(scenario, tmp_path / "simulated")
    words = ("normal", "--ticks", str(TICKS), "--set", *EXCHANGING)
    over: list[ClockState] = []

    def listen(_now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, ClockState) and message.status == "finished":
            over.append(message)

    with ExitStack() as stack:
        near, far = stack.enter_context(bridged())
        recorded = stack.enter_context(open_recording(scenario, tmp_path / "bridged"))
        loop = stack.enter_context(MqttLoop(BrokerAddress.parse(near.url), schema=SCHEMA))
        SiteListener(loop, SiteDecoder(scenario.site), (recorded.tap, listen))
        loop.wait_online(5)
        children = [
            start("fleet", *words, "--broker", near.url, "--part", "1/2", cwd=tmp_path),
            start("fleet", *words, "--broker", far.url, "--part", "2/2", cwd=tmp_path),
            start("clock", *words, "--broker", far.url, "--mode", "lockstep", cwd=tmp_path),
        ]
        for child in children:
            stack.callback(child.wait)
            stack.callback(child.kill)
        assert loop.run_until(lambda: bool(over), 60)
        children[0].terminate()
        children[1].terminate()
        loop.run_until(lambda: all(child.poll() is not None for child in children), 20)
        assert [end(child).code for child in children] == [ExitCode.SUCCESS] * 3
        verdict = recorded.finish()
    assert verdict.holds, verdict.broken
    ledger = (tmp_path / "bridged" / "ledger.csv").read_text()
    assert ledger == expected
    assert len({line.split(",")[1] for line in ledger.splitlines()[1:]}) > 1  # both cells, on both brokers
