"""A vehicle and chargers as a script: call, offer, lease, way, charge, bill; and everything that goes wrong."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import (
    Accept,
    Algorithm,
    Bill,
    Call,
    ChargerState,
    Close,
    Decline,
    Heartbeat,
    Kind,
    Lease,
    Message,
    Mode,
    Offer,
    Phase,
    Release,
    Settings,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS, cost_neur
from gridfleet.devices.agents.base import ANSWER_TIMEOUT_MS
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.trip import VehicleStatus
from gridfleet.devices.agents.vehicle import MAX_DELAY_MS, Vehicle
from gridfleet.devices.agents.vehicle_reservation import MAX_SILENT_TICKS
from gridfleet.devices.charging.reservation import LEASE_MS
from gridfleet.devices.physics.battery import stored_from
from tests.devices.script import HOME, LEAF, START_MS, Stage, birth, charger, vehicle

NEAR = (51.0, 10.1)  # 7 km
FARTHER = (51.0, 10.3)  # 21 km
BEYOND = (51.0, 17.0)  # 490 km
LOW_WH = 14_000  # 28 % of 50 kWh: about 85 km


def street(*, near_wh: int = 80_000, farther_wh: int = 90_000, ports: int = 2) -> Stage:
    """A vehicle that runs low, a charger near by at 1.01 − 0.8 EUR, and one farther and cheaper."""
    return Stage(
        charger("near", stored_wh=near_wh, place=NEAR, ports=ports),
        charger("farther", stored_wh=farther_wh, place=FARTHER, ports=ports),
        vehicle("v1", stored_wh=LOW_WH),
    )


def alone(stored_wh: int = 80_000, **traits: int) -> Stage:
    return Stage(
        charger("near", stored_wh=stored_wh, place=NEAR, ports=traits.get("ports", 1)),
        vehicle("v1", stored_wh=LOW_WH),
    )


def until_the_call(stage: Stage) -> Call:
    """A tick begins, and some minutes later the vehicle calls."""
    stage.play(Phase.BID)
    stage.wait_for(Call, MAX_DELAY_MS)
    return stage.skips_to("v1", Call)


def v1(stage: Stage, name: str = "v1") -> Vehicle:
    agent = stage.agents[name]
    assert isinstance(agent, Vehicle)
    return agent


def ports_of(stage: Stage, name: str = "near") -> int:
    agent = stage.agents[name]
    assert isinstance(agent, Charger)
    return len(agent.reservation_book.reservations)


def charger_of(stage: Stage, name: str = "v1") -> str | None:
    session = v1(stage, name).reservation.session
    return session.charger if session is not None else None


def rest(stage: Stage) -> None:
    """The tick plays to its end."""
    stage.play(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    stage.wait_until(START_MS + (stage.tick + 1) * TICK_MS - 1)
    stage.lines.clear()


def books_agree(stage: Stage) -> None:
    """What chargers delivered and earned is what vehicles drew and paid, and batteries changed by just that."""
    sold, bought = stage.said(ChargerState), stage.said(VehicleState)
    assert sum(s.delivered_wh for s in sold) == sum(s.drawn_wh for s in bought)
    assert sum(s.earned_neur for s in sold) == sum(s.paid_neur for s in bought)
    for name, agent in stage.agents.items():
        if isinstance(agent, Vehicle):
            before = LOW_WH
            for state in stage.said(VehicleState, sender=name):
                assert state.stored_wh == before + state.drawn_wh - state.charge_loss_wh - state.driven_wh
                assert 0 <= state.stored_wh <= state.capacity_wh
                before = state.stored_wh
    for charging in sold:
        assert 0 <= charging.stored_wh <= charging.capacity_wh
        assert charging.ports_reserved <= charging.ports


# --- as it should be -------------------------------------------------------------------------------------


def test_from_low_battery_to_the_bill() -> None:
    stage = alone()

    stage.begin(Phase.BID)
    stage.lines.clear()
    stage.wait(MAX_DELAY_MS)
    call = stage.hears("v1", HOME, Call)
    offer = stage.hears("near", "v1", Offer)
    assert (offer.price_ueur_per_kwh, offer.call) == (210_000, call.call)
    assert call.energy_wh < offer.energy_wh <= call.energy_wh + 2_000  # the way included
    stage.says("v1", "near", Accept(call.call, call.simulated_ms))
    stage.says("near", "v1", Lease(call.call, offer.energy_wh, 210_000, call.simulated_ms + LEASE_MS))
    stage.says("v1", HOME, Close(call.call))
    stage.is_silent()
    assert v1(stage).trip.status is VehicleStatus.HEADING

    stage.wait(500_000)
    plugged = stage.hears("v1", "near", Heartbeat)
    assert (plugged.arrived, plugged.drawn_wh) == (True, 0)
    stage.hears("near", "v1", Lease)
    stage.is_silent()
    assert v1(stage).trip.status is VehicleStatus.CHARGING
    assert (v1(stage).latitude, v1(stage).longitude) == NEAR

    for _ in range(4):
        stage.begin(Phase.IMPORT)
        stage.begin(Phase.SETTLE)
        stage.begin(Phase.BID)
    release = stage.skips_to("v1", Release)
    bill = stage.skips_to("near", Bill)
    assert release.outcome == "charged"
    assert bill == Bill(call.call, release.drawn_wh, cost_neur(release.drawn_wh, 210_000))
    assert v1(stage).trip.stored_wh == pytest.approx(0.95 * LEAF.capacity_wh, abs=50)
    assert v1(stage).trip.status is VehicleStatus.PARKED
    assert ports_of(stage) == 0
    rest(stage)
    books_agree(stage)
    assert v1(stage).balance_neur == -bill.amount_neur
    assert len(stage.said(Bill)) == 1
    assert all(not agent.refused for agent in stage.agents.values())


def test_it_drives_on_to_its_destination() -> None:
    stage = Stage(charger("near", stored_wh=80_000, place=NEAR), vehicle("v1", stored_wh=15_500))
    car = v1(stage)
    car.trip.destination = (51.0, 10.6)
    stage.begin(Phase.BID)
    car.plan(stage.now_ms + 1, car.trip.set_out)
    stage.lines.clear()
    rest(stage)
    for _ in range(8):
        stage.whole_tick()
    assert [release.outcome for release in stage.said(Release)] == ["charged"]
    assert stage.said(Call)[0].longitude > 10.0  # it was on its way
    assert (car.latitude, car.longitude) == (51.0, 10.6)
    assert car.trip.status is VehicleStatus.PARKED
    first = stage.said(VehicleState)[0]
    assert first.destination == (51.0, 10.6)


@pytest.mark.parametrize(
    ("algorithm", "taken"),
    [
        (Algorithm.CLOSEST, "near"),
        (Algorithm.CHEAPEST, "farther"),
        (Algorithm.BEST, "farther"),
        (Algorithm.WEIGHTED, "near"),
    ],
)
def test_it_takes_the_offer_its_algorithm_prefers(algorithm: Algorithm, taken: str) -> None:
    stage = street()
    stage.settings = Settings(algorithm=algorithm)
    until_the_call(stage)
    assert charger_of(stage) == taken
    assert (ports_of(stage, "near"), ports_of(stage, "farther")) == ((1, 0) if taken == "near" else (0, 1))
    assert len(stage.said(Accept)) == 1


def test_enough_in_the_battery_and_it_does_not_call() -> None:
    stage = Stage(charger("near", stored_wh=80_000), vehicle("v1", stored_wh=45_000))
    stage.settings = Settings(vehicle_scale=0)
    for _ in range(3):
        stage.whole_tick()
    assert stage.said(Call) == []


def test_the_lease_lives_on_heartbeats_while_it_drives() -> None:
    stage = Stage(charger("far", stored_wh=90_000, place=(51.0, 10.9)), vehicle("v1", stored_wh=LOW_WH))
    until_the_call(stage)
    for _ in range(3):
        rest(stage)
        stage.play(Phase.BID)
    beats = stage.said(Heartbeat)
    assert len(beats) >= 2
    assert not beats[0].arrived
    assert ports_of(stage, "far") == 1


# --- what is refused -------------------------------------------------------------------------------------


def test_a_price_limit_is_kept() -> None:
    stage = Stage(
        charger("near", stored_wh=80_000, place=NEAR), vehicle("v1", stored_wh=LOW_WH, limit=209_999)
    )
    call = until_the_call(stage)
    assert call.limit_ueur_per_kwh == 209_999
    stage.says("near", "v1", Decline(call.call, "price"))
    stage.says("v1", HOME, Close(call.call))
    stage.is_silent()


def test_an_offer_above_the_limit_is_not_accepted() -> None:
    stage = Stage(vehicle("v1", stored_wh=LOW_WH, limit=200_000))
    stage.hand("liar", "v1", birth(HOME, Kind.CHARGER), f"{HOME}/charger")
    call = until_the_call(stage)
    stage.hand("liar", "v1", Offer(call.call, 30_000, 200_001, stage.now_ms + 60_000))
    stage.says("v1", HOME, Close(call.call))
    stage.is_silent()


@pytest.mark.parametrize(("energy_wh", "price"), [(30_000, 200_001), (30_000, 10**9), (31_000, 100_000)])
def test_a_lease_that_is_worse_than_its_offer_is_not_kept(energy_wh: int, price: int) -> None:
    stage = Stage(vehicle("v1", stored_wh=LOW_WH, limit=200_000))
    stage.hand("liar", "v1", birth(HOME, Kind.CHARGER, NEAR), f"{HOME}/charger")
    call = until_the_call(stage)
    stage.hand("liar", "v1", Offer(call.call, 30_000, 100_000, stage.now_ms + 60_000))
    stage.hears("v1", "liar", Accept)
    stage.hand("liar", "v1", Lease(call.call, energy_wh, price, stage.now_ms + LEASE_MS))
    session = v1(stage).reservation.session
    assert session is None or (session.price_ueur_per_kwh <= 100_000 and session.energy_wh <= 30_000)


def test_an_offer_out_of_reach_is_not_accepted() -> None:
    stage = Stage(charger("beyond", stored_wh=90_000, place=BEYOND), vehicle("v1", stored_wh=LOW_WH))
    call = until_the_call(stage)
    stage.hears("beyond", "v1", Offer)
    stage.says("v1", HOME, Close(call.call))
    stage.is_silent()
    assert ports_of(stage, "beyond") == 0


def test_an_offer_that_does_not_pay_for_its_way_is_not_accepted() -> None:
    stage = Stage(vehicle("v1", stored_wh=LOW_WH))
    stage.hand("far", "v1", birth(HOME, Kind.CHARGER, (51.0, 10.9)), f"{HOME}/charger")
    call = until_the_call(stage)
    stage.hand("far", "v1", Offer(call.call, 9_000, 100_000, stage.now_ms + 60_000))
    stage.says("v1", HOME, Close(call.call))


def test_an_empty_charger_has_nothing_to_offer() -> None:
    stage = alone(500)
    call = until_the_call(stage)
    stage.says("near", "v1", Decline(call.call, "energy"))
    stage.says("v1", HOME, Close(call.call))


def test_after_a_vain_call_it_waits_longer_and_longer() -> None:
    stage = alone(0)
    for _ in range(20):
        stage.whole_tick()
        stage.wait(60_000)
    ticks = [(call.simulated_ms - START_MS) // TICK_MS for call in stage.said(Call)]
    gaps = [after - before for before, after in pairwise(ticks)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (1, 8)


# --- neighbours ------------------------------------------------------------------------------------------


def test_nobody_in_its_own_cell_and_the_neighbours_are_asked() -> None:
    stage = Stage(
        charger("next-door", stored_wh=80_000, place=NEAR, cell="there"),
        vehicle("v1", stored_wh=LOW_WH, cells=(HOME, "there")),
    )
    stage.play(Phase.BID)
    stage.wait(MAX_DELAY_MS)
    call = stage.hears("v1", "there", Call)
    stage.hears("next-door", "v1", Offer)
    stage.hears("v1", "next-door", Accept)
    stage.hears("next-door", "v1", Lease)
    stage.says("v1", HOME, Close(call.call))
    stage.says("v1", "there", Close(call.call))
    stage.is_silent()


def test_declined_in_its_own_cell_it_asks_the_neighbours() -> None:
    stage = Stage(
        charger("near", stored_wh=0, place=NEAR),
        charger("next-door", stored_wh=80_000, place=FARTHER, cell="there"),
        vehicle("v1", stored_wh=LOW_WH, cells=(HOME, "there")),
    )
    call = until_the_call(stage)
    stage.says("near", "v1", Decline(call.call, "energy"))
    stage.hears("v1", "there", Call)
    stage.hears("next-door", "v1", Offer)
    stage.hears("v1", "next-door", Accept)
    assert charger_of(stage) == "next-door"


def test_with_an_offer_at_home_the_neighbours_are_not_bothered() -> None:
    stage = Stage(
        charger("near", stored_wh=80_000, place=NEAR),
        charger("next-door", stored_wh=90_000, place=NEAR, cell="there"),
        vehicle("v1", stored_wh=LOW_WH, cells=(HOME, "there")),
    )
    until_the_call(stage)
    assert charger_of(stage) == "near"
    assert [scope for _, scope, m in stage.all if isinstance(m, Call | Close)] == [HOME, HOME]


# --- silence, loss and death -----------------------------------------------------------------------------


def test_it_does_not_wait_for_a_silent_charger_past_its_patience() -> None:
    stage = street()
    stage.loses(Call, to="near")
    until_the_call(stage)
    stage.hears("farther", "v1", Offer)
    stage.is_silent()
    assert v1(stage).waiting
    stage.wait(ANSWER_TIMEOUT_MS)
    stage.hears("v1", "farther", Accept)
    assert charger_of(stage) == "farther"


@pytest.mark.parametrize("seconds_per_tick", [60.0, 10.0, 3.0])
def test_a_silent_charger_does_not_keep_it_from_charging_at_any_speed(seconds_per_tick: float) -> None:
    stage = Stage(
        charger("near", stored_wh=80_000, place=NEAR),
        charger("farther", stored_wh=90_000, place=FARTHER),
        vehicle("v1", stored_wh=LOW_WH),
        mode=Mode.SCALED,
        seconds_per_tick=seconds_per_tick,
    )
    stage.loses(Call, to="near")
    for _ in range(6):
        stage.whole_tick()
    assert len(stage.said(Bill)) == 1


def test_a_silent_best_charger_gives_way_to_the_next_best() -> None:
    stage = street()
    stage.settings = Settings(algorithm=Algorithm.CLOSEST)
    stage.loses(Lease, sender="near")
    call = until_the_call(stage)
    stage.lines.clear()
    assert ports_of(stage, "near") == 1
    stage.wait(ANSWER_TIMEOUT_MS)
    asked_ms = stage.hears("v1", "farther", Accept).simulated_ms
    stage.says("v1", "near", Release(call.call, asked_ms, 0, "cancelled"))
    stage.skips_to("farther", Lease)
    assert charger_of(stage) == "farther"
    assert ports_of(stage, "near") == 0


def test_a_refused_acceptance_gives_way_to_the_next_best() -> None:
    stage = street()
    stage.settings = Settings(algorithm=Algorithm.CLOSEST)
    stage.loses(Accept, to="near")
    call = until_the_call(stage)
    stage.lines.clear()
    stage.hand("near", "v1", Decline(call.call, "unknown"))
    stage.hears("v1", "farther", Accept)
    stage.hears("farther", "v1", Lease)
    stage.says("v1", HOME, Close(call.call))
    stage.is_silent()
    assert (ports_of(stage, "near"), ports_of(stage, "farther")) == (0, 1)


def test_a_lease_that_comes_too_late_is_given_back() -> None:
    stage = alone()
    held = stage.holds(Lease)
    until_the_call(stage)
    stage.wait(ANSWER_TIMEOUT_MS)
    stage.mended()
    stage.lines.clear()
    stage.arrives(held)
    release = stage.hears("v1", "near", Release)
    assert (release.outcome, release.drawn_wh) == ("cancelled", 0)
    assert charger_of(stage) is None
    assert set(v1(stage).refused) == {"late"}
    assert ports_of(stage) == 0


def test_a_charger_that_dies_on_the_way_sends_the_vehicle_on() -> None:
    stage = street()
    stage.settings = Settings(algorithm=Algorithm.CLOSEST)
    until_the_call(stage)
    assert charger_of(stage) == "near"
    stage.dies("near")
    for _ in range(MAX_SILENT_TICKS + 2):
        rest(stage)
        stage.play(Phase.BID)
    stage.wait(MAX_DELAY_MS)
    assert [release.outcome for release in stage.said(Release)][:1] == ["interrupted"]
    assert "farther" in {scope for _, scope, m in stage.all if isinstance(m, Accept)}


def test_a_lost_lease_leads_to_the_next_best_charger() -> None:
    stage = street()
    stage.settings = Settings(algorithm=Algorithm.CLOSEST)
    call = until_the_call(stage)
    near = stage.agents["near"]
    assert isinstance(near, Charger)
    near.reservation_book.reservations.clear()  # it has forgotten
    near.stored_wh = 0
    stage.play(Phase.TRADE)
    stage.begin(Phase.IMPORT)
    stage.hears("v1", "near", Heartbeat)
    stage.says("near", "v1", Decline(call.call, "unknown"))
    assert stage.hears("v1", "near", Release).outcome == "interrupted"
    assert charger_of(stage) is None
    stage.play(Phase.SETTLE)
    until_the_call(stage)
    assert charger_of(stage) == "farther"


def test_the_last_port_goes_to_one_and_then_to_the_other() -> None:
    stage = Stage(
        charger("near", stored_wh=100_000, place=NEAR, ports=1),
        vehicle("v1", stored_wh=LOW_WH),
        vehicle("v2", stored_wh=LOW_WH),
    )
    for _ in range(20):
        stage.whole_tick()
        assert ports_of(stage) <= 1
    assert {scope for _, scope, m in stage.all if isinstance(m, Bill)} == {"v1", "v2"}
    assert "port" in {m.reason for m in stage.said(Decline)}
    books_agree(stage)


def test_two_at_once_for_the_last_port() -> None:
    stage = Stage(
        charger("near", stored_wh=100_000, place=NEAR, ports=1),
        vehicle("v1", stored_wh=LOW_WH),
        vehicle("v2", stored_wh=LOW_WH),
    )
    held = stage.holds(Accept)
    stage.play(Phase.BID)
    stage.wait_for(Accept)
    first = stage.lines[-1][0]
    second = "v2" if first == "v1" else "v1"
    stage.lines.clear()
    v1(stage, second).search.call(stage.now_ms)
    negotiation = v1(stage, second).search.negotiation
    assert negotiation is not None
    call = negotiation.call
    stage.hand(second, "near", call, HOME)
    stage.says("near", second, Decline(call.call, "port"))
    stage.says(second, HOME, Close(call.call))
    stage.mended()
    stage.arrives(held)
    stage.hears("near", first, Lease)
    stage.hears(first, HOME, Close)
    stage.is_silent()
    assert ports_of(stage) == 1


def test_a_dead_vehicle_frees_its_port_with_the_lease() -> None:
    stage = alone()
    call = until_the_call(stage)
    assert ports_of(stage) == 1
    stage.dies("v1")
    rest(stage)
    stage.whole_tick()
    assert ports_of(stage) == 1
    stage.whole_tick()
    stage.wait_until(call.simulated_ms + LEASE_MS)
    stage.whole_tick()
    assert ports_of(stage) == 0
    assert stage.said(ChargerState)[-1].ports_reserved == 0


def test_a_vehicle_stranded_on_the_way_does_not_keep_its_port_for_ever() -> None:
    stage = alone()
    until_the_call(stage)
    car = v1(stage)
    car.trip.stored_wh, car.trip.journey = 500, None  # a leak: what is left does not lead to the charger
    assert car.reservation.session is not None
    lease = Lease(
        car.reservation.session.call,
        car.reservation.session.energy_wh,
        car.reservation.session.price_ueur_per_kwh,
        stage.now_ms,
    )
    car.on_reserved(car.reservation.session.charger, lease, birth(HOME, Kind.CHARGER, NEAR), stage.now_ms)
    for _ in range(12):
        rest(stage)
        stage.play(Phase.BID)
    assert car.trip.status is VehicleStatus.STRANDED
    assert ports_of(stage) == 0


@pytest.mark.parametrize("lost", [Bill, Release, Heartbeat, Lease])
def test_a_message_lost_once_changes_no_books(lost: type[Message]) -> None:
    stage = alone()
    until_the_call(stage)
    stage.wait(500_000)
    for _ in range(6):
        stage.loses(lost)
        stage.begin(Phase.IMPORT)
        stage.wait(ANSWER_TIMEOUT_MS - 1)
        stage.mended()
        stage.begin(Phase.SETTLE)
        stage.begin(Phase.BID)
    rest(stage)
    books_agree(stage)


def test_a_lost_bill_is_asked_for_again_and_paid() -> None:
    stage = alone()
    stage.loses(Bill)
    until_the_call(stage)
    for _ in range(8):
        rest(stage)
        if stage.said(Bill):
            stage.mended()
        stage.play(Phase.BID)
    rest(stage)
    assert stage.said(Bill)
    books_agree(stage)


RESERVING = [Call, Offer, Decline, Accept, Lease, Heartbeat, Release, Bill, Close]


@given(st.sets(st.sampled_from(RESERVING), min_size=1), st.integers(0, 20), st.integers(1, 12), st.booleans())
def test_after_any_loss_ends_the_books_agree(
    lost: set[type[Message]], from_step: int, steps: int, both: bool
) -> None:
    stage = street() if both else alone()
    phases = [Phase.BID, Phase.TRADE, Phase.IMPORT, Phase.SETTLE]
    for step in range(48):
        if step == from_step:
            for kind in sorted(lost, key=lambda kind: kind.TYPE):
                stage.loses(kind)
        if step == from_step + steps:
            stage.mended()
        stage.begin(phases[step % 4])
        stage.wait(100_000)
    books_agree(stage)


# --- bounds ----------------------------------------------------------------------------------------------


def test_time_that_goes_back_does_not_fill_the_battery() -> None:
    stage = alone()
    car = v1(stage)
    car.trip.destination = FARTHER
    stage.begin(Phase.BID, 100)
    car.plan(stage.now_ms + 1, car.trip.set_out)
    stage.wait(10_000)
    stage.tick, stage.phase = 0, Phase.SETTLE
    again = stage.tick_message(epoch=1)
    ((_, state),) = car.handle("", "clock", again, again.simulated_ms)  # a new run of the clock
    assert isinstance(state, VehicleState)
    assert state.stored_wh <= LOW_WH
    assert state.driven_wh >= 0


def test_a_new_run_of_the_clock_does_not_keep_a_vehicle_from_calling() -> None:
    stage = alone(0)
    stage.begin(Phase.BID, 1000)
    stage.wait(MAX_DELAY_MS)
    assert len(stage.said(Call)) == 1
    for tick in range(12):
        stage.tick, stage.phase = tick, Phase.BID
        message = stage.tick_message(epoch=1)
        car = v1(stage)
        car.handle("", "clock", message, message.simulated_ms)
        out = car.wake(message.simulated_ms + MAX_DELAY_MS)
        if [m for _, m in out if isinstance(m, Call)]:
            return
    pytest.fail("it never calls again")


def test_a_battery_gains_what_was_drawn_less_the_loss() -> None:
    stage = alone()
    until_the_call(stage)
    for _ in range(8):
        rest(stage)
        stage.play(Phase.BID)
    rest(stage)
    drawn_wh = sum(state.drawn_wh for state in stage.said(VehicleState))
    loss_wh = sum(state.charge_loss_wh for state in stage.said(VehicleState))
    assert drawn_wh > 30_000
    assert drawn_wh - loss_wh == stored_from(drawn_wh)


def test_what_is_late_or_for_another_call_is_counted() -> None:
    stage = alone()
    for message in (Offer(9, 1, 1, 1), Decline(9, "port"), Bill(9, 1, 1)):
        stage.hand("near", "v1", message)
    stage.is_silent()
    stage.hand("near", "v1", Lease(9, 1, 1, 1))
    assert stage.hears("v1", "near", Release).outcome == "cancelled"
    stage.says("near", "v1", Decline(9, "unknown"))
    assert v1(stage).refused == {"late": 5}


def test_a_charger_that_dies_while_it_is_asked_is_not_waited_for() -> None:
    stage = Stage(vehicle("v1", stored_wh=LOW_WH, limit=400_000))
    for name in ("one", "two"):
        stage.hand(name, "v1", birth(HOME, Kind.CHARGER, NEAR), f"{HOME}/charger")
    call = until_the_call(stage)
    for name in ("one", "two"):
        stage.hand(name, "v1", Offer(call.call, 30_000, 100_000, stage.now_ms + 60_000))
    stage.hears("v1", "one", Accept)
    for name in ("two", "one"):
        gone = birth(HOME, Kind.CHARGER, NEAR)
        stage.hand(name, "v1", replace(gone, online=False), f"{HOME}/charger")
    stage.says("v1", HOME, Close(call.call))
    assert v1(stage).search.negotiation is None
    assert not v1(stage).waiting
