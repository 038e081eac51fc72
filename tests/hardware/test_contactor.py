"""The contactor's state machine: when it closes, what opens it, and for how long."""

from collections import Counter
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.config.sensor_tables import SafetyTable
from gridfleet.devices.edge.hardware.contactor import RULES, Cause, Contactor, ContactorInputs, OpenUntil

SAFETY = SafetyTable(rest_s=1.0, trip_after_s=1.0, max_current_a=16.0)
GOOD = ContactorInputs(
    plugged=True,
    stopped=False,
    permit=Permit("v1", 1, 1000),
    delivered_wh=0.0,
    current_a=0.0,
    voltage_v=230.0,
    feedback=None,
    sensors_faulty=False,
    broker_silent_s=0.0,
    agent_silent_s=0.0,
    gap_s=0.05,
)
BAD = {
    Cause.WELDED: {"feedback": True},  # while it is open
    Cause.STOP: {"stopped": True},
    Cause.OVER_CURRENT: {"current_a": 30.0},
    Cause.NOT_CLOSED: {"feedback": False},  # while it is closed
    Cause.SENSOR: {"sensors_faulty": True},
    Cause.LATE: {"gap_s": 0.3},
    Cause.UNPLUGGED: {"plugged": False},
    Cause.VOLTAGE: {"voltage_v": 180.0},
    Cause.BROKER: {"broker_silent_s": 61.0},
    Cause.AGENT: {"agent_silent_s": 5.1},
    Cause.NO_LEASE: {"permit": None},
    Cause.DELIVERED: {"delivered_wh": 1000.0},
}


def but(cause: Cause) -> ContactorInputs:
    return replace(GOOD, **BAD[cause])  # type: ignore[arg-type] # each names a field with its type


def closed() -> tuple[Contactor, float]:
    machine, now_s = Contactor(SAFETY, 0.5, 0.0), 0.0
    while not machine.closed:
        now_s += 0.05
        machine.step(now_s, GOOD)
    return machine, now_s + 1.0


def test_it_closes_after_settle_s_and_rest_s() -> None:
    machine = Contactor(SAFETY, 0.5, 0.0)
    assert not machine.step(0.9, GOOD).closed
    assert machine.step(1.5, GOOD) == (True, True, None)
    assert machine.step(1.6, GOOD) == (True, False, None)


def test_it_closes_only_when_the_plug_has_been_in_for_settle_s() -> None:
    machine = Contactor(SAFETY, 0.5, 0.0)
    machine.step(2.0, but(Cause.UNPLUGGED))  # rest_s is over
    assert not machine.step(2.25, GOOD).closed
    assert not machine.step(2.5, GOOD).closed
    assert machine.step(2.75, GOOD).closed


def test_it_closes_again_after_rest_s() -> None:
    machine, now_s = closed()
    machine.step(now_s, but(Cause.NO_LEASE))
    assert not machine.step(now_s + 0.75, GOOD).closed
    assert machine.step(now_s + 1.0, GOOD).closed


def test_it_is_healthy_unless_a_cause_is_latched() -> None:
    machine, now_s = closed()
    healthy = [machine.healthy]
    for number, cause in enumerate((Cause.NO_LEASE, Cause.STOP, Cause.UNPLUGGED)):
        machine.step(now_s + 0.25 * number, but(cause))
        healthy.append(machine.healthy)
    assert healthy == [True, True, False, True]


def test_inputs_do_not_change_after_they_were_read() -> None:
    inputs: Any = GOOD
    with pytest.raises(FrozenInstanceError):
        inputs.current_a = 1.0


@pytest.mark.parametrize(
    ("seconds", "is_settled"), [(SAFETY.parting_s, False), (SAFETY.parting_s + 0.01, True)]
)
def test_contacts_have_parting_s_to_follow(seconds: float, is_settled: bool) -> None:
    machine, now_s = closed()
    machine.step(now_s, but(Cause.NO_LEASE))
    opened_s = machine.since_s
    assert (machine.step(opened_s + seconds, but(Cause.WELDED)).cause is Cause.WELDED) is is_settled
    machine = Contactor(SAFETY, 0.5, 0.0)
    machine.step(0.0, GOOD)
    machine.step(2.0, GOOD)
    assert machine.closed
    assert (machine.step(2.0 + seconds, but(Cause.NOT_CLOSED)).cause is Cause.NOT_CLOSED) is is_settled


@pytest.mark.parametrize(
    ("change", "is_welded"),
    [
        ({"current_a": SAFETY.idle_a}, False),
        ({"current_a": SAFETY.idle_a + 0.01}, True),
        ({"current_a": SAFETY.idle_a + 0.01, "sensors_faulty": True}, False),
        ({"feedback": False}, False),
        ({"feedback": True}, True),
    ],
)
def test_an_open_contactor_that_carries_current_is_welded(change: dict[str, Any], is_welded: bool) -> None:
    machine = Contactor(SAFETY, 0.5, 0.0)
    assert (machine.step(5.0, replace(GOOD, **change)).cause is Cause.WELDED) is is_welded


@pytest.mark.parametrize(("seconds", "stays_closed"), [(0.75, True), (1.0, False)])
def test_a_small_excess_trips_after_trip_after_s(seconds: float, stays_closed: bool) -> None:
    machine, now_s = closed()
    over = replace(GOOD, current_a=18.0)
    machine.step(now_s, over)
    assert machine.step(now_s + seconds, over).closed is stays_closed


def test_every_rule_is_tested() -> None:
    assert list(BAD) == [rule.cause for rule in RULES]


@pytest.mark.parametrize("cause", [cause for cause in BAD if cause is not Cause.WELDED])
def test_each_cause_opens_it_in_the_same_step(cause: Cause) -> None:
    machine, now_s = closed()
    assert machine.step(now_s, but(cause)) == (False, True, cause)


@pytest.mark.parametrize("cause", [cause for cause in BAD if cause is not Cause.NOT_CLOSED])
def test_each_cause_keeps_it_open(cause: Cause) -> None:
    machine = Contactor(SAFETY, 0.5, 0.0)
    for step in range(200):
        assert not machine.step(step * 0.05, but(cause)).closed


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.cause.name)
def test_how_long_each_cause_keeps_it_open(rule: object) -> None:
    found = next(each for each in RULES if each is rule)
    machine, now_s = closed()
    if found.cause is Cause.WELDED:
        machine.step(now_s, but(Cause.STOP))
        now_s += 1.0
    machine.step(now_s, but(found.cause))

    def closes_later(inputs: ContactorInputs) -> bool:
        nonlocal now_s
        for _ in range(60):
            now_s += 0.05
            machine.step(now_s, inputs)
        return machine.closed

    assert closes_later(GOOD) is (found.open_until is OpenUntil.CONDITION_ENDS)
    closes_later(but(Cause.UNPLUGGED))
    assert closes_later(GOOD) is (found.open_until is not OpenUntil.REPAIRED)


def test_a_small_excess_trips_after_a_while() -> None:
    machine, now_s = closed()
    over = replace(GOOD, current_a=18.0)
    assert machine.step(now_s, over).closed
    assert machine.step(now_s + 0.9, over).closed
    assert machine.step(now_s + 0.95, GOOD).closed
    assert machine.step(now_s + 1.1, over).closed
    assert machine.step(now_s + 2.15, over).cause is Cause.OVER_CURRENT


def test_a_contact_that_stays_open_is_detected_after_closing() -> None:
    machine, now_s = Contactor(SAFETY, 0.5, 0.0), 0.0
    while not machine.closed:
        now_s += 0.05
        machine.step(now_s, but(Cause.NOT_CLOSED))
    assert now_s < 2.0
    decisions = [machine.step(now_s + 0.05 * number, but(Cause.NOT_CLOSED)) for number in range(20)]
    assert Cause.NOT_CLOSED in [decision.cause for decision in decisions]


@pytest.mark.parametrize(
    ("current_a", "stays_closed"), [(16.0, True), (17.5, True), (17.6, True), (17.7, False), (24.0, False)]
)
def test_the_trip_current_is_a_tenth_above_the_limit(current_a: float, stays_closed: bool) -> None:
    machine, now_s = closed()
    for number in range(61):  # 3 s
        machine.step(now_s + 0.05 * number, replace(GOOD, current_a=current_a))
    assert machine.closed is stays_closed


@pytest.mark.parametrize(("current_a", "closed_at_once"), [(24.0, True), (24.1, False)])
def test_one_and_a_half_times_the_limit_trips_at_once(current_a: float, closed_at_once: bool) -> None:
    machine, now_s = closed()
    assert machine.step(now_s, replace(GOOD, current_a=current_a)).closed is closed_at_once


@pytest.mark.parametrize(
    ("name", "allowed", "forbidden"),
    [
        ("gap_s", 0.25, 0.2501),
        ("agent_silent_s", 5.0, 5.001),
        ("broker_silent_s", 60.0, 60.001),
        ("voltage_v", SAFETY.min_voltage_v, SAFETY.min_voltage_v - 0.001),
        ("voltage_v", SAFETY.max_voltage_v, SAFETY.max_voltage_v + 0.001),
        ("delivered_wh", 999.999, 1000.0),
    ],
)
def test_each_limit_is_itself_allowed(name: str, allowed: float, forbidden: float) -> None:
    machine, now_s = closed()
    assert machine.step(now_s, replace(GOOD, **{name: allowed})).closed  # type: ignore[arg-type]
    assert not machine.step(now_s + 0.05, replace(GOOD, **{name: forbidden})).closed  # type: ignore[arg-type]


def test_the_gravest_cause_is_the_reason() -> None:
    machine, now_s = closed()
    inputs = replace(GOOD, **BAD[Cause.UNPLUGGED], **BAD[Cause.STOP], **BAD[Cause.NO_LEASE])  # type: ignore[arg-type]
    assert machine.step(now_s, inputs).cause is Cause.STOP


def test_current_just_after_opening_is_not_welding() -> None:
    machine, now_s = closed()
    machine.step(now_s, but(Cause.NO_LEASE))
    assert machine.step(now_s + 0.2, replace(GOOD, current_a=10.0)).cause is not Cause.WELDED
    assert machine.step(now_s + 0.4, replace(GOOD, current_a=10.0)).cause is Cause.WELDED


SPELLS = st.tuples(
    st.sets(st.sampled_from([cause for cause in BAD if cause is not Cause.WELDED]), max_size=2)
    | st.just(frozenset[Cause]()),
    st.integers(1, 6),
)
"""Causes that apply together, and for how many steps of 0.4 s; in half of the spells none applies."""
OPENING = {
    "stopped",
    "plugged",
    "permit",
    "sensors_faulty",
    "voltage_v",
    "broker_silent_s",
    "agent_silent_s",
}


def test_it_is_never_closed_while_a_cause_applies() -> None:
    """Closed means that every input was good in that very step, whatever came before."""
    steps: Counter[bool] = Counter()

    @given(st.lists(SPELLS, min_size=1, max_size=20))
    def run(history: list[tuple[set[Cause], int]]) -> None:
        machine, now_s = Contactor(SAFETY, 0.5, 0.0), 0.0
        for causes, length in history:
            inputs = GOOD
            for cause in causes:
                inputs = replace(inputs, **BAD[cause])  # type: ignore[arg-type]
            for _ in range(length):
                now_s += 0.4
                decision = machine.step(now_s, inputs)
                steps[decision.closed] += 1
                assert decision.closed is machine.closed
                if decision.closed:
                    assert all(getattr(inputs, name) == getattr(GOOD, name) for name in OPENING)
                    assert decision.cause is None
                elif causes - {Cause.NOT_CLOSED}:  # it applies only while the contactor is closed
                    assert decision.cause is not None

    run()
    assert min(steps[True], steps[False]) > 20, steps


def test_all_causes_and_ways_to_end_are_used() -> None:
    assert {rule.open_until for rule in RULES} == set(OpenUntil)
    assert set(Cause) - {rule.cause for rule in RULES} == {Cause.STARTED, Cause.SHUTDOWN}
