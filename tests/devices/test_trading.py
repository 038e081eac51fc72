"""Ticks of the power market as scripts: turbine, household, charger and reactor, without and with faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ChargerState,
    ConsumerState,
    Correction,
    Mode,
    Phase,
    ProducerState,
    Receipt,
    Request,
    Residual,
    Role,
    Supply,
    Surplus,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.agents.base import ANSWER_TIMEOUT_MS, MAX_ATTEMPTS
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.market.accounts import REMEMBERED_TICKS
from tests.devices.testbed import (
    EUR,
    HOME,
    Testbed,
    birth,
    charger,
    household,
    package,
    reactor,
    total,
    turbine,
)

H1 = (package(0, 10_000), package(1, 5_000))
C1 = (package(0, 10_000), package(1, 10_000, 900_000))
IMPORT_ONLY = (Phase.IMPORT, Phase.SETTLE)


def market(supply_wh: int = 20_000) -> Testbed:
    return Testbed(turbine("t1", supply_wh), household("h1", 15_000), charger("c1"), reactor())


def check_books(testbed: Testbed) -> None:
    """Check that producers have sold what consumers have bought, in energy and money, over all ticks."""
    producers = testbed.published(ProducerState)
    consumers: list[ConsumerState | ChargerState] = [
        *testbed.published(ConsumerState),
        *testbed.published(ChargerState),
    ]
    books = {(s.kind, s.tick, name): s for name, _, s in testbed.sent if isinstance(s, ProducerState)}
    assert len(books) == len(producers)
    sold: dict[tuple[str, int], tuple[int, int]] = {}
    for name, _, account in testbed.sent:
        if isinstance(account, ProducerState | Correction):
            sold[name, account.tick] = (account.sold_wh, account.earned_neur)
    assert sum(wh for wh, _ in sold.values()) == sum(s.bought_wh for s in consumers)
    assert sum(neur for _, neur in sold.values()) == sum(s.paid_neur for s in consumers)
    for state in producers:
        assert state.generated_wh == state.sold_wh + state.curtailed_wh + state.unsettled_wh


# --- ticks without faults --------------------------------------------------------------------------------


def test_a_tick_without_faults() -> None:
    testbed = market()

    testbed.begin_phase(Phase.BID)
    testbed.expect("t1", HOME, Supply(0, 20_000))
    testbed.expect("h1", HOME, Bid(0, H1))
    testbed.expect("c1", HOME, Bid(0, C1))
    testbed.expect_nothing()

    testbed.begin_phase(Phase.TRADE)
    to_h1, to_c1 = sorted_awards(testbed)
    testbed.expect("h1", "t1", Receipt(0, to_h1.serial, to_h1.lots))
    testbed.expect("c1", "t1", Receipt(0, to_c1.serial, to_c1.lots))
    testbed.expect_nothing()
    assert total(to_h1.lots) + total(to_c1.lots) == 20_000
    assert {lot.price_ueur_per_kwh for lot in (*to_h1.lots, *to_c1.lots)} == {EUR}

    testbed.begin_phase(Phase.IMPORT)
    first = testbed.unread[0][0]
    testbed.expect_next(first, "reactor", Request)
    assert total(lot for _, _, m in testbed.sent if isinstance(m, Request) for lot in m.packages) == 15_000

    testbed.run_phases(Phase.SETTLE)
    (h1,) = testbed.published(ConsumerState)
    (c1,) = testbed.published(ChargerState)
    assert (h1.demand_wh, h1.bought_wh, h1.paid_neur) == (15_000, 15_000, cost_neur(15_000, EUR))
    assert (c1.demand_wh, c1.bought_wh) == (20_000, 20_000)
    assert (c1.stored_wh, c1.charge_loss_wh) == (18_000, 2_000)
    assert c1.paid_neur == cost_neur(10_000, EUR) + cost_neur(10_000, 900_000)
    t1, r1 = testbed.published(ProducerState)
    assert (t1.kind, t1.generated_wh, t1.sold_wh, t1.curtailed_wh, t1.unsettled_wh) == (
        "turbine",
        20_000,
        20_000,
        0,
        0,
    )
    assert (r1.kind, r1.generated_wh, r1.sold_wh) == ("reactor", 15_000, 15_000)
    check_books(testbed)
    assert all(not agent.refused for agent in testbed.agents.values())
    assert not any(agent.waiting for agent in testbed.agents.values())


def sorted_awards(testbed: Testbed) -> tuple[Award, Award]:
    """Expect the awards to h1 and c1, in this tick's merit order; return that to h1 first."""
    first = "h1" if testbed.unread[0][1] == "h1" else "c1"
    one = testbed.expect_next("t1", first, Award)
    other = testbed.expect_next("t1", "c1" if first == "h1" else "h1", Award)
    receipts = sorted((testbed.unread.popleft() for _ in range(2)), key=lambda sent: sent[0], reverse=True)
    testbed.unread.extendleft(reversed(receipts))
    return (one, other) if first == "h1" else (other, one)


def test_energy_that_no_consumer_buys_is_curtailed() -> None:
    testbed = market(50_000)
    testbed.run_tick()
    t1, r1 = testbed.published(ProducerState)
    assert (t1.sold_wh, t1.curtailed_wh) == (35_000, 15_000)
    assert (r1.generated_wh, testbed.published(Request)) == (0, [])
    check_books(testbed)


def test_without_wind_there_are_no_awards() -> None:
    testbed = market(0)
    testbed.run_phases(Phase.BID, Phase.TRADE)
    assert testbed.published(Award) == []
    testbed.run_phases(*IMPORT_ONLY)
    assert testbed.published(ConsumerState)[0].status == "supplied"
    assert [s.generated_wh for s in testbed.published(ProducerState)] == [0, 35_000]
    check_books(testbed)


def test_packages_below_the_reactors_price_are_not_requested() -> None:
    testbed = Testbed(charger("c1", stored_wh=50_000), reactor())
    testbed.run_tick()
    assert testbed.published(Request) == []
    assert testbed.published(ChargerState)[0].bought_wh == 0


def test_an_empty_bid_is_published_so_that_no_producer_waits() -> None:
    testbed = Testbed(turbine("t1", 5_000), household("h1", 0))
    testbed.begin_phase(Phase.BID)
    testbed.expect("t1", HOME, Supply(0, 5_000))
    testbed.expect("h1", HOME, Bid(0, ()))
    testbed.begin_phase(Phase.TRADE)
    testbed.expect_nothing()
    assert not testbed.agents["t1"].waiting


def test_the_consumer_scale_multiplies_demand() -> None:
    testbed = market()
    testbed.settings = testbed.settings.__class__(consumer_scale=0.5)
    testbed.begin_phase(Phase.BID)
    assert testbed.skip_to("h1", Bid).packages == (package(0, 7_500),)


def test_a_charger_bids_within_what_a_bid_may_hold() -> None:
    testbed = Testbed(
        charger("c1", max_wh_per_tick=60_000, package_wh=100)
    )  # the testbed encodes and decodes every message
    testbed.begin_phase(Phase.BID)
    assert total(testbed.expect_next("c1", HOME, Bid).packages) == 60_000


def test_a_charger_bids_less_the_fuller_it_is() -> None:
    testbed = Testbed(charger("c1", stored_wh=85_000))
    testbed.begin_phase(Phase.BID)
    testbed.expect("c1", HOME, Bid(0, (package(0, 10_000, 150_000), package(1, 6_666, 100_000))))


@given(st.integers(0, 60_000), st.integers(0, 40_000), st.integers(0, 100_000))
def test_energy_and_money_agree_for_any_supply_and_demand(
    supply_wh: int, demand_wh: int, stored_wh: int
) -> None:
    testbed = Testbed(
        turbine("t1", supply_wh), household("h1", demand_wh), charger("c1", stored_wh=stored_wh), reactor()
    )
    for _ in range(3):
        testbed.run_tick()
    check_books(testbed)
    before = stored_wh
    for state in testbed.published(ChargerState):
        assert state.stored_wh == before + state.bought_wh - state.charge_loss_wh
        assert 0 <= state.stored_wh <= state.capacity_wh
        before = state.stored_wh
    assert sum(agent.balance_neur for agent in testbed.agents.values()) == 0


# --- faults ----------------------------------------------------------------------------------------------


def test_a_missing_bid_is_waited_for_until_the_deadline() -> None:
    testbed = market()
    testbed.drop(Bid, sender="h1")
    testbed.run_phases(Phase.BID)
    testbed.begin_phase(Phase.TRADE)
    testbed.expect_nothing()
    assert testbed.agents["t1"].waiting
    testbed.wait(ANSWER_TIMEOUT_MS - 1)
    testbed.expect_nothing()
    testbed.wait(1)
    testbed.expect("t1", "c1", Award(0, 0, C1))
    testbed.expect("c1", "t1", Receipt(0, 0, C1))
    testbed.expect_nothing()
    testbed.run_phases(*IMPORT_ONLY)
    assert testbed.published(ConsumerState)[0].bought_wh == 15_000  # from the reactor
    check_books(testbed)


def test_a_late_bid_ends_the_waiting() -> None:
    testbed = market()
    held = testbed.hold(Bid, sender="h1")
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.restore_link()
    testbed.deliver_held(held)
    sorted_awards(testbed)
    assert total(lot for award in testbed.published(Award) for lot in award.lots) == 20_000


def test_a_bid_after_clearing_is_refused_as_late() -> None:
    testbed = market()
    held = testbed.hold(Bid, sender="h1")
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.wait(ANSWER_TIMEOUT_MS)
    testbed.unread.clear()
    testbed.deliver_held(held)
    testbed.expect_nothing()
    assert testbed.agents["t1"].refused == {"late": 1}


def test_offline_and_absent_devices_are_not_waited_for() -> None:
    testbed = market()
    testbed.run_tick()
    testbed.take_offline("h1")
    testbed.run_phases(Phase.BID)
    testbed.begin_phase(Phase.TRADE)
    assert total(testbed.skip_to("t1", Award).lots) == 20_000
    testbed.run_phases(*IMPORT_ONLY)

    other = market()
    other.drop(Bid, sender="h1")
    other.absent = ("h1",)
    other.run_phases(Phase.BID)
    other.begin_phase(Phase.TRADE)
    other.expect("t1", "c1", Award(0, 0, C1))


@pytest.mark.parametrize("seconds_per_tick", [900.0, 30.0, 3.0, 1.0])
def test_a_silent_device_costs_the_others_nothing_at_any_speed(seconds_per_tick: float) -> None:
    testbed = Testbed(
        turbine("t1", 20_000),
        household("h1", 15_000),
        charger("c1"),
        mode=Mode.SCALED,
        seconds_per_tick=seconds_per_tick,
    )
    testbed.drop(Bid, sender="h1")
    testbed.run_tick()
    assert testbed.published(ChargerState)[0].bought_wh == 20_000


def test_a_refused_award_is_awarded_again() -> None:
    testbed = Testbed(turbine("t1", 10_000), household("h1", 10_000), charger("c1"))
    testbed.run_phases(Phase.BID)
    testbed.deliver("t9", "h1", Award(0, 0, (package(0, 10_000),)))  # another producer was faster
    testbed.expect("h1", "t9", Receipt(0, 0, (package(0, 10_000),)))
    testbed.agents["t1"].handle(HOME, "h0", Bid(0, ()), testbed.now_ms)
    testbed.begin_phase(Phase.TRADE)
    if testbed.unread[0][1] == "h1":
        testbed.expect("t1", "h1", Award(0, 0, (package(0, 10_000),)))
        testbed.expect("h1", "t1", Receipt(0, 0, ()))
        testbed.expect("t1", "c1", Award(0, 0, (package(0, 10_000),)))
        testbed.expect("c1", "t1", Receipt(0, 0, (package(0, 10_000),)))
    else:
        testbed.expect("t1", "c1", Award(0, 0, (package(0, 10_000),)))
        testbed.expect("c1", "t1", Receipt(0, 0, (package(0, 10_000),)))
    testbed.expect_nothing()
    testbed.run_phases(*IMPORT_ONLY)
    assert testbed.published(ProducerState)[0].sold_wh == 10_000


def test_refused_energy_goes_to_the_next_bid_as_long_as_the_phase_lasts() -> None:
    testbed = Testbed(turbine("t1", 10_000), household("h1", 10_000), household("h2", 10_000, price=EUR // 2))
    testbed.run_phases(Phase.BID)
    testbed.deliver("t9", "h1", Award(0, 0, (package(0, 4_000),)))
    testbed.unread.clear()
    testbed.begin_phase(Phase.TRADE)
    testbed.expect("t1", "h1", Award(0, 0, (package(0, 10_000),)))
    testbed.expect("h1", "t1", Receipt(0, 0, (package(0, 6_000),)))
    testbed.expect("t1", "h2", Award(0, 0, (package(0, 4_000, EUR // 2),)))
    testbed.expect("h2", "t1", Receipt(0, 0, (package(0, 4_000, EUR // 2),)))
    testbed.expect_nothing()
    testbed.run_phases(*IMPORT_ONLY)
    assert testbed.published(ProducerState)[0].earned_neur == cost_neur(6_000, EUR) + cost_neur(
        4_000, EUR // 2
    )


def test_refused_energy_is_not_resold_after_the_phase() -> None:
    testbed = Testbed(turbine("t1", 10_000), household("h1", 10_000), household("h2", 10_000, price=EUR // 2))
    testbed.run_phases(Phase.BID)
    testbed.deliver("t9", "h1", Award(0, 0, (package(0, 4_000),)))
    held = testbed.hold(Receipt, sender="h1")
    testbed.run_phases(Phase.TRADE, Phase.IMPORT)
    testbed.deliver_held(held[:1])
    testbed.expect_nothing()
    testbed.restore_link()
    testbed.run_phases(Phase.SETTLE)
    (state,) = testbed.published(ProducerState)
    assert (state.sold_wh, state.curtailed_wh, state.unsettled_wh) == (6_000, 4_000, 0)


def test_a_missing_receipt_is_asked_for_a_few_times() -> None:
    testbed = Testbed(turbine("t1", 10_000), household("h1", 10_000))
    testbed.drop(Receipt)
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.wait(100 * ANSWER_TIMEOUT_MS)
    assert testbed.published(Award) == [Award(0, 0, (package(0, 10_000),))] * MAX_ATTEMPTS
    assert not testbed.agents["t1"].waiting
    assert testbed.published(Receipt) == [Receipt(0, 0, (package(0, 10_000),))] * MAX_ATTEMPTS
    testbed.run_phases(*IMPORT_ONLY)
    assert testbed.published(ProducerState)[0].unsettled_wh == 10_000
    assert testbed.published(ConsumerState)[0].bought_wh == 10_000


def test_a_late_receipt_corrects_the_books() -> None:
    testbed = Testbed(turbine("t1", 12_000), household("h1", 10_000))
    held = testbed.hold(Receipt, sender="h1")
    testbed.run_tick()
    (state,) = testbed.published(ProducerState)
    assert (state.sold_wh, state.curtailed_wh, state.unsettled_wh) == (0, 2_000, 10_000)
    testbed.restore_link()
    testbed.begin_phase(Phase.BID)
    testbed.expect("t1", "h1", Award(0, 0, (package(0, 10_000),)))  # the reminder
    testbed.expect("t1", HOME, Supply(1, 12_000))
    testbed.expect_next("h1", HOME, Bid)
    correction = testbed.skip_to("t1", Correction)
    assert correction == Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR))
    testbed.unread.clear()
    testbed.deliver_held(held[:1])
    testbed.expect_nothing()
    assert testbed.agents["t1"].refused == {"stale": 1}
    testbed.run_phases(Phase.TRADE, *IMPORT_ONLY)
    check_books(testbed)


def test_a_receipt_while_settling_corrects_the_books_at_once() -> None:
    testbed = Testbed(turbine("t1", 12_000), household("h1", 10_000))
    held = testbed.hold(Receipt, sender="h1")
    testbed.run_tick()
    testbed.deliver_held(held[:1])
    testbed.expect("t1", "", Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR)))
    check_books(testbed)


def test_a_receipt_that_never_comes_is_written_off() -> None:
    testbed = Testbed(turbine("t1", 12_000), household("h1", 10_000))
    testbed.drop(Receipt, sender="h1")
    testbed.run_tick()
    testbed.take_offline("h1")
    for _ in range(REMEMBERED_TICKS):
        testbed.run_tick()
        assert testbed.published(Correction) == []
    testbed.run_tick()
    assert testbed.published(Correction) == [Correction(0, 0, 12_000, 0, 0)]


def test_duplicate_and_stale_messages_change_nothing_and_are_counted() -> None:
    testbed = market()
    testbed.begin_phase(Phase.BID)
    bid = Bid(0, (package(0, 99_000),))
    testbed.deliver("h1", "t1", bid, HOME)
    assert testbed.agents["t1"].refused == {"duplicate": 1}
    testbed.unread.clear()
    testbed.begin_phase(Phase.TRADE)
    to_h1, _ = sorted_awards(testbed)
    assert total(to_h1.lots) <= 15_000
    testbed.unread.clear()
    testbed.deliver("h1", "t1", Receipt(0, to_h1.serial, to_h1.lots))
    assert testbed.agents["t1"].refused == {"duplicate": 1, "receipt": 1}
    testbed.deliver("h1", "t1", Receipt(5, 0, to_h1.lots))
    assert testbed.agents["t1"].refused == {"duplicate": 1, "receipt": 1, "stale": 1}
    testbed.expect_nothing()
    testbed.deliver("t1", "h1", to_h1)
    testbed.expect("h1", "t1", Receipt(0, to_h1.serial, to_h1.lots))
    testbed.deliver("t1", "h1", Award(7, 3, to_h1.lots))
    testbed.expect_nothing()
    assert testbed.agents["h1"].refused == {"early": 1}
    testbed.deliver("t1", "h1", Surplus(0, 1))
    assert testbed.agents["h1"].refused == {"early": 1, "unexpected": 1}
    testbed.unread.clear()
    testbed.run_phases(*IMPORT_ONLY)
    check_books(testbed)


def test_an_old_tick_is_refused() -> None:
    testbed = market()
    testbed.begin_phase(Phase.BID)
    testbed.unread.clear()
    old = testbed.tick_message()
    testbed.run_phases(Phase.TRADE, *IMPORT_ONLY)
    for name, agent in testbed.agents.items():
        assert agent.handle("", "clock", old, testbed.now_ms) == (), name
        assert agent.refused == {"stale": 1}, name


def test_messages_that_arrive_before_the_tick_count_when_it_arrives() -> None:
    t1 = turbine("t1", 10_000)
    testbed = Testbed(t1)
    testbed.deliver("h1", "t1", Bid(0, (package(0, 10_000),)), HOME)
    assert t1.refused == {}
    testbed.begin_phase(Phase.BID)
    testbed.expect("t1", HOME, Supply(0, 10_000))
    testbed.begin_phase(Phase.TRADE)
    testbed.expect("t1", "h1", Award(0, 0, (package(0, 10_000),)))


# --- the reactor -----------------------------------------------------------------------------------------


def test_a_lost_request_is_asked_again() -> None:
    testbed = Testbed(household("h1", 10_000), reactor())
    testbed.drop(Request)
    testbed.run_phases(Phase.BID, Phase.TRADE, Phase.IMPORT)
    testbed.restore_link()
    testbed.wait(ANSWER_TIMEOUT_MS)
    testbed.expect("h1", "reactor", Request(0, (package(0, 10_000),)))
    testbed.expect("reactor", "h1", Award(0, 0, (package(0, 10_000),)))
    testbed.expect("h1", "reactor", Receipt(0, 0, (package(0, 10_000),)))
    testbed.expect_nothing()
    assert not testbed.agents["h1"].waiting


def test_a_repeated_request_is_served_once() -> None:
    testbed = Testbed(household("h1", 10_000), reactor())
    testbed.drop(Award)
    testbed.run_phases(Phase.BID, Phase.TRADE, Phase.IMPORT)
    testbed.wait(100 * ANSWER_TIMEOUT_MS)
    assert testbed.published(Request) == [Request(0, (package(0, 10_000),))] * MAX_ATTEMPTS
    assert testbed.published(Award) == [Award(0, 0, (package(0, 10_000),))] * MAX_ATTEMPTS
    testbed.restore_link()
    testbed.run_phases(Phase.SETTLE)
    (state,) = testbed.published(ProducerState)
    assert (state.generated_wh, state.sold_wh, state.unsettled_wh) == (10_000, 0, 10_000)
    assert testbed.published(ConsumerState)[0].status == "short"


def test_the_reactor_sells_only_at_its_price() -> None:
    testbed = Testbed(reactor())
    testbed.run_phases(Phase.BID)
    testbed.deliver("h1", "reactor", Request(0, (package(0, 10, 899_999), package(1, 20, 900_000))))
    testbed.expect("reactor", "h1", Award(0, 0, (package(1, 20, 900_000),)))
    testbed.deliver("h2", "reactor", Request(0, (package(0, 10, 899_999),)))
    testbed.deliver("h3", "reactor", Request(1, (package(0, 10),)))
    testbed.expect_nothing()
    assert testbed.agents["reactor"].refused == {"price": 1, "stale": 1}


def test_the_reactor_does_not_run_for_refused_energy() -> None:
    testbed = Testbed(reactor())
    testbed.run_phases(Phase.BID)
    testbed.deliver("h1", "reactor", Request(0, (package(0, 10_000),)))
    testbed.deliver("h1", "reactor", Receipt(0, 0, (package(0, 4_000),)))
    testbed.run_phases(Phase.SETTLE)
    (state,) = testbed.published(ProducerState)
    assert (state.generated_wh, state.sold_wh, state.curtailed_wh) == (4_000, 4_000, 0)


def test_a_request_after_the_account_does_not_change_the_account() -> None:
    testbed = Testbed(household("h1", 10_000), reactor())
    held = testbed.hold(Request)
    testbed.run_tick()
    testbed.deliver_held(held[:1])
    testbed.expect_nothing()
    assert testbed.agents["reactor"].refused == {"stale": 1}
    (state,) = testbed.published(ProducerState)
    assert (state.generated_wh, state.sold_wh, state.unsettled_wh) == (0, 0, 0)
    assert testbed.published(Correction) == []


def test_a_greedy_request_does_not_spoil_the_reactors_account() -> None:
    testbed = Testbed(reactor())
    testbed.run_phases(Phase.BID)
    most = tuple(package(index, 10**12, 10**9) for index in range(256))
    for number in range(3):
        testbed.deliver(f"h{number}", "reactor", Request(0, most))
    testbed.run_phases(Phase.SETTLE)  # the testbed checks that the account is valid
    assert len(testbed.published(ProducerState)) == 1


# --- two turbines that have received different messages --------------------------------------------------


def pair(one_wh: int, other_wh: int, demands: list[int]) -> Testbed:
    consumers = [household(f"h{number}", wh) for number, wh in enumerate(demands)]
    return Testbed(turbine("t1", one_wh), turbine("t2", other_wh), *consumers, reactor())


@given(
    st.integers(0, 40_000),
    st.integers(0, 40_000),
    st.lists(st.integers(0, 30_000), min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
    st.booleans(),
)
def test_producers_that_have_received_different_messages_sell_nothing_twice(
    one_wh: int, other_wh: int, demands: list[int], unheard: set[int], deaf: bool
) -> None:
    testbed = pair(one_wh, other_wh, demands)
    for number in unheard:
        testbed.drop(Bid, sender=f"h{number}", to="t1")
    if deaf:
        testbed.drop(Supply, sender="t2", to="t1")
    testbed.run_tick()
    check_books(testbed)
    for state in testbed.published(ConsumerState):
        assert state.bought_wh == state.demand_wh
    taken: dict[tuple[str, int], int] = {}
    for consumer, _, receipt in testbed.sent:
        if isinstance(receipt, Receipt):
            for lot in receipt.lots:
                taken[consumer, lot.index] = taken.get((consumer, lot.index), 0) + lot.energy_wh
    for number, demand_wh in enumerate(demands):
        assert sum(wh for (name, _), wh in taken.items() if name == f"h{number}") == demand_wh


def test_energy_refused_by_one_consumer_is_sold_to_others() -> None:
    testbed = pair(10_000, 10_000, [20_000])
    testbed.drop(Supply, sender="t2", to="t1")
    testbed.drop(Supply, sender="t1", to="t2")
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.wait(ANSWER_TIMEOUT_MS)
    testbed.run_phases(*IMPORT_ONLY)
    turbines = [s for s in testbed.published(ProducerState) if s.kind == "turbine"]
    assert [s.sold_wh for s in turbines] == [10_000, 10_000]
    check_books(testbed)


# --- neighbours ------------------------------------------------------------------------------------------


def cells(west_wh: int, here_demand_wh: int, east_wh: int, *, here_wh: int = 0) -> Testbed:
    """Three cells in a row, west, here and east; a turbine in each and a household here."""
    return Testbed(
        turbine("w", west_wh, cell="west", neighbours=("here",)),
        turbine("t", here_wh, neighbours=("west", "east")),
        turbine("e", east_wh, cell="east", neighbours=("here",)),
        household("h", here_demand_wh),
        reactor(),
    )


def test_a_surplus_goes_to_the_neighbour() -> None:
    testbed = cells(30_000, 15_000, 0)
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.begin_phase(Phase.RESIDUAL)
    testbed.expect("h", "here", Residual(0, H1))
    testbed.expect_nothing()
    testbed.begin_phase(Phase.SURPLUS)
    testbed.expect("w", "here", Surplus(0, 15_000))
    testbed.expect_nothing()
    testbed.begin_phase(Phase.EXCHANGE)
    testbed.expect("w", "h", Award(0, 0, H1))
    testbed.expect("h", "w", Receipt(0, 0, H1))
    testbed.expect_nothing()
    testbed.run_phases(*IMPORT_ONLY)
    assert testbed.published(Request) == []
    assert [(s.sold_wh, s.curtailed_wh) for s in testbed.published(ProducerState, sender="w")] == [
        (15_000, 15_000)
    ]
    check_books(testbed)


def test_two_exporting_cells_share_without_awarding_twice() -> None:
    testbed = cells(10_000, 15_000, 10_000)
    testbed.run_tick(neighbours=True)
    assert [s.energy_wh for s in testbed.published(Surplus)] == [10_000, 10_000]
    lots = [lot for award in testbed.published(Award) for lot in award.lots]
    assert total(lots) == 15_000
    assert testbed.published(Request) == []
    assert sum(s.sold_wh for s in testbed.published(ProducerState)) == 15_000
    check_books(testbed)


def test_a_lost_surplus_leads_to_a_refusal_and_no_double_sale() -> None:
    testbed = cells(10_000, 15_000, 10_000)
    testbed.drop(Surplus, to="w")
    testbed.drop(Surplus, to="e")
    testbed.run_tick(neighbours=True)
    assert testbed.published(ConsumerState)[0].bought_wh == 15_000
    check_books(testbed)


def test_the_own_cell_comes_first_then_neighbours_then_the_reactor() -> None:
    testbed = cells(4_000, 15_000, 3_000, here_wh=5_000)
    testbed.run_tick(neighbours=True)
    sold = {name: s.sold_wh for name, _, s in testbed.sent if isinstance(s, ProducerState)}
    assert sold == {"t": 5_000, "w": 4_000, "e": 3_000, "reactor": 3_000}
    check_books(testbed)


def test_one_surplus_for_two_neighbours_goes_to_the_higher_bid() -> None:
    testbed = Testbed(
        turbine("t", 10_000, neighbours=("west", "east")),
        household("w", 8_000, cell="west", price=EUR // 2, reactor_id=None),
        household("e", 8_000, cell="east", reactor_id=None),
    )
    testbed.run_tick(neighbours=True)
    assert {(s.energy_wh) for s in testbed.published(Surplus)} == {8_000, 2_000}
    assert [s.bought_wh for s in testbed.published(ConsumerState)] == [2_000, 8_000]
    check_books(testbed)


@given(
    st.integers(0, 30_000),
    st.integers(0, 30_000),
    st.integers(0, 30_000),
    st.integers(0, 60_000),
    st.booleans(),
)
def test_between_cells_energy_is_conserved(
    west: int, here: int, east: int, demand: int, trouble: bool
) -> None:
    testbed = cells(west, demand, east, here_wh=here)
    if trouble:
        testbed.drop(Surplus, to="w")
        testbed.drop(Residual, to="e")
    testbed.run_tick(neighbours=True)
    check_books(testbed)
    (state,) = testbed.published(ConsumerState)
    assert state.bought_wh == state.demand_wh
    if not trouble:
        bought_wind = sum(s.sold_wh for s in testbed.published(ProducerState) if s.kind == "turbine")
        assert bought_wind == min(demand, west + here + east)


def test_a_roster_may_be_shared() -> None:
    roster = Roster()
    one, other = turbine("t1", 5_000, roster), turbine("t2", 5_000, roster)
    testbed = Testbed(one, other, household("h1", 10_000))
    assert set(roster.members) == {"t1", "t2", "h1"}
    testbed.run_tick()
    assert [s.sold_wh for s in testbed.published(ProducerState)] == [5_000, 5_000]
    roster.apply("h1", birth(HOME, Role.CONSUMER))
    assert set(roster.members) == {"t1", "t2", "h1"}


# --- after a long time offline ---


def test_an_agent_that_missed_the_end_of_a_tick_publishes_its_account_with_the_next() -> None:
    testbed = Testbed(turbine("t1", 12_000), household("h1", 10_000))
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.begin_phase(Phase.IMPORT, tick=70)
    assert [state.tick for state in testbed.published(ConsumerState)] == [0]
    assert testbed.published(ConsumerState)[0].bought_wh == 10_000
    testbed.begin_phase(Phase.BID, tick=71)
    assert [(state.tick, state.sold_wh) for state in testbed.published(ProducerState)] == [(0, 10_000)]
    testbed.run_phases(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    assert [state.tick for state in testbed.published(ConsumerState)] == [0, 71]
    assert [state.tick for state in testbed.published(ProducerState)] == [0, 71]


def test_nothing_is_forgotten_while_no_tick_arrives() -> None:
    testbed = Testbed(turbine("t1", 12_000), household("h1", 10_000))
    testbed.drop(Receipt, sender="h1")
    testbed.run_tick()
    testbed.restore_link()
    testbed.begin_phase(Phase.BID, tick=5_000)
    assert testbed.published(Correction) == [Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR))]


def test_a_consumer_that_was_offline_for_many_ticks_still_sends_its_receipt() -> None:
    testbed = Testbed(turbine("t1", 12_000), household("h1", 10_000))
    testbed.drop(Receipt, sender="h1")
    testbed.run_tick()
    testbed.down.add("h1")
    for _ in range(REMEMBERED_TICKS - 2):
        testbed.run_tick()
    testbed.down.clear()
    testbed.restore_link()
    assert testbed.published(Correction) == []
    testbed.run_tick()
    assert testbed.published(Correction) == [Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR))]


def test_a_consumer_keeps_its_receipts_for_a_producer_that_was_offline() -> None:
    testbed = Testbed(turbine("t1", 12_000), turbine("t2", 12_000), household("h1", 20_000))
    testbed.drop(Receipt, to="t1")
    testbed.run_tick()
    (mine,) = testbed.published(Award, sender="t1")[:1]
    testbed.down.add("t1")
    for _ in range(REMEMBERED_TICKS - 2):
        testbed.run_tick()
    testbed.down.clear()
    testbed.restore_link()
    testbed.run_tick()
    energy_wh = total(mine.lots)
    (correction,) = (each for each in testbed.published(Correction, sender="t1") if each.tick == 0)
    assert (correction.sold_wh, correction.unsettled_wh) == (energy_wh, 0)
