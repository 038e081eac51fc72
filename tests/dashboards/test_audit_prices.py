"""The auditor's prices: honest runs hold under each rule, and a producer that asks for too much is found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import Award, Package, Receipt
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.dashboards.audit.specifications import (
    SHIPPED,
    SpecificationOf,
    find_specification,
    uniform_price,
)
from gridfleet.devices.agents.base import Agent, Out
from gridfleet.devices.agents.reactor import Reactor
from gridfleet.devices.agents.turbine import Turbine
from gridfleet.devices.kinds.agent_type import AgentContext
from gridfleet.devices.kinds.reactor import REACTOR, ReactorSettings
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.devices.kinds.turbine import TURBINE, TurbineSettings
from gridfleet.devices.market.cell_market import CellMarket
from gridfleet.devices.market.clearing import Lot
from gridfleet.devices.market.clearing_rule import ClearingRule, MarketLot
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.provisioning.runs.results import specification_of
from tests.dashboards.runs import SMALL, Logged, audit, broken, message_log
from tests.plugins import registered

RULES = ("pay-as-bid", "uniform-price")
TIGHT = ("settings.turbine_scale=0.2",)
"""So little wind that the marginal bid changes, and that the reactor sells."""
CELLS = (*SMALL, "settings.turbine_scale=0.3")
"""Four cells that exchange energy."""
Log = list[Logged] | tuple[Logged, ...]


def rule_is(name: str) -> tuple[str, ...]:
    return (f"settings.clearing_rule={name}",)


def audited(log: Log, *, exact: bool = True, others: SpecificationOf | None = None) -> dict[str, Finding]:
    auditor = Auditor(exact=exact, specification_of=others)
    for each in log:
        auditor.receive(*each)
    return {finding.name: finding for finding in auditor.finish()}


# --- honest runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "changes", [(), TIGHT, (*SMALL, "settings.turbine_scale=0.3")], ids=["normal", "scarce", "cells"]
)
def test_honest_runs_hold_to_the_last_price(rule: str, changes: tuple[str, ...]) -> None:
    found = audit(message_log("normal", (*changes, *rule_is(rule)), ticks=24))
    assert broken(found) == {}
    assert found["prices"].checked > 100
    assert "no specification" not in found["prices"].what


@pytest.mark.parametrize("changes", [TIGHT, CELLS], ids=["scarce", "cells"])
@pytest.mark.parametrize(
    "faults",
    [
        ("loss=0.2",),
        ("crash=0.05", "keep_state=false", "loss=0.1", "down_ticks=1"),
        ("delay_s=300", "reorder=0.3"),
    ],
    ids=" ".join,
)
def test_honest_runs_hold_with_faults(changes: tuple[str, ...], faults: tuple[str, ...]) -> None:
    log = message_log("normal", (*changes, *rule_is("uniform-price")), faults, 40)
    assert broken(audit(log, exact=False)) == {}


def test_a_change_of_the_rule_within_a_run_holds() -> None:
    events = (
        "{hour=1, title='Uniform', clearing_rule='uniform-price'}",
        "{hour=2, title='As bid', clearing_rule='pay-as-bid'}",
    )
    log = message_log("normal", (*TIGHT, f"events=[{','.join(events)}]"), ticks=12)
    assert broken(audit(log)) == {}
    prices: list[set[int]] = [set() for _ in range(12)]
    for _, _, sender, message in log:
        if isinstance(message, Award) and sender != "reactor-1":
            prices[message.tick] |= {lot.price_ueur_per_kwh for lot in message.lots}
    assert all(len(each) == 1 for each in prices[4:8])
    assert max(map(len, prices[:4])) > 1 < max(map(len, prices[8:]))


# --- producers that ask for more than the rule -------------------------------------------------------------

TAKES_BID = ClearingRule("uniform-price")
"""Under the name of the uniform price it asks for the bids."""


class GreedyTurbine(Turbine):
    """Asks each buyer for its bid, whatever the rule."""

    def on_bid_phase(self, now_ms: int) -> Out:
        out = super().on_bid_phase(now_ms)
        self.market = replace_rule(self.market, TAKES_BID)
        return out


class DearTurbine(Turbine):
    """Asks for 1 µEUR/kWh more than the rule; under pay-as-bid that is more than the bid."""

    def on_bid_phase(self, now_ms: int) -> Out:
        out = super().on_bid_phase(now_ms)
        self.market = DearMarket(self.market)
        return out


class GreedyReactor(Reactor):
    """Asks for the bid, whatever the rule."""

    __slots__ = ()

    def on_bid_phase(self, now_ms: int) -> Out:
        out = super().on_bid_phase(now_ms)
        self.selling.rule = TAKES_BID
        return out


class DearMarket(CellMarket):
    """Adds 1 µEUR/kWh to every price."""

    def __init__(self, market: CellMarket) -> None:
        super().__init__(market.tick, market.rule)
        self.bids, self.supplies = market.bids, market.supplies

    def awards(self, lots: Iterable[Lot]) -> dict[str, tuple[Package, ...]]:
        return {
            consumer: tuple(
                replace(each, price_ueur_per_kwh=each.price_ueur_per_kwh + 1) for each in packages
            )
            for consumer, packages in super().awards(lots).items()
        }


def replace_rule(market: CellMarket, rule: ClearingRule) -> CellMarket:
    changed = CellMarket(market.tick, rule)
    changed.bids, changed.supplies = market.bids, market.supplies
    return changed


def with_liar(kind: type[Turbine], rule: str, faults: tuple[str, ...] = ()) -> Log:
    """The messages of a run in which turbine-1 lies; `message_log` keeps no run of another kind."""

    def build(context: AgentContext[TurbineSettings]) -> Agent:
        return TURBINE.build(replace(context, agent_class=kind) if context.id == "turbine-1" else context)

    with registered(AGENT_TYPES, replace(TURBINE, build=build)):
        return message_log.__wrapped__("normal", (*TIGHT, *rule_is(rule)), faults, 24)


@pytest.mark.parametrize("faults", [(), ("loss=0.02",)], ids=["exact", "faults"])
@pytest.mark.parametrize(("kind", "rule"), [(GreedyTurbine, "uniform-price"), (DearTurbine, "pay-as-bid")])
def test_a_producer_that_asks_for_more_than_the_rule_is_found(
    kind: type[Turbine], rule: str, faults: tuple[str, ...]
) -> None:
    found = broken(audit(with_liar(kind, rule, faults), exact=not faults))
    assert "prices" in found
    assert all("turbine-1" in example for example in found["prices"])


def test_one_ueur_more_than_the_uniform_price_is_found() -> None:
    found = broken(audit(with_liar(DearTurbine, "uniform-price")))
    assert "by uniform-price it is" in found["prices"][0]


@pytest.mark.parametrize("exact", [True, False])
def test_a_grid_supply_that_asks_for_more_than_the_rule_is_found(exact: bool) -> None:
    def build(context: AgentContext[ReactorSettings]) -> Agent:
        return GreedyReactor(*context.identity, price_ueur_per_kwh=900_000)

    with registered(AGENT_TYPES, replace(REACTOR, build=build)):
        log = message_log.__wrapped__("normal", (*TIGHT, *rule_is("uniform-price")), (), 24)
    assert "by uniform-price it is 900000, bid was" in broken(audit(log, exact=exact))["prices"][0]


# --- rules that the auditor does not know ------------------------------------------------------------------


def half(served: Sequence[MarketLot], _unserved: Sequence[MarketLot]) -> list[int]:
    return [lot.bid // 2 for lot in served]


def half_specified(
    _tick: int, bids: Mapping[str, Sequence[Package]], _supplies: Mapping[str, int], supply_price: int | None
) -> dict[tuple[str, int], int]:
    if supply_price is not None:
        return {}
    return {(c, p.index): int(p.price_ueur_per_kwh / 2) for c, packages in bids.items() for p in packages}


def nothing_specified(*_: object) -> dict[tuple[str, int], int]:
    return {}


def failing(*_: object) -> dict[tuple[str, int], int]:
    raise ZeroDivisionError


HALF = ClearingRule("half", prices=half)


@cache
def half_log() -> tuple[Logged, ...]:
    with registered(CLEARING_RULES, HALF):
        return message_log("normal", (*TIGHT, *rule_is("half")), ticks=12)


def test_of_an_unknown_rule_only_the_bids_are_checked_and_the_finding_says_so() -> None:
    found = audited(half_log())
    assert broken(found) == {}
    assert (
        "by half only the bid limits a price: the auditor has no specification of it" in found["prices"].what
    )
    assert found["prices"].checked > 100


def test_a_price_above_the_bid_is_found_under_an_unknown_rule() -> None:
    log = list(half_log())
    for at, (now, scope, sender, message) in enumerate(log):
        if isinstance(message, Award | Receipt) and message.tick == 5:
            lots = tuple(replace(lot, price_ueur_per_kwh=10**7) for lot in message.lots)
            log[at] = (now, scope, sender, replace(message, lots=lots))
    assert "10000000 µEUR/kWh, bid was" in broken(audited(log))["prices"][0]


def test_a_package_may_bring_the_specification_of_its_rule() -> None:
    with registered(CLEARING_RULES, replace(HALF, specification=half_specified)):
        found = audited(half_log(), others=specification_of)
    assert broken(found) == {}
    assert "no specification" not in found["prices"].what


def test_a_specification_of_another_rule_is_a_breach() -> None:
    found = audited(half_log(), others=lambda _name: nothing_specified)
    assert set(broken(found)) == {"prices", "payments"}


def test_a_specification_that_fails_stops_nothing() -> None:
    found = audited(half_log(), others=lambda _name: failing)
    assert broken(found) == {}
    assert "no specification of it" in found["prices"].what


def test_the_finding_of_an_unknown_rule_survives_a_restart() -> None:
    before = audited(half_log())
    auditor = Auditor()
    auditor.restore(before.values())
    assert {finding.name: finding for finding in auditor.findings} == before


# --- the specifications ------------------------------------------------------------------------------------


def test_the_auditor_specifies_every_shipped_rule_itself() -> None:
    assert list(SHIPPED) == CLEARING_RULES.names() == list(RULES)
    assert find_specification("uniform-price", lambda _name: nothing_specified) is SHIPPED["uniform-price"]
    assert find_specification("other", None) is None
    assert specification_of("other") is None


packages = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 5, 9])), max_size=4).map(
    lambda pairs: tuple(Package(index, wh, price) for index, (wh, price) in enumerate(pairs))
)


@given(
    st.integers(0, 3),
    st.dictionaries(st.sampled_from("abcd"), packages),
    st.dictionaries(st.sampled_from(["t1", "t2"]), st.integers(0, 30), min_size=1),
)
def test_specification_and_rule_agree(
    tick: int, bids: dict[str, tuple[Package, ...]], supplies: dict[str, int]
) -> None:
    specified = uniform_price(tick, bids, supplies, None)
    for producer in supplies:
        market = CellMarket(tick, CLEARING_RULES.get("uniform-price"))
        market.bids, market.supplies = bids, supplies
        for consumer, lots in market.awards(market.clear(producer)).items():
            for lot in lots:
                assert lot.price_ueur_per_kwh == specified[consumer, lot.index]


def test_an_import_is_specified_at_the_price_of_the_supply() -> None:
    bid = {"c": (Package(3, 10, 1_000_000),)}
    assert uniform_price(0, bid, {}, 900_000) == {("c", 3): 900_000}
    assert SHIPPED["pay-as-bid"].prices(0, bid, {}, 900_000) == {}
