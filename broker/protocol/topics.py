"""The topic table: the only place where topic strings are built and parsed.

A topic is `gridfleet/<site>/<word>/<scope…>/<sender>`. The word stands for the message class. The scope says
who it is for: nobody in particular, a cell, one agent, a cell and a kind of device, or a setting of the clock.
The sender's id is always the last level, so that one access rule per word makes forging impossible.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

from gridfleet.broker.errors import TopicError
from gridfleet.broker.protocol import messages as m
from gridfleet.broker.protocol.messages import Kind, Message

ROOT: Final = "gridfleet"
CLOCK_ID: Final = "clock"
"""The one sender whose ticks count."""
ALL: Final = "+"


BATCH: Final = "batch"
"""The word for many messages of one word, from one host to one cell, in one publication; see `protocol.batch`."""
WHOLE_SITE: Final = "site"
"""Stands for the cell in a batch of what is said to the whole site."""


class ClientRole(StrEnum):
    """Those who are no device."""

    RECORDER = "recorder"
    VIEWER = "viewer"
    OPERATOR = "operator"
    FLEET = "fleet"
    BRIDGE = "bridge"


RECORDER_ID: Final = ClientRole.RECORDER.value
"""The user name and client id of the recorder that records a whole site."""


class Scope(Enum):
    """Who a message is for; the value names the levels that the scope takes in the topic."""

    SITE = ""  # not an empty tuple, which Enum loses before Python 3.11.4
    CELL = "cell"
    AGENT = "agent"
    CELL_KIND = "cell/kind"
    SETTING = "setting"

    def __init__(self, text: str) -> None:
        self.levels: Final = tuple(text.split("/")) if text else ()
        """The names of those levels."""


class Reach(Enum):
    """Which cells a device may speak or listen to, seen from its own."""

    OWN = "its own cell"
    NEIGHBOURS = "the cells beside its own"
    NEAR = "its own cell and those beside it"
    EVERYWHERE = "every cell"


class ReadAccess(NamedTuple):
    """Who may hear a message: of a cell, those within reach; of an agent, only that agent."""

    readers: frozenset[Kind]
    reach: Reach = Reach.OWN
    about: frozenset[Kind] = frozenset(Kind)
    """The kinds of device it may hear about, where the scope names a kind."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the topic table."""

    message: Any
    scope: Scope
    senders: frozenset[Kind] | frozenset[ClientRole]
    """The kinds of device that may say it, or operators or hosts."""
    heard: tuple[ReadAccess, ...] = ()
    """The devices that may hear it; recorders, viewers and operators hear everything."""
    retain: bool = False
    reach: Reach = Reach.OWN
    """The cells to which it may be said."""
    expires: bool = False
    """Whether it is worthless after its phase and the patience of those who wait for it."""
    supersedes: bool = False
    """Whether it makes the sender's former ones worthless: of those not sent yet only the newest is kept."""
    qos: int = 1

    @property
    def word(self) -> str:
        """The word that stands for the message class in the topic."""
        return str(self.message.TOPIC)


_CLOCK: Final = frozenset({Kind.CLOCK})
_PRODUCERS: Final = frozenset({Kind.TURBINE})
_REACTORS: Final = frozenset({Kind.REACTOR})
_SELLERS: Final = _PRODUCERS | _REACTORS
_BUYERS: Final = frozenset({Kind.CONSUMER, Kind.CHARGER})
_CHARGERS: Final = frozenset({Kind.CHARGER})
_VEHICLES: Final = frozenset({Kind.VEHICLE})
_ALL: Final = frozenset(Kind)
_OPERATORS: Final = frozenset({ClientRole.OPERATOR})
_FLEETS: Final = frozenset({ClientRole.FLEET})

_TO_CLOCK: Final = (ReadAccess(_CLOCK, Reach.EVERYWHERE),)
_TO_ALL: Final = (ReadAccess(_ALL),)
_TO_PRODUCERS: Final = (ReadAccess(_PRODUCERS),)
_TO_PRODUCERS_BESIDE: Final = (ReadAccess(_PRODUCERS, Reach.NEIGHBOURS),)
_TO_REACTORS: Final = (ReadAccess(_REACTORS),)
_TO_SELLERS: Final = (ReadAccess(_SELLERS),)
_TO_BUYERS: Final = (ReadAccess(_BUYERS),)
_TO_CHARGERS: Final = (ReadAccess(_CHARGERS),)
_TO_VEHICLES: Final = (ReadAccess(_VEHICLES),)
_TO_NOBODY: Final[tuple[ReadAccess, ...]] = ()
_TO_WHOM_IT_CONCERNS: Final = (
    ReadAccess(_PRODUCERS, about=_BUYERS | _PRODUCERS),
    ReadAccess(_VEHICLES, Reach.NEAR, about=_CHARGERS),
    *_TO_CLOCK,
)

TABLE: Final = (
    Row(m.Tick, Scope.SITE, _CLOCK, _TO_ALL, retain=True, supersedes=True),
    Row(m.Ready, Scope.SITE, _ALL - _CLOCK, _TO_CLOCK),
    Row(m.Grant, Scope.AGENT, _CLOCK, _TO_ALL),
    Row(m.Control, Scope.SETTING, _OPERATORS, _TO_CLOCK, retain=True),
    Row(m.Facts, Scope.SITE, _CLOCK, _TO_NOBODY, retain=True),
    Row(m.Presence, Scope.CELL_KIND, _ALL, _TO_WHOM_IT_CONCERNS, retain=True),
    Row(m.FleetPresence, Scope.SITE, _FLEETS, (ReadAccess(_PRODUCERS | _VEHICLES | _CLOCK),), retain=True),
    Row(m.Supply, Scope.CELL, _PRODUCERS, _TO_PRODUCERS, expires=True),
    Row(m.Bid, Scope.CELL, _BUYERS, _TO_PRODUCERS, expires=True),
    Row(m.Residual, Scope.CELL, _BUYERS, _TO_PRODUCERS_BESIDE, expires=True),
    Row(m.Surplus, Scope.CELL, _PRODUCERS, _TO_PRODUCERS_BESIDE, reach=Reach.NEIGHBOURS, expires=True),
    Row(m.Request, Scope.AGENT, _BUYERS, _TO_REACTORS, expires=True),
    Row(m.Award, Scope.AGENT, _SELLERS, _TO_BUYERS, expires=True),
    Row(m.Receipt, Scope.AGENT, _BUYERS, _TO_SELLERS),
    Row(m.Call, Scope.CELL, _VEHICLES, _TO_CHARGERS, reach=Reach.NEAR),
    Row(m.Offer, Scope.AGENT, _CHARGERS, _TO_VEHICLES),
    Row(m.Decline, Scope.AGENT, _CHARGERS, _TO_VEHICLES),
    Row(m.Accept, Scope.AGENT, _VEHICLES, _TO_CHARGERS),
    Row(m.Close, Scope.CELL, _VEHICLES, _TO_CHARGERS, reach=Reach.NEAR),
    Row(m.Lease, Scope.AGENT, _CHARGERS, _TO_VEHICLES),
    Row(m.Heartbeat, Scope.AGENT, _VEHICLES, _TO_CHARGERS),
    Row(m.Release, Scope.AGENT, _VEHICLES, _TO_CHARGERS),
    Row(m.Bill, Scope.AGENT, _CHARGERS, _TO_VEHICLES),
    Row(m.State, Scope.SITE, _ALL, _TO_NOBODY, retain=True),
    Row(m.Correction, Scope.SITE, _SELLERS, _TO_NOBODY),
    Row(m.Sample, Scope.SITE, _ALL - _CLOCK, _TO_NOBODY),
    Row(m.Incident, Scope.SITE, _ALL - _CLOCK, _TO_NOBODY),
)
BY_MESSAGE_TYPE: Final = {row.word: row for row in TABLE}

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


def topic_filter(site: str, word: str, scope: str = "", sender: str = ALL) -> str:
    """Return the filter for a word, a scope and a sender, each any unless given; a scope level may be '+'."""
    levels = len(BY_MESSAGE_TYPE[word].scope.levels)
    middle = scope or "/".join([ALL] * levels)
    return f"{ROOT}/{site}/{word}/{middle}/{sender}" if levels else f"{ROOT}/{site}/{word}/{sender}"


def batch_topic(site: str, word: str, cell: str, host: str) -> str:
    """Return the topic of a host's batch of messages of a word to a cell; each may be '+' for any."""
    return f"{ROOT}/{site}/{BATCH}/{word}/{cell}/{host}"


def parse_batch(site: str, text: str) -> tuple[Row, str, str]:
    """Split a batch's topic into table row, cell and host; raise TopicError when it is not one of ours."""
    levels = text.split("/")
    if levels[:3] != [ROOT, site, BATCH] or len(levels) != 6:
        raise TopicError(text, f"is not {ROOT}/{site}/{BATCH}/ with word, cell and host")
    row = BY_MESSAGE_TYPE.get(levels[3])
    if row is None or row.retain:
        raise TopicError(text, "names no message that is batched")
    for level in levels[4:]:
        if not _LEVEL.fullmatch(level):
            raise TopicError(text, f"{level!r} is not an id")
    return row, levels[4], levels[5]


def all_topics_filter(site: str) -> str:
    """Return the filter for all that is said on a site."""
    return f"{ROOT}/{site}/#"


def discovery_topic(site: str, sender: str) -> str:
    """Return where Home Assistant learns of a device; an id of its own even beside other sites on one broker."""
    return f"homeassistant/device/{_object_id(sender)}_at_{_object_id(site)}/config"


def discovery_filter() -> str:
    """Return the filter for all that Home Assistant learns of devices."""
    return f"homeassistant/device/{ALL}/config"


def parse(site: str, text: str) -> Address:
    """Split a topic into table row, scope and sender; raise TopicError when it is not one of ours."""
    levels = text.split("/")
    if levels[:2] != [ROOT, site]:
        raise TopicError(text, f"does not begin with {ROOT}/{site}/")
    row = BY_MESSAGE_TYPE.get(levels[2]) if len(levels) > 2 else None
    if row is None:
        raise TopicError(text, "names no known message")
    scope, sender = levels[3:-1], levels[-1]
    if len(levels) != 4 + len(row.scope.levels):
        raise TopicError(text, f"{row.word} takes {len(row.scope.levels)} scope levels and a sender")
    for level in (*scope, sender):
        if not _LEVEL.fullmatch(level):
            raise TopicError(text, f"{level!r} is not an id")
    return Address(row, "/".join(scope), sender)


def _object_id(name: str) -> str:
    """Return an id in the letters that Home Assistant knows, different for different ids."""
    return name.replace("_", "__").replace(".", "_-")
