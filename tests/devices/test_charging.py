"""Vehicles and chargers as scripts: call, offer, lease, drive, charge, bill; and their faults."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    ChargerState,
    Close,
    Decline,
    Heartbeat,
    Lease,
    Message,
    Mode,
    Offer,
    Phase,
    Release,
    Role,
    Settings,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS, cost_neur
from gridfleet.devices.agents.base import ANSWER_TIMEOUT_MS, AgentError
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.trip import VehicleStatus
from gridfleet.devices.agents.vehicle import MAX_DELAY_MS, Vehicle
from gridfleet.devices.agents.vehicle_reservation import MAX_SILENT_TICKS
from gridfleet.devices.charging.offer_ranking import Candidate, OfferRanking
from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
from gridfleet.devices.charging.reservation import LEASE_MS
from gridfleet.devices.physics.battery import stored_from
from tests.devices.testbed import HOME, LEAF, START_MS, Testbed, birth, charger, vehicle
from tests.plugins import registered

NEAR = (51.0, 10.1)  # 7 km
FARTHER = (51.0, 10.3)  # 21 km
BEYOND = (51.0, 17.0)  # 490 km
LOW_WH = 14_000  # 28 % of 50 kWh: about 85 km


def street(*, near_wh: int = 80_000, farther_wh: int = 90_000, ports: int = 2) -> Testbed:
    """A vehicle with a low battery, a charger near it at 1.01 − 0.8 EUR, and one farther away and cheaper."""
    return Testbed(
        charger("near", stored_wh=near_wh, place=NEAR, ports=ports),
        charger("farther", stored_wh=farther_wh, place=FARTHER, ports=ports),
        vehicle("v1", stored_wh=LOW_WH),
    )


def alone(stored_wh: int = 80_000, **traits: int) -> Testbed:
    return Testbed(
        charger("near", stored_wh=stored_wh, place=NEAR, ports=traits.get("ports", 1)),
        vehicle("v1", stored_wh=LOW_WH),
    )


def until_the_call(testbed: Testbed) -> Call:
    """Begin a tick, and wait for the vehicle's call some minutes later."""
    testbed.run_phases(Phase.BID)
    testbed.wait_for(Call, MAX_DELAY_MS)
    return testbed.skip_to("v1", Call)


def v1(testbed: Testbed, name: str = "v1") -> Vehicle:
    agent = testbed.agents[name]
    assert isinstance(agent, Vehicle)
    return agent


def ports_of(testbed: Testbed, name: str = "near") -> int:
    agent = testbed.agents[name]
    assert isinstance(agent, Charger)
    return len(agent.reservation_book.reservations)


def charger_of(testbed: Testbed, name: str = "v1") -> str | None:
    session = v1(testbed, name).reservation.session
    return session.charger if session is not None else None


def expect_acceptance(testbed: Testbed, vehicle: str, charger: str, cell: str = HOME) -> Accept:
    """Expect next that a vehicle accepts the offer of this charger, before all chargers of its cell."""
    accept = testbed.expect_next(vehicle, cell, Accept)
    assert accept.charger == charger
    return accept


def finish_tick(testbed: Testbed) -> None:
    """Run the rest of the tick."""
    testbed.run_phases(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    testbed.wait_until(START_MS + (testbed.tick + 1) * TICK_MS - 1)
    testbed.unread.clear()


def check_accounts(testbed: Testbed) -> None:
    """Check that chargers delivered and earned what vehicles drew and paid, and that batteries changed by that."""
    sold, bought = testbed.published(ChargerState), testbed.published(VehicleState)
    assert sum(s.delivered_wh for s in sold) == sum(s.drawn_wh for s in bought)
    assert sum(s.earned_neur for s in sold) == sum(s.paid_neur for s in bought)
    for name, agent in testbed.agents.items():
        if isinstance(agent, Vehicle):
            before = LOW_WH
            for state in testbed.published(VehicleState, sender=name):
                assert state.stored_wh == before + state.drawn_wh - state.charge_loss_wh - state.driven_wh
                assert 0 <= state.stored_wh <= state.capacity_wh
                before = state.stored_wh
    for charging in sold:
        assert 0 <= charging.stored_wh <= charging.capacity_wh
        assert charging.ports_reserved <= charging.ports


# --- without faults --------------------------------------------------------------------------------------


def test_from_low_battery_to_the_bill() -> None:
    testbed = alone()

    testbed.begin_phase(Phase.BID)
    testbed.unread.clear()
    testbed.wait(MAX_DELAY_MS)
    call = testbed.expect_next("v1", HOME, Call)
    assert START_MS < call.simulated_ms <= START_MS + MAX_DELAY_MS
    offer = testbed.expect_next("near", "v1", Offer)
    assert (offer.price_ueur_per_kwh, offer.call) == (210_000, call.call)
    assert call.energy_wh < offer.energy_wh <= call.energy_wh + 2_000  # the way included
    testbed.expect("v1", HOME, Accept(call.call, call.simulated_ms, "near"))
    testbed.expect("near", "v1", Lease(call.call, offer.energy_wh, 210_000, call.simulated_ms + LEASE_MS))
    testbed.expect("v1", HOME, Close(call.call))
    testbed.expect_nothing()
    assert v1(testbed).trip.status is VehicleStatus.HEADING

    testbed.wait(500_000)
    plugged = testbed.expect_next("v1", "near", Heartbeat)
    assert (plugged.arrived, plugged.drawn_wh) == (True, 0)
    testbed.expect_next("near", "v1", Lease)
    testbed.expect_nothing()
    assert v1(testbed).trip.status is VehicleStatus.CHARGING
    assert (v1(testbed).latitude, v1(testbed).longitude) == NEAR

    for _ in range(4):
        testbed.begin_phase(Phase.IMPORT)
        testbed.begin_phase(Phase.SETTLE)
        testbed.begin_phase(Phase.BID)
    release = testbed.skip_to("v1", Release)
    bill = testbed.skip_to("near", Bill)
    assert release.outcome == "charged"
    assert bill == Bill(call.call, release.drawn_wh, cost_neur(release.drawn_wh, 210_000))
    assert v1(testbed).trip.stored_wh == pytest.approx(0.95 * LEAF.capacity_wh, abs=50)
    assert v1(testbed).trip.status is VehicleStatus.PARKED
    assert ports_of(testbed) == 0
    finish_tick(testbed)
    check_accounts(testbed)
    assert v1(testbed).balance_neur == -bill.amount_neur
    assert len(testbed.published(Bill)) == 1
    assert all(not agent.refused for agent in testbed.agents.values())


def test_a_parked_vehicle_sets_out_now_and_then() -> None:
    testbed = Testbed(charger("near", stored_wh=80_000, place=NEAR), vehicle("v1", stored_wh=45_000))
    testbed.settings = Settings(vehicle_scale=2.0)
    for _ in range(40):
        testbed.run_tick()
    states = testbed.published(VehicleState)
    assert {VehicleStatus.PARKED, VehicleStatus.DRIVING} <= {state.status for state in states}
    assert len({(state.latitude, state.longitude) for state in states if state.status == "parked"}) > 1


def test_it_drives_on_to_its_destination() -> None:
    testbed = Testbed(charger("near", stored_wh=80_000, place=NEAR), vehicle("v1", stored_wh=15_500))
    car = v1(testbed)
    car.trip.destination = (51.0, 10.6)
    testbed.begin_phase(Phase.BID)
    car.plan(testbed.now_ms + 1, car.trip.set_out)
    testbed.unread.clear()
    finish_tick(testbed)
    for _ in range(8):
        testbed.run_tick()
    assert [release.outcome for release in testbed.published(Release)] == ["charged"]
    assert testbed.published(Call)[0].longitude > 10.0  # it was on its way
    assert (car.latitude, car.longitude) == (51.0, 10.6)
    assert car.trip.status is VehicleStatus.PARKED
    first = testbed.published(VehicleState)[0]
    assert first.destination == (51.0, 10.6)


@pytest.mark.parametrize(
    ("algorithm", "taken"),
    [
        ("closest", "near"),
        ("cheapest", "farther"),
        ("best", "farther"),
        ("weighted", "near"),
    ],
)
def test_it_accepts_the_offer_that_its_algorithm_prefers(algorithm: str, taken: str) -> None:
    testbed = street()
    testbed.settings = Settings(algorithm=algorithm)
    until_the_call(testbed)
    assert charger_of(testbed) == taken
    assert (ports_of(testbed, "near"), ports_of(testbed, "farther")) == (
        (1, 0) if taken == "near" else (0, 1)
    )
    assert len(testbed.published(Accept)) == 1


def fails(*_: object) -> list[Candidate]:
    raise ZeroDivisionError


def test_a_ranking_that_fails_ends_the_run_with_one_line() -> None:
    testbed = street()
    testbed.settings = Settings(algorithm="mine")
    line = (
        r"^v1, a vehicle: tick \d+: offer ranking 'mine': ZeroDivisionError: \(test_charging\.py, line \d+\); "
        "correct the ranking, or choose another algorithm$"
    )
    with registered(OFFER_RANKINGS, OfferRanking("mine", fails)), pytest.raises(AgentError, match=line):
        until_the_call(testbed)


def test_without_its_ranking_a_vehicle_uses_the_default_and_says_so() -> None:
    testbed = street()
    testbed.settings = Settings(algorithm="mine")
    until_the_call(testbed)
    assert charger_of(testbed) == "near"  # as weighted
    assert testbed.agents["v1"].refused == {"ranking": 1}


def test_with_enough_in_the_battery_it_does_not_call() -> None:
    testbed = Testbed(charger("near", stored_wh=80_000), vehicle("v1", stored_wh=45_000))
    testbed.settings = Settings(vehicle_scale=0)
    for _ in range(3):
        testbed.run_tick()
    assert testbed.published(Call) == []


def test_heartbeats_extend_the_lease_while_it_drives() -> None:
    testbed = Testbed(charger("far", stored_wh=90_000, place=(51.0, 10.9)), vehicle("v1", stored_wh=LOW_WH))
    until_the_call(testbed)
    for _ in range(3):
        finish_tick(testbed)
        testbed.run_phases(Phase.BID)
    beats = testbed.published(Heartbeat)
    assert len(beats) >= 2
    assert not beats[0].arrived
    assert ports_of(testbed, "far") == 1


# --- what is refused -------------------------------------------------------------------------------------


def test_a_price_limit_is_kept() -> None:
    testbed = Testbed(
        charger("near", stored_wh=80_000, place=NEAR), vehicle("v1", stored_wh=LOW_WH, limit=209_999)
    )
    call = until_the_call(testbed)
    assert call.limit_ueur_per_kwh == 209_999
    testbed.expect("near", "v1", Decline(call.call, "price"))
    testbed.expect("v1", HOME, Close(call.call))
    testbed.expect_nothing()


def test_an_offer_above_the_limit_is_not_accepted() -> None:
    testbed = Testbed(vehicle("v1", stored_wh=LOW_WH, limit=200_000))
    testbed.deliver("liar", "v1", birth(HOME, Role.CHARGER), f"{HOME}/charger")
    call = until_the_call(testbed)
    testbed.deliver("liar", "v1", Offer(call.call, 30_000, 200_001, testbed.now_ms + 60_000))
    testbed.expect("v1", HOME, Close(call.call))
    testbed.expect_nothing()


@pytest.mark.parametrize(("energy_wh", "price"), [(30_000, 200_001), (30_000, 10**9), (31_000, 100_000)])
def test_a_lease_that_is_worse_than_its_offer_is_cancelled(energy_wh: int, price: int) -> None:
    testbed = Testbed(vehicle("v1", stored_wh=LOW_WH, limit=200_000))
    testbed.deliver("liar", "v1", birth(HOME, Role.CHARGER, NEAR), f"{HOME}/charger")
    call = until_the_call(testbed)
    testbed.deliver("liar", "v1", Offer(call.call, 30_000, 100_000, testbed.now_ms + 60_000))
    expect_acceptance(testbed, "v1", "liar")
    testbed.deliver("liar", "v1", Lease(call.call, energy_wh, price, testbed.now_ms + LEASE_MS))
    session = v1(testbed).reservation.session
    assert session is None or (session.price_ueur_per_kwh <= 100_000 and session.energy_wh <= 30_000)


def test_an_offer_out_of_reach_is_not_accepted() -> None:
    testbed = Testbed(charger("beyond", stored_wh=90_000, place=BEYOND), vehicle("v1", stored_wh=LOW_WH))
    call = until_the_call(testbed)
    testbed.expect_next("beyond", "v1", Offer)
    testbed.expect("v1", HOME, Close(call.call))
    testbed.expect_nothing()
    assert ports_of(testbed, "beyond") == 0


def test_an_offer_smaller_than_the_energy_of_the_way_is_not_accepted() -> None:
    testbed = Testbed(vehicle("v1", stored_wh=LOW_WH))
    testbed.deliver("far", "v1", birth(HOME, Role.CHARGER, (51.0, 10.9)), f"{HOME}/charger")
    call = until_the_call(testbed)
    testbed.deliver("far", "v1", Offer(call.call, 9_000, 100_000, testbed.now_ms + 60_000))
    testbed.expect("v1", HOME, Close(call.call))


def test_an_empty_charger_has_nothing_to_offer() -> None:
    testbed = alone(500)
    call = until_the_call(testbed)
    testbed.expect("near", "v1", Decline(call.call, "energy"))
    testbed.expect("v1", HOME, Close(call.call))


def test_after_each_unsuccessful_call_it_pauses_longer() -> None:
    testbed = alone(0)
    for _ in range(20):
        testbed.run_tick()
        testbed.wait(60_000)
    ticks = [(call.simulated_ms - START_MS) // TICK_MS for call in testbed.published(Call)]
    gaps = [after - before for before, after in pairwise(ticks)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (1, 8)


# --- neighbours ------------------------------------------------------------------------------------------


def test_without_chargers_in_its_own_cell_it_calls_the_neighbours() -> None:
    testbed = Testbed(
        charger("next-door", stored_wh=80_000, place=NEAR, cell="there"),
        vehicle("v1", stored_wh=LOW_WH, cells=(HOME, "there")),
    )
    testbed.run_phases(Phase.BID)
    testbed.wait(MAX_DELAY_MS)
    call = testbed.expect_next("v1", "there", Call)
    testbed.expect_next("next-door", "v1", Offer)
    expect_acceptance(testbed, "v1", "next-door", "there")
    testbed.expect_next("next-door", "v1", Lease)
    testbed.expect("v1", HOME, Close(call.call))
    testbed.expect("v1", "there", Close(call.call))
    testbed.expect_nothing()


def test_declined_in_its_own_cell_it_calls_the_neighbours() -> None:
    testbed = Testbed(
        charger("near", stored_wh=0, place=NEAR),
        charger("next-door", stored_wh=80_000, place=FARTHER, cell="there"),
        vehicle("v1", stored_wh=LOW_WH, cells=(HOME, "there")),
    )
    call = until_the_call(testbed)
    testbed.expect("near", "v1", Decline(call.call, "energy"))
    testbed.expect_next("v1", "there", Call)
    testbed.expect_next("next-door", "v1", Offer)
    expect_acceptance(testbed, "v1", "next-door", "there")
    assert charger_of(testbed) == "next-door"


def test_with_an_offer_in_its_own_cell_the_neighbours_are_not_called() -> None:
    testbed = Testbed(
        charger("near", stored_wh=80_000, place=NEAR),
        charger("next-door", stored_wh=90_000, place=NEAR, cell="there"),
        vehicle("v1", stored_wh=LOW_WH, cells=(HOME, "there")),
    )
    until_the_call(testbed)
    assert charger_of(testbed) == "near"
    assert [scope for _, scope, m in testbed.sent if isinstance(m, Call | Close)] == [HOME, HOME]


# --- silence, loss and failures --------------------------------------------------------------------------


def test_it_does_not_wait_for_a_silent_charger_past_the_timeout() -> None:
    testbed = street()
    testbed.drop(Call, to="near")
    until_the_call(testbed)
    testbed.expect_next("farther", "v1", Offer)
    testbed.expect_nothing()
    assert v1(testbed).waiting
    testbed.wait(ANSWER_TIMEOUT_MS)
    expect_acceptance(testbed, "v1", "farther")
    assert charger_of(testbed) == "farther"


@pytest.mark.parametrize("seconds_per_tick", [60.0, 10.0, 3.0])
def test_it_charges_in_spite_of_a_silent_charger_at_any_speed(seconds_per_tick: float) -> None:
    testbed = Testbed(
        charger("near", stored_wh=80_000, place=NEAR),
        charger("farther", stored_wh=90_000, place=FARTHER),
        vehicle("v1", stored_wh=LOW_WH),
        mode=Mode.SCALED,
        seconds_per_tick=seconds_per_tick,
    )
    testbed.drop(Call, to="near")
    for _ in range(6):
        testbed.run_tick()
    assert len(testbed.published(Bill)) == 1


def test_after_a_silent_best_charger_the_next_best_is_tried() -> None:
    testbed = street()
    testbed.settings = Settings(algorithm="closest")
    testbed.drop(Lease, sender="near")
    call = until_the_call(testbed)
    testbed.unread.clear()
    assert ports_of(testbed, "near") == 1
    testbed.wait(ANSWER_TIMEOUT_MS)
    asked_ms = expect_acceptance(testbed, "v1", "farther").simulated_ms
    testbed.expect("v1", "near", Release(call.call, asked_ms, 0, "cancelled"))
    testbed.skip_to("farther", Lease)
    assert charger_of(testbed) == "farther"
    assert ports_of(testbed, "near") == 0


def test_after_a_declined_acceptance_the_next_best_is_tried() -> None:
    testbed = street()
    testbed.settings = Settings(algorithm="closest")
    testbed.drop(Accept, to="near")
    call = until_the_call(testbed)
    testbed.unread.clear()
    testbed.deliver("near", "v1", Decline(call.call, "unknown"))
    expect_acceptance(testbed, "v1", "farther")
    testbed.expect_next("farther", "v1", Lease)
    testbed.expect("v1", HOME, Close(call.call))
    testbed.expect_nothing()
    assert (ports_of(testbed, "near"), ports_of(testbed, "farther")) == (0, 1)


def test_a_lease_that_comes_too_late_is_cancelled() -> None:
    testbed = alone()
    held = testbed.hold(Lease)
    until_the_call(testbed)
    testbed.wait(ANSWER_TIMEOUT_MS)
    testbed.restore_link()
    testbed.unread.clear()
    testbed.deliver_held(held)
    release = testbed.expect_next("v1", "near", Release)
    assert (release.outcome, release.drawn_wh) == ("cancelled", 0)
    assert charger_of(testbed) is None
    assert set(v1(testbed).refused) == {"late"}
    assert ports_of(testbed) == 0


def test_if_the_charger_goes_offline_on_the_way_the_vehicle_goes_elsewhere() -> None:
    testbed = street()
    testbed.settings = Settings(algorithm="closest")
    until_the_call(testbed)
    assert charger_of(testbed) == "near"
    testbed.take_offline("near")
    for _ in range(MAX_SILENT_TICKS + 2):
        finish_tick(testbed)
        testbed.run_phases(Phase.BID)
    testbed.wait(MAX_DELAY_MS)
    assert [release.outcome for release in testbed.published(Release)][:1] == ["interrupted"]
    assert "farther" in {m.charger for _, _, m in testbed.sent if isinstance(m, Accept)}


def test_a_lost_lease_leads_to_the_next_best_charger() -> None:
    testbed = street()
    testbed.settings = Settings(algorithm="closest")
    call = until_the_call(testbed)
    near = testbed.agents["near"]
    assert isinstance(near, Charger)
    near.reservation_book.reservations.clear()  # it has lost its memory
    near.stored_wh = 0
    testbed.run_phases(Phase.TRADE)
    testbed.begin_phase(Phase.IMPORT)
    testbed.expect_next("v1", "near", Heartbeat)
    testbed.expect("near", "v1", Decline(call.call, "unknown"))
    assert testbed.expect_next("v1", "near", Release).outcome == "interrupted"
    assert charger_of(testbed) is None
    testbed.run_phases(Phase.SETTLE)
    until_the_call(testbed)
    assert charger_of(testbed) == "farther"


def test_the_last_port_goes_to_one_and_then_to_the_other() -> None:
    testbed = Testbed(
        charger("near", stored_wh=100_000, place=NEAR, ports=1),
        vehicle("v1", stored_wh=LOW_WH),
        vehicle("v2", stored_wh=LOW_WH),
    )
    for _ in range(20):
        testbed.run_tick()
        assert ports_of(testbed) <= 1
    assert {scope for _, scope, m in testbed.sent if isinstance(m, Bill)} == {"v1", "v2"}
    assert "port" in {m.reason for m in testbed.published(Decline)}
    check_accounts(testbed)


def test_two_at_once_for_the_last_port() -> None:
    testbed = Testbed(
        charger("near", stored_wh=100_000, place=NEAR, ports=1),
        vehicle("v1", stored_wh=LOW_WH),
        vehicle("v2", stored_wh=LOW_WH),
    )
    held = testbed.hold(Accept)
    testbed.run_phases(Phase.BID)
    testbed.wait_for(Accept)
    first = testbed.unread[-1][0]
    second = "v2" if first == "v1" else "v1"
    testbed.unread.clear()
    v1(testbed, second).search.call(testbed.now_ms)
    negotiation = v1(testbed, second).search.negotiation
    assert negotiation is not None
    call = negotiation.call
    testbed.deliver(second, "near", call, HOME)
    testbed.expect("near", second, Decline(call.call, "port"))
    testbed.expect(second, HOME, Close(call.call))
    testbed.restore_link()
    testbed.deliver_held(held)
    testbed.expect_next("near", first, Lease)
    testbed.expect_next(first, HOME, Close)
    testbed.expect_nothing()
    assert ports_of(testbed) == 1


def test_an_offline_vehicles_port_is_free_when_the_lease_ends() -> None:
    testbed = alone()
    call = until_the_call(testbed)
    assert ports_of(testbed) == 1
    testbed.take_offline("v1")
    finish_tick(testbed)
    testbed.run_tick()
    assert ports_of(testbed) == 1
    testbed.run_tick()
    testbed.wait_until(call.simulated_ms + LEASE_MS)
    testbed.run_tick()
    assert ports_of(testbed) == 0
    assert testbed.published(ChargerState)[-1].ports_reserved == 0


def test_a_vehicle_stranded_on_the_way_releases_its_port() -> None:
    testbed = alone()
    until_the_call(testbed)
    car = v1(testbed)
    car.trip.stored_wh, car.trip.journey = 500, None  # a leak: what is left does not lead to the charger
    assert car.reservation.session is not None
    lease = Lease(
        car.reservation.session.call,
        car.reservation.session.energy_wh,
        car.reservation.session.price_ueur_per_kwh,
        testbed.now_ms,
    )
    car.on_reserved(car.reservation.session.charger, lease, birth(HOME, Role.CHARGER, NEAR), testbed.now_ms)
    for _ in range(12):
        finish_tick(testbed)
        testbed.run_phases(Phase.BID)
    assert car.trip.status is VehicleStatus.STRANDED
    assert ports_of(testbed) == 0


@pytest.mark.parametrize("lost", [Bill, Release, Heartbeat, Lease])
def test_one_lost_message_changes_no_account(lost: type[Message]) -> None:
    testbed = alone()
    until_the_call(testbed)
    testbed.wait(500_000)
    for _ in range(6):
        testbed.drop(lost)
        testbed.begin_phase(Phase.IMPORT)
        testbed.wait(ANSWER_TIMEOUT_MS - 1)
        testbed.restore_link()
        testbed.begin_phase(Phase.SETTLE)
        testbed.begin_phase(Phase.BID)
    finish_tick(testbed)
    check_accounts(testbed)


def test_a_lost_bill_is_requested_again_and_paid() -> None:
    testbed = alone()
    testbed.drop(Bill)
    until_the_call(testbed)
    for _ in range(8):
        finish_tick(testbed)
        if testbed.published(Bill):
            testbed.restore_link()
        testbed.run_phases(Phase.BID)
    finish_tick(testbed)
    assert testbed.published(Bill)
    check_accounts(testbed)


RESERVING = [Call, Offer, Decline, Accept, Lease, Heartbeat, Release, Bill, Close]


@given(st.sets(st.sampled_from(RESERVING), min_size=1), st.integers(0, 20), st.integers(1, 12), st.booleans())
def test_after_losses_end_the_accounts_agree(
    lost: set[type[Message]], from_step: int, steps: int, both: bool
) -> None:
    testbed = street() if both else alone()
    phases = [Phase.BID, Phase.TRADE, Phase.IMPORT, Phase.SETTLE]
    for step in range(48):
        if step == from_step:
            for kind in sorted(lost, key=lambda kind: kind.TYPE):
                testbed.drop(kind)
        if step == from_step + steps:
            testbed.restore_link()
        testbed.begin_phase(phases[step % 4])
        testbed.wait(100_000)
    check_accounts(testbed)


# --- bounds ----------------------------------------------------------------------------------------------


def test_a_new_run_at_an_earlier_time_does_not_fill_the_battery() -> None:
    testbed = alone()
    car = v1(testbed)
    car.trip.destination = FARTHER
    testbed.begin_phase(Phase.BID, 100)
    car.plan(testbed.now_ms + 1, car.trip.set_out)
    testbed.wait(10_000)
    testbed.tick, testbed.phase = 0, Phase.SETTLE
    again = testbed.tick_message(epoch=1)
    ((_, state),) = car.handle("", "clock", again, again.simulated_ms)  # a new run of the clock
    assert isinstance(state, VehicleState)
    assert state.stored_wh <= LOW_WH
    assert state.driven_wh >= 0


def test_in_a_new_run_of_the_clock_a_vehicle_calls_again() -> None:
    testbed = alone(0)
    testbed.begin_phase(Phase.BID, 1000)
    testbed.wait(MAX_DELAY_MS)
    assert len(testbed.published(Call)) == 1
    for tick in range(12):
        testbed.tick, testbed.phase = tick, Phase.BID
        message = testbed.tick_message(epoch=1)
        car = v1(testbed)
        car.handle("", "clock", message, message.simulated_ms)
        out = car.wake(message.simulated_ms + MAX_DELAY_MS)
        if [m for _, m in out if isinstance(m, Call)]:
            return
    pytest.fail("it never calls again")


def test_a_new_run_of_the_clock_ends_the_reservation() -> None:
    testbed = alone()
    until_the_call(testbed)
    car = v1(testbed)
    assert charger_of(testbed) == "near"
    testbed.tick, testbed.phase = 0, Phase.IMPORT
    again = testbed.tick_message(epoch=1)
    assert car.handle("", "clock", again, again.simulated_ms) == []
    assert charger_of(testbed) is None
    assert car.event_ms is None


def test_a_battery_gains_what_was_drawn_less_the_loss() -> None:
    testbed = alone()
    until_the_call(testbed)
    for _ in range(8):
        finish_tick(testbed)
        testbed.run_phases(Phase.BID)
    finish_tick(testbed)
    drawn_wh = sum(state.drawn_wh for state in testbed.published(VehicleState))
    loss_wh = sum(state.charge_loss_wh for state in testbed.published(VehicleState))
    assert drawn_wh > 30_000
    assert drawn_wh - loss_wh == stored_from(drawn_wh)


def test_what_is_late_or_for_another_call_is_counted() -> None:
    testbed = alone()
    for message in (Offer(9, 1, 1, 1), Decline(9, "port"), Bill(9, 1, 1)):
        testbed.deliver("near", "v1", message)
    testbed.expect_nothing()
    testbed.deliver("near", "v1", Lease(9, 1, 1, 1))
    assert testbed.expect_next("v1", "near", Release).outcome == "cancelled"
    testbed.expect("near", "v1", Decline(9, "unknown"))
    assert v1(testbed).refused == {"late": 5}


def test_a_charger_that_goes_offline_before_its_offer_is_not_waited_for() -> None:
    testbed = Testbed(vehicle("v1", stored_wh=LOW_WH, limit=400_000))
    for name in ("one", "two"):
        testbed.deliver(name, "v1", birth(HOME, Role.CHARGER, NEAR), f"{HOME}/charger")
    call = until_the_call(testbed)
    for name in ("one", "two"):
        testbed.deliver(name, "v1", Offer(call.call, 30_000, 100_000, testbed.now_ms + 60_000))
    expect_acceptance(testbed, "v1", "one")
    for name in ("two", "one"):
        online = birth(HOME, Role.CHARGER, NEAR)
        testbed.deliver(name, "v1", replace(online, online=False), f"{HOME}/charger")
    testbed.expect("v1", HOME, Close(call.call))
    assert v1(testbed).search.negotiation is None
    assert not v1(testbed).waiting
