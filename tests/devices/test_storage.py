"""A storage buys in some ticks and sells in others; its accounts agree to the Wh, and the auditor sees a wrong one."""

from dataclasses import replace
from typing import Final

import pytest

import gridfleet
from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    Message,
    Package,
    Phase,
    Receipt,
    StorageState,
    Supply,
)
from gridfleet.devices.agents.base import ANSWER_TIMEOUT_MS
from gridfleet.devices.agents.battery import Battery
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.runtime.network_faults import parse_faults
from tests.dashboards.runs import audit, broken
from tests.devices.testbed import EUR, HOME, PLACE, FixedTurbine, Testbed, household, package, turbine
from tests.system.message_log import EXCHANGING, MessageLog, simulate

CHEAP: Final = 300_000
SCENARIO: Final = (
    "ticks=64", "turbines.count=1", "households.annual_kwh=2_000_000", "chargers.count=5", "vehicles.count=5",
    "weather.correlation_time_h=3", "battery.count=2", "battery.capacity_kwh=500",
)  # fmt: skip
"""Wind that is now too much and now too little."""
FOUR_CELLS: Final = (*EXCHANGING, "battery.count=4", "battery.stored_share=0.5")


def scenario(*changes: str) -> Scenario:
    return parse("[battery]\n", "storage.toml", "", changes)


def battery(stored_wh: int = 0, capacity_wh: int = 100_000) -> Battery:
    return Battery(
        "b1",
        HOME,
        *PLACE,
        capacity_wh=capacity_wh,
        stored_wh=stored_wh,
        max_wh_per_tick=20_000,
        package_wh=10_000,
        buying_price_ueur_per_kwh=CHEAP,
        selling_price_ueur_per_kwh=900_000,
        roster=Roster(),
        reactor=None,
        reactor_price_ueur_per_kwh=900_000,
    )


def account(testbed: Testbed) -> StorageState:
    return testbed.published(StorageState, sender="b1")[-1]


@pytest.fixture
def wind() -> FixedTurbine:
    return turbine("t1", 30_000)


@pytest.fixture
def testbed(wind: FixedTurbine) -> Testbed:
    return Testbed(wind, household("h1", 15_000), battery())


def test_it_buys_what_is_left_over_and_loses_a_tenth(testbed: Testbed) -> None:
    testbed.run_tick()
    assert testbed.published(Bid, sender="b1") == [
        Bid(0, (package(0, 10_000, CHEAP), package(1, 10_000, CHEAP)))
    ]
    assert testbed.published(Supply, sender="b1") == [Supply(0, 0)]
    state = account(testbed)
    assert (state.bought_wh, state.charge_loss_wh, state.stored_wh) == (15_000, 1_500, 13_500)
    assert state.balance_neur == -state.paid_neur == -15_000 * CHEAP


def test_it_sells_what_the_cell_was_short_of(testbed: Testbed, wind: FixedTurbine) -> None:
    testbed.run_tick()
    wind.fixed_wh = 0
    testbed.run_tick()  # it sees that 15 kWh are missing
    testbed.run_tick()
    state = account(testbed)
    assert state.announced_wh == 12_690  # 94 % of 13.5 kWh
    assert (state.sold_wh, state.earned_neur) == (12_690, 12_690 * EUR)
    assert (state.discharge_loss_wh, state.stored_wh) == (810, 0)
    assert testbed.published(Bid, sender="b1")[-1] == Bid(2, ())
    assert state.balance_neur == 12_690 * EUR - 15_000 * CHEAP
    assert all(not agent.refused for agent in testbed.agents.values())


def test_what_nobody_buys_stays_in_it(wind: FixedTurbine) -> None:
    wind.fixed_wh = 0
    testbed = Testbed(wind, household("h1", 15_000), battery(stored_wh=50_000))
    testbed.run_tick()
    wind.fixed_wh = 10_000
    testbed.run_tick()  # it announces 15 kWh, and 10 kWh of wind are announced beside it
    state = account(testbed)
    assert state.announced_wh == 15_000
    assert 5_000 <= state.sold_wh < 15_000 or testbed.published(Award, sender="t1") == []
    assert state.stored_wh == 50_000 - state.sold_wh - state.discharge_loss_wh


def test_an_award_without_a_receipt_has_left_the_battery(wind: FixedTurbine) -> None:
    wind.fixed_wh = 0
    testbed = Testbed(wind, household("h1", 15_000), battery(stored_wh=50_000))
    testbed.run_tick()
    testbed.drop(Receipt, to="b1")
    testbed.run_tick()
    state = account(testbed)
    assert (state.sold_wh, state.unsettled_wh) == (0, 15_000)
    assert state.stored_wh == 50_000 - 15_000 - state.discharge_loss_wh


@pytest.mark.parametrize("missing", [Bid, Supply])
def test_a_producer_waits_for_bid_and_supply_of_a_storage(testbed: Testbed, missing: type[Message]) -> None:
    testbed.drop(missing, sender="b1", to="t1")
    testbed.begin_phase(Phase.BID)
    testbed.begin_phase(Phase.TRADE)
    assert testbed.agents["t1"].waiting
    assert testbed.published(Award, sender="t1") == []
    testbed.wait(ANSWER_TIMEOUT_MS)
    assert testbed.published(Award, sender="t1") != []


# --- whole runs ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run() -> MessageLog:
    return simulate(scenario(*SCENARIO), 64)


def test_a_run_has_bought_and_sold_and_agrees_to_the_wh(run: MessageLog) -> None:
    states = [state for _, _, state in run.of(StorageState)]
    assert sum(state.bought_wh for state in states) > 100_000
    assert sum(state.sold_wh for state in states) > 100_000
    assert broken(audit(run.messages)) == {}
    assert all(state.bought_wh == 0 or state.sold_wh == 0 for state in states)


@pytest.mark.parametrize(
    ("invariant", "changes"),
    [
        ("batteries", {"stored_wh": 1}),
        ("bounds", {"stored_wh": 10**9}),
        ("losses", {"charge_loss_wh": 0}),
        ("losses", {"discharge_loss_wh": 0}),
        ("books", {"sold_wh": 5}),
        ("books", {"bought_wh": 5}),
        ("payments", {"earned_neur": 5}),
        ("payments", {"paid_neur": 5}),
        ("balances", {"balance_neur": 5}),
        ("production", {"announced_wh": 5}),
    ],
)
def test_the_auditor_sees_a_wrong_account(run: MessageLog, invariant: str, changes: dict[str, int]) -> None:
    log = list(run.messages)
    key = next(iter(changes))
    at = next(
        number
        for number, (_, _, _, message) in enumerate(log)
        if isinstance(message, StorageState) and message.tick > 4 and getattr(message, key) > 5
    )
    now_ms, scope, sender, message = log[at]
    assert isinstance(message, StorageState)
    log[at] = (now_ms, scope, sender, replace(message, **changes))  # type: ignore[arg-type]
    assert invariant in broken(audit(log))


def test_the_auditor_sees_a_storage_that_sells_more_than_it_announced(run: MessageLog) -> None:
    log: list[tuple[int, str, str, Message]] = []
    storages = {sender for _, sender, _ in run.of(StorageState)}
    for now_ms, scope, sender, message in run.messages:
        if isinstance(message, Supply) and sender in storages and message.energy_wh:
            log.append((now_ms, scope, sender, replace(message, energy_wh=1)))
        else:
            log.append((now_ms, scope, sender, message))
    assert {"supply", "production"} <= broken(audit(log)).keys()


def test_the_order_of_arrival_plays_no_part() -> None:
    chosen = scenario(*FOUR_CELLS)
    usual = simulate(chosen, 16).lines()
    shuffled = simulate(chosen, 16, shuffle=3).lines()
    assert shuffled != usual
    assert sorted(shuffled) == sorted(usual)
    assert simulate(chosen, 16, encoded=True).lines() == usual


@pytest.mark.parametrize(
    "faults", ["loss=0.05", "crash=0.02", "duplicate=0.1 delay_s=20", "partition=0.5 to_tick=8"]
)
def test_with_faults_no_invariant_is_breached(faults: str) -> None:
    log = simulate(scenario(*FOUR_CELLS), 40, faults=parse_faults(tuple(faults.split())))
    assert sum(state.sold_wh for _, _, state in log.of(StorageState))
    assert broken(audit(log.messages, exact=False)) == {}


def test_over_a_broker_in_lock_step_the_ledger_is_the_same() -> None:
    chosen = gridfleet.Scenario.load("normal", {"battery.count": 2, "turbines.count": 1, "ticks": 24})
    assert list(gridfleet.run(chosen).trades) == list(gridfleet.simulate(chosen).trades)


def test_it_sells_never_more_than_it_can_deliver() -> None:
    class Boaster(Battery):
        __slots__ = ()

        def energy_to_sell(self) -> int:
            return 10**9

    agent = battery(stored_wh=10_000)
    agent.__class__ = Boaster
    assert agent.generate() == 9_400


def test_packages_fit_its_room() -> None:
    nearly_full = battery(stored_wh=99_000)
    assert nearly_full.packages_to_bid() == (Package(0, 1_111, CHEAP),)
