"""Receiver quotas: what is beyond a sender's budget is not decoded, and nobody else's message is lost for it."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.protocol import quota as quotas
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Message, Mode, Phase, Presence, Role, Settings, Tick
from gridfleet.broker.protocol.quota import (
    BATCH_LINES,
    BUDGET,
    DIRECT_BUDGET,
    FLOOD,
    REFILL_S,
    Quota,
    budget_of,
)
from gridfleet.broker.protocol.topics import CLOCK_ID, TOPIC_TABLE, batch_topic, topic, topic_filter
from gridfleet.devices.config.scenario import parse
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation

CALL = "gridfleet/home/residual/north/{}"
SUPPLY = b'{"tick":4,"energy_wh":500}'


class Receiver:
    """A decoder with a quota; keeps what it decodes, and why it refuses what it does not."""

    def __init__(self) -> None:
        self.decoder = SiteDecoder("home")
        self.now_s = 0.0
        self.quota = Quota("receiver", self.decoder.presences, lambda: self.now_s)
        self.senders: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()

    def take(self, topic_name: str, payload: bytes) -> None:
        for address, _ in self.decoder.decode(topic_name, payload, self._refuse, quota=self.quota):
            self.senders[address.sender] += 1

    def tick(self, number: int) -> None:
        tick = Tick(number, Phase.BID, 0, 1, Mode.SCALED, 1.0, 9, False, Settings())
        self.take(topic("home", tick, "", CLOCK_ID), encode(tick))

    def birth(self, name: str, via: str) -> None:
        presence = Presence(True, Role.PRODUCER, "north", 51.0, 9.0, via=via)
        self.take(topic("home", presence, presence.scope, name), encode(presence))

    def _refuse(self, topic_name: str, error: GridFleetError) -> None:
        reason = error.reason if isinstance(error, PayloadError) else "topic"
        self.refused[topic_name.rpartition("/")[2], reason] += 1


def test_messages_beyond_the_budget_are_not_decoded_and_those_of_others_are() -> None:
    receiver = Receiver()
    for number in range(5_000):
        # what is no JSON would be refused as malformed if it were decoded
        receiver.take(CALL.format("car-1"), b"\x00")
        if not number % 100:
            receiver.take("gridfleet/home/supply/north/turbine-1", SUPPLY)
    assert receiver.refused == {
        ("car-1", "malformed"): BUDGET,
        ("car-1", FLOOD): 5_000 - BUDGET,
    }
    assert receiver.senders == {"turbine-1": 50}
    assert receiver.quota.dropped == {"car-1": 5_000 - BUDGET}


def test_another_type_of_the_same_sender_has_its_own_budget() -> None:
    receiver = Receiver()
    for _ in range(BUDGET + 1):
        receiver.take(CALL.format("turbine-1"), b"\x00")
    receiver.take("gridfleet/home/supply/north/turbine-1", SUPPLY)
    assert receiver.senders == {"turbine-1": 1}


def test_all_topics_of_a_type_and_sender_share_a_budget() -> None:
    receiver = Receiver()
    for number in range(2_000):
        receiver.take(f"gridfleet/home/award/nobody-{number}/turbine-1", b"\x00")
    assert receiver.refused["turbine-1", "malformed"] == DIRECT_BUDGET
    assert receiver.refused["turbine-1", FLOOD] == 2_000 - DIRECT_BUDGET


def test_topics_that_are_none_of_the_site_have_a_budget_too() -> None:
    receiver = Receiver()
    for _ in range(1_000):
        receiver.take("gridfleet/home/rubbish/a/b/c/car-1", b"")
        receiver.take("car-1", b"")
    assert receiver.refused == {("car-1", "topic"): 2 * BUDGET, ("car-1", FLOOD): 2_000 - 2 * BUDGET}


def test_a_new_tick_fills_the_budgets_and_the_same_tick_does_not() -> None:
    receiver = Receiver()
    receiver.tick(1)
    for number in (1, 1, 2):
        receiver.tick(number)
        for _ in range(BUDGET):
            receiver.take("gridfleet/home/supply/north/turbine-1", SUPPLY)
        receiver.take("gridfleet/home/supply/north/turbine-1", SUPPLY)
    assert receiver.senders["turbine-1"] == 2 * BUDGET


def test_without_ticks_budgets_are_full_again_after_a_while() -> None:
    receiver = Receiver()
    for now_s, expected in ((0.0, BUDGET), (REFILL_S - 1, BUDGET), (REFILL_S, 2 * BUDGET)):
        receiver.now_s = now_s
        for _ in range(2 * BUDGET):
            receiver.take("gridfleet/home/supply/north/turbine-1", SUPPLY)
        assert receiver.senders["turbine-1"] == expected


def test_the_clock_is_exempt() -> None:
    receiver = Receiver()
    for number in range(5_000):
        receiver.take(f"gridfleet/home/grant/house-{number}/{CLOCK_ID}", b'{"tick":1,"simulated_ms":1}')
    assert receiver.senders == {CLOCK_ID: 5_000}


def test_a_line_of_a_batch_beyond_its_senders_budget_is_refused_alone() -> None:
    receiver = Receiver()
    for name in ("turbine-1", "turbine-2"):
        receiver.birth(name, "fleet-1")
    lines = [("north/turbine-1", b"\x00")] * (BUDGET + 40) + [("north/turbine-2", SUPPLY)]
    receiver.take(batch_topic("home", "supply", "north", "fleet-1"), pack(lines))
    assert receiver.refused == {("turbine-1", "malformed"): BUDGET, ("turbine-1", FLOOD): 40}
    assert receiver.senders["turbine-2"] == 2  # birth and supply


def test_a_flood_of_batches_is_not_unpacked() -> None:
    receiver = Receiver()
    receiver.birth("turbine-1", "fleet-2")
    payload = pack([("north/nobody", SUPPLY)] * 300)
    for _ in range(100):
        receiver.take(batch_topic("home", "supply", "north", "fleet-1"), payload)
    whole = receiver.refused["fleet-1", FLOOD]
    assert 100 - whole == -(-(BATCH_LINES + 64) // 301)
    receiver.take(batch_topic("home", "supply", "north", "fleet-2"), pack([("north/turbine-1", SUPPLY)]))
    assert receiver.senders["turbine-1"] == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MAX_ENTRIES", 100)
    monkeypatch.setattr(quotas, "MAX_NAMED", 10)
    quota = Quota("receiver")
    for number in range(1_000):
        assert quota.admits(CALL.format(f"car-{number}"))
    for number in range(50):
        for _ in range(BUDGET + 1):
            quota.admits(CALL.format(f"car-{number}"))
    assert len(quota.dropped) == 10
    assert quota.remembered <= 100


def test_a_flood_is_logged_once_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    quota = Quota("charger-1")

    def flood(tick: int) -> None:
        quota.begin_tick(0, tick)
        for _ in range(2 * BUDGET):
            quota.admits(CALL.format("car-1"))

    for tick in range(5):
        flood(tick)
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith(
        "charger-1 ignores messages of car-1 on gridfleet/home/residual/north/car-1: more than the 64 of"
    )
    quota.begin_tick(0, 6)
    flood(7)
    assert len(caplog.records) == 2


sent = st.tuples(
    st.sampled_from(
        ["bid/north", "bid/south", "award/a", "award/b", "state/vehicle", "call/north", "rubbish"]
    ),
    st.sampled_from(["car-1", "car-2", "house"]),
    st.integers(1, 400),
)


@given(st.lists(st.one_of(sent, st.just(None)), max_size=40))
def test_a_sender_within_its_budget_is_never_refused_and_no_sender_gets_more(
    steps: list[tuple[str, str, int] | None],
) -> None:
    quota = Quota("receiver", now_s=lambda: 0.0)
    offered: Counter[tuple[str, str]] = Counter()
    admitted: Counter[tuple[str, str]] = Counter()

    def check() -> None:
        for (name, sender), count in offered.items():
            budget = budget_of(name, 0)
            assert admitted[name, sender] == min(count, budget)
        offered.clear()
        admitted.clear()

    for tick, step in enumerate(steps):
        if step is None:
            check()
            quota.begin_tick(1, tick)
            continue
        levels, sender, count = step
        for _ in range(count):
            key = levels.partition("/")[0], sender
            offered[key] += 1
            admitted[key] += quota.admits(f"gridfleet/home/{levels}/{sender}")
    check()


@pytest.mark.parametrize(
    "faults",
    [
        Faults(loss=0.6),
        Faults(loss=0.3, duplicate=0.2, delay_s=120, reorder=0.2),
        Faults(partition=0.5, from_tick=4, to_tick=20),
        Faults(crash=0.1, loss=0.1, keep_state=False),
    ],
    ids=lambda faults: faults.model_dump_json(exclude_defaults=True),
)
def test_no_honest_device_reaches_half_its_budget_under_faults(faults: Faults) -> None:
    scenario = parse(
        "",
        "town.toml",
        "",
        ["area.rows=2", "area.columns=2", "vehicles.count=30", "chargers.count=15", "ticks=36"],
    )
    counts: Counter[tuple[str, str]] = Counter()
    most: Counter[str] = Counter()

    def receive(_now_ms: int, _scope: str, sender: str, message: Message) -> None:
        if isinstance(message, Tick) and message.phase is Phase.BID:
            counts.clear()
        counts[message.TYPE, sender] += 1
        if sender != CLOCK_ID:
            most[message.TYPE] = max(most[message.TYPE], counts[message.TYPE, sender])

    simulation = Simulation(scenario, faults=faults, receivers=(receive,))
    simulation.run()
    devices = len(simulation.fleet.ids)
    budgets = {each.name: budget_of(each.name, devices) for each in TOPIC_TABLE}
    assert {"award", "receipt", "call", "state"} <= most.keys()
    assert {name: count for name, count in most.items() if count > budgets[name] / 2} == {}


def test_every_message_type_has_a_budget() -> None:
    admits: Callable[[str], bool] = Quota("receiver").admits
    for message_type in TOPIC_TABLE:
        name = topic_filter("home", message_type.name, sender="house-1").replace("+", "x")
        assert sum(admits(name) for _ in range(10_000)) < 10_000, name


def test_long_names_are_kept_shortened() -> None:
    quota = Quota("x")
    for number in range(3 * BUDGET):
        quota.admits(f"gridfleet/town/{'t' * 50_000}/{'s' * 60_000}{number}")
    assert quota.remembered == 1
    assert list(quota.dropped) == ["s" * 64]
