"""Makes an agent lie: a subclass of its class, made for this one agent, asks the lie about every message.

The simulation and every runner on a broker call `handle` and `wake`, so a liar is the same in all of them. What it
publishes must be messages that receivers would decode; another is a mistake in the lie and ends the run.
"""

from collections.abc import Iterable
from typing import Any

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol.codec import check
from gridfleet.broker.protocol.messages import Message, State, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.devices.agents.base import Agent, AgentError, Out
from gridfleet.devices.plugins import place_of
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.liars.lie import Lie


def make_liar(agent: Agent, lie: Lie, *, seed: int, from_tick: int = 0, partner: str = "") -> Agent:
    """Return the agent as one that lies from a tick on; until then it does what it would have done."""
    liar = lie.liar(agent, RandomStream(seed, "liar", agent.id), partner)
    agent.__class__ = _lying_class(type(agent), _ActiveLie(lie, liar), from_tick)
    return agent


def honest_account(agent: Agent) -> State | None:
    """Return the account that a lying device would have published last; None for one that does not lie, or not yet."""
    active_lie = getattr(agent, "active_lie", None)
    return active_lie.account if isinstance(active_lie, _ActiveLie) else None


def lied_in(agent: Agent) -> int | None:
    """Return the tick of the first lie: of what an honest device would not publish, or keep back; None before it."""
    active_lie = getattr(agent, "active_lie", None)
    return active_lie.lied_in if isinstance(active_lie, _ActiveLie) else None


class _ActiveLie:
    """The lie of one device: holds what it publishes to what receivers decode."""

    def __init__(self, lie: Lie, liar: Any) -> None:  # noqa: ANN401 - a Liar
        self.lie = lie
        self.liar = liar
        self.account: State | None = None
        self.lied_in: int | None = None

    def altered(self, agent: Agent, out: Out, now_ms: int) -> Out:
        """Return the messages of the honest agent as the lie alters them."""
        altered: list[tuple[str, Message]] = []
        for scope, message in out:
            if isinstance(message, State):
                self.account = message
            instead = self._guarded(agent, self.liar.alter, scope, message, now_ms)
            if [*instead] != [(scope, message)]:
                self._note_lie(agent)
            altered += instead
        return altered

    def received(
        self,
        agent: Agent,
        scope: str,
        sender: str,
        message: Message,
        now_ms: int,
        honest: Any,  # noqa: ANN401
    ) -> Out:
        """Return the answer to a message."""
        answers: list[Out] = []

        def answer_honestly() -> Out:
            answers.append(self.altered(agent, honest(scope, sender, message, now_ms), now_ms))
            return answers[0]

        out = self._guarded(agent, self.liar.receive, scope, sender, message, now_ms, answer_honestly)
        if [[*out]] != [[*each] for each in answers]:
            self._note_lie(agent)
        return out

    def begun(self, agent: Agent, tick: Tick, now_ms: int) -> Out:
        """Return what is published besides at the beginning of a phase."""
        out = self._guarded(agent, self.liar.on_phase, tick, now_ms)
        if out:
            self._note_lie(agent)
        return out

    def _note_lie(self, agent: Agent) -> None:
        if self.lied_in is None:
            self.lied_in = agent.tick

    def _guarded(self, agent: Agent, method: Any, *arguments: object) -> Out:  # noqa: ANN401
        """Call a method of the lie; raise AgentError for an exception, and for what receivers would not decode."""
        try:
            out: Out = method(*arguments)
        except AgentError:
            raise
        except Exception as error:
            raise agent.error(
                f"lie {self.lie.name!r}: {type(error).__name__}: {error}{place_of(error)}", "correct the lie"
            ) from error
        self._check(agent, (message for _, message in out))
        return out

    def _check(self, agent: Agent, messages: Iterable[Message]) -> None:
        for message in messages:
            try:
                check(message)
            except PayloadError as error:
                raise agent.error(
                    f"lie {self.lie.name!r} publishes what no receiver decodes: {error}", "correct the lie"
                ) from None


def _lying_class(agent_class: Any, lie: _ActiveLie, from_tick: int) -> Any:  # noqa: ANN401 - a class and its subclass
    class Lying(agent_class):  # type: ignore[misc]
        """An agent that lies."""

        __slots__ = ()
        active_lie = lie

        def handle(self, scope: str, sender: str, message: Message, now_ms: int) -> Out:
            ticks = isinstance(message, Tick) and sender == CLOCK_ID
            if (message.tick if ticks else self.tick) < from_tick:  # type: ignore[attr-defined]
                return super().handle(scope, sender, message, now_ms)  # type: ignore[no-any-return]
            if not isinstance(message, Tick):
                return self.active_lie.received(self, scope, sender, message, now_ms, super().handle)
            before = self.tick_message
            out = self.active_lie.altered(self, super().handle(scope, sender, message, now_ms), now_ms)
            now = self.tick_message
            if now is before or (now.epoch, now.simulated_ms) == (before.epoch, before.simulated_ms):
                return out
            return [*out, *self.active_lie.begun(self, now, now_ms)]

        def wake(self, now_ms: int) -> Out:
            out = super().wake(now_ms)
            return out if self.tick < from_tick else self.active_lie.altered(self, out, now_ms)

    Lying.__name__ = Lying.__qualname__ = agent_class.__name__
    Lying.__module__ = agent_class.__module__
    return Lying
