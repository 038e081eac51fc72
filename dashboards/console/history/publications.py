"""A message as the live page receives it from its server: real time, topic, payload and whether it was retained."""

from typing import Final, NamedTuple

from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    Call,
    ClockState,
    Control,
    Decline,
    Facts,
    FleetPresence,
    Lease,
    Message,
    Presence,
    Receipt,
    State,
    Supply,
    Suspension,
    Tick,
)
from gridfleet.broker.protocol.topics import parse_topic, topic
from gridfleet.broker.readers.json_values import json_text, parse_json

READ: Final = (
    Tick, Facts, Control, Presence, FleetPresence, State, Supply, Bid, Award, Receipt, Call, Lease, Decline, Suspension,
)  # fmt: skip
"""The messages that the page reads; it publishes controls."""
READ_TYPES: Final = frozenset(message.TYPE for message in READ)
_EVENTS: Final = (Tick, Facts, Control, Presence, FleetPresence, Suspension, ClockState)


class Publication(NamedTuple):
    """A message with its topic's parts, and as a line of text for the page."""

    ms: int
    """Real milliseconds since an arbitrary beginning."""
    scope: str
    sender: str
    message: Message
    line: str
    """[ms, topic, payload, 1 if the broker had retained it, else 0], as JSON."""

    @property
    def topic(self) -> str:
        """Its topic."""
        return self.line.split('"', 2)[1]

    @property
    def is_event(self) -> bool:
        """Whether the page's log of events depends on it; the market's messages are not."""
        return isinstance(self.message, _EVENTS)


def publication(
    site: str, ms: int, scope: str, sender: str, message: Message, *, retained: bool = False
) -> Publication:
    """Return a message of a site as the page receives it; `ms` is real time from an arbitrary beginning."""
    name = json_text(topic(site, message, scope, sender))
    line = f"[{ms},{name},{encode(message).decode()},{int(retained)}]"
    return Publication(ms, scope, sender, message, line)


def parse_line(site: str, line: str) -> Publication:
    """Return the publication of a line; raise ValueError for one that is none.

    >>> parse_line("home", '[5,"gridfleet/home/supply/north/turbine-1",{"tick":4,"energy_wh":500},0]').sender
    'turbine-1'
    """
    ms, name, payload, _ = parse_json(line)
    address = parse_topic(site, name)
    message = decode(address.message_type.name, json_text(payload).encode())
    return Publication(ms, address.scope, address.sender, message, line)


def as_retained(line: str) -> str:
    """Return a line as if the broker had retained its message: it is no news."""
    return f"{line[:-2]}1]"
