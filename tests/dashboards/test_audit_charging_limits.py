"""The audit of charging where clocks differ, devices restart, and messages or limits are no longer known."""

from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import Bill, Decline, Lease
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.leases import UNCERTAIN_TICKS
from gridfleet.dashboards.audit.meters import KEPT_TICKS
from gridfleet.dashboards.audit.window import TickWindow
from tests.dashboards.test_audit_charging import (
    CALL,
    CAR,
    CHARGER,
    ENERGY_WH,
    KEY,
    LEASE,
    NOW_MS,
    OFFER,
    PRICE,
    STATE,
    TICK,
    UNTIL_MS,
    VEHICLE,
    Charging,
)

UNKNOWN = replace(LEASE, call=CALL + 1)
"""A lease that nobody offered."""
METERED = replace(LEASE, metered=True, drawn_wh=5_000)
SLACK_MS = 10


def ports(charging: Charging, number: int, now_ms: int = NOW_MS) -> set[str]:
    """Return what is broken when a charger with this number of ports is checked."""
    charging.leases.on_ports(CHARGER, number)
    charging.leases.check_ports(CHARGER, now_ms, TICK)
    return charging.broken


def delivery(
    charging: Charging, delivered_wh: int, tick: int = TICK, drawn_wh: int | None = None
) -> set[str]:
    """Return what is broken by these accounts of charger and vehicle."""
    window = TickWindow()
    window.states[CHARGER] = replace(STATE, delivered_wh=delivered_wh)
    window.states[VEHICLE] = replace(CAR, drawn_wh=delivered_wh if drawn_wh is None else drawn_wh)
    charging.meters.check_accounts(tick, window)
    return charging.broken


# --- what is not known ---


@pytest.mark.parametrize("tick", [0, 1, 2])
def test_without_a_gap_every_tick_is_judged_from_the_first(tick: int) -> None:
    assert Charging().lease(UNKNOWN, tick=tick).broken == {"reservations"}
    charging = Charging()
    charging.leases.on_account(NOW_MS, CHARGER, replace(STATE, tick=tick, ports_reserved=2))
    assert charging.broken == {"leases"}


def test_after_a_gap_a_charger_may_count_unknown_reservations_for_some_ticks() -> None:
    end = TICK + UNCERTAIN_TICKS
    for tick, broken in ((TICK, set()), (TICK + 1, set()), (end, set()), (end + 1, {"leases"})):
        charging = Charging()
        charging.leases.on_gap(TICK)
        charging.leases.on_account(NOW_MS, CHARGER, replace(STATE, tick=tick))
        assert charging.broken == broken


def test_a_call_that_was_received_after_the_gap_is_certain() -> None:
    charging = Charging()
    charging.leases.on_gap(TICK)
    charging.leases.on_call(TICK, VEHICLE, CALL, PRICE)
    assert charging.lease().broken == {"reservations"}


def test_the_price_limit_of_a_call_is_known_in_its_tick() -> None:
    for forgotten, broken in ((TICK, {"reservations"}), (TICK + 1, set())):
        charging = Charging(exact=False)
        charging.leases.on_call(TICK, VEHICLE, CALL, PRICE - 1)
        charging.leases.prune(forgotten, NOW_MS)
        assert charging.lease(tick=forgotten).broken == broken


@pytest.mark.parametrize("device", [CHARGER, VEHICLE])
def test_a_device_that_restarted_in_any_tick_before_may_use_a_call_again(device: str) -> None:
    before = -1  # a birth before the first tick is no restart
    for tick, broken in ((before, {"reservations"}), (0, set()), (TICK, set()), (TICK + 1, {"reservations"})):
        charging = Charging()
        charging.lifecycle.note(device, tick, online=True)
        assert charging.lease(UNKNOWN).broken == broken


def test_a_charger_that_restarted_may_bill_a_lease_from_before() -> None:
    for tick, broken in ((0, set()), (TICK, set()), (TICK + 1, {"reservations"})):
        charging = Charging()
        charging.lifecycle.note(CHARGER, tick, online=True)
        assert charging.bill(1).broken == broken


def test_a_vehicle_that_restarted_in_the_first_tick_may_count_from_0() -> None:
    for tick, broken in ((-1, {"reservations"}), (0, set())):
        charging = Charging().draw(5_000)
        charging.lifecycle.note(VEHICLE, tick, online=True)
        assert charging.draw(1).broken == broken


def test_a_renewed_lease_is_certain_again() -> None:
    charging = Charging().lease()
    charging.leases.on_restart(CHARGER)
    assert ports(charging, 0) == set()
    assert ports(charging.lease(), 0) == {"ports"}


def test_an_ended_lease_is_neither_renewed_nor_ended_again() -> None:
    ended = Charging().lease().bill(0)
    assert ended.lease(replace(LEASE, until_ms=UNTIL_MS + 1), now_ms=NOW_MS + 2).broken == set()
    assert ports(ended, 0) == {"ports"}  # it is a new lease of the same offer
    declined = Charging().lease().bill(0, now_ms=NOW_MS + 5)
    declined.leases.on_decline(NOW_MS + 9, CHARGER, VEHICLE, Decline(CALL, "unknown"))
    assert declined.account(now_ms=NOW_MS + 9, reserved=2).broken == {
        "leases"
    }  # it ended before, the offer holds one


# --- clocks that differ ---


def test_a_hold_counts_until_its_end_and_the_difference_of_the_clocks() -> None:
    end_ms = UNTIL_MS + SLACK_MS
    for now_ms, broken in (
        (NOW_MS - 1, {"leases"}),
        (NOW_MS, set()),
        (end_ms - 1, set()),
        (end_ms, {"leases"}),
    ):
        assert Charging(slack_ms=SLACK_MS).account(now_ms=now_ms).broken == broken
        forgotten = Charging(slack_ms=SLACK_MS)
        forgotten.leases.prune(TICK, now_ms)
        assert forgotten.account(now_ms=now_ms).broken == broken


def test_a_lease_counts_until_its_end_and_the_difference_of_the_clocks() -> None:
    end_ms = UNTIL_MS + SLACK_MS
    for now_ms, broken in ((end_ms - 1, set()), (end_ms, {"leases"})):
        charging = Charging(slack_ms=SLACK_MS).lease()
        assert charging.account(now_ms=now_ms, reserved=2).broken == broken
    for now_ms, broken in ((NOW_MS + 1, set()), (NOW_MS + 2, {"leases"})):  # billed at NOW_MS + 1
        assert Charging().lease().bill(0).account(now_ms=now_ms, reserved=2).broken == broken


def test_a_lease_certainly_takes_its_port_until_its_end_less_the_difference() -> None:
    end_ms = UNTIL_MS - SLACK_MS
    for now_ms, broken in (
        (end_ms - 1, {"ports"}),
        (end_ms, set()),
        (end_ms + 1, set()),
        (UNTIL_MS + 1, set()),
    ):
        assert ports(Charging(slack_ms=SLACK_MS).lease(), 0, now_ms) == broken


def test_an_expired_lease_is_renewed_within_the_difference_of_the_clocks() -> None:
    for now_ms, is_renewal in ((UNTIL_MS + SLACK_MS - 1, True), (UNTIL_MS + SLACK_MS, False)):
        charging = Charging(slack_ms=SLACK_MS).lease()
        charging.lease(replace(LEASE, energy_wh=1, until_ms=UNTIL_MS + 60_000), now_ms=now_ms)
        (text,) = charging.tallies.reservations.examples
        assert ("the lease it renews" in text) is is_renewal


def test_a_bill_near_the_end_of_a_lease_may_be_for_less() -> None:
    for now_ms, broken in ((UNTIL_MS - SLACK_MS - 1, {"reservations"}), (UNTIL_MS - SLACK_MS, set())):
        for energy_wh in (0, 1_000):
            charging = Charging(exact=False, slack_ms=SLACK_MS).lease().draw(5_000).release(5_000)
            assert charging.bill(energy_wh, now_ms=now_ms).broken == broken


def test_a_renewal_never_shortens_a_lease() -> None:
    charging = Charging().lease().lease(replace(LEASE, until_ms=NOW_MS + 1))
    assert ports(charging, 0, UNTIL_MS - 1) == {"ports"}


# --- meters ---


def test_a_charger_without_a_meter_leaves_the_reading_to_the_vehicle() -> None:
    charging = Charging()
    charging.meters.on_charger(TICK, VEHICLE, CHARGER, LEASE)
    assert charging.draw(5_000).draw(4_999).broken == {"reservations"}
    billed = Charging(exact=False)
    billed.meters.on_charger(TICK, VEHICLE, CHARGER, Bill(CALL, 5_000, 0))
    assert delivery(billed, 1) == {"delivery"}  # a bill is no reading there


def test_the_meter_of_the_charger_counts_where_there_is_one() -> None:
    charging = Charging(exact=False)
    charging.meters.on_charger(TICK, VEHICLE, CHARGER, METERED)
    assert charging.draw(4_999).broken == set()  # the vehicle only repeats it
    assert delivery(charging, 5_000) == set()
    charging.meters.on_charger(TICK, VEHICLE, CHARGER, Bill(CALL, 6_000, 0))
    assert delivery(charging, 1_000) == set()
    assert delivery(charging, 1) == {"delivery"}


def test_a_renewal_advances_the_meter_of_its_lease_and_never_sets_it_back() -> None:
    metered = Charging().lease(replace(METERED, drawn_wh=1_000)).lease(METERED)
    assert metered.lease(replace(METERED, drawn_wh=4_000)).bill(4_999).broken == {"reservations"}
    unmetered = Charging().lease().draw(5_000).lease(replace(LEASE, drawn_wh=9_000))
    assert unmetered.bill(5_000).broken == set()


def test_only_the_readings_of_the_vehicle_that_restarted_are_forgotten() -> None:
    for device, broken in ((VEHICLE, set()), (CHARGER, {"reservations"}), ("vehicle-2", {"reservations"})):
        charging = Charging().draw(5_000)
        charging.meters.on_restart(device)
        assert charging.draw(4_000).broken == broken


def test_the_lowest_release_counts_for_the_bill() -> None:
    charging = Charging(exact=False).release(4_000).release(4_500)
    assert charging.meters.released_wh(KEY) == 4_000
    assert charging.release(3_500).meters.released_wh(KEY) == 3_500


def test_readings_are_kept_for_some_ticks() -> None:
    for ticks, broken in ((KEPT_TICKS, {"reservations"}), (KEPT_TICKS + 1, set())):
        charging = Charging(exact=False).draw(5_000)
        charging.meters.prune(TICK + ticks)
        assert charging.draw(4_000, tick=TICK + ticks).broken == broken


def test_what_was_booked_adds_up_over_ticks() -> None:
    charging = Charging().draw(3_000)
    assert delivery(charging, 2_000) == set()
    assert delivery(charging, 1_000) == set()
    assert delivery(charging.draw(3_500), 500) == set()
    assert delivery(charging, 1) == {"delivery"}
    assert charging.tallies.delivery.breaches == 2  # charger and vehicle
    assert delivery(charging.draw(4_000), 500) == {"delivery"}
    assert charging.tallies.delivery.breaches == 2  # a breach is counted once


@pytest.mark.parametrize(
    ("changed", "broken"), [(-2, {"delivery"}), (-1, set()), (0, set()), (1, set()), (2, {"delivery"})]
)
def test_both_sides_agree_in_ticks_without_a_restart(changed: int, broken: set[str]) -> None:
    charging = Charging().draw(5_000)
    charging.lifecycle.note("anybody", TICK + changed, online=True)
    assert delivery(charging, 5_000, drawn_wh=4_999) == broken


def test_figures_of_a_bill_and_of_energy_set_aside_are_exact() -> None:
    assert Charging().lease().draw(ENERGY_WH).bill(ENERGY_WH, cost_neur(ENERGY_WH, PRICE) - 1).broken == {
        "reservations"
    }
    assert Charging().lease().draw(ENERGY_WH + 500).account(stored_wh=0).broken == set()  # all was drawn
    assert Charging().lease().draw(ENERGY_WH - 1).account(stored_wh=0).broken == {"reserved"}


def test_a_lease_of_a_charger_without_ports_known_is_not_counted() -> None:
    charging = Charging().lease()
    charging.leases.check_ports(CHARGER, NOW_MS, TICK)
    assert charging.broken == set()


def test_an_offer_is_kept_in_its_tick_or_while_it_is_accepted() -> None:
    later: Lease = replace(LEASE, call=CALL + 1)
    for ticks, broken in ((0, set()), (1, {"reservations"})):
        charging = Charging(exact=False)
        charging.leases.on_call(TICK, VEHICLE, CALL + 1, PRICE)
        charging.leases.on_offer(NOW_MS, TICK, CHARGER, VEHICLE, replace(OFFER, call=CALL + 1))
        charging.leases.prune(TICK + ticks, NOW_MS)
        charging.leases.on_accept(TICK + ticks, (CHARGER, VEHICLE, CALL + 1))
        assert charging.lease(later, tick=TICK + ticks).broken == broken


def test_a_finding_states_what_is_missing() -> None:
    without_an_offer = Charging().lease(UNKNOWN)
    assert without_an_offer.tallies.reservations.examples[0].endswith("without an offer")
    without_an_acceptance = Charging()
    without_an_acceptance.leases.on_offer(NOW_MS, TICK, CHARGER, VEHICLE, replace(OFFER, call=CALL + 1))
    without_an_acceptance.lease(UNKNOWN)
    assert without_an_acceptance.tallies.reservations.examples[0].endswith("without an acceptance")
