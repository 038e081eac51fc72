"""Whatever a client with valid credentials sends: refused, counted by reason, told in the agent's state."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.config import MAX_PACKET
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.errors import PayloadError
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.packet_codec import PublishProperties, schema_property
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, SCHEMA, decode, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Bid, Mode, Phase, ProducerState, Settings, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet
from tests.mosquitto.guests import WAIT_S

pytestmark = pytest.mark.mosquitto

BID = "gridfleet/town/bid/cell-1-1/household-1"
TICK = "gridfleet/town/tick/clock"


def bid(**changes: Any) -> bytes:  # noqa: ANN401 - anything at all
    return json.dumps({"tick": 0, "packages": [], **changes}).encode()


def package(**changes: Any) -> bytes:  # noqa: ANN401 - anything at all
    return bid(packages=[{"index": 0, "energy_wh": 1, "price_ueur_per_kwh": 1, **changes}])


CORPUS: dict[str, tuple[bytes, str]] = {
    "oversized": (b" " * MAX_PAYLOAD + b"1", "oversized"),
    "empty": (b"", "malformed"),
    "cut off": (bid()[:-1], "malformed"),
    "not JSON": (b"hello", "malformed"),
    "two values": (bid() + bid(), "malformed"),
    "not UTF-8": (b'{"tick":0,"packages":"\xff\xfe"}', "malformed"),
    "half a surrogate": (b'{"tick":0,"packages":"\\ud800"}', "malformed"),
    "a NUL": (b"\x00", "malformed"),
    "nested lists": (b"[" * 30_000 + b"]" * 30_000, "malformed"),
    "nested objects": (b'{"a":' * 9_000 + b"1" + b"}" * 9_000, "malformed"),
    "nested in a field": (b'{"tick":0,"packages":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "malformed"),
    "NaN": (b'{"tick":NaN,"packages":[]}', "invalid"),
    "infinity": (b'{"tick":Infinity,"packages":[]}', "invalid"),
    "a huge number": (b'{"tick":' + b"9" * 4_000 + b',"packages":[]}', "invalid"),
    "a huge exponent": (b'{"tick":1e999,"packages":[]}', "invalid"),
    "negative tick": (bid(tick=-1), "invalid"),
    "negative energy": (package(energy_wh=-1), "invalid"),
    "negative price": (package(price_ueur_per_kwh=-1), "invalid"),
    "a fraction": (package(energy_wh=0.5), "invalid"),
    "text for a number": (package(energy_wh="1"), "invalid"),
    "truth for a number": (package(energy_wh=True), "invalid"),
    "null": (b"null", "invalid"),
    "a list": (b"[]", "invalid"),
    "a field too many": (bid(version=2), "invalid"),
    "a field too few": (b'{"tick":0}', "invalid"),
    "too many packages": (
        bid(packages=[{"index": 0, "energy_wh": 1, "price_ueur_per_kwh": 1}] * 257),
        "invalid",
    ),
    "a sender of its own": (bid(sender="household-2"), "invalid"),
}


class Stage:
    """A turbine in its seat, a household that may bid in its cell, and the clock: all with their own credentials."""

    def __init__(self, loop: MqttLoop, keyring: FileCredentials, scenario: Scenario) -> None:
        self.loop = loop
        self.keyring = keyring
        self.start_ms = scenario.start_ms
        self.turbine = Fleet(scenario).make("turbine-1")
        self.states: list[ProducerState] = []
        self.seat = DeviceRunner(self.turbine, loop, SiteDecoder("town"), keyring)
        self.household = self.open("household-1")
        self.clock = self.open("clock")
        self.open("recorder", self._hear)
        loop.wait_online(WAIT_S)
        self.seat.start()
        self.tick = -1

    def open(self, name: str, hear: Callable[[str, bytes, bool], None] | None = None) -> Connection:
        filters = [("gridfleet/town/state/+", 1)] if hear else []
        return self.loop.open(
            name, on_message=hear or (lambda *_: None), filters=filters, login=self.keyring.login(name)
        )

    def _hear(self, _topic: str, payload: bytes, _retained: bool) -> None:
        state = decode("state", payload)
        assert isinstance(state, ProducerState)
        self.states.append(state)

    def say(self, payload: bytes, topic: str = BID) -> Counter[str]:
        """Have the household say something; return what the turbine has refused because of it."""
        before = Counter(self.turbine.refused)
        self.household.publish(topic, payload, qos=1)
        assert self.loop.run_until(lambda: self.household.all_acknowledged, WAIT_S)
        self.begin(Phase.BID)
        return Counter(self.turbine.refused) - before

    def begin(self, phase: Phase) -> None:
        """Have the clock begin a tick; wait until the turbine has heard."""
        self.tick += phase is Phase.BID
        now_ms = self.start_ms + self.tick * TICK_MS + (840_000 if phase is Phase.SETTLE else 0)
        tick = Tick(self.tick, phase, now_ms, now_ms + 1, Mode.LOCKSTEP, 0.0, 5, False, Settings())
        self.clock.publish(TICK, encode(tick), qos=1)
        assert self.loop.run_until(lambda: self.turbine.tick_message == tick, WAIT_S)

    def settle(self) -> dict[str, int]:
        """Return the refusals that the turbine tells in its state."""
        told = len(self.states)
        self.begin(Phase.SETTLE)
        assert self.loop.run_until(lambda: len(self.states) > told, WAIT_S)
        return self.states[-1].refused


@pytest.fixture(scope="module")
def stage(secrets: Any, scenario: Scenario) -> Iterator[Stage]:  # noqa: ANN401 - a path
    with (
        MosquittoBroker(secrets) as broker,
        MqttLoop(BrokerAddress.parse(broker.url), retry_refused=True, schema=SCHEMA) as loop,
    ):
        yield Stage(loop, FileCredentials(secrets), scenario)


@pytest.mark.parametrize("name", CORPUS)
def test_what_is_wrong_is_refused_by_reason_and_told_in_the_state(stage: Stage, name: str) -> None:
    payload, reason = CORPUS[name]
    assert stage.say(payload) == {reason: 1}
    assert stage.settle() == stage.turbine.refused


def test_what_is_right_is_understood(stage: Stage) -> None:
    assert stage.say(bid(tick=stage.tick)) == {}


def test_what_is_larger_than_a_packet_costs_the_sender_its_connection(stage: Stage) -> None:
    stage.household.publish(BID, b" " * MAX_PACKET, qos=0)
    assert stage.loop.run_until(lambda: not stage.household.online, WAIT_S)
    assert stage.loop.run_until(lambda: stage.household.online, WAIT_S)
    assert stage.say(bid(tick=stage.tick)) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
packages = st.fixed_dictionaries(
    {"index": json_values | st.integers(0, 9), "energy_wh": json_values | st.integers(-1, 10)},
    optional={"price_ueur_per_kwh": json_values | st.integers(-1, 10), "more": json_values},
)
bids = st.fixed_dictionaries(
    {"tick": st.integers(-1, 3) | json_values, "packages": st.lists(packages) | json_values}
)
anything = (
    st.binary(max_size=300)
    | json_values.map(lambda v: json.dumps(v).encode())
    | bids.map(lambda v: json.dumps(v).encode())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(anything, min_size=1, max_size=20))
def test_anything_at_all_is_refused_by_reason_or_understood(stage: Stage, payloads: list[bytes]) -> None:
    expected: Counter[str] = Counter()
    stage.begin(Phase.BID)
    before = Counter(stage.turbine.refused)
    for payload in payloads:
        try:
            message = decode("bid", payload)
        except PayloadError as error:
            expected[error.reason] += 1
        else:
            assert isinstance(message, Bid)
        stage.household.publish(BID, payload, qos=1)
    stage.loop.run_until(lambda: stage.household.all_acknowledged, WAIT_S)
    stage.begin(Phase.BID)
    found = Counter(stage.turbine.refused) - before
    assert {reason: found[reason] for reason in ("oversized", "malformed", "invalid")} == {
        reason: expected[reason] for reason in ("oversized", "malformed", "invalid")
    }


@pytest.mark.parametrize("version", ["0", "1", "2.0", "x" * 64])
def test_another_schema_is_refused(stage: Stage, version: str) -> None:
    queue = stage.household._queue
    stated = queue._default_properties
    queue._default_properties = PublishProperties(schema_property(version))
    try:
        assert stage.say(bid()) == {"version": 1}
        queue._default_properties = None
        assert stage.say(bid(tick=stage.tick)) == {}
    finally:
        queue._default_properties = stated
    assert stage.settle() == stage.turbine.refused
