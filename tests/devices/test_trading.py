"""One tick of the power market as a script: turbine, household, charger and reactor, without and with trouble."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ChargerState,
    ConsumerState,
    Correction,
    Kind,
    Mode,
    Phase,
    ProducerState,
    Receipt,
    Request,
    Residual,
    Supply,
    Surplus,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.agents.base import ANSWER_TIMEOUT_MS, MAX_ATTEMPTS
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.market.books import REMEMBERED_TICKS
from tests.devices.script import EUR, HOME, Stage, birth, charger, household, package, reactor, total, turbine

H1 = (package(0, 10_000), package(1, 5_000))
C1 = (package(0, 10_000), package(1, 10_000, 900_000))
IMPORT_ONLY = (Phase.IMPORT, Phase.SETTLE)


def company(supply_wh: int = 20_000) -> Stage:
    return Stage(turbine("t1", supply_wh), household("h1", 15_000), charger("c1"), reactor())


def settled(stage: Stage) -> None:
    """What producers booked as sold is what consumers booked as bought, in energy and in money, over all ticks."""
    producers = stage.said(ProducerState)
    consumers: list[ConsumerState | ChargerState] = [*stage.said(ConsumerState), *stage.said(ChargerState)]
    books = {(s.kind, s.tick, name): s for name, _, s in stage.all if isinstance(s, ProducerState)}
    assert len(books) == len(producers)
    sold: dict[tuple[str, int], tuple[int, int]] = {}
    for name, _, said in stage.all:
        if isinstance(said, ProducerState | Correction):
            sold[name, said.tick] = (said.sold_wh, said.earned_neur)
    assert sum(wh for wh, _ in sold.values()) == sum(s.bought_wh for s in consumers)
    assert sum(neur for _, neur in sold.values()) == sum(s.paid_neur for s in consumers)
    for state in producers:
        assert state.generated_wh == state.sold_wh + state.curtailed_wh + state.unsettled_wh


# --- a tick without trouble ------------------------------------------------------------------------------


def test_a_tick_as_it_should_be() -> None:
    stage = company()

    stage.begin(Phase.BID)
    stage.says("t1", HOME, Supply(0, 20_000))
    stage.says("h1", HOME, Bid(0, H1))
    stage.says("c1", HOME, Bid(0, C1))
    stage.is_silent()

    stage.begin(Phase.TRADE)
    to_h1, to_c1 = sorted_awards(stage)
    stage.says("h1", "t1", Receipt(0, to_h1.serial, to_h1.lots))
    stage.says("c1", "t1", Receipt(0, to_c1.serial, to_c1.lots))
    stage.is_silent()
    assert total(to_h1.lots) + total(to_c1.lots) == 20_000
    assert {lot.price_ueur_per_kwh for lot in (*to_h1.lots, *to_c1.lots)} == {EUR}

    stage.begin(Phase.IMPORT)
    first = stage.lines[0][0]
    stage.hears(first, "reactor", Request)
    assert total(lot for _, _, m in stage.all if isinstance(m, Request) for lot in m.packages) == 15_000

    stage.play(Phase.SETTLE)
    (h1,) = stage.said(ConsumerState)
    (c1,) = stage.said(ChargerState)
    assert (h1.demand_wh, h1.bought_wh, h1.paid_neur) == (15_000, 15_000, cost_neur(15_000, EUR))
    assert (c1.demand_wh, c1.bought_wh) == (20_000, 20_000)
    assert (c1.stored_wh, c1.charge_loss_wh) == (18_000, 2_000)
    assert c1.paid_neur == cost_neur(10_000, EUR) + cost_neur(10_000, 900_000)
    t1, r1 = stage.said(ProducerState)
    assert (t1.kind, t1.generated_wh, t1.sold_wh, t1.curtailed_wh, t1.unsettled_wh) == (
        "turbine",
        20_000,
        20_000,
        0,
        0,
    )
    assert (r1.kind, r1.generated_wh, r1.sold_wh) == ("reactor", 15_000, 15_000)
    settled(stage)
    assert all(not agent.refused for agent in stage.agents.values())
    assert not any(agent.waiting for agent in stage.agents.values())


def sorted_awards(stage: Stage) -> tuple[Award, Award]:
    """The next two lines are the awards to h1 and c1, whoever comes first in this tick's merit order."""
    first = "h1" if stage.lines[0][1] == "h1" else "c1"
    one = stage.hears("t1", first, Award)
    other = stage.hears("t1", "c1" if first == "h1" else "h1", Award)
    receipts = sorted((stage.lines.popleft() for _ in range(2)), key=lambda line: line[0], reverse=True)
    stage.lines.extendleft(reversed(receipts))
    return (one, other) if first == "h1" else (other, one)


def test_what_nobody_wants_is_curtailed() -> None:
    stage = company(50_000)
    stage.whole_tick()
    t1, r1 = stage.said(ProducerState)
    assert (t1.sold_wh, t1.curtailed_wh) == (35_000, 15_000)
    assert (r1.generated_wh, stage.said(Request)) == (0, [])
    settled(stage)


def test_a_calm_costs_no_awards() -> None:
    stage = company(0)
    stage.play(Phase.BID, Phase.TRADE)
    assert stage.said(Award) == []
    stage.play(*IMPORT_ONLY)
    assert stage.said(ConsumerState)[0].status == "supplied"
    assert [s.generated_wh for s in stage.said(ProducerState)] == [0, 35_000]
    settled(stage)


def test_cheap_packages_are_not_asked_of_the_reactor() -> None:
    stage = Stage(charger("c1", stored_wh=50_000), reactor())
    stage.whole_tick()
    assert stage.said(Request) == []
    assert stage.said(ChargerState)[0].bought_wh == 0


def test_an_empty_bid_is_said_so_that_nobody_waits() -> None:
    stage = Stage(turbine("t1", 5_000), household("h1", 0))
    stage.begin(Phase.BID)
    stage.says("t1", HOME, Supply(0, 5_000))
    stage.says("h1", HOME, Bid(0, ()))
    stage.begin(Phase.TRADE)
    stage.is_silent()
    assert not stage.agents["t1"].waiting


def test_the_consumer_scale_multiplies_demand() -> None:
    stage = company()
    stage.settings = stage.settings.__class__(consumer_scale=0.5)
    stage.begin(Phase.BID)
    assert stage.skips_to("h1", Bid).packages == (package(0, 7_500),)


def test_a_charger_bids_within_what_a_bid_may_hold() -> None:
    stage = Stage(
        charger("c1", max_wh_per_tick=60_000, package_wh=100)
    )  # the stage checks every line as on the wire
    stage.begin(Phase.BID)
    assert total(stage.hears("c1", HOME, Bid).packages) == 60_000


def test_a_charger_bids_less_the_fuller_it_is() -> None:
    stage = Stage(charger("c1", stored_wh=85_000))
    stage.begin(Phase.BID)
    stage.says("c1", HOME, Bid(0, (package(0, 10_000, 150_000), package(1, 6_666, 100_000))))


@given(st.integers(0, 60_000), st.integers(0, 40_000), st.integers(0, 100_000))
def test_energy_and_money_agree_whatever_there_is(supply_wh: int, demand_wh: int, stored_wh: int) -> None:
    stage = Stage(
        turbine("t1", supply_wh), household("h1", demand_wh), charger("c1", stored_wh=stored_wh), reactor()
    )
    for _ in range(3):
        stage.whole_tick()
    settled(stage)
    before = stored_wh
    for state in stage.said(ChargerState):
        assert state.stored_wh == before + state.bought_wh - state.charge_loss_wh
        assert 0 <= state.stored_wh <= state.capacity_wh
        before = state.stored_wh
    assert sum(agent.balance_neur for agent in stage.agents.values()) == 0


# --- trouble ---------------------------------------------------------------------------------------------


def test_a_missing_bid_is_waited_for_until_the_deadline() -> None:
    stage = company()
    stage.loses(Bid, sender="h1")
    stage.play(Phase.BID)
    stage.begin(Phase.TRADE)
    stage.is_silent()
    assert stage.agents["t1"].waiting
    stage.wait(ANSWER_TIMEOUT_MS - 1)
    stage.is_silent()
    stage.wait(1)
    stage.says("t1", "c1", Award(0, 0, C1))
    stage.says("c1", "t1", Receipt(0, 0, C1))
    stage.is_silent()
    stage.play(*IMPORT_ONLY)
    assert stage.said(ConsumerState)[0].bought_wh == 15_000  # from the reactor
    settled(stage)


def test_a_late_bid_ends_the_waiting() -> None:
    stage = company()
    held = stage.holds(Bid, sender="h1")
    stage.play(Phase.BID, Phase.TRADE)
    stage.mended()
    stage.arrives(held)
    sorted_awards(stage)
    assert total(lot for award in stage.said(Award) for lot in award.lots) == 20_000


def test_a_bid_after_clearing_is_refused_as_late() -> None:
    stage = company()
    held = stage.holds(Bid, sender="h1")
    stage.play(Phase.BID, Phase.TRADE)
    stage.wait(ANSWER_TIMEOUT_MS)
    stage.lines.clear()
    stage.arrives(held)
    stage.is_silent()
    assert stage.agents["t1"].refused == {"late": 1}


def test_the_dead_and_the_absent_are_not_waited_for() -> None:
    stage = company()
    stage.whole_tick()
    stage.dies("h1")
    stage.play(Phase.BID)
    stage.begin(Phase.TRADE)
    assert total(stage.skips_to("t1", Award).lots) == 20_000
    stage.play(*IMPORT_ONLY)

    other = company()
    other.loses(Bid, sender="h1")
    other.absent = ("h1",)
    other.play(Phase.BID)
    other.begin(Phase.TRADE)
    other.says("t1", "c1", Award(0, 0, C1))


@pytest.mark.parametrize("seconds_per_tick", [900.0, 30.0, 3.0, 1.0])
def test_a_silent_device_costs_the_others_nothing_at_any_speed(seconds_per_tick: float) -> None:
    stage = Stage(
        turbine("t1", 20_000),
        household("h1", 15_000),
        charger("c1"),
        mode=Mode.SCALED,
        seconds_per_tick=seconds_per_tick,
    )
    stage.loses(Bid, sender="h1")
    stage.whole_tick()
    assert stage.said(ChargerState)[0].bought_wh == 20_000


def test_a_refused_award_is_awarded_again() -> None:
    stage = Stage(turbine("t1", 10_000), household("h1", 10_000), charger("c1"))
    stage.play(Phase.BID)
    stage.hand("t9", "h1", Award(0, 0, (package(0, 10_000),)))  # a stranger was faster
    stage.says("h1", "t9", Receipt(0, 0, (package(0, 10_000),)))
    stage.agents["t1"].handle(HOME, "h0", Bid(0, ()), stage.now_ms)
    stage.begin(Phase.TRADE)
    if stage.lines[0][1] == "h1":
        stage.says("t1", "h1", Award(0, 0, (package(0, 10_000),)))
        stage.says("h1", "t1", Receipt(0, 0, ()))
        stage.says("t1", "c1", Award(0, 0, (package(0, 10_000),)))
        stage.says("c1", "t1", Receipt(0, 0, (package(0, 10_000),)))
    else:
        stage.says("t1", "c1", Award(0, 0, (package(0, 10_000),)))
        stage.says("c1", "t1", Receipt(0, 0, (package(0, 10_000),)))
    stage.is_silent()
    stage.play(*IMPORT_ONLY)
    assert stage.said(ProducerState)[0].sold_wh == 10_000


def test_refused_energy_goes_to_the_next_bid_as_long_as_the_phase_lasts() -> None:
    stage = Stage(turbine("t1", 10_000), household("h1", 10_000), household("h2", 10_000, price=EUR // 2))
    stage.play(Phase.BID)
    stage.hand("t9", "h1", Award(0, 0, (package(0, 4_000),)))
    stage.lines.clear()
    stage.begin(Phase.TRADE)
    stage.says("t1", "h1", Award(0, 0, (package(0, 10_000),)))
    stage.says("h1", "t1", Receipt(0, 0, (package(0, 6_000),)))
    stage.says("t1", "h2", Award(0, 0, (package(0, 4_000, EUR // 2),)))
    stage.says("h2", "t1", Receipt(0, 0, (package(0, 4_000, EUR // 2),)))
    stage.is_silent()
    stage.play(*IMPORT_ONLY)
    assert stage.said(ProducerState)[0].earned_neur == cost_neur(6_000, EUR) + cost_neur(4_000, EUR // 2)


def test_refused_energy_is_not_resold_after_the_phase() -> None:
    stage = Stage(turbine("t1", 10_000), household("h1", 10_000), household("h2", 10_000, price=EUR // 2))
    stage.play(Phase.BID)
    stage.hand("t9", "h1", Award(0, 0, (package(0, 4_000),)))
    held = stage.holds(Receipt, sender="h1")
    stage.play(Phase.TRADE, Phase.IMPORT)
    stage.arrives(held[:1])
    stage.is_silent()
    stage.mended()
    stage.play(Phase.SETTLE)
    (state,) = stage.said(ProducerState)
    assert (state.sold_wh, state.curtailed_wh, state.unsettled_wh) == (6_000, 4_000, 0)


def test_a_missing_receipt_is_asked_for_a_few_times() -> None:
    stage = Stage(turbine("t1", 10_000), household("h1", 10_000))
    stage.loses(Receipt)
    stage.play(Phase.BID, Phase.TRADE)
    stage.wait(100 * ANSWER_TIMEOUT_MS)
    assert stage.said(Award) == [Award(0, 0, (package(0, 10_000),))] * MAX_ATTEMPTS
    assert not stage.agents["t1"].waiting
    assert stage.said(Receipt) == [Receipt(0, 0, (package(0, 10_000),))] * MAX_ATTEMPTS
    stage.play(*IMPORT_ONLY)
    assert stage.said(ProducerState)[0].unsettled_wh == 10_000
    assert stage.said(ConsumerState)[0].bought_wh == 10_000


def test_a_late_receipt_corrects_the_books() -> None:
    stage = Stage(turbine("t1", 12_000), household("h1", 10_000))
    held = stage.holds(Receipt, sender="h1")
    stage.whole_tick()
    (state,) = stage.said(ProducerState)
    assert (state.sold_wh, state.curtailed_wh, state.unsettled_wh) == (0, 2_000, 10_000)
    stage.mended()
    stage.begin(Phase.BID)
    stage.says("t1", "h1", Award(0, 0, (package(0, 10_000),)))  # the reminder
    stage.says("t1", HOME, Supply(1, 12_000))
    stage.hears("h1", HOME, Bid)
    correction = stage.skips_to("t1", Correction)
    assert correction == Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR))
    stage.lines.clear()
    stage.arrives(held[:1])
    stage.is_silent()
    assert stage.agents["t1"].refused == {"stale": 1}
    stage.play(Phase.TRADE, *IMPORT_ONLY)
    settled(stage)


def test_a_receipt_while_settling_corrects_the_books_at_once() -> None:
    stage = Stage(turbine("t1", 12_000), household("h1", 10_000))
    held = stage.holds(Receipt, sender="h1")
    stage.whole_tick()
    stage.arrives(held[:1])
    stage.says("t1", "", Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR)))
    settled(stage)


def test_a_receipt_that_never_comes_is_written_off() -> None:
    stage = Stage(turbine("t1", 12_000), household("h1", 10_000))
    stage.loses(Receipt, sender="h1")
    stage.whole_tick()
    stage.dies("h1")
    for _ in range(REMEMBERED_TICKS):
        stage.whole_tick()
        assert stage.said(Correction) == []
    stage.whole_tick()
    assert stage.said(Correction) == [Correction(0, 0, 12_000, 0, 0)]


def test_duplicate_and_stale_messages_change_nothing_and_are_counted() -> None:
    stage = company()
    stage.begin(Phase.BID)
    bid = Bid(0, (package(0, 99_000),))
    stage.hand("h1", "t1", bid, HOME)
    assert stage.agents["t1"].refused == {"duplicate": 1}
    stage.lines.clear()
    stage.begin(Phase.TRADE)
    to_h1, _ = sorted_awards(stage)
    assert total(to_h1.lots) <= 15_000
    stage.lines.clear()
    stage.hand("h1", "t1", Receipt(0, to_h1.serial, to_h1.lots))
    assert stage.agents["t1"].refused == {"duplicate": 1, "receipt": 1}
    stage.hand("h1", "t1", Receipt(5, 0, to_h1.lots))
    assert stage.agents["t1"].refused == {"duplicate": 1, "receipt": 1, "stale": 1}
    stage.is_silent()
    stage.hand("t1", "h1", to_h1)
    stage.says("h1", "t1", Receipt(0, to_h1.serial, to_h1.lots))
    stage.hand("t1", "h1", Award(7, 3, to_h1.lots))
    stage.is_silent()
    assert stage.agents["h1"].refused == {"early": 1}
    stage.hand("t1", "h1", Supply(0, 1))
    assert stage.agents["h1"].refused == {"early": 1, "unexpected": 1}
    stage.lines.clear()
    stage.play(*IMPORT_ONLY)
    settled(stage)


def test_an_old_tick_is_refused() -> None:
    stage = company()
    stage.begin(Phase.BID)
    stage.lines.clear()
    old = stage.tick_message()
    stage.play(Phase.TRADE, *IMPORT_ONLY)
    for name, agent in stage.agents.items():
        assert agent.handle("", "clock", old, stage.now_ms) == (), name
        assert agent.refused == {"stale": 1}, name


def test_what_is_said_before_the_tick_is_heard_counts_when_it_is() -> None:
    t1 = turbine("t1", 10_000)
    stage = Stage(t1)
    stage.hand("h1", "t1", Bid(0, (package(0, 10_000),)), HOME)
    assert t1.refused == {}
    stage.begin(Phase.BID)
    stage.says("t1", HOME, Supply(0, 10_000))
    stage.begin(Phase.TRADE)
    stage.says("t1", "h1", Award(0, 0, (package(0, 10_000),)))


# --- the reactor -----------------------------------------------------------------------------------------


def test_a_lost_request_is_asked_again() -> None:
    stage = Stage(household("h1", 10_000), reactor())
    stage.loses(Request)
    stage.play(Phase.BID, Phase.TRADE, Phase.IMPORT)
    stage.mended()
    stage.wait(ANSWER_TIMEOUT_MS)
    stage.says("h1", "reactor", Request(0, (package(0, 10_000),)))
    stage.says("reactor", "h1", Award(0, 0, (package(0, 10_000),)))
    stage.says("h1", "reactor", Receipt(0, 0, (package(0, 10_000),)))
    stage.is_silent()
    assert not stage.agents["h1"].waiting


def test_a_repeated_request_is_served_once() -> None:
    stage = Stage(household("h1", 10_000), reactor())
    stage.loses(Award)
    stage.play(Phase.BID, Phase.TRADE, Phase.IMPORT)
    stage.wait(100 * ANSWER_TIMEOUT_MS)
    assert stage.said(Request) == [Request(0, (package(0, 10_000),))] * MAX_ATTEMPTS
    assert stage.said(Award) == [Award(0, 0, (package(0, 10_000),))] * MAX_ATTEMPTS
    stage.mended()
    stage.play(Phase.SETTLE)
    (state,) = stage.said(ProducerState)
    assert (state.generated_wh, state.sold_wh, state.unsettled_wh) == (10_000, 0, 10_000)
    assert stage.said(ConsumerState)[0].status == "short"


def test_the_reactor_sells_only_at_its_price() -> None:
    stage = Stage(reactor())
    stage.play(Phase.BID)
    stage.hand("h1", "reactor", Request(0, (package(0, 10, 899_999), package(1, 20, 900_000))))
    stage.says("reactor", "h1", Award(0, 0, (package(1, 20, 900_000),)))
    stage.hand("h2", "reactor", Request(0, (package(0, 10, 899_999),)))
    stage.hand("h3", "reactor", Request(1, (package(0, 10),)))
    stage.is_silent()
    assert stage.agents["reactor"].refused == {"price": 1, "stale": 1}


def test_the_reactor_does_not_run_for_refused_energy() -> None:
    stage = Stage(reactor())
    stage.play(Phase.BID)
    stage.hand("h1", "reactor", Request(0, (package(0, 10_000),)))
    stage.hand("h1", "reactor", Receipt(0, 0, (package(0, 4_000),)))
    stage.play(Phase.SETTLE)
    (state,) = stage.said(ProducerState)
    assert (state.generated_wh, state.sold_wh, state.curtailed_wh) == (4_000, 4_000, 0)


def test_a_request_after_the_account_does_not_change_the_account() -> None:
    stage = Stage(household("h1", 10_000), reactor())
    held = stage.holds(Request)
    stage.whole_tick()
    stage.arrives(held[:1])
    (state,) = stage.said(ProducerState)
    for correction in stage.said(Correction):
        corrected_wh = correction.sold_wh + correction.curtailed_wh + correction.unsettled_wh
        assert corrected_wh == state.generated_wh


def test_a_greedy_request_does_not_spoil_the_reactors_account() -> None:
    stage = Stage(reactor())
    stage.play(Phase.BID)
    most = tuple(package(index, 10**12, 10**9) for index in range(256))
    for number in range(3):
        stage.hand(f"h{number}", "reactor", Request(0, most))
    stage.play(Phase.SETTLE)  # the stage checks that the account can be read
    assert len(stage.said(ProducerState)) == 1


# --- two turbines that have heard different things -------------------------------------------------------


def pair(one_wh: int, other_wh: int, demands: list[int]) -> Stage:
    consumers = [household(f"h{number}", wh) for number, wh in enumerate(demands)]
    return Stage(turbine("t1", one_wh), turbine("t2", other_wh), *consumers, reactor())


@given(
    st.integers(0, 40_000),
    st.integers(0, 40_000),
    st.lists(st.integers(0, 30_000), min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
    st.booleans(),
)
def test_different_views_sell_nothing_twice(
    one_wh: int, other_wh: int, demands: list[int], unheard: set[int], deaf: bool
) -> None:
    stage = pair(one_wh, other_wh, demands)
    for number in unheard:
        stage.loses(Bid, sender=f"h{number}", to="t1")
    if deaf:
        stage.loses(Supply, sender="t2", to="t1")
    stage.whole_tick()
    settled(stage)
    for state in stage.said(ConsumerState):
        assert state.bought_wh == state.demand_wh
    taken: dict[tuple[str, int], int] = {}
    for consumer, _, receipt in stage.all:
        if isinstance(receipt, Receipt):
            for lot in receipt.lots:
                taken[consumer, lot.index] = taken.get((consumer, lot.index), 0) + lot.energy_wh
    for number, demand_wh in enumerate(demands):
        assert sum(wh for (name, _), wh in taken.items() if name == f"h{number}") == demand_wh


def test_what_one_turbine_was_refused_it_sells_to_others() -> None:
    stage = pair(10_000, 10_000, [20_000])
    stage.loses(Supply, sender="t2", to="t1")
    stage.loses(Supply, sender="t1", to="t2")
    stage.play(Phase.BID, Phase.TRADE)
    stage.wait(ANSWER_TIMEOUT_MS)
    stage.play(*IMPORT_ONLY)
    turbines = [s for s in stage.said(ProducerState) if s.kind == "turbine"]
    assert [s.sold_wh for s in turbines] == [10_000, 10_000]
    settled(stage)


# --- neighbours ------------------------------------------------------------------------------------------


def cells(west_wh: int, here_demand_wh: int, east_wh: int, *, here_wh: int = 0) -> Stage:
    """West, here and east, in a row; a turbine in each and a household here."""
    return Stage(
        turbine("w", west_wh, cell="west", neighbours=("here",)),
        turbine("t", here_wh, neighbours=("west", "east")),
        turbine("e", east_wh, cell="east", neighbours=("here",)),
        household("h", here_demand_wh),
        reactor(),
    )


def test_a_surplus_goes_to_the_neighbour() -> None:
    stage = cells(30_000, 15_000, 0)
    stage.play(Phase.BID, Phase.TRADE)
    stage.begin(Phase.RESIDUAL)
    stage.says("h", "here", Residual(0, H1))
    stage.is_silent()
    stage.begin(Phase.SURPLUS)
    stage.says("w", "here", Surplus(0, 15_000))
    stage.is_silent()
    stage.begin(Phase.EXCHANGE)
    stage.says("w", "h", Award(0, 0, H1))
    stage.says("h", "w", Receipt(0, 0, H1))
    stage.is_silent()
    stage.play(*IMPORT_ONLY)
    assert stage.said(Request) == []
    assert [(s.sold_wh, s.curtailed_wh) for s in stage.said(ProducerState, sender="w")] == [(15_000, 15_000)]
    settled(stage)


def test_two_exporting_cells_share_without_awarding_twice() -> None:
    stage = cells(10_000, 15_000, 10_000)
    stage.whole_tick(neighbours=True)
    assert [s.energy_wh for s in stage.said(Surplus)] == [10_000, 10_000]
    lots = [lot for award in stage.said(Award) for lot in award.lots]
    assert total(lots) == 15_000
    assert stage.said(Request) == []
    assert sum(s.sold_wh for s in stage.said(ProducerState)) == 15_000
    settled(stage)


def test_a_lost_surplus_leads_to_a_refusal_and_no_double_sale() -> None:
    stage = cells(10_000, 15_000, 10_000)
    stage.loses(Surplus, to="w")
    stage.loses(Surplus, to="e")
    stage.whole_tick(neighbours=True)
    assert stage.said(ConsumerState)[0].bought_wh == 15_000
    settled(stage)


def test_the_own_cell_comes_first_then_neighbours_then_the_reactor() -> None:
    stage = cells(4_000, 15_000, 3_000, here_wh=5_000)
    stage.whole_tick(neighbours=True)
    sold = {name: s.sold_wh for name, _, s in stage.all if isinstance(s, ProducerState)}
    assert sold == {"t": 5_000, "w": 4_000, "e": 3_000, "reactor": 3_000}
    settled(stage)


def test_one_surplus_for_two_neighbours_goes_to_the_dearer_bid() -> None:
    stage = Stage(
        turbine("t", 10_000, neighbours=("west", "east")),
        household("w", 8_000, cell="west", price=EUR // 2, reactor_id=None),
        household("e", 8_000, cell="east", reactor_id=None),
    )
    stage.whole_tick(neighbours=True)
    assert {(s.energy_wh) for s in stage.said(Surplus)} == {8_000, 2_000}
    assert [s.bought_wh for s in stage.said(ConsumerState)] == [2_000, 8_000]
    settled(stage)


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
    stage = cells(west, demand, east, here_wh=here)
    if trouble:
        stage.loses(Surplus, to="w")
        stage.loses(Residual, to="e")
    stage.whole_tick(neighbours=True)
    settled(stage)
    (state,) = stage.said(ConsumerState)
    assert state.bought_wh == state.demand_wh
    if not trouble:
        bought_wind = sum(s.sold_wh for s in stage.said(ProducerState) if s.kind == "turbine")
        assert bought_wind == min(demand, west + here + east)


def test_a_roster_may_be_shared() -> None:
    roster = Roster()
    one, other = turbine("t1", 5_000, roster), turbine("t2", 5_000, roster)
    stage = Stage(one, other, household("h1", 10_000))
    assert set(roster.members) == {"t1", "t2", "h1"}
    stage.whole_tick()
    assert [s.sold_wh for s in stage.said(ProducerState)] == [5_000, 5_000]
    roster.apply("h1", birth(HOME, Kind.CONSUMER))
    assert set(roster.members) == {"t1", "t2", "h1"}


# --- after a long silence ---


def test_whoever_missed_the_end_of_a_tick_accounts_for_it_when_the_next_is_heard() -> None:
    stage = Stage(turbine("t1", 12_000), household("h1", 10_000))
    stage.play(Phase.BID, Phase.TRADE)
    stage.begin(Phase.IMPORT, tick=70)
    assert [state.tick for state in stage.said(ConsumerState)] == [0]
    assert stage.said(ConsumerState)[0].bought_wh == 10_000
    stage.begin(Phase.BID, tick=71)
    assert [(state.tick, state.sold_wh) for state in stage.said(ProducerState)] == [(0, 10_000)]
    stage.play(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    assert [state.tick for state in stage.said(ConsumerState)] == [0, 71]
    assert [state.tick for state in stage.said(ProducerState)] == [0, 71]


def test_nobody_forgets_while_nobody_hears_a_tick() -> None:
    stage = Stage(turbine("t1", 12_000), household("h1", 10_000))
    stage.loses(Receipt, sender="h1")
    stage.whole_tick()
    stage.mended()
    stage.begin(Phase.BID, tick=5_000)
    assert stage.said(Correction) == [Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR))]


def test_a_consumer_that_was_away_for_many_ticks_still_owes_and_gives_its_receipt() -> None:
    stage = Stage(turbine("t1", 12_000), household("h1", 10_000))
    stage.loses(Receipt, sender="h1")
    stage.whole_tick()
    stage.down.add("h1")
    for _ in range(REMEMBERED_TICKS - 2):
        stage.whole_tick()
    stage.down.clear()
    stage.mended()
    assert stage.said(Correction) == []
    stage.whole_tick()
    assert stage.said(Correction) == [Correction(0, 10_000, 2_000, 0, cost_neur(10_000, EUR))]


def test_a_consumer_remembers_its_receipts_for_a_producer_that_was_away() -> None:
    stage = Stage(turbine("t1", 12_000), turbine("t2", 12_000), household("h1", 20_000))
    stage.loses(Receipt, to="t1")
    stage.whole_tick()
    (mine,) = stage.said(Award, sender="t1")[:1]
    stage.down.add("t1")
    for _ in range(REMEMBERED_TICKS - 2):
        stage.whole_tick()
    stage.down.clear()
    stage.mended()
    stage.whole_tick()
    energy_wh = total(mine.lots)
    (correction,) = (each for each in stage.said(Correction, sender="t1") if each.tick == 0)
    assert (correction.sold_wh, correction.unsettled_wh) == (energy_wh, 0)
