"""Lies by time and number: repeated messages, times that are hours off, and a false `ready` in lock-step."""

from dataclasses import replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Accept,
    Bid,
    Call,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    Ready,
    Release,
    Role,
    State,
    Supply,
    Tick,
)
from gridfleet.broker.protocol.units import MS_PER_HOUR
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.liars.lie import ALL_ROLES, Liar, Lie

OFF_MS: Final = 6 * MS_PER_HOUR
AGE_TICKS: Final = 4
"""Messages are published again after an hour."""
REPEATED: Final = 200
"""How often a flood publishes one message."""


class Replayer(Liar):
    """Publishes everything that it published an hour ago again, phase by phase."""

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - as `Liar`
        super().__init__(agent, random, partner)
        self._published: dict[tuple[int, Phase], list[tuple[str, Message]]] = {}

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Keep what is published; presence and accounts, which are retained, are not repeated."""
        if not isinstance(message, Presence | State):
            tick = self.agent.tick_message
            self._published.setdefault((tick.tick, tick.phase), []).append((scope, message))
        return ((scope, message),)

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Publish the messages of the same phase, some ticks ago."""
        return self._published.pop((tick.tick - AGE_TICKS, tick.phase), NOTHING)


class Flooder(Liar):
    """Publishes what begins a trade or a reservation many times."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Repeat a bid, a supply or a call."""
        return ((scope, message),) * (REPEATED if isinstance(message, Bid | Supply | Call) else 1)


class WrongTime(Liar):
    """States times that are six hours ahead in everything about charging."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Shift the times of a message."""
        match message:
            case Call() | Accept() | Heartbeat() | Release():
                return ((scope, replace(message, simulated_ms=message.simulated_ms + OFF_MS)),)
            case Offer() | Lease():
                return ((scope, replace(message, until_ms=message.until_ms + OFF_MS)),)
        return ((scope, message),)


class FalseReady(Liar):
    """In lock-step, reports that it has finished the whole tick as soon as a phase begins, and asks to act at once."""

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Publish a ready through the end of the tick."""
        return (("", Ready(tick.tick, Phase.SETTLE, now_ms + 1)),)


REPLAY: Final = Lie("replay", ALL_ROLES, "publishes its messages of an hour ago again", Replayer)
FLOOD: Final = Lie(
    "flood", ALL_ROLES - {Role.GRID_SUPPLY}, "publishes every bid, supply and call 200 times", Flooder
)
WRONG_TIME: Final = Lie(
    "wrong-time", frozenset({Role.CHARGER, Role.VEHICLE}), "states times that are six hours ahead", WrongTime
)
FALSE_READY: Final = Lie(
    "false-ready", ALL_ROLES, "in lock-step, is ready through the tick before it has acted", FalseReady
)
