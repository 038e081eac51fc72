"""The audit of charging at the value of each limit: leases, renewals, bills, ports, set-aside energy, readings."""

from dataclasses import replace
from typing import Any

import pytest

from gridfleet.broker.protocol.messages import (
    Bill,
    ChargerState,
    Decline,
    Heartbeat,
    Lease,
    Offer,
    Release,
    VehicleState,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.leases import (
    ACCEPTED_TICKS,
    KEPT_MS,
    MAX_LEASE_MS,
    UNCERTAIN_TICKS,
    LeaseAudit,
)
from gridfleet.dashboards.audit.meters import KEPT_TICKS, MeterAudit
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, TickWindow

CHARGER, VEHICLE, CALL, TICK, NOW_MS = "charger-1", "vehicle-1", 3, 20, 5_000_000
KEY = (CHARGER, VEHICLE, CALL)
PRICE = 400_000
ENERGY_WH = 9_400
UNTIL_MS = NOW_MS + 600_000
OFFER = Offer(CALL, ENERGY_WH, PRICE, UNTIL_MS)
LEASE = Lease(CALL, ENERGY_WH, PRICE, UNTIL_MS)


class Charging:
    """The audits of leases and meters with one call, offered and accepted."""

    def __init__(self, *, exact: bool = True, slack_ms: int = 0) -> None:
        self.tallies = Tallies(exact=exact)
        self.lifecycle = LifecycleLog()
        self.gaps = GapLog()
        self.meters = MeterAudit(self.tallies, self.lifecycle, self.gaps, exact=exact)
        self.leases = LeaseAudit(self.tallies, self.lifecycle, self.meters, exact=exact, slack_ms=slack_ms)
        self.leases.on_call(TICK, VEHICLE, CALL, PRICE)
        self.leases.on_offer(NOW_MS, TICK, CHARGER, VEHICLE, OFFER)
        self.leases.on_accept(TICK, KEY)

    @property
    def broken(self) -> set[str]:
        return {finding.name for finding in self.tallies.findings() if finding.breaches}

    def lease(self, lease: Lease = LEASE, *, now_ms: int = NOW_MS, tick: int = TICK) -> "Charging":
        self.leases.on_lease(now_ms, tick, CHARGER, VEHICLE, lease)
        return self

    def draw(self, drawn_wh: int, *, tick: int = TICK) -> "Charging":
        heartbeat = Heartbeat(CALL, NOW_MS, arrived=True, drawn_wh=drawn_wh)
        self.meters.on_vehicle(tick, VEHICLE, CHARGER, heartbeat)
        self.leases.on_vehicle(CHARGER, VEHICLE, heartbeat)
        return self

    def release(self, drawn_wh: int) -> "Charging":
        release = Release(CALL, NOW_MS, drawn_wh, "charged")
        self.meters.on_vehicle(TICK, VEHICLE, CHARGER, release)
        self.leases.on_vehicle(CHARGER, VEHICLE, release)
        return self

    def bill(self, energy_wh: int, amount_neur: int | None = None, *, now_ms: int = NOW_MS + 1) -> "Charging":
        amount = cost_neur(energy_wh, PRICE) if amount_neur is None else amount_neur
        self.leases.on_bill(now_ms, TICK, CHARGER, VEHICLE, Bill(CALL, energy_wh, amount))
        return self

    def account(
        self, *, now_ms: int = NOW_MS, reserved: int = 1, ports: int = 2, stored_wh: int = 100_000
    ) -> "Charging":
        state = replace(STATE, ports_reserved=reserved, ports=ports, stored_wh=stored_wh)
        self.leases.on_account(now_ms, CHARGER, state)
        return self


STATE = ChargerState(
    tick=TICK,
    latitude=0.0,
    longitude=0.0,
    measured=False,
    status="charging",
    power_w=0,
    balance_neur=0,
    refused={},
    kind="charger",
    figures={},
    avoids=(),
    role="charger",
    demand_wh=0,
    bought_wh=0,
    paid_neur=0,
    stored_wh=100_000,
    capacity_wh=100_000,
    delivered_wh=0,
    charge_loss_wh=0,
    discharge_loss_wh=0,
    earned_neur=0,
    ports=2,
    ports_reserved=1,
)
CAR = VehicleState(
    tick=TICK,
    latitude=0.0,
    longitude=0.0,
    measured=False,
    status="charging",
    power_w=0,
    balance_neur=0,
    refused={},
    kind="vehicle",
    figures={},
    avoids=(),
    role="vehicle",
    model="Fiat 500e",
    consumption_wh_per_km=159.0,
    stored_wh=0,
    capacity_wh=42_000,
    drawn_wh=0,
    charge_loss_wh=0,
    driven_wh=0,
    paid_neur=0,
    speed_km_h=0.0,
    deadline_ms=0,
    next_stop=None,
    destination=None,
    charger=CHARGER,
)


# --- leases ---


@pytest.mark.parametrize("slack_ms", [0, 7])
def test_a_lease_is_for_an_hour_at_most(slack_ms: int) -> None:
    longest = replace(LEASE, until_ms=NOW_MS + MAX_LEASE_MS + slack_ms)
    assert Charging(slack_ms=slack_ms).lease(longest).broken == set()
    assert Charging(slack_ms=slack_ms).lease(replace(longest, until_ms=longest.until_ms + 1)).broken == {
        "leases"
    }


@pytest.mark.parametrize("change", [{"energy_wh": ENERGY_WH - 1}, {"price_ueur_per_kwh": PRICE - 1}])
def test_a_new_lease_has_energy_and_price_of_its_offer(change: dict[str, Any]) -> None:
    assert Charging().lease(replace(LEASE, **change)).broken == {"reservations"}


def test_a_lease_needs_an_offer_and_an_acceptance() -> None:
    other = replace(LEASE, call=CALL + 1)
    assert Charging().lease(other).broken == {"reservations"}
    offered = Charging()
    offered.leases.on_offer(NOW_MS, TICK, CHARGER, VEHICLE, replace(OFFER, call=CALL + 1))
    assert offered.lease(other).broken == {"reservations"}
    offered.leases.on_accept(TICK, (CHARGER, VEHICLE, CALL + 1))
    again = Charging()
    again.leases.on_offer(NOW_MS, TICK, CHARGER, VEHICLE, replace(OFFER, call=CALL + 1))
    again.leases.on_accept(TICK, (CHARGER, VEHICLE, CALL + 1))
    assert again.lease(other).broken == set()


def test_a_lease_is_not_above_the_price_limit_of_the_call() -> None:
    charging = Charging()
    charging.leases.on_call(TICK, VEHICLE, CALL, PRICE - 1)
    assert charging.lease().broken == {"reservations"}


def test_a_device_that_restarted_may_use_a_call_again() -> None:
    for device in (CHARGER, VEHICLE):
        charging = Charging()
        charging.lifecycle.note(device, TICK, online=True)
        assert charging.lease(replace(LEASE, call=99)).broken == set()


def test_a_renewal_keeps_energy_and_price_and_extends_the_lease() -> None:
    later = replace(LEASE, until_ms=UNTIL_MS + 60_000)
    assert Charging().lease().lease(later, now_ms=NOW_MS + 1).broken == set()
    for other in (replace(later, energy_wh=ENERGY_WH + 1), replace(later, price_ueur_per_kwh=PRICE + 1)):
        assert Charging().lease().lease(other, now_ms=NOW_MS + 1).broken == {"reservations"}


@pytest.mark.parametrize(("exact", "lasts"), [(True, False), (False, True)])
def test_an_expired_lease_is_renewed_only_where_messages_may_be_late(exact: bool, lasts: bool) -> None:
    charging = Charging(exact=exact).lease()
    other = replace(LEASE, energy_wh=ENERGY_WH + 1, until_ms=UNTIL_MS + 60_000)
    charging.lease(other, now_ms=UNTIL_MS)
    (text,) = charging.tallies.reservations.examples
    assert ("the lease it renews" in text) == lasts


def test_after_a_gap_a_lease_without_its_call_is_accepted_for_some_ticks() -> None:
    for tick, broken in ((TICK + UNCERTAIN_TICKS, set()), (TICK + UNCERTAIN_TICKS + 1, {"reservations"})):
        charging = Charging()
        charging.leases.on_gap(TICK)
        assert charging.lease(tick=tick).broken == broken


@pytest.mark.parametrize(("exact", "kept"), [(True, 0), (False, ACCEPTED_TICKS)])
def test_an_accepted_offer_may_become_a_lease_for_some_ticks(exact: bool, kept: int) -> None:
    for ticks, broken in ((kept, set()), (kept + 1, {"reservations"})):
        charging = Charging(exact=exact)
        charging.leases.prune(TICK + ticks, NOW_MS)
        assert charging.lease(tick=TICK + ticks).broken == broken


# --- bills ---


@pytest.mark.parametrize("energy_wh", [4_999, 5_001])
def test_an_exact_bill_is_for_what_was_drawn(energy_wh: int) -> None:
    assert Charging().lease().draw(5_000).bill(5_000).broken == set()
    assert Charging().lease().draw(5_000).bill(energy_wh).broken == {"reservations"}


def test_a_bill_is_for_the_reserved_energy_at_most() -> None:
    assert Charging().lease().draw(ENERGY_WH + 1).bill(ENERGY_WH).broken == set()
    assert Charging().lease().draw(ENERGY_WH + 1).bill(ENERGY_WH + 1).broken == {"reservations"}


def test_a_bill_is_at_the_price_of_the_lease() -> None:
    amount = cost_neur(5_000, PRICE)
    assert Charging().lease().draw(5_000).bill(5_000, amount + 1).broken == {"reservations"}


def test_where_messages_may_be_late_a_bill_lies_between_release_and_reading() -> None:
    for energy_wh, broken in (
        (3_999, {"reservations"}),
        (4_000, set()),
        (5_000, set()),
        (5_001, {"reservations"}),
    ):
        charging = Charging(exact=False).lease().draw(5_000).release(4_000)
        assert charging.bill(energy_wh).broken == broken


def test_an_expired_lease_may_be_billed_for_less_than_was_released() -> None:
    for now_ms, broken in ((UNTIL_MS - 1, {"reservations"}), (UNTIL_MS, set())):
        charging = Charging(exact=False).lease().draw(5_000).release(5_000)
        assert charging.bill(1_000, now_ms=now_ms).broken == broken


def test_a_charger_with_its_own_meter_bills_what_it_counted_or_more_until_the_lease() -> None:
    metered = replace(LEASE, metered=True, drawn_wh=5_000)
    for energy_wh, broken in (
        (4_999, {"reservations"}),
        (5_000, set()),
        (ENERGY_WH, set()),
        (ENERGY_WH + 1, {"reservations"}),
    ):
        assert Charging().lease(metered).bill(energy_wh).broken == broken


def test_a_bill_needs_a_lease_and_ends_it() -> None:
    assert Charging().bill(0).broken == set()
    assert Charging().bill(1).broken == {"reservations"}
    assert Charging().lease().draw(5_000).bill(5_000).bill(5_000).broken == set()  # repeated


# --- ports and set-aside energy ---


def test_certain_leases_do_not_exceed_the_ports() -> None:
    for ports, broken in ((1, set()), (0, {"ports"})):
        charging = Charging().lease()
        charging.leases.on_ports(CHARGER, ports)
        charging.leases.check_ports(CHARGER, NOW_MS, TICK)
        assert charging.broken == broken


def test_a_lease_that_expired_or_ended_or_is_uncertain_takes_no_port() -> None:
    expired, ended, declined, uncertain = (Charging().lease() for _ in range(4))
    ended.bill(0)
    declined.leases.on_decline(NOW_MS, CHARGER, VEHICLE, Decline(CALL, "unknown"))
    uncertain.leases.on_restart(CHARGER)
    for charging, now_ms in ((expired, UNTIL_MS), (ended, NOW_MS), (declined, NOW_MS), (uncertain, NOW_MS)):
        charging.leases.on_ports(CHARGER, 0)
        charging.leases.check_ports(CHARGER, now_ms, TICK)
        assert charging.broken == set()
    expired.leases.check_ports(CHARGER, UNTIL_MS - 1, TICK)
    assert expired.broken == {"ports"}


def test_an_account_counts_no_more_reservations_than_leases_and_offers() -> None:
    assert Charging().account(reserved=1).broken == set()  # the offer holds a port
    assert Charging().lease().account(reserved=2).broken == set()
    assert Charging().lease().account(reserved=3, ports=3).broken == {"leases"}
    assert Charging().lease().account(reserved=1, now_ms=UNTIL_MS).broken == {"leases"}
    assert Charging().account(reserved=3).broken == {"ports", "leases"}


def test_reserved_energy_and_its_discharge_loss_are_in_the_battery() -> None:
    assert Charging().lease().account(stored_wh=10_000).broken == set()
    assert Charging().lease().account(stored_wh=9_999).broken == {"reserved"}
    assert Charging().lease().draw(4_700).account(stored_wh=5_000).broken == set()
    assert Charging().lease().draw(4_700).account(stored_wh=4_999).broken == {"reserved"}


def test_an_expired_lease_is_kept_for_a_day_for_its_bill() -> None:
    for forgotten_ms, broken in ((UNTIL_MS + KEPT_MS, set()), (UNTIL_MS + KEPT_MS + 1, {"reservations"})):
        charging = Charging(exact=False).lease().draw(5_000)
        charging.leases.prune(TICK, forgotten_ms)
        assert charging.bill(5_000, now_ms=forgotten_ms).broken == broken


# --- readings ---


def test_a_reading_does_not_fall_unless_the_vehicle_restarted() -> None:
    assert Charging().draw(5_000).draw(5_000).broken == set()
    assert Charging().draw(5_000).draw(4_999).broken == {"reservations"}
    restarted = Charging().draw(5_000)
    restarted.lifecycle.note(VEHICLE, TICK, online=True)
    assert restarted.draw(4_999).broken == set()


@pytest.mark.parametrize(("booked_wh", "broken"), [(5_000, set()), (5_001, {"delivery"})])
def test_accounts_book_no_more_than_the_meters_counted(booked_wh: int, broken: set[str]) -> None:
    charging = Charging(exact=False).draw(3_000).draw(5_000)
    window = TickWindow()
    window.states[CHARGER] = replace(STATE, delivered_wh=booked_wh)
    charging.meters.check_accounts(TICK, window)
    assert charging.broken == broken
    other = Charging(exact=False).draw(3_000).draw(5_000)
    window = TickWindow()
    window.states[VEHICLE] = replace(CAR, drawn_wh=booked_wh)
    other.meters.check_accounts(TICK, window)
    assert other.broken == broken


def test_in_an_exact_run_chargers_deliver_what_vehicles_draw_in_the_tick() -> None:
    for drawn_wh, paid_neur, broken in (
        (5_000, 7, set()),
        (4_999, 7, {"delivery"}),
        (5_000, 6, {"delivery"}),
    ):
        charging = Charging().draw(5_000)
        window = TickWindow()
        window.states[CHARGER] = replace(STATE, delivered_wh=5_000, earned_neur=7)
        window.states[VEHICLE] = replace(CAR, drawn_wh=drawn_wh, paid_neur=paid_neur)
        charging.meters.check_accounts(TICK, window)
        assert charging.broken == broken


def test_ticks_with_gaps_are_not_compared_with_the_meters() -> None:
    for tick, broken in ((TICK, set()), (TICK + 1, {"delivery"})):
        charging = Charging(exact=False)
        charging.gaps.add(TICK - 1, TICK)
        window = TickWindow()
        window.states[CHARGER] = replace(STATE, delivered_wh=1)
        charging.meters.check_accounts(tick, window)
        assert charging.broken == broken


def test_releases_are_kept_for_some_ticks() -> None:
    charging = Charging(exact=False).release(4_000)
    charging.meters.prune(TICK + KEPT_TICKS)
    assert charging.meters.released_wh(KEY) == 4_000
    charging.meters.prune(TICK + KEPT_TICKS + 1)
    assert charging.meters.released_wh(KEY) == 0


def test_after_a_gap_a_lower_reading_is_the_first_one() -> None:
    charging = Charging(exact=False).draw(5_000)
    charging.meters.on_gap()
    assert charging.draw(4_000).broken == set()
    window = TickWindow()
    window.states[CHARGER] = replace(STATE, delivered_wh=4_000)
    charging.meters.check_accounts(TICK, window)
    assert charging.broken == set()  # what was drawn before the gap may be part of the account
    assert charging.draw(3_999).broken == {"reservations"}


def test_how_long_leases_last_and_messages_are_kept() -> None:
    assert MAX_LEASE_MS == 3_600_000  # an hour
    assert KEPT_MS == 86_400_000  # a day
    assert ACCEPTED_TICKS * 15 == 24 * 60  # a day
    assert UNCERTAIN_TICKS * 15 == 4 * 60
    assert KEPT_TICKS * 15 == 2 * 60


# --- how often each invariant is checked ---


def checked(charging: Charging) -> dict[str, int]:
    return {finding.name: finding.checked for finding in charging.tallies.findings() if finding.checked}


def test_each_invariant_is_checked_as_often_as_it_applies() -> None:
    charging = Charging()
    assert checked(charging) == {}
    assert checked(charging.lease()) == {"reservations": 1, "leases": 1}
    assert checked(charging.draw(4_000)) == {"reservations": 2, "leases": 1}
    assert checked(charging.account()) == {"reservations": 2, "leases": 2, "ports": 1, "reserved": 1}
    charging.leases.check_ports(CHARGER, NOW_MS, TICK)  # unknown how many there are
    charging.leases.on_ports(CHARGER, 2)
    charging.leases.check_ports(CHARGER, NOW_MS, TICK)
    assert checked(charging)["ports"] == 2
    assert checked(charging.bill(4_000))["reservations"] == 3
    window = TickWindow()
    window.states[CHARGER] = replace(STATE, delivered_wh=4_000)
    window.states[VEHICLE] = replace(CAR, drawn_wh=4_000)
    charging.meters.check_accounts(TICK, window)
    assert checked(charging)["delivery"] == 3  # charger, vehicle, and both together
    assert charging.broken == set()
