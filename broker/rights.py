"""Who may say and hear what on a broker: derived from the topic table, and written down for Mosquitto.

A device says what its kind may say, under its own name, to the cells it can reach; it hears what concerns its cell
or itself. Nobody but the clock says ticks and grants, nobody but operators says controls, viewers say nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .messages import Kind
from .topics import ALL, TABLE, Reach, Row, Scope, discoveries, discovery_topic, everything, topic_filter

NAME: Final = "%u"
"""What Mosquitto's patterns call the user."""


class Guest(StrEnum):
    """Those who are no device: they hear everything; only operators say something."""

    RECORDER = "recorder"
    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may log in: a name, a role and, for a device, its cell and the cells beside it."""

    name: str
    role: Kind | Guest
    cell: str = ""
    beside: tuple[str, ...] = ()

    def cells(self, reach: Reach) -> tuple[str, ...]:
        """Return the cells within reach; '+' for all of them."""
        match reach:
            case Reach.OWN:
                return (self.cell,)
            case Reach.BESIDE:
                return self.beside
            case Reach.NEAR:
                return (self.cell, *self.beside)
            case Reach.EVERYWHERE:
                return (ALL,)


def may_say(site: str, identity: Identity) -> Iterator[str]:
    """Yield the filters of all topics that somebody may publish to."""
    role = identity.role
    for row in TABLE:
        if role in row.senders if isinstance(role, Kind) else role is Guest.OPERATOR and not row.senders:
            for scope in _spoken_to(row, identity):
                yield topic_filter(site, row.word, scope, identity.name)
    if isinstance(role, Kind):
        yield discovery_topic(site, identity.name)


def may_hear(site: str, identity: Identity) -> Iterator[str]:
    """Yield the filters of all topics that somebody may receive."""
    role = identity.role
    if isinstance(role, Guest):
        yield everything(site)
        yield discoveries()
        return
    for row in TABLE:
        for scope in _listened_to(row, identity):
            yield topic_filter(site, row.word, scope)


def acl(site: str, identities: Iterable[Identity]) -> str:
    """Return Mosquitto's access rules, for `acl_file` of 2.0 as for the plugin of that name of 2.1.

    What is addressed by name to every kind of device is a pattern for all; everything else stands under each name,
    because it depends on kind and cell. The tick stands first there: it is what is delivered most.
    Raises ValueError for a name that Mosquitto would read as something else.
    """
    by_name = {
        topic_filter(site, row.word, NAME)
        for row in TABLE
        if row.scope is Scope.AGENT and any(hearing.readers == set(Kind) for hearing in row.heard)
    }
    lines = [f"pattern read {text}" for text in sorted(by_name)]
    for identity in identities:
        name = identity.name
        if name != name.strip() or not name.isprintable() or any(sign in name for sign in "+#/"):
            raise ValueError(f"{name!r} cannot be the name of a user")
        own = {text.replace(NAME, name) for text in by_name}
        lines += ["", f"user {name}"]
        lines += [f"topic read {text}" for text in may_hear(site, identity) if text not in own]
        lines += [f"topic write {text}" for text in may_say(site, identity)]
    return "\n".join(lines) + "\n"


def _spoken_to(row: Row, identity: Identity) -> Iterable[str]:
    match row.scope:
        case Scope.SITE:
            return ("",)
        case Scope.CELL:
            return identity.cells(row.reach)
        case Scope.CELL_KIND:
            return (f"{identity.cell}/{identity.role}",)
        case Scope.AGENT | Scope.SETTING:
            return (ALL,)


def _listened_to(row: Row, identity: Identity) -> Iterator[str]:
    for hearing in row.heard:
        if identity.role not in hearing.readers:
            continue
        match row.scope:
            case Scope.SITE:
                yield ""
            case Scope.AGENT:
                yield identity.name
            case Scope.SETTING:
                yield ALL
            case Scope.CELL:
                yield from identity.cells(hearing.reach)
            case Scope.CELL_KIND:
                for cell in identity.cells(hearing.reach):
                    whole = hearing.about == frozenset(Kind)
                    yield from (f"{cell}/{kind}" for kind in ((ALL,) if whole else sorted(hearing.about)))
