"""Who may say and hear what on a broker: derived from the topic table, and written down for Mosquitto.

A device says what its kind may say, under its own name, to the cells it can reach; it hears what concerns its cell
or itself. Nobody but the clock says ticks and grants, nobody but operators says controls, viewers say nothing. A
host hears the tick, and says and hears what the devices may for which it speaks, be they none; whose presence
names it, decides the broker, and so whose messages are believed in its batches (`gridfleet.broker.protocol.decoder`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gridfleet.broker.protocol.messages import FleetPresence, Kind, Presence, Tick
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

__all__ = ["ClientRole", "Identity", "acl", "publish_filters", "subscribe_filters"]

BRIDGE: Final = "bridge"
"""As whom another broker of the site enters."""
NAME: Final = "%u"
"""What Mosquitto's patterns call the user."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may log in: a name, a role and, for a device, its cell and the neighbouring cells.

    `devices` are those for which a host speaks.
    """

    name: str
    role: Kind | ClientRole
    cell: str = ""
    neighbours: tuple[str, ...] = ()
    devices: tuple["Identity", ...] = ()

    def cells(self, reach: CellRange) -> tuple[str, ...]:
        """Return the cells within reach; '+' for all of them."""
        match reach:
            case CellRange.OWN:
                return (self.cell,)
            case CellRange.NEIGHBOURS:
                return self.neighbours
            case CellRange.OWN_AND_NEIGHBOURS:
                return (self.cell, *self.neighbours)
            case CellRange.ALL:
                return (ALL,)


def publish_filters(site: str, identity: Identity) -> Iterator[str]:
    """Yield the filters of all topics that somebody may publish to."""
    role = identity.role
    if role is ClientRole.FLEET:
        yield topic_filter(site, FleetPresence.TYPE, "", identity.name)
        yield from _once(
            batch_topic(site, message_type.name, cell, identity.name)
            for device in identity.devices
            for message_type in TOPIC_TABLE
            if device.role in message_type.senders and not message_type.retain
            for cell in _batched_to(message_type, device)
        )
        for device in identity.devices:
            yield from publish_filters(site, device)
        return
    if role is ClientRole.BRIDGE:
        yield all_topics_filter(site)
        yield discovery_filter()
        return
    for message_type in TOPIC_TABLE:
        if role in message_type.senders:
            for scope in _spoken_to(message_type, identity):
                yield topic_filter(site, message_type.name, scope, identity.name)
    if isinstance(role, Kind):
        yield discovery_topic(site, identity.name)


def subscribe_filters(site: str, identity: Identity) -> Iterator[str]:
    """Yield the filters of all topics that somebody may receive."""
    role = identity.role
    if role is ClientRole.FLEET:
        yield topic_filter(site, Tick.TYPE)
        if identity.devices:
            yield from _read_by_a_fleet(site, identity.devices)
        return
    if isinstance(role, ClientRole):
        yield all_topics_filter(site)
        yield discovery_filter()
        return
    for message_type in TOPIC_TABLE:
        for scope in _listened_to(message_type, identity):
            yield topic_filter(site, message_type.name, scope)
            if message_type.scope is Scope.SITE and not message_type.retain:
                yield batch_topic(site, message_type.name, ALL, ALL)


def acl(site: str, identities: Iterable[Identity]) -> str:
    """Return Mosquitto's access rules, for `acl_file` of 2.0 as for the plugin of that name of 2.1.

    What is addressed by name to every kind of device is a pattern for all; everything else stands under each name,
    because it depends on kind and cell. The tick stands first there: it is what is delivered most.
    Raises ValueError for a name that Mosquitto would read as something else.
    """
    by_name = {
        topic_filter(site, message_type.name, NAME)
        for message_type in TOPIC_TABLE
        if message_type.scope is Scope.DEVICE
        and any(access.kinds == set(Kind) for access in message_type.readers)
    }
    lines = [f"pattern read {text}" for text in sorted(by_name)]
    for identity in identities:
        name = identity.name
        if name != name.strip() or not name.isprintable() or any(sign in name for sign in "+#/"):
            raise ValueError(f"{name!r} cannot be the name of a user")
        own = {text.replace(NAME, name) for text in by_name}
        lines += ["", f"user {name}"]
        lines += [f"topic read {text}" for text in subscribe_filters(site, identity) if text not in own]
        lines += [f"topic write {text}" for text in publish_filters(site, identity)]
    return "\n".join(lines) + "\n"


def _read_by_a_fleet(site: str, devices: Iterable[Identity]) -> Iterator[str]:
    """Yield what a host may receive besides the tick: who is there, batches, what is for its devices."""
    yield topic_filter(site, Presence.TYPE)
    yield topic_filter(site, FleetPresence.TYPE)
    heard = {Tick.TYPE, Presence.TYPE, FleetPresence.TYPE}
    rows = [message_type for message_type in TOPIC_TABLE if message_type.name not in heard]
    yield from _once(
        batch_topic(site, message_type.name, cell, ALL)
        for device in devices
        for message_type in rows
        for scope in _listened_to(message_type, device)
        for cell in [scope if message_type.scope is Scope.CELL else device.cell]
    )
    yield from _once(
        topic_filter(site, message_type.name, scope)
        for message_type in rows
        for device in devices
        for scope in _listened_to(message_type, device)
    )


def _once(texts: Iterable[str]) -> Iterable[str]:
    """Return each text once, in the order of their first appearance."""
    return dict.fromkeys(texts)


def _batched_to(message_type: MessageType, device: Identity) -> Iterable[str]:
    """Return the cells for which a batch with a device's message may be."""
    match message_type.scope:
        case Scope.SITE:
            return (WHOLE_SITE,)
        case Scope.CELL:
            return device.cells(message_type.to_cells)
        case _:
            return (ALL,)


def _spoken_to(message_type: MessageType, identity: Identity) -> Iterable[str]:
    match message_type.scope:
        case Scope.SITE:
            return ("",)
        case Scope.CELL:
            return identity.cells(message_type.to_cells)
        case Scope.CELL_KIND:
            return (f"{identity.cell}/{identity.role}",)
        case Scope.DEVICE | Scope.SETTING:
            return (ALL,)


def _listened_to(message_type: MessageType, identity: Identity) -> Iterator[str]:
    for access in message_type.readers:
        if identity.role not in access.kinds:
            continue
        match message_type.scope:
            case Scope.SITE:
                yield ""
            case Scope.DEVICE:
                yield identity.name
            case Scope.SETTING:
                yield ALL
            case Scope.CELL:
                yield from identity.cells(access.from_cells)
            case Scope.CELL_KIND:
                for cell in identity.cells(access.from_cells):
                    whole = access.sender_kinds == frozenset(Kind)
                    yield from (
                        f"{cell}/{kind}" for kind in ((ALL,) if whole else sorted(access.sender_kinds))
                    )
