"""Any payload of a client with valid credentials: refused, counted by reason, shown in the agent's state."""

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
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, SCHEMA, decode, encode, split_epoch
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Bid, Mode, Phase, ProducerState, Settings, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet
from tests.mosquitto.clients import WAIT_S

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
    "nested lists": (b"[" * 8_000 + b"]" * 8_000, "malformed"),
    "nested objects": (b'{"a":' * 2_500 + b"1" + b"}" * 2_500, "malformed"),
    "nested in a field": (b'{"tick":0,"packages":' + b"[" * 8_000 + b"]" * 8_000 + b"}", "malformed"),
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


class SmallSite:
    """A turbine, a household that may bid in its cell, and the clock, each with its own credentials."""

    def __init__(
        self, address: BrokerAddress, loop: MqttLoop, credentials: FileCredentials, scenario: Scenario
    ) -> None:
        self.address = address
        self.loop = loop
        self.credentials = credentials
        self.start_ms = scenario.start_ms
        self.turbine = Fleet(scenario).build_agent("turbine-1")
        self.states: list[ProducerState] = []
        self.runner = DeviceRunner(self.turbine, loop, SiteDecoder("town"), credentials)
        self.household = self.open("household-1")
        self.clock = self.open("clock")
        self.open("recorder", self._on_state)
        loop.wait_online(WAIT_S)
        self.runner.start()
        self.tick = -1

    def open(self, name: str, on_message: Callable[[str, bytes, bool], None] | None = None) -> Connection:
        filters = [("gridfleet/town/state/+/+", 1)] if on_message else []
        return self.loop.open(
            name,
            on_message=on_message or (lambda *_: None),
            filters=filters,
            login=self.credentials.login(name),
        )

    def _on_state(self, _topic: str, payload: bytes, _retained: bool) -> None:
        state = decode("state", split_epoch("state", payload)[0])
        assert isinstance(state, ProducerState)
        self.states.append(state)

    def publish_bid(self, payload: bytes, topic: str = BID, *, schema: str | None = None) -> Counter[str]:
        """Publish as the household, with another schema version if given; return what the turbine refuses then."""
        before = Counter(self.turbine.refused)
        if schema is None:
            self.household.publish(topic, payload, qos=1)
            assert self.loop.run_until(lambda: self.household.all_acknowledged, WAIT_S)
        else:
            with MqttLoop(self.address, schema=schema) as loop:
                login = self.credentials.login("household-1")
                other = loop.open("household-1-other", on_message=lambda *_: None, login=login)
                loop.wait_online(WAIT_S)
                other.publish(topic, payload, qos=1)
                assert loop.run_until(lambda: other.all_acknowledged, WAIT_S)
        self.begin(Phase.BID)
        return Counter(self.turbine.refused) - before

    def begin(self, phase: Phase) -> None:
        """Publish a tick as the clock; wait until the turbine has received it."""
        self.tick += phase is Phase.BID
        now_ms = self.start_ms + self.tick * TICK_MS + (840_000 if phase is Phase.SETTLE else 0)
        tick = Tick(self.tick, phase, now_ms, now_ms + 1, Mode.LOCKSTEP, 0.0, 5, False, Settings())
        self.clock.publish(TICK, encode(tick), qos=1)
        assert self.loop.run_until(lambda: self.turbine.tick_message == tick, WAIT_S)

    def settle(self) -> dict[str, int]:
        """Return the refusals in the turbine's state."""
        count = len(self.states)
        self.begin(Phase.SETTLE)
        assert self.loop.run_until(lambda: len(self.states) > count, WAIT_S)
        return self.states[-1].refused


@pytest.fixture(scope="module")
def site(secrets: Any, scenario: Scenario) -> Iterator[SmallSite]:  # noqa: ANN401 - a path
    with MosquittoBroker(secrets) as broker:
        address = BrokerAddress.parse(broker.url)
        with MqttLoop(address, retry_refused=True, schema=SCHEMA) as loop:
            yield SmallSite(address, loop, FileCredentials(secrets), scenario)


@pytest.mark.parametrize("name", CORPUS)
def test_wrong_payloads_are_refused_by_reason_and_counted_in_the_state(site: SmallSite, name: str) -> None:
    payload, reason = CORPUS[name]
    assert site.publish_bid(payload) == {reason: 1}
    assert site.settle() == site.turbine.refused


def test_a_right_payload_is_accepted(site: SmallSite) -> None:
    assert site.publish_bid(bid(tick=site.tick)) == {}


def test_a_sender_of_too_large_packets_is_disconnected(site: SmallSite) -> None:
    site.household.publish(BID, b" " * MAX_PACKET, qos=0)
    assert site.loop.run_until(lambda: not site.household.online, WAIT_S)
    assert site.loop.run_until(lambda: site.household.online, WAIT_S)
    assert site.publish_bid(bid(tick=site.tick)) == {}


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
def test_any_payload_is_refused_by_reason_or_accepted(site: SmallSite, payloads: list[bytes]) -> None:
    expected: Counter[str] = Counter()
    site.begin(Phase.BID)
    before = Counter(site.turbine.refused)
    for payload in payloads:
        try:
            message = decode("bid", payload)
        except PayloadError as error:
            expected[error.reason] += 1
        else:
            assert isinstance(message, Bid)
        site.household.publish(BID, payload, qos=1)
    site.loop.run_until(lambda: site.household.all_acknowledged, WAIT_S)
    site.begin(Phase.BID)
    found = Counter(site.turbine.refused) - before
    assert {reason: found[reason] for reason in ("oversized", "malformed", "invalid")} == {
        reason: expected[reason] for reason in ("oversized", "malformed", "invalid")
    }


@pytest.mark.parametrize("version", ["0", "1", "2.0", "x" * 64])
def test_another_schema_is_refused(site: SmallSite, version: str) -> None:
    assert site.publish_bid(bid(), schema=version) == {"version": 1}
    assert site.publish_bid(bid(tick=site.tick), schema="") == {}
    assert site.settle() == site.turbine.refused
