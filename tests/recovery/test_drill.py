"""The drill itself: plans and their mistakes, and a verdict that can be a bad one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ConsumerState,
    Correction,
    Kind,
    Message,
    Mode,
    Package,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Finding, Tallies
from gridfleet.provisioning.chaos.observations import Observations
from gridfleet.provisioning.chaos.plan import KillBroker, PlanError, load_plan, parse_plan, shipped_plans
from gridfleet.provisioning.chaos.verdict import Span, judge

EUR = 1_000_000
EVERYBODY = frozenset({"turbine-1", "house-1"})
FIRST, BACK, LAST = 3, 6, 8


# --- plans ---


@pytest.mark.parametrize("name", shipped_plans())
def test_shipped_plans_are_valid(name: str) -> None:
    assert load_plan(name).title


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a plan needs at least one"),
        ("[[faults]]\ntick = 3", r"faults.0.kind: must be one of kill-broker, kill-devices, stall"),
        ("[[faults]]\nkind = 'flood'\ntick = 3", r"faults.0.kind: must be one of"),
        ("[[faults]]\nkind = 'kill-broker'\ntick = 3", r"faults.0.lasts_s: missing"),
        ("[[faults]]\nkind = 'kill-broker'\ntick = 1\nlasts_s = 1", r"faults.0.tick = 1: .*at least 2"),
        ("[[faults]]\nkind = 'kill-broker'\ntick = 3\nlast_s = 1", "last_s: unknown key; did you mean 'lasts_s'"),
        ("[[faults]]\nkind = 'stall'\ntick = 3\nlasts_s = 1\nwho = 'fleet-9'", r"faults.0.who: the fleet has 4"),
        ("[[faults]]\nkind = 'stall'\ntick = 3\nlasts_s = 1\nwho = 'me'", r"faults.0.who = 'me': "),
        (
            "[[faults]]\nkind = 'reconnect-storm'\ntick = 3\n[[faults]]\nkind = 'reconnect-storm'\ntick = 3",
            r"faults.1.tick: comes after the one before",
        ),
        ("[[skews]]\nwho = 'fleet-5'\nskew_s = 2", r"skews.0.who: the fleet has 4 processes"),
        ("processes = true\n[[skews]]\nwho = 'fleet-1'\nskew_s = 2", r"processes = True: "),
        ("second_per_tick = 1", r"second_per_tick: unknown key; did you mean 'seconds_per_tick'"),
        ("faults = 3", r"faults = 3: "),
        ("[[faults", r"is not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_plan_is_named_with_file_and_key(text: str, problem: str) -> None:
    with pytest.raises(PlanError, match=rf"(?s)^mine.toml(, line \d+)?: .*{problem}"):
        parse_plan(text, "mine.toml")


def test_a_plan_that_is_not_there_is_named_with_what_there_is() -> None:
    with pytest.raises(PlanError, match=r"shrt: no such plan or file; did you mean 'short'\? \(shipped: "):
        load_plan("shrt")


def test_ones_own_plan_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[[faults]]\nkind = 'kill-broker'\ntick = 5\nlasts_s = 0.5\n", encoding="utf-8")
    (fault,) = load_plan(str(path)).faults
    assert isinstance(fault, KillBroker)
    assert (fault.tick, fault.at, fault.lasts_s, fault.lasting_s) == (5, 0.4, 0.5, 0.5)


# --- the verdict ---


class Site:
    """A turbine that sells 10 kWh to a house in every tick, while nobody says otherwise."""

    def __init__(self) -> None:
        self.evidence = Observations()
        self.balance_neur = 0
        for name, kind in (("turbine-1", Kind.TURBINE), ("house-1", Kind.CONSUMER)):
            self.hear(name, Presence(online=True, kind=kind, cell="here", latitude=0, longitude=0))

    def hear(self, sender: str, message: Message, scope: str = "") -> None:
        self.evidence.tap(0, scope, sender, message)

    def tick(self, tick: int, phase: Phase) -> Tick:
        message = Tick(
            tick, phase, tick * 900_000, tick * 900_000 + 1, Mode.SCALED, 0.5, 10, paused=False, settings=Settings()
        )  # fmt: skip
        self.hear("clock", message)
        return message

    def play(
        self, tick: int, *, sold_wh: int = 10_000, taken_wh: int = 10_000, unsettled_wh: int = 0
    ) -> None:
        lot = Package(0, 10_000, EUR)
        taken = replace(lot, energy_wh=taken_wh)
        self.tick(tick, Phase.BID)
        self.hear("house-1", Bid(tick, (lot,)), "here")
        self.hear("turbine-1", Award(tick, 0, (lot,)), "house-1")
        self.hear("house-1", Receipt(tick, 0, (taken,)), "turbine-1")
        earned_neur = cost_neur(sold_wh, EUR)
        self.balance_neur += earned_neur
        self.hear("turbine-1", turbine(tick, self.balance_neur, sold_wh, earned_neur, unsettled_wh))
        self.hear("house-1", house(tick, -self.balance_neur, taken_wh, cost_neur(taken_wh, EUR)))


def turbine(tick: int, balance_neur: int, sold_wh: int, earned_neur: int, unsettled_wh: int) -> ProducerState:
    return ProducerState(
        tick, 0, 0, measured=False, status="", power_w=0, balance_neur=balance_neur, refused={}, kind="turbine",
        generated_wh=20_000, sold_wh=sold_wh, curtailed_wh=20_000 - sold_wh - unsettled_wh,
        unsettled_wh=unsettled_wh, earned_neur=earned_neur,
    )  # fmt: skip


def house(tick: int, balance_neur: int, bought_wh: int, paid_neur: int) -> ConsumerState:
    return ConsumerState(
        tick, 0, 0, measured=False, status="", power_w=0, balance_neur=balance_neur, refused={}, kind="consumer",
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


def broken(
    site: Site, span: Span | None = None, after: list[Finding] | None = None, kept: Tick | None = None
) -> set[str]:
    """Return the questions that are answered badly."""
    span = span or Span(FIRST, 3, 5, BACK, LAST, 0.1)
    ticks = site.evidence.ticks
    checks = judge(
        site.evidence, span, EVERYBODY, (before(), after or findings()), (kept or ticks[-1], len(ticks))
    )
    return {check.name for check in checks if not check.holds}


def whole(change: Callable[[Site, int], bool] = lambda _site, _tick: False) -> Site:
    """Ticks 3 to 9; `change` may play a tick itself."""
    site = Site()
    for tick in range(FIRST, LAST + 2):
        if not change(site, tick):
            site.play(tick)
    return site


def test_a_site_that_is_well_is_found_so() -> None:
    assert broken(whole()) == set()


def test_energy_that_only_one_side_knows_of_is_found() -> None:
    def change(site: Site, tick: int) -> bool:
        if tick == 4:
            site.play(tick, sold_wh=5_000)
        return tick == 4

    assert broken(whole(change)) == {"ledgers agree"}


def test_what_is_unsettled_must_be_corrected_within_one_tick_after_the_fault() -> None:
    def corrected_in(late: int) -> Callable[[Site, int], bool]:
        def change(site: Site, tick: int) -> bool:
            if tick == 4:
                site.play(tick, sold_wh=0, unsettled_wh=10_000)
            if tick == late:
                site.play(tick)
                site.hear("turbine-1", Correction(4, 10_000, 10_000, 0, cost_neur(10_000, EUR)))
            return tick in (4, late)

        return change

    assert broken(whole(corrected_in(BACK + 1))) == set()
    assert broken(whole(corrected_in(BACK + 2))) == {"ledgers agree"}
    assert broken(whole(corrected_in(99))) == {"ledgers agree"}


def test_money_that_vanishes_is_found() -> None:
    def change(site: Site, tick: int) -> bool:
        if tick == BACK:
            site.balance_neur += 1
            site.play(tick)
            site.hear("house-1", house(tick, 1 - site.balance_neur, 10_000, cost_neur(10_000, EUR)))
        elif tick > BACK:
            site.play(tick)
            site.hear("house-1", house(tick, 1 - site.balance_neur, 10_000, cost_neur(10_000, EUR)))
        return tick >= BACK

    assert broken(whole(change)) == {"no money is lost"}
    assert broken(whole(change), Span(FIRST, 3, 5, BACK, LAST, 0.1, forgetful=True)) == set()


def test_a_package_that_is_sold_twice_is_found() -> None:
    site = whole()
    site.hear("turbine-1", Award(5, 1, (Package(0, 10_000, EUR),)), "house-1")
    site.hear("house-1", Receipt(5, 1, (Package(0, 1, EUR),)), "turbine-1")
    assert broken(site) == {"no package is sold twice", "no stale bid is acted on"}


def test_a_receipt_that_is_given_in_two_ways_is_found() -> None:
    site = whole()
    site.hear("house-1", Receipt(5, 0, ()), "turbine-1")
    assert broken(site) == {"no package is sold twice"}


def test_a_bid_that_is_acted_on_when_its_tick_is_over_is_found() -> None:
    def sold_in(late: int) -> Callable[[Site, int], bool]:
        def change(site: Site, tick: int) -> bool:
            if tick == late:
                site.play(5)
                key = ("turbine-1", "house-1", 0)
                site.evidence.market(5).receipts.pop(key)
                site.evidence.awarded.pop((5, key))
                site.play(tick)
                site.hear("turbine-1", Award(5, 0, (Package(0, 10_000, EUR),)), "house-1")
                site.hear("house-1", Receipt(5, 0, (Package(0, 10_000, EUR),)), "turbine-1")
            return tick in (5, late)

        return change

    assert broken(whole(sold_in(6))) == set()
    assert broken(whole(sold_in(7))) == {"no stale bid is acted on"}


def test_a_device_that_stays_away_is_found() -> None:
    site = whole()
    site.hear("house-1", Presence(online=False, kind=Kind.CONSUMER, cell="here", latitude=0, longitude=0))
    assert broken(site) == {"all are back"}


def test_a_retained_tick_of_yesterday_is_found() -> None:
    site = whole()
    old = site.evidence.ticks[0]
    assert broken(site, kept=old) == {"retained tick is right"}


@pytest.mark.parametrize(
    ("invariant", "question"),
    [
        ("ports", "no port is booked twice"),
        ("supply", "no package is sold twice"),
        ("fresh", "no stale bid is acted on"),
        ("balances", "all other invariants hold"),
    ],
)
def test_what_the_auditor_finds_counts(invariant: str, question: str) -> None:
    assert broken(whole(), after=findings(1, invariant)) == {question}


def test_what_was_never_looked_at_does_not_hold() -> None:
    assert broken(whole(), after=before()) == {
        "no package is sold twice",
        "no port is booked twice",
        "no stale bid is acted on",
        "all other invariants hold",
    }


def test_a_tick_that_was_not_wholly_heard_is_judged_by_the_balances_of_all() -> None:
    def change(site: Site, tick: int) -> bool:
        if tick == 4:
            site.play(tick, sold_wh=10_000)
            site.evidence.accounts[4]["turbine-1"].sold_wh = 0
            site.evidence.missed()
        return tick == 4

    site = whole(change)
    assert broken(site) == set()
    assert broken(site, Span(FIRST, 3, 5, BACK, LAST, 0.1, forgetful=True)) == {"ledgers agree"}
    site.evidence.gaps.clear()
    assert broken(site) == {"ledgers agree"}
