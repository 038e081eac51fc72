"""The topic table: the only place where topic strings are built and parsed.

A topic is `gridfleet/<site>/<word>/<scope…>/<sender>`. The word stands for the message class. The scope says
who it is for: nobody in particular, a cell, one agent, a cell and a kind of device, or a setting of the clock.
The sender's id is always the last level, so that one access rule per word makes forging impossible.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from . import messages as m
from .errors import TopicError
from .messages import Kind, Message

ROOT: Final = "gridfleet"
ALL: Final = "+"


class Scope(Enum):
    """Who a message is for; the value is how many levels the scope takes in the topic."""

    SITE = ()
    CELL = ("cell",)
    AGENT = ("agent",)
    CELL_KIND = ("cell", "kind")
    SETTING = ("setting",)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the topic table."""

    message: Any
    scope: Scope
    senders: frozenset[Kind]
    """The kinds of device that may say it; empty for operators."""
    retain: bool = False
    qos: int = 1

    @property
    def word(self) -> str:
        """The word that stands for the message class in the topic."""
        return str(self.message.TOPIC)


_CLOCK: Final = frozenset({Kind.CLOCK})
_PRODUCERS: Final = frozenset({Kind.TURBINE})
_SELLERS: Final = frozenset({Kind.TURBINE, Kind.REACTOR})
_BUYERS: Final = frozenset({Kind.CONSUMER, Kind.CHARGER})
_CHARGERS: Final = frozenset({Kind.CHARGER})
_VEHICLES: Final = frozenset({Kind.VEHICLE})
_ALL: Final = frozenset(Kind)

TABLE: Final = tuple(
    Row(*row)
    for row in (
        (m.Tick, Scope.SITE, _CLOCK, True),
        (m.Ready, Scope.SITE, _ALL - _CLOCK),
        (m.Grant, Scope.AGENT, _CLOCK),
        (m.Control, Scope.SETTING, frozenset[Kind](), True),
        (m.Presence, Scope.CELL_KIND, _ALL, True),
        (m.Supply, Scope.CELL, _PRODUCERS),
        (m.Bid, Scope.CELL, _BUYERS),
        (m.Residual, Scope.CELL, _BUYERS),
        (m.Surplus, Scope.CELL, _PRODUCERS),
        (m.Request, Scope.AGENT, _BUYERS),
        (m.Award, Scope.AGENT, _SELLERS),
        (m.Receipt, Scope.AGENT, _BUYERS),
        (m.Call, Scope.CELL, _VEHICLES),
        (m.Offer, Scope.AGENT, _CHARGERS),
        (m.Decline, Scope.AGENT, _CHARGERS),
        (m.Accept, Scope.AGENT, _VEHICLES),
        (m.Close, Scope.CELL, _VEHICLES),
        (m.Lease, Scope.AGENT, _CHARGERS),
        (m.Heartbeat, Scope.AGENT, _VEHICLES),
        (m.Release, Scope.AGENT, _VEHICLES),
        (m.Bill, Scope.AGENT, _CHARGERS),
        (m.State, Scope.SITE, _ALL, True),
        (m.Correction, Scope.SITE, _SELLERS),
    )
)
BY_WORD: Final = {row.word: row for row in TABLE}

_LEVEL: Final = re.compile(m.ID_PATTERN)


class Address(NamedTuple):
    """A parsed topic."""

    row: Row
    scope: str
    """The levels between word and sender, joined by '/'; empty for messages to the whole site."""
    sender: str


def topic(site: str, message: Message, scope: str, sender: str) -> str:
    """Return the topic under which `sender` says `message` to `scope`."""
    if scope:
        return f"{ROOT}/{site}/{message.TOPIC}/{scope}/{sender}"
    return f"{ROOT}/{site}/{message.TOPIC}/{sender}"


def topic_filter(site: str, word: str, scope: str = "") -> str:
    """Return the filter for a word and a scope, from any sender; a scope level may be '+'."""
    levels = len(BY_WORD[word].scope.value)
    middle = scope or "/".join([ALL] * levels)
    return f"{ROOT}/{site}/{word}/{middle}/{ALL}" if levels else f"{ROOT}/{site}/{word}/{ALL}"


def parse(site: str, text: str) -> Address:
    """Split a topic into table row, scope and sender; raise TopicError when it is not one of ours."""
    levels = text.split("/")
    if levels[:2] != [ROOT, site]:
        raise TopicError(text, f"does not begin with {ROOT}/{site}/")
    row = BY_WORD.get(levels[2]) if len(levels) > 2 else None
    if row is None:
        raise TopicError(text, "names no known message")
    scope, sender = levels[3:-1], levels[-1]
    if len(levels) != 4 + len(row.scope.value):
        raise TopicError(text, f"{row.word} takes {len(row.scope.value)} scope levels and a sender")
    for level in (*scope, sender):
        if not _LEVEL.match(level):
            raise TopicError(text, f"{level!r} is not an id")
    return Address(row, "/".join(scope), sender)
