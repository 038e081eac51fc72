"""Which devices of a site are online, and which of them share the connection of a fleet process.

A device's `presence` names the fleet process whose connection it uses (`via`). The broker lets a fleet process
publish presence only for its own devices, so a message in its batch is accepted when the sender's presence names
that process. A fleet process has one last will (`FleetPresence`) for all its devices: once it is published, every
device behind that process is offline, whatever the device's own presence said.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from gridfleet.broker.protocol.messages import FleetPresence, Presence, Role
from gridfleet.broker.protocol.topics import ALL, MESSAGE_TYPES, Address, scope_matches

MAX_DEVICES: Final = 200_000
"""Devices beyond this number are not remembered."""


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device and the last presence that it published, a birth or a last will."""

    scope: str
    presence: Presence

    @property
    def via(self) -> str | None:
        """The fleet process whose connection it uses; None when it has its own."""
        return self.presence.via


class PresenceRegistry:
    """Remembers the last presence of each device and the fleet processes that are offline."""

    __slots__ = ("_behind", "_births_s", "_devices", "_direct", "_fleets", "version")

    def __init__(self) -> None:
        self.version = 0
        """Grows with every presence message, so that a reader knows when to drop what it derived."""
        self._births_s: dict[str, float] = {}
        """When the last birth of a device was received, by `monotonic()`."""
        self._devices: dict[str, KnownDevice] = {}
        self._behind: dict[str, dict[str, set[str]]] = {}
        self._direct: dict[tuple[Role, str], set[str]] = {}
        self._fleets: dict[str, bool] = {}
        """Fleet process -> whether it is online."""

    def __len__(self) -> int:
        """Return how many devices are known, online or not."""
        return len(self._devices)

    def device(self, name: str) -> KnownDevice | None:
        """Return a device by its id; None when no presence of it is known, or it is offline."""
        known = self._devices.get(name)
        return known if known is not None and known.presence.online else None

    def known(self, name: str) -> KnownDevice | None:
        """Return a device by its id, with its last presence, online or not; None when no presence of it is known."""
        return self._devices.get(name)

    def is_fleet(self, name: str) -> bool:
        """Return whether a fleet process of that name has published its presence."""
        return name in self._fleets

    def fleet_of(self, device: str) -> tuple[str, str] | None:
        """Return the cell of a device and its fleet process; None for a device that has its own connection."""
        known = self.device(device)
        if known is None or known.via is None or not self._fleets.get(known.via, True):
            return None
        return known.presence.cell, known.via

    def any_direct(self, roles: Iterable[Role], cell: str | None) -> bool:
        """Return whether a device of these roles has its own connection, in a cell or (None) anywhere."""
        if cell is None:
            return any(role in roles for (role, _), names in self._direct.items() if names)
        return any(self._direct.get((role, cell)) for role in roles)

    def last_wills(
        self, fleet_process: str, scopes: Iterable[str] | None = None
    ) -> Iterator[tuple[Address, Presence]]:
        """Yield an offline presence for each device behind a fleet process.

        `scopes` limits them to presence scopes (`cell/role`, each level may be `+`); None is every device.
        """
        topic = MESSAGE_TYPES[Presence.TYPE]
        behind = self._behind.get(fleet_process, {})
        for pattern in ("+/+",) if scopes is None else scopes:
            for scope in (
                [each for each in behind if scope_matches(pattern, each)] if ALL in pattern else [pattern]
            ):
                for name in sorted(behind.get(scope, ())):
                    yield Address(topic, scope, name), replace(self._devices[name].presence, online=False)

    def note_device(self, name: str, scope: str, presence: Presence) -> Presence | None:
        """Remember a device's presence; return it, offline when its fleet process is.

        A device is in one place: a birth in another cell or role replaces the one before. Returns None for the last
        will of a cell or role that it has left, which the broker still retains.
        """
        if scope != presence.scope:
            return presence  # the receiver refuses it
        known = self._devices.get(name)
        if known is not None and known.presence.online and not presence.online and known.scope != scope:
            return None
        self.version += 1
        if known is None and len(self._devices) >= MAX_DEVICES:
            return presence
        if known is not None:
            self._forget_name(name, known)
        device = self._devices[name] = KnownDevice(scope, presence)
        if not presence.online:
            return presence
        self._births_s[name] = monotonic()
        self._names(device).add(name)
        via = presence.via
        return presence if via is None or self._fleets.get(via, True) else replace(presence, online=False)

    def is_overtaken(self, name: str, presence: Presence, subscribed_s: float) -> bool:
        """Return whether a retained last will is older than a birth that another connection of this process received.

        `subscribed_s` is when the connection that received the will was subscribed, by `monotonic()`: the broker took
        the retained message then.
        """
        return not presence.online and self._births_s.get(name, 0.0) > subscribed_s

    def note_fleet(self, name: str, presence: FleetPresence) -> None:
        """Remember whether a fleet process is online."""
        self.version += 1
        if name in self._fleets or len(self._fleets) < MAX_DEVICES:
            self._fleets[name] = presence.online

    def _names(self, device: KnownDevice) -> set[str]:
        """Return the set that holds the device's name: by role and cell, or behind its fleet process."""
        presence = device.presence
        if presence.via is None:
            return self._direct.setdefault((presence.role, presence.cell), set())
        return self._behind.setdefault(presence.via, {}).setdefault(device.scope, set())

    def _forget_name(self, name: str, device: KnownDevice) -> None:
        """Remove a device from the set that holds its name, and the set when it is empty."""
        via, scope = device.via, device.scope
        if via is None:
            key = device.presence.role, device.presence.cell
            names = self._direct.get(key, set())
            names.discard(name)
            if not names:
                self._direct.pop(key, None)
            return
        behind = self._behind.get(via, {})
        names = behind.get(scope, set())
        names.discard(name)
        if not names:
            behind.pop(scope, None)
        if not behind:
            self._behind.pop(via, None)
