"""What comes off a wire, as messages: topics and payloads read, batches taken apart, and who speaks for whom.

A device's presence names the host through which it speaks (`via`), and the broker lets a host say that only of its
own devices. So a message in a host's batch is believed when its sender's presence names that host. A host has one
last will for all: when it is gone, so are those who speak through it, whatever their presence said.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.protocol.batch import unpack
from gridfleet.broker.protocol.codec import decode
from gridfleet.broker.protocol.messages import FleetPresence, Kind, Message, Presence
from gridfleet.broker.protocol.topics import (
    BATCH,
    BY_MESSAGE_TYPE,
    ROOT,
    Address,
    Reach,
    Row,
    Scope,
    parse,
    parse_batch,
)

_ADDRESSES_KEPT: Final = 100_000
_MOST_KNOWN: Final = 200_000

Refuse = Callable[[str, GridFleetError], object]
"""Takes the topic of what is not acted upon, and why."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A device that is known by its presence."""

    scope: str
    presence: Presence

    @property
    def via(self) -> str | None:
        """The host through which it speaks."""
        return self.presence.via


class SiteDecoder:
    """Reads for one site; remembers the topics it has parsed, its last reading, and who is there."""

    __slots__ = (
        "_addresses",
        "_batches",
        "_behind",
        "_gone",
        "_last",
        "_own",
        "_speakers",
        "changes",
        "site",
    )

    def __init__(self, site: str) -> None:
        self.site = site
        self.changes = 0
        """Grows whenever somebody comes or goes."""
        self._batches = f"{ROOT}/{site}/{BATCH}/"
        self._addresses: dict[str, Address] = {}
        self._last: tuple[str, bytes, tuple[Address, Message]] | None = None
        self._speakers: dict[str, Speaker] = {}
        self._behind: dict[str, dict[str, set[str]]] = {}
        self._own: dict[tuple[Kind, str], set[str]] = {}
        self._gone: set[str] = set()

    def unpack(self, text: str, payload: bytes, refuse: Refuse) -> Iterable[tuple[str, bytes]]:
        """Return topic and payload of each message in a batch; anything else as it is.

        A batch that is none is refused as a whole, a message that its sender may not say there by itself.
        """
        if not text.startswith(self._batches):
            return ((text, payload),)
        try:
            row, cell, host = parse_batch(self.site, text)
            lines = unpack(payload)
        except GridFleetError as error:
            refuse(text, error)
            return ()
        return list(self._said(row, cell, host, lines, refuse))

    def read(self, text: str, payload: bytes) -> tuple[Address, Message]:
        """Return address and message; raise TopicError or PayloadError for anything that is not ours.

        The very payload that was read last is not read again: one may be handed to every agent of a process.
        """
        last = self._last
        if last is not None and payload is last[1] and text == last[0]:
            return last[2]
        address = self.address(text)
        message = decode(address.row.word, payload)
        if isinstance(message, Presence):
            message = self._note(address, message)
        elif isinstance(message, FleetPresence):
            self._note_fleet(address.sender, message)
        reading = address, message
        self._last = text, payload, reading
        return reading

    def address(self, text: str) -> Address:
        """Return what a topic says; raise TopicError for one that is not ours."""
        address = self._addresses.get(text)
        if address is None:
            address = parse(self.site, text)
            if len(self._addresses) >= _ADDRESSES_KEPT:
                self._addresses.clear()
            self._addresses[text] = address
        return address

    # --- who is there ------------------------------------------------------------------------------------

    def home(self, device: str) -> tuple[str, str] | None:
        """Return the cell of a device that speaks through a host, and the host; None for any other."""
        speaker = self._speakers.get(device)
        if speaker is None or speaker.via is None or speaker.via in self._gone:
            return None
        return speaker.presence.cell, speaker.via

    def by_themselves(self, kinds: Iterable[Kind], cell: str | None) -> bool:
        """Tell whether there is a device of these kinds with a connection of its own, in a cell or anywhere."""
        if cell is None:
            return any(kind in kinds for (kind, _), names in self._own.items() if names)
        return any(self._own.get((kind, cell)) for kind in kinds)

    def scopes_via(self, host: str) -> list[str]:
        """Return where the devices that speak through a host say their presence."""
        return list(self._behind.get(host, ()))

    def wills(self, host: str, scope: str) -> Iterator[tuple[Address, Presence]]:
        """Yield the last wills of the devices of that scope that speak through a host."""
        row = BY_MESSAGE_TYPE[Presence.TOPIC]
        for name in sorted(self._behind.get(host, {}).get(scope, ())):
            yield Address(row, scope, name), replace(self._speakers[name].presence, online=False)

    def _note(self, address: Address, presence: Presence) -> Presence:
        """Remember who speaks through whom; return the presence as it is, now that its host may be gone."""
        name, scope = address.sender, address.scope
        if scope != f"{presence.cell}/{presence.kind}":
            return presence  # for its receiver to refuse
        self.changes += 1
        known = self._speakers.pop(name, None)
        if known is not None:
            self._place(known).discard(name)
        if not presence.online or len(self._speakers) >= _MOST_KNOWN:
            return presence
        speaker = self._speakers[name] = Speaker(scope, presence)
        self._place(speaker).add(name)
        return replace(presence, online=False) if presence.via in self._gone else presence

    def _place(self, speaker: Speaker) -> set[str]:
        presence = speaker.presence
        if presence.via is None:
            return self._own.setdefault((presence.kind, presence.cell), set())
        return self._behind.setdefault(presence.via, {}).setdefault(speaker.scope, set())

    def _note_fleet(self, name: str, host: FleetPresence) -> None:
        self.changes += 1
        if host.online:
            self._gone.discard(name)
        else:
            self._gone.add(name)

    def _said(
        self, row: Row, cell: str, host: str, lines: list[tuple[str, bytes]], refuse: Refuse
    ) -> Iterator[tuple[str, bytes]]:
        begin = f"{ROOT}/{self.site}/{row.word}/"
        for rest, payload in lines:
            text = begin + rest
            try:
                address = self.address(text)
                self._check(address, cell, host)
            except GridFleetError as error:
                refuse(text, error)
            else:
                yield text, payload

    def _check(self, address: Address, cell: str, host: str) -> None:
        """Raise PayloadError for what a host may not say in a sender's name, as the broker does for others."""
        row, scope, name = address
        speaker = self._speakers.get(name)
        if speaker is None or speaker.via != host:
            raise PayloadError(BATCH, "sender", f"{host} does not speak for {name}")
        if speaker.presence.kind not in row.senders:
            raise PayloadError(BATCH, "sender", f"a {speaker.presence.kind} says no {row.word}")
        if row.scope is Scope.CELL and (
            scope != cell or (row.reach is Reach.OWN and scope != speaker.presence.cell)
        ):
            raise PayloadError(BATCH, "sender", f"{name} says no {row.word} to {scope}")
