"""The simulation hands every message to `handle` and every alarm to `wake`, as the other runtimes do."""

from collections import Counter
from typing import Any

import pytest

from gridfleet.broker.protocol.messages import Award, ConsumerState, Message, Receipt, VehicleState
from gridfleet.devices.agents.base import NOTHING, Agent, Out
from gridfleet.devices.agents.household import Household
from gridfleet.devices.agents.vehicle import Vehicle
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.simulation import Simulation

TICKS = 4


class IgnoresAwards(Household):
    """Overrides `handle`: ignores every award."""

    __slots__ = ()

    def handle(self, scope: str, sender: str, message: Message, now_ms: int) -> Out:
        return NOTHING if isinstance(message, Award) else super().handle(scope, sender, message, now_ms)


class Sleeper(Vehicle):
    """Overrides `wake`: does nothing that it has planned."""

    __slots__ = ()

    def wake(self, now_ms: int) -> Out:  # noqa: ARG002 - it does not look at the time
        self.stop_waiting()
        self.cancel_plan()
        self.refuse("asleep")
        return NOTHING


def run_with(monkeypatch: pytest.MonkeyPatch, agent_class: type[Agent]) -> list[tuple[str, Message]]:
    """Run a scenario in which agents of a shipped class are of this subclass; return (sender, message) pairs."""
    make = Fleet.build_agent

    def make_subclass(self: Fleet, agent_id: str) -> Agent:
        agent: Any = make(self, agent_id)
        if type(agent) is agent_class.__base__:
            agent.__class__ = agent_class
        return agent  # type: ignore[no-any-return]

    monkeypatch.setattr(Fleet, "build_agent", make_subclass)
    published: list[tuple[str, Message]] = []
    listener = lambda _now_ms, _scope, sender, message: published.append((sender, message))  # noqa: E731
    Simulation(load("normal"), ticks=TICKS, receivers=(listener,)).run()
    return published


def test_an_overridden_handle_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    published = run_with(monkeypatch, IgnoresAwards)
    states = [message for _, message in published if isinstance(message, ConsumerState)]
    households = {sender for sender, message in published if isinstance(message, ConsumerState)}
    assert len(states) == TICKS * len(households) > 0
    assert any(sender not in households for sender, message in published if isinstance(message, Receipt))
    assert not any(sender in households for sender, message in published if isinstance(message, Receipt))
    assert {state.bought_wh for state in states} == {0}


def test_an_overridden_wake_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    published = run_with(monkeypatch, Sleeper)
    states = [message for _, message in published if isinstance(message, VehicleState)]
    asleep = Counter[str]()
    for state in states:
        asleep.update(state.refused)
    assert asleep["asleep"] > 0
    assert {state.status for state in states} == {"parked"}
