"""Who often answers or awards too late is dealt with last or not at all, heals, and is never an honest device."""

from collections import Counter
from itertools import pairwise
from typing import Final

import pytest

from gridfleet.broker.protocol.messages import Award, Message, Phase, Receipt, State
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.audit import Auditor
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.announcements import Announcements
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from gridfleet.devices.trust.punctuality import Punctuality, most_in_time
from gridfleet.devices.trust.register import Register
from gridfleet.devices.trust.reputation import REMEMBERED_TICKS
from gridfleet.devices.trust.trust import Trust
from tests.devices.testbed import EUR, Testbed, household, package, turbine

SMALL: Final = (
    "turbines.count=2",
    "households.count=2",
    "commerce.count=1",
    "farms.count=1",
    "battery={count=1, selling_price_eur_per_kwh=0.5}",
    "chargers={count=3, stored_share=0.5}",
    "vehicles={count=6, stored_share=0.4}",
)


class Run:
    """What a simulated site publishes, and what its auditor finds."""

    def __init__(self, ticks: int, *liars: str, faults: Faults | None = None, seed: int = 7) -> None:
        self.messages: list[tuple[int, str, str, Message]] = []
        auditor = Auditor(exact=faults is None)
        simulation = Simulation(
            load("normal", SMALL),
            ticks=ticks,
            seed=seed,
            faults=faults,
            receivers=(auditor.receive, lambda *each: self.messages.append(each)),
            liars=parse_liars(liars),
        )
        simulation.run()
        self.start_ms = self.messages[0][0]
        self.breached = {each.name for each in auditor.finish() if not each.holds}
        self.named = {each.device for each in auditor.accusations()}
        self.avoids = {
            (sender, partner)
            for _, _, sender, message in self.messages
            if isinstance(message, State)
            for partner in message.avoids
        }


def test_who_is_avoided_after_some_encounters() -> None:
    known = Punctuality()
    for tick in range(3):
        known.note_broken("a", tick, tick)
        known.note_broken("a", tick, tick)  # of one tick's trade it counts once
    assert known.avoided(3) == frozenset()
    known.note_broken("a", 3, 3)
    assert known.avoided(3) == {"a"}
    known.note_kept(("a", "b"), 4)
    assert known.avoided(4) == frozenset()
    known.note_broken("a", 5, 5)
    known.note_broken("a", 6, 6)
    assert known.avoided(6) == frozenset()
    known.note_broken("a", 7, 7)
    assert known.avoided(7) == {"a"}  # of one promise it has kept and seven it has broken
    known.clear()
    assert known.avoided(7) == frozenset()


def test_it_heals_after_a_day() -> None:
    known = Punctuality()
    for tick in range(4):
        known.note_broken("a", tick, tick)
    assert known.avoided(REMEMBERED_TICKS - 1) == {"a"}
    assert known.avoided(REMEMBERED_TICKS) == frozenset()  # three are left
    known.note_broken("a", REMEMBERED_TICKS, REMEMBERED_TICKS)
    assert known.avoided(REMEMBERED_TICKS) == {"a"}


@pytest.mark.parametrize(
    ("in_time", "late", "is_own"),
    [
        ("", "a", False),
        ("b", "a", True),
        ("bc", "ad", False),
        ("bcd", "ae", True),
        ("b", "acdefg", False),
    ],
)
def test_lateness_is_its_own_where_most_others_are_in_time(in_time: str, late: str, is_own: bool) -> None:
    assert most_in_time("a", set(in_time), set(late)) is is_own


# --- sellers about buyers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("liar", ["household-1", "charger-1"])
def test_a_buyer_that_refuses_late_is_passed_over_by_each_seller_after_four_times(liar: str) -> None:
    run = Run(60, f"{liar}=refuse-late")
    refused: dict[str, set[int]] = {}
    last_awarded: dict[str, int] = {}
    for _, scope, sender, message in run.messages:
        if isinstance(message, Receipt) and sender == liar:
            refused.setdefault(scope, set()).add(message.tick)
        elif isinstance(message, Award) and scope == liar:
            last_awarded[sender] = max(last_awarded.get(sender, -1), message.tick)
    avoiding = {device for device, partner in run.avoids if partner == liar}
    assert avoiding
    for seller in avoiding:
        assert 4 <= len(refused[seller]) <= 5  # the fifth is awarded before the fourth is refused
        assert last_awarded[seller] < 59
    assert {partner for _, partner in run.avoids} == {liar}
    assert not run.named
    assert run.breached <= {"settled", "balances"}


def test_a_refusal_in_time_is_a_kept_promise() -> None:
    assert not Run(40, "household-1=refuse-awards").avoids


def test_a_thief_that_makes_others_refuse_does_not_have_them_avoided() -> None:
    run = Run(40, "turbine-1=steal")
    assert {partner for _, partner in run.avoids} == {"turbine-1"}


def test_a_buyer_is_sold_to_again_after_a_day() -> None:
    run = Run(130, "household-1=refuse-late")
    ticks = sorted(
        message.tick
        for _, scope, sender, message in run.messages
        if isinstance(message, Award) and (scope, sender) == ("household-1", "turbine-1")
    )
    longest = max(after - before for before, after in pairwise(ticks))
    assert REMEMBERED_TICKS - 8 <= longest <= REMEMBERED_TICKS + 8
    assert not run.named
    assert run.breached <= {"settled", "balances"}


# --- buyers about sellers ----------------------------------------------------------------------------------


def test_a_producer_that_awards_late_is_avoided_by_its_buyers() -> None:
    run = Run(60, "turbine-1=award-late")
    assert {partner for _, partner in run.avoids} == {"turbine-1"}
    assert {device for device, _ in run.avoids} >= {"household-1", "household-2"}
    assert not run.named


def trusting(*agents: Agent) -> Testbed:
    """Return a testbed of devices with a register: they remember what others do."""
    register, announcements = Register(), Announcements()
    for agent in agents:
        agent.trust = Trust(register, announcements)
    return Testbed(*agents)


def award(tick: int, energy_wh: int, serial: int = 0) -> Award:
    return Award(tick, serial, (package(0, energy_wh),))


def test_the_awards_of_who_is_often_late_are_answered_last() -> None:
    bed = trusting(household("home", 8_000))
    for tick in range(4):
        bed.run_phases(Phase.BID, Phase.TRADE)
        bed.deliver("punctual", "home", award(tick, 1_000))
        bed.begin_phase(Phase.SETTLE)
        bed.deliver("late", "home", award(tick, 8_000))
    bed.begin_phase(Phase.BID)
    bed.begin_phase(Phase.TRADE)
    bed.unread.clear()
    bed.deliver("late", "home", award(4, 5_000))
    bed.deliver("late", "home", award(4, 5_000))
    bed.expect_nothing()
    bed.deliver("punctual", "home", award(4, 7_000))
    bed.expect("home", "punctual", Receipt(4, 0, (package(0, 7_000),)))
    bed.begin_phase(Phase.IMPORT)
    bed.expect("home", "late", Receipt(4, 0, (package(0, 1_000),)))
    assert bed.agents["home"].avoided() == ("late",)
    bed.deliver("late", "home", award(4, 1_000, serial=1))
    bed.expect("home", "late", Receipt(4, 1, ()))


def test_late_awards_of_all_sellers_are_the_networks() -> None:
    bed = trusting(household("home", 8_000))
    for tick in range(6):
        bed.run_phases(Phase.BID, Phase.TRADE, Phase.SETTLE)
        for seller in ("one", "two", "three"):
            bed.deliver(seller, "home", award(tick, 1_000))
    assert bed.agents["home"].avoided() == ()


# --- honest devices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        Faults(loss=0.3),
        Faults(delay_s=600.0),
        Faults(loss=0.2, crash=0.03, keep_state=False, partition=0.4, from_tick=4, to_tick=20),
    ],
    ids=["loss", "delay", "crash and partition"],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_network_makes_no_trading_partner_suspect(faults: Faults, seed: int) -> None:
    run = Run(32, faults=faults, seed=seed)
    late = Counter(
        now_ms // TICK_MS > run.start_ms // TICK_MS + message.tick
        for now_ms, _, _, message in run.messages
        if isinstance(message, Award)
    )
    assert late[True]
    assert not [pair for pair in run.avoids if "vehicle" not in pair[0] and "vehicle" not in pair[1]]


def test_a_seller_whose_buyers_are_all_late_suspects_none() -> None:
    roster = Roster()
    homes = [household(f"home-{number}", 2_000, price=EUR) for number in range(3)]
    bed = trusting(turbine("wind", 6_000, roster), *homes)
    for _ in range(6):
        bed.run_phases(Phase.BID)  # also reminders, which are refused
        bed.drop(Award)
        bed.run_phases(Phase.TRADE, Phase.SETTLE)
        bed.restore_link()
    assert [receipt.lots for receipt in bed.published(Receipt)] == [()] * 15
    assert bed.agents["wind"].avoided() == ()


def test_a_seller_passes_over_who_alone_is_late() -> None:
    roster = Roster()
    homes = [household(f"home-{number}", 2_000, price=EUR) for number in range(5)]
    bed = trusting(turbine("wind", 10_000, roster), *homes)
    for _ in range(5):
        bed.run_phases(Phase.BID)
        bed.drop(Award, to="home-3")
        bed.run_phases(Phase.TRADE, Phase.SETTLE)
        bed.restore_link()
    sent = bed.run_phases(Phase.BID, Phase.TRADE)
    assert bed.agents["wind"].avoided() == ("home-3",)
    assert {to for _, to, message in sent if isinstance(message, Award) and message.tick == 5} == {
        "home-0", "home-1", "home-2", "home-4"
    }  # fmt: skip
