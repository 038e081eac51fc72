"""The topic table: the only place where topic strings are built and parsed.

A topic is `gridfleet/<site>/<message type>/<scope…>/<sender>`. The message type stands for the message class. The scope
says who the message is for, or what its sender is: the whole site, a cell, one device, the sender's role, its cell and
role, or a setting of the clock. The sender's id is always the last level, so one access rule per message type makes
forging impossible; a role among the levels keeps a device from speaking as one of another role.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

from gridfleet.broker.errors import TopicError, shown
from gridfleet.broker.protocol import messages as m
from gridfleet.broker.protocol.messages import Message, Role

ROOT: Final = "gridfleet"
CLOCK_ID: Final = "clock"
"""The id of the site's clock; ticks of any other sender are refused."""
ALL: Final = "+"
"""MQTT's wildcard for one topic level."""
DISCOVERY_ROOT: Final = "homeassistant"
"""The first level of Home Assistant's discovery topics."""
BATCH: Final = "batch"
"""The topic level of a batch: messages of one type, from one fleet process to one cell; see `protocol.batch`."""
WHOLE_SITE: Final = "site"
"""Stands for the cell of what belongs to no cell: the clock, the grid supply, and batches to the whole site."""


class ClientRole(StrEnum):
    """The roles of clients that are not devices."""

    RECORDER = "recorder"
    VIEWER = "viewer"
    OPERATOR = "operator"
    FLEET = "fleet"
    BRIDGE = "bridge"


RECORDER_ID: Final = ClientRole.RECORDER.value
"""The user name and client id of the recorder that records a whole site."""


class Scope(Enum):
    """Who a message is for; the value names the topic levels of the scope."""

    SITE = ""  # not an empty tuple, which Enum loses before Python 3.11.4
    CELL = "cell"
    DEVICE = "device"
    ROLE = "role"
    CELL_ROLE = "cell/role"
    SETTING = "setting"
    SUBJECT = "subject"

    def __init__(self, levels: str) -> None:
        self.levels: Final = tuple(levels.split("/")) if levels else ()
        """The names of those levels."""


class CellRange(Enum):
    """The cells that a device may publish to or receive from, relative to its own cell."""

    OWN = "its own cell"
    NEIGHBOURS = "the neighbouring cells"
    OWN_AND_NEIGHBOURS = "its own cell and the neighbouring cells"
    ALL = "every cell"


class ReadAccess(NamedTuple):
    """Which devices may receive a message type."""

    roles: frozenset[Role]
    """The roles of the devices that may receive it."""
    from_cells: CellRange = CellRange.OWN
    """Where the scope names a cell: the cells whose messages they receive."""
    sender_roles: frozenset[Role] = frozenset(Role)
    """Where the scope names a role: the roles of the senders whose messages they receive."""


@dataclass(frozen=True, slots=True)
class MessageType:
    """One line of the topic table: how the messages of one class are addressed and delivered."""

    message_class: Any
    scope: Scope
    senders: frozenset[Role] | frozenset[ClientRole]
    """The roles of the devices, or of other clients, that may publish it."""
    readers: tuple[ReadAccess, ...] = ()
    """The devices that may receive it; recorders, viewers and operators receive everything."""
    retain: bool = False
    to_cells: CellRange = CellRange.OWN
    """Where the scope names a cell: the cells to which a sender may publish it."""
    expires: bool = False
    """Whether the broker drops it when its phase and the receivers' answer timeout after it are over."""
    supersedes: bool = False
    """Whether it replaces the sender's earlier messages: of those not sent yet only the newest is kept."""
    qos: int = 1

    @property
    def name(self) -> str:
        """The topic level that stands for the message class."""
        return str(self.message_class.TYPE)


CLOCKS: Final = frozenset({Role.CLOCK})
PRODUCERS: Final = frozenset({Role.PRODUCER, Role.STORAGE})
"""Roles that announce a supply in their cell's market, and clear it."""
GRID_SUPPLIES: Final = frozenset({Role.GRID_SUPPLY})
SELLERS: Final = PRODUCERS | GRID_SUPPLIES
BUYERS: Final = frozenset({Role.CONSUMER, Role.STORAGE, Role.CHARGER})
"""Roles that bid in their cell's market."""
CHARGERS: Final = frozenset({Role.CHARGER})
VEHICLES: Final = frozenset({Role.VEHICLE})
ALL_ROLES: Final = frozenset(Role)
_OPERATORS: Final = frozenset({ClientRole.OPERATOR})
_JUDGES: Final = frozenset({ClientRole.RECORDER, ClientRole.OPERATOR})
"""The recorder, which holds the auditor, and operators, who may lift what it says."""
_FLEETS: Final = frozenset({ClientRole.FLEET})

_TO_CLOCK: Final = (ReadAccess(CLOCKS, CellRange.ALL),)
_TO_ALL: Final = (ReadAccess(ALL_ROLES),)
_TO_DEVICES: Final = (ReadAccess(ALL_ROLES - CLOCKS),)
_TO_PRODUCERS: Final = (ReadAccess(PRODUCERS),)
_TO_NEIGHBOURING_PRODUCERS: Final = (ReadAccess(PRODUCERS, CellRange.NEIGHBOURS),)
_TO_GRID_SUPPLIES: Final = (ReadAccess(GRID_SUPPLIES),)
_TO_SELLERS: Final = (ReadAccess(SELLERS),)
_TO_MARKET: Final = (ReadAccess(PRODUCERS | BUYERS),)
"""Everybody who sells or buys in a cell: a buyer takes no more of a producer than it has announced."""
_TO_BUYERS: Final = (ReadAccess(BUYERS),)
_TO_CHARGERS: Final = (ReadAccess(CHARGERS),)
_TO_NEARBY_CHARGERS: Final = (ReadAccess(CHARGERS, CellRange.OWN_AND_NEIGHBOURS),)
_TO_VEHICLES: Final = (ReadAccess(VEHICLES),)
_TO_NO_DEVICE: Final[tuple[ReadAccess, ...]] = ()
_TO_PRESENCE_READERS: Final = (
    ReadAccess(PRODUCERS, sender_roles=BUYERS | PRODUCERS),
    ReadAccess(VEHICLES, CellRange.OWN_AND_NEIGHBOURS, sender_roles=CHARGERS),
    *_TO_CLOCK,
)

TOPIC_TABLE: Final = (
    MessageType(m.Tick, Scope.SITE, CLOCKS, _TO_ALL, retain=True, supersedes=True),
    MessageType(m.Ready, Scope.SITE, ALL_ROLES - CLOCKS, _TO_CLOCK),
    MessageType(m.Grant, Scope.DEVICE, CLOCKS, _TO_ALL),
    MessageType(m.Control, Scope.SETTING, _OPERATORS, _TO_CLOCK, retain=True),
    MessageType(m.Facts, Scope.SITE, CLOCKS, _TO_NO_DEVICE, retain=True),
    MessageType(m.Registration, Scope.SUBJECT, CLOCKS, _TO_DEVICES, retain=True),
    MessageType(m.Presence, Scope.CELL_ROLE, ALL_ROLES, _TO_PRESENCE_READERS, retain=True),
    MessageType(
        m.FleetPresence, Scope.SITE, _FLEETS, (ReadAccess(PRODUCERS | VEHICLES | CLOCKS),), retain=True
    ),
    MessageType(m.Supply, Scope.CELL, PRODUCERS, _TO_MARKET, expires=True),
    MessageType(m.Bid, Scope.CELL, BUYERS, _TO_PRODUCERS, expires=True),
    MessageType(m.Residual, Scope.CELL, BUYERS, _TO_NEIGHBOURING_PRODUCERS, expires=True),
    MessageType(
        m.Surplus,
        Scope.CELL,
        PRODUCERS,
        _TO_NEIGHBOURING_PRODUCERS,
        to_cells=CellRange.NEIGHBOURS,
        expires=True,
    ),
    MessageType(m.Request, Scope.DEVICE, BUYERS, _TO_GRID_SUPPLIES, expires=True),
    MessageType(m.Award, Scope.DEVICE, SELLERS, _TO_BUYERS, expires=True),
    MessageType(m.Receipt, Scope.DEVICE, BUYERS, _TO_SELLERS),
    MessageType(m.Call, Scope.CELL, VEHICLES, _TO_CHARGERS, to_cells=CellRange.OWN_AND_NEIGHBOURS),
    MessageType(m.Offer, Scope.DEVICE, CHARGERS, _TO_VEHICLES),
    MessageType(m.Decline, Scope.DEVICE, CHARGERS, _TO_VEHICLES),
    MessageType(m.Accept, Scope.CELL, VEHICLES, _TO_NEARBY_CHARGERS, to_cells=CellRange.OWN_AND_NEIGHBOURS),
    MessageType(m.Close, Scope.CELL, VEHICLES, _TO_CHARGERS, to_cells=CellRange.OWN_AND_NEIGHBOURS),
    MessageType(m.Lease, Scope.DEVICE, CHARGERS, _TO_VEHICLES),
    MessageType(m.Heartbeat, Scope.DEVICE, VEHICLES, _TO_CHARGERS),
    MessageType(m.Release, Scope.DEVICE, VEHICLES, _TO_CHARGERS),
    MessageType(m.Bill, Scope.DEVICE, CHARGERS, _TO_VEHICLES),
    MessageType(m.State, Scope.ROLE, ALL_ROLES, _TO_NO_DEVICE, retain=True),
    MessageType(m.Correction, Scope.SITE, SELLERS, _TO_NO_DEVICE),
    MessageType(m.Suspension, Scope.SUBJECT, _JUDGES, _TO_DEVICES, retain=True),
    MessageType(m.Sample, Scope.SITE, ALL_ROLES - CLOCKS, _TO_NO_DEVICE),
    MessageType(m.Incident, Scope.SITE, ALL_ROLES - CLOCKS, _TO_NO_DEVICE),
)
MESSAGE_TYPES: Final = {message_type.name: message_type for message_type in TOPIC_TABLE}

_ID: Final = re.compile(m.ID_PATTERN)


class Address(NamedTuple):
    """A parsed topic."""

    message_type: MessageType
    scope: str
    """The levels between message type and sender, joined by '/'; empty for messages to the whole site."""
    sender: str


def topic(site: str, message: Message, scope: str, sender: str) -> str:
    """Return the topic under which a sender publishes a message to a scope.

    >>> topic("home", m.Supply(tick=4, energy_wh=500), "north", "turbine-1")
    'gridfleet/home/supply/north/turbine-1'
    """
    if scope:
        return f"{ROOT}/{site}/{message.TYPE}/{scope}/{sender}"
    return f"{ROOT}/{site}/{message.TYPE}/{sender}"


def topic_filter(site: str, message_type: str, scope: str = "", sender: str = ALL) -> str:
    """Return the filter for a message type, a scope and a sender; any scope and sender unless given.

    Levels of the scope may be `+`.

    >>> topic_filter("home", "bid"), topic_filter("home", "bid", "north")
    ('gridfleet/home/bid/+/+', 'gridfleet/home/bid/north/+')
    """
    levels = len(MESSAGE_TYPES[message_type].scope.levels)
    middle = scope or "/".join([ALL] * levels)
    if levels:
        return f"{ROOT}/{site}/{message_type}/{middle}/{sender}"
    return f"{ROOT}/{site}/{message_type}/{sender}"


def scope_matches(pattern: str, scope: str) -> bool:
    """Return whether a scope has the levels of a pattern, in which `+` stands for any level.

    >>> scope_matches("+/charger", "north/charger"), scope_matches("north", "south")
    (True, False)
    """
    wanted, levels = pattern.split("/"), scope.split("/")
    return len(wanted) == len(levels) and all(
        each in {ALL, level} for each, level in zip(wanted, levels, strict=True)
    )


def parse_topic(site: str, topic_name: str) -> Address:
    """Return message type, scope and sender of a topic; raise TopicError when it is not one of the site's.

    >>> message_type, scope, sender = parse_topic("home", "gridfleet/home/award/house-1/turbine-1")
    >>> message_type.name, scope, sender
    ('award', 'house-1', 'turbine-1')
    """
    levels = topic_name.split("/")
    if levels[:2] != [ROOT, site]:
        raise TopicError(topic_name, f"does not begin with {ROOT}/{site}/")
    if len(levels) < 3:
        raise TopicError(topic_name, "has no level for the message type")
    message_type = MESSAGE_TYPES.get(levels[2])
    if message_type is None:
        raise TopicError(
            topic_name, f"{shown(levels[2])!r} is not a message type (docs/asyncapi.yaml lists them)"
        )
    scope, sender = levels[3:-1], levels[-1]
    if len(levels) != 4 + len(message_type.scope.levels):
        expected = "/".join(f"<{level}>" for level in (*message_type.scope.levels, "sender"))
        raise TopicError(topic_name, f"{ROOT}/{site}/{message_type.name}/ is not followed by {expected}")
    _check_ids(topic_name, (*scope, sender))
    _check_role(topic_name, message_type, scope, sender)
    return Address(message_type, "/".join(scope), sender)


def batch_topic(site: str, message_type: str, cell: str, fleet_process: str) -> str:
    """Return the topic of a fleet process's batch to a cell; each may be `+` for any."""
    return f"{ROOT}/{site}/{BATCH}/{message_type}/{cell}/{fleet_process}"


def parse_batch_topic(site: str, topic_name: str) -> tuple[MessageType, str, str]:
    """Return message type, cell and fleet process of a batch's topic; raise TopicError when it is not one."""
    levels = topic_name.split("/")
    if levels[:3] != [ROOT, site, BATCH] or len(levels) != 6:
        raise TopicError(topic_name, f"is not {ROOT}/{site}/{BATCH}/<message type>/<cell>/<fleet process>")
    message_type = MESSAGE_TYPES.get(levels[3])
    if message_type is None or message_type.retain:
        raise TopicError(topic_name, f"{shown(levels[3])!r} is not a message type that is sent in batches")
    _check_ids(topic_name, levels[4:])
    return message_type, levels[4], levels[5]


def all_topics_filter(site: str) -> str:
    """Return the filter for all messages of a site."""
    return f"{ROOT}/{site}/#"


def discovery_topic(site: str, sender: str) -> str:
    """Return the topic of a device's Home Assistant discovery; unique even when sites share a broker."""
    return f"{DISCOVERY_ROOT}/device/{_object_id(sender)}_at_{_object_id(site)}/config"


def discovery_filter() -> str:
    """Return the filter for the discovery messages of all devices."""
    return f"{DISCOVERY_ROOT}/device/{ALL}/config"


def _check_ids(topic: str, levels: Iterable[str]) -> None:
    for level in levels:
        if not _ID.fullmatch(level):
            raise TopicError(
                topic, f"{shown(level)!r} is not an id: up to 48 letters, digits, '_', '.' and '-'"
            )


def _check_role(topic: str, message_type: MessageType, scope: list[str], sender: str) -> None:
    """Raise TopicError where a sender publishes what only the clock may, the clock what it may not, or another role."""
    roles: set[object] = {*message_type.senders} & {*ALL_ROLES}
    if message_type.scope in {Scope.ROLE, Scope.CELL_ROLE}:
        roles = {role for role in roles if role == scope[-1]}
        if not roles:
            raise TopicError(topic, f"{shown(scope[-1])!r} is not a role that publishes {message_type.name}")
    if sender == CLOCK_ID and Role.CLOCK not in roles:
        raise TopicError(topic, f"the clock publishes no {message_type.name} there")
    if sender != CLOCK_ID and roles == {Role.CLOCK}:
        raise TopicError(topic, f"only the clock may publish {message_type.name} there, not {sender}")


def _object_id(name: str) -> str:
    """Return an id in the characters that Home Assistant allows, different for different ids."""
    return name.replace("_", "__").replace(".", "_-")
