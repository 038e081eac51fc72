"""What a lie is: `Lie`, an entry of the registry, and `Liar`, which decides what one lying device publishes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import KIND_PATTERN, Message, Role, Tick
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.random_streams import RandomStream

Honest = Callable[[], Out]
"""Lets the honest agent take the message; returns what the device publishes then, altered by the lie."""
ALL_ROLES: Final = frozenset(Role) - {Role.CLOCK}
"""The roles of devices; no lie is for the clock, whom everybody believes."""


class LiarError(GridFleetError, ValueError):
    """A lie that is unknown, or not possible for that device or at that tick."""


class Liar:
    """Base of the lies: decides what one lying device publishes in place of its honest agent; one object for each.

    It is asked from the tick on in which the device begins to lie. The honest agent goes on beneath it, so everything
    that a lie does not touch stays true. It uses no chance but `random`, so that a run is repeatable.
    """

    needs_partner: ClassVar[bool] = False
    """Whether it is a lie of two devices together; each names the other (`with:`)."""

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - of the lie's roles
        """`agent` is the honest agent, `random` the lie's own stream by seed and id, `partner` empty or an id."""
        self.agent = agent
        self.random = random
        self.partner = partner

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Return what is published instead of a message of the honest agent; `now_ms` is simulated time."""
        return ((scope, message),)

    def receive(
        self,
        scope: str,
        sender: str,
        message: Message,
        now_ms: int,
        honest: Honest,
    ) -> Out:
        """Take a received message that is no tick; return what to publish. What `honest` returns is altered already."""
        return honest()

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Return what is published besides, after the honest agent's messages, when a phase of its own begins."""
        return NOTHING


@dataclass(frozen=True, slots=True)
class Lie:
    """A lie, for the entry-point group `gridfleet.liars`: its name, for which roles it is, and what it does.

    >>> Lie("hush", frozenset({Role.CHARGER}), "answers nothing", Liar).name
    'hush'
    """

    name: str
    """Lower-case letters, digits, `_` and `-`."""
    roles: frozenset[Role]
    """The roles of the devices that it is for."""
    description: str
    """What it does, as one line for people."""
    liar: type[Liar]
    """Its class; an object of it is made for each device that lies so."""

    def __post_init__(self) -> None:
        if not re.fullmatch(KIND_PATTERN, self.name):
            raise ValueError(f"name = {self.name!r}: a lie has up to 32 lower-case letters, digits, _ and -")
        unknown = [str(role) for role in self.roles if role not in ALL_ROLES]
        if unknown or not self.roles:
            allowed = ", ".join(role.value for role in Role if role in ALL_ROLES)
            raise ValueError(
                f"{self.name}: roles has {', '.join(unknown) or 'nothing'}; allowed are {allowed}"
            )
        if not issubclass(self.liar, Liar):
            raise TypeError(f"{self.name}: liar must be a subclass of Liar")
