"""The checks of recovery after a fault, each of which can fail."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ConsumerState,
    Correction,
    Message,
    Mode,
    Package,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Role,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Finding, Tallies
from gridfleet.provisioning.chaos.observations import Observations
from gridfleet.provisioning.chaos.verdict import AuditFindings, FaultWindow, RetainedTick, check_recovery

EUR = 1_000_000
ALL_IDS = frozenset({"turbine-1", "house-1"})
FIRST, RECOVERED, LAST = 3, 6, 8


class Site:
    """A turbine that sells 10 kWh to a house in every tick, unless a test changes it."""

    def __init__(self) -> None:
        self.observations = Observations()
        self.balance_neur = 0
        for name, role in (("turbine-1", Role.PRODUCER), ("house-1", Role.CONSUMER)):
            self.publish(name, Presence(online=True, role=role, cell="here", latitude=0, longitude=0))

    def publish(self, sender: str, message: Message, scope: str = "") -> None:
        self.observations.receive(0, scope, sender, message)

    def tick(self, tick: int, phase: Phase) -> Tick:
        message = Tick(
            tick, phase, tick * 900_000, tick * 900_000 + 1, Mode.SCALED, 0.5, 10, paused=False, settings=Settings()
        )  # fmt: skip
        self.publish("clock", message)
        return message

    def run_tick(
        self, tick: int, *, sold_wh: int = 10_000, taken_wh: int = 10_000, unsettled_wh: int = 0
    ) -> None:
        lot = Package(0, 10_000, EUR)
        taken = replace(lot, energy_wh=taken_wh)
        self.tick(tick, Phase.BID)
        self.publish("house-1", Bid(tick, (lot,)), "here")
        self.publish("turbine-1", Award(tick, 0, (lot,)), "house-1")
        self.publish("house-1", Receipt(tick, 0, (taken,)), "turbine-1")
        earned_neur = cost_neur(sold_wh, EUR)
        self.balance_neur += earned_neur
        self.publish("turbine-1", turbine(tick, self.balance_neur, sold_wh, earned_neur, unsettled_wh))
        self.publish("house-1", house(tick, -self.balance_neur, taken_wh, cost_neur(taken_wh, EUR)))


def turbine(tick: int, balance_neur: int, sold_wh: int, earned_neur: int, unsettled_wh: int) -> ProducerState:
    return ProducerState(
        tick, 0, 0, measured=False, status="", power_w=0, balance_neur=balance_neur,
        refused={}, kind="turbine", figures={}, avoids=(), role="producer",
        generated_wh=20_000, sold_wh=sold_wh, curtailed_wh=20_000 - sold_wh - unsettled_wh,
        unsettled_wh=unsettled_wh, earned_neur=earned_neur,
    )  # fmt: skip


def house(tick: int, balance_neur: int, bought_wh: int, paid_neur: int) -> ConsumerState:
    return ConsumerState(
        tick, 0, 0, measured=False, status="", power_w=0, balance_neur=balance_neur,
        refused={}, kind="consumer", figures={}, avoids=(), role="consumer",
        demand_wh=10_000, bought_wh=bought_wh, paid_neur=paid_neur,
    )  # fmt: skip


def findings(breaches: int = 0, name: str = "") -> list[Finding]:
    found = Tallies(exact=False).findings()
    return [
        each._replace(checked=10 * (breaches + 1), breaches=breaches if each.name == name else 0)
        for each in found
    ]


def before() -> list[Finding]:
    return Tallies(exact=False).findings()


def failed_checks(
    site: Site,
    window: FaultWindow | None = None,
    after: list[Finding] | None = None,
    retained: Tick | None = None,
) -> set[str]:
    """Return the names of the checks that do not hold."""
    window = window or FaultWindow(FIRST, 3, 5, RECOVERED, LAST, 0.1)
    ticks = site.observations.ticks
    audit = AuditFindings(before(), after or findings())
    tick = RetainedTick(retained or ticks[-1], len(ticks))
    checks = check_recovery(site.observations, window, ALL_IDS, audit, tick)
    return {check.name for check in checks if not check.holds}


def make_site(change: Callable[[Site, int], bool] = lambda _site, _tick: False) -> Site:
    """Run ticks 3 to 9; `change` may run a tick itself, and then returns True."""
    site = Site()
    for tick in range(FIRST, LAST + 2):
        if not change(site, tick):
            site.run_tick(tick)
    return site


def test_on_a_healthy_site_every_check_holds() -> None:
    assert failed_checks(make_site()) == set()


def test_energy_in_the_account_of_one_side_only_is_found() -> None:
    def change(site: Site, tick: int) -> bool:
        if tick == 4:
            site.run_tick(tick, sold_wh=5_000)
        return tick == 4

    assert failed_checks(make_site(change)) == {"ledgers agree"}


def test_unsettled_energy_must_be_corrected_within_one_tick_after_the_recovery() -> None:
    def corrected_in(late: int) -> Callable[[Site, int], bool]:
        def change(site: Site, tick: int) -> bool:
            if tick == 4:
                site.run_tick(tick, sold_wh=0, unsettled_wh=10_000)
            if tick == late:
                site.run_tick(tick)
                site.publish("turbine-1", Correction(4, 10_000, 10_000, 0, cost_neur(10_000, EUR)))
            return tick in (4, late)

        return change

    assert failed_checks(make_site(corrected_in(RECOVERED + 1))) == set()
    assert failed_checks(make_site(corrected_in(RECOVERED + 2))) == {"ledgers agree"}
    assert failed_checks(make_site(corrected_in(99))) == {"ledgers agree"}


def test_lost_money_is_found() -> None:
    def change(site: Site, tick: int) -> bool:
        if tick == RECOVERED:
            site.balance_neur += 1
            site.run_tick(tick)
            site.publish("house-1", house(tick, 1 - site.balance_neur, 10_000, cost_neur(10_000, EUR)))
        elif tick > RECOVERED:
            site.run_tick(tick)
            site.publish("house-1", house(tick, 1 - site.balance_neur, 10_000, cost_neur(10_000, EUR)))
        return tick >= RECOVERED

    assert failed_checks(make_site(change)) == {"no money is lost"}
    assert (
        failed_checks(make_site(change), FaultWindow(FIRST, 3, 5, RECOVERED, LAST, 0.1, memory_lost=True))
        == set()
    )


def test_a_package_that_is_sold_twice_is_found() -> None:
    site = make_site()
    site.publish("turbine-1", Award(5, 1, (Package(0, 10_000, EUR),)), "house-1")
    site.publish("house-1", Receipt(5, 1, (Package(0, 1, EUR),)), "turbine-1")
    assert failed_checks(site) == {"no package is sold twice", "no stale bid is acted on"}


def test_two_different_receipts_are_found() -> None:
    site = make_site()
    site.publish("house-1", Receipt(5, 0, ()), "turbine-1")
    assert failed_checks(site) == {"no package is sold twice"}


def test_an_award_for_a_finished_tick_is_found() -> None:
    def sold_in(late: int) -> Callable[[Site, int], bool]:
        def change(site: Site, tick: int) -> bool:
            if tick == late:
                site.run_tick(5)
                key = ("turbine-1", "house-1", 0)
                site.observations.market(5).receipts.pop(key)
                site.observations.awarded.pop((5, key))
                site.run_tick(tick)
                site.publish("turbine-1", Award(5, 0, (Package(0, 10_000, EUR),)), "house-1")
                site.publish("house-1", Receipt(5, 0, (Package(0, 10_000, EUR),)), "turbine-1")
            return tick in (5, late)

        return change

    assert failed_checks(make_site(sold_in(6))) == set()
    assert failed_checks(make_site(sold_in(7))) == {"no stale bid is acted on"}


def test_a_device_that_stays_offline_is_found() -> None:
    site = make_site()
    site.publish("house-1", Presence(online=False, role=Role.CONSUMER, cell="here", latitude=0, longitude=0))
    assert failed_checks(site) == {"all devices are back"}


def test_an_old_retained_tick_is_found() -> None:
    site = make_site()
    old = site.observations.ticks[0]
    assert failed_checks(site, retained=old) == {"retained tick is current"}


@pytest.mark.parametrize(
    ("invariant", "check"),
    [
        ("ports", "no port is booked twice"),
        ("supply", "no package is sold twice"),
        ("fresh", "no stale bid is acted on"),
        ("balances", "all other invariants hold"),
    ],
)
def test_a_breach_found_by_the_auditor_fails_its_check(invariant: str, check: str) -> None:
    assert failed_checks(make_site(), after=findings(1, invariant)) == {check}


def test_a_check_without_evidence_does_not_hold() -> None:
    assert failed_checks(make_site(), after=before()) == {
        "no package is sold twice",
        "no port is booked twice",
        "no stale bid is acted on",
        "all other invariants hold",
    }


def test_a_tick_with_missing_messages_is_checked_by_the_balances() -> None:
    def change(site: Site, tick: int) -> bool:
        if tick == 4:
            site.run_tick(tick, sold_wh=10_000)
            site.observations.accounts[4]["turbine-1"].sold_wh = 0
            site.observations.note_gap()
        return tick == 4

    site = make_site(change)
    assert failed_checks(site) == set()
    assert failed_checks(site, FaultWindow(FIRST, 3, 5, RECOVERED, LAST, 0.1, memory_lost=True)) == {
        "ledgers agree"
    }
    site.observations.gaps.clear()
    assert failed_checks(site) == {"ledgers agree"}
