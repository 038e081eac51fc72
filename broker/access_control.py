"""Who may publish and subscribe to which topics, derived from the topic table; `brokers/` writes it as access rules.

A device may publish the message types of its role, under its own id, to the cells within its range; it may receive
what concerns its cell or itself. Only the clock publishes ticks, grants and registrations, only operators controls,
only operators and the recorder suspensions, and viewers publish nothing. A fleet process may receive the tick, and
publish and receive what its devices may. The presence of a device comes from the device itself or from its fleet
process, so receivers know whose messages to accept in a batch (`protocol.decoder`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gridfleet.broker.protocol.messages import FleetPresence, Presence, Role, Tick
from gridfleet.broker.protocol.topics import (
    ALL,
    TOPIC_TABLE,
    WHOLE_SITE,
    CellRange,
    ClientRole,
    MessageType,
    Scope,
    all_topics_filter,
    batch_topic,
    discovery_filter,
    discovery_topic,
    topic_filter,
)

__all__ = ["BRIDGE_ID", "ClientRole", "Identity", "publish_filters", "subscribe_filters"]

BRIDGE_ID: Final = ClientRole.BRIDGE.value
"""The user name of the bridge from another broker of the site."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user of the broker: name and role; for a device also its cell and the neighbouring cells.

    `devices` are those whose messages a fleet process publishes.
    """

    name: str
    role: Role | ClientRole
    cell: str = ""
    neighbours: tuple[str, ...] = ()
    devices: tuple["Identity", ...] = ()
    discovery: bool = False
    """Whether a device may publish its Home Assistant discovery message."""

    def cells(self, cell_range: CellRange) -> tuple[str, ...]:
        """Return the cells within a range; `+` for all of them."""
        match cell_range:
            case CellRange.OWN:
                return (self.cell,)
            case CellRange.NEIGHBOURS:
                return self.neighbours
            case CellRange.OWN_AND_NEIGHBOURS:
                return (self.cell, *self.neighbours)
            case CellRange.ALL:
                return (ALL,)


def publish_filters(site: str, identity: Identity) -> Iterator[str]:
    """Yield the filters of all topics that a user may publish to.

    >>> [*publish_filters("home", Identity("ann", ClientRole.OPERATOR))]
    ['gridfleet/home/control/+/ann', 'gridfleet/home/suspension/+/ann']
    """
    role = identity.role
    if role is ClientRole.FLEET:
        yield from _published_by_fleet(site, identity)
        return
    if role is ClientRole.BRIDGE:
        yield all_topics_filter(site)
        yield discovery_filter()
        return
    for message_type in TOPIC_TABLE:
        if role in message_type.senders:
            for scope in _publish_scopes(message_type, identity):
                yield topic_filter(site, message_type.name, scope, identity.name)
    if identity.discovery:
        yield discovery_topic(site, identity.name)


def retained_topics(site: str, identity: Identity) -> Iterator[str]:
    """Yield the topics of a user's retained messages, as far as they are known without asking a broker.

    >>> [*retained_topics("home", Identity("car-1", Role.VEHICLE, "north"))]
    ['gridfleet/home/presence/north/vehicle/car-1', 'gridfleet/home/state/vehicle/car-1']
    """
    for message_type in TOPIC_TABLE:
        if message_type.retain and identity.role in message_type.senders:
            for scope in _publish_scopes(message_type, identity):
                if ALL not in scope:
                    yield topic_filter(site, message_type.name, scope, identity.name)
    if identity.discovery:
        yield discovery_topic(site, identity.name)


def subscribe_filters(site: str, identity: Identity) -> Iterator[str]:
    """Yield the filters of all topics that a user may receive."""
    role = identity.role
    if role is ClientRole.FLEET:
        yield topic_filter(site, Tick.TYPE)
        if identity.devices:
            yield from _received_by_fleet(site, identity.devices)
        return
    if isinstance(role, ClientRole):
        yield all_topics_filter(site)
        yield discovery_filter()
        return
    for message_type in TOPIC_TABLE:
        for scope in _subscribe_scopes(message_type, identity):
            yield topic_filter(site, message_type.name, scope)
            if message_type.scope is Scope.SITE and not message_type.retain:
                yield batch_topic(site, message_type.name, ALL, ALL)


def _published_by_fleet(site: str, fleet: Identity) -> Iterator[str]:
    """Yield what a fleet process may publish: its presence, batches, and what its devices may."""
    yield topic_filter(site, FleetPresence.TYPE, "", fleet.name)
    yield from _unique(
        batch_topic(site, message_type.name, cell, fleet.name)
        for device in fleet.devices
        for message_type in TOPIC_TABLE
        if device.role in message_type.senders and not message_type.retain
        for cell in _batch_cells(message_type, device)
    )
    for device in fleet.devices:
        yield from publish_filters(site, device)


def _received_by_fleet(site: str, devices: Iterable[Identity]) -> Iterator[str]:
    """Yield what a fleet process may receive besides the tick: presences, batches, and what its devices may."""
    yield topic_filter(site, Presence.TYPE)
    yield topic_filter(site, FleetPresence.TYPE)
    done = {Tick.TYPE, Presence.TYPE, FleetPresence.TYPE}
    others = [message_type for message_type in TOPIC_TABLE if message_type.name not in done]
    yield from _unique(
        batch_topic(site, message_type.name, cell, ALL)
        for device in devices
        for message_type in others
        if not message_type.retain
        for scope in _subscribe_scopes(message_type, device)
        for cell in [scope if message_type.scope is Scope.CELL else device.cell]
    )
    yield from _unique(
        topic_filter(site, message_type.name, scope)
        for message_type in others
        for device in devices
        for scope in _subscribe_scopes(message_type, device)
    )


def _unique(texts: Iterable[str]) -> Iterable[str]:
    """Return each text once, in the order of their first appearance."""
    return dict.fromkeys(texts)


def _batch_cells(message_type: MessageType, device: Identity) -> Iterable[str]:
    """Return the cells that a batch with a device's message may be for."""
    match message_type.scope:
        case Scope.SITE | Scope.ROLE:
            return (WHOLE_SITE,)
        case Scope.CELL:
            return device.cells(message_type.to_cells)
        case _:
            return (ALL,)


def _publish_scopes(message_type: MessageType, identity: Identity) -> Iterable[str]:
    """Return the scopes to which a user may publish a message type."""
    match message_type.scope:
        case Scope.SITE:
            return ("",)
        case Scope.CELL:
            return identity.cells(message_type.to_cells)
        case Scope.ROLE:
            return (str(identity.role),)
        case Scope.CELL_ROLE:
            return (f"{identity.cell}/{identity.role}",)
        case Scope.DEVICE | Scope.SETTING | Scope.SUBJECT:
            return (ALL,)


def _subscribe_scopes(message_type: MessageType, identity: Identity) -> Iterator[str]:
    """Yield the scopes in which a device may receive a message type."""
    for access in message_type.readers:
        if identity.role not in access.roles:
            continue
        match message_type.scope:
            case Scope.SITE:
                yield ""
            case Scope.DEVICE:
                yield identity.name
            case Scope.SETTING | Scope.ROLE | Scope.SUBJECT:
                yield ALL
            case Scope.CELL:
                yield from identity.cells(access.from_cells)
            case Scope.CELL_ROLE:
                any_role = access.sender_roles == frozenset(Role)
                roles = (ALL,) if any_role else sorted(access.sender_roles)
                for cell in identity.cells(access.from_cells):
                    yield from (f"{cell}/{role}" for role in roles)
