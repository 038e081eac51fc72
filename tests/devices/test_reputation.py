"""Promises kept and broken: which partners are avoided, for how long, and that a lying charger loses its customers."""

from collections import Counter
from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import Accept, Call, Decline, Lease, Offer, Release, VehicleState
from gridfleet.devices.agents.base import Agent, Out
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.config.scenario import parse
from gridfleet.devices.kinds.agent_type import AgentContext
from gridfleet.devices.kinds.charger import CHARGER, ChargerSettings
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.devices.trust.reputation import MAX_ENCOUNTERS, REMEMBERED_TICKS, Reputation
from tests.plugins import registered
from tests.system.message_log import simulate


def after(*outcomes: bool, tick: int = 0) -> Reputation:
    known = Reputation()
    for kept in outcomes:
        known.note("charger", tick, kept=kept)
    return known


@pytest.mark.parametrize(
    ("outcomes", "trusted"),
    [
        ((), True),
        ((False,), True),
        ((False, False), False),
        ((True, False, False), True),
        ((True, False, False, False), True),
        ((True, False, False, False, False), False),
        ((True, True, True), True),
    ],
)
def test_trust_after_some_outcomes(outcomes: tuple[bool, ...], trusted: bool) -> None:
    known = after(*outcomes)
    assert known.trusts("charger", 0) is trusted
    assert known.avoided(0) == (() if trusted else ("charger",))
    assert (sum(outcomes) + 1) / (len(outcomes) + 2) >= 0.3 or not trusted


def test_after_a_day_there_is_another_chance() -> None:
    known = after(False, False, tick=10)
    assert not known.trusts("charger", 9 + REMEMBERED_TICKS)
    assert known.trusts("charger", 10 + REMEMBERED_TICKS)


def test_many_kept_promises_do_not_outweigh_the_latest_ones() -> None:
    known = after(*[True] * 100, *[False] * MAX_ENCOUNTERS)
    assert not known.trusts("charger", 0)


class Liar(Charger):
    """Offers energy for free, and does not confirm its offers."""

    __slots__ = ()

    def on_call(self, _scope: str, sender: str, call: Call, now_ms: int) -> Out:
        return [(sender, Offer(call.call, call.energy_wh, 0, now_ms + 300_000))]

    def on_accept(self, _scope: str, sender: str, accept: Accept, _now_ms: int) -> Out:
        return [(sender, Decline(accept.call, "unknown"))]


class DeclinesReleases(Liar):
    """Confirms its offers, and declines every release."""

    __slots__ = ("_promised",)

    def on_call(self, scope: str, sender: str, call: Call, now_ms: int) -> Out:
        self._promised = {**getattr(self, "_promised", {}), sender: call.energy_wh}
        return super().on_call(scope, sender, call, now_ms)

    def on_accept(self, _scope: str, sender: str, accept: Accept, now_ms: int) -> Out:
        return [(sender, Lease(accept.call, self._promised[sender], 0, now_ms + 2_250_000))]

    def on_release(self, _scope: str, sender: str, release: Release, _now_ms: int) -> Out:
        return [(sender, Decline(release.call, "unknown"))]


@pytest.mark.parametrize("kind", [Liar, DeclinesReleases])
def test_a_charger_that_offers_for_nothing_and_does_not_deliver_loses_its_customers(
    kind: type[Charger],
) -> None:
    def first_lies(context: AgentContext[ChargerSettings]) -> Agent:
        liar = replace(context, agent_class=kind)
        return CHARGER.build(liar if context.id == "charger-1" else context)

    small = ["area.south=51", "area.north=52", "area.west=9", "area.east=10", "chargers.count=4"]
    scenario = parse("", "liar.toml", "", [*small, "vehicles.count=8", "vehicles.stored_share=[0.2, 0.5]"])
    with registered(AGENT_TYPES, replace(CHARGER, build=first_lies)):
        run = simulate(scenario, 60)
    accepted = Counter(sender for _, sender, accept in run.of(Accept) if accept.charger == "charger-1")
    assert accepted
    assert max(accepted.values()) <= 2
    avoiding = {sender for _, sender, state in run.of(VehicleState) if "charger-1" in state.avoids}
    assert avoiding == {vehicle for vehicle, times in accepted.items() if times == 2}
    assert avoiding


def test_honest_chargers_are_trusted_all_the_time() -> None:
    run = simulate(parse("", "honest.toml", ""), 60)
    assert {state.avoids for _, _, state in run.of(VehicleState)} == {()}
