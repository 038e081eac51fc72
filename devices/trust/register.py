"""The site's register as the agents of one process know it: each device's limits, and who is suspended."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import (
    NO_LIMITS,
    Limits,
    Packages,
    Registration,
    Suspension,
    find_limits,
)

Judge = Callable[[], Iterable[tuple[str, Suspension]]]
"""Returns whom the site's auditor suspends from the next tick on, since the last call: device and judgement."""
NO_ENTRIES: Final[Mapping[str, Registration]] = {}
_MAX_ENTRIES: Final = 100_000
"""The most entries, and the most devices whose limits are kept."""
_MAX_JUDGEMENTS: Final = 100_000
"""The most judgements that are kept; nobody but the recorder and operators may publish any."""


class Register:
    """Limits by device, and the judgements of the site's auditor and operators; shared by the agents of a process."""

    __slots__ = ("_bids", "_entries", "_epoch", "_limits", "enabled", "judgements", "suspension_ticks")

    def __init__(
        self,
        entries: Mapping[str, Registration] = NO_ENTRIES,
        *,
        enabled: bool = True,
        suspension_ticks: int = 96,
    ) -> None:
        """`entries` are those of the scenario, by device or prefix; `enabled` is False where everybody is believed.

        `suspension_ticks` is how long an agent has no dealings with a device that has lied to it.
        """
        self.enabled = enabled
        self.suspension_ticks = suspension_ticks
        self._entries = dict(entries)
        self._limits: dict[str, Limits] = {}
        """Those looked up before."""
        self.judgements: dict[str, dict[str, Suspension]] = {}
        """Device -> who judged -> the judgement; empty while nobody has been judged."""
        self._bids: dict[str, tuple[Packages, bool]] = {}
        """Device -> its last bid, and whether it is within the limits: every producer of a process asks."""
        self._epoch = 0

    def enrol(self, subject: str, registration: Registration) -> None:
        """Take an entry of the site's register."""
        if self._entries.get(subject) != registration and len(self._entries) < _MAX_ENTRIES:
            self._entries[subject] = registration
            self._limits.clear()
            self._bids.clear()

    def limits(self, device: str) -> Limits:
        """Return what a device may be believed in; without an entry, everything that a message can state."""
        limits = self._limits.get(device)
        if limits is None:
            if len(self._limits) >= _MAX_ENTRIES:
                self._limits.clear()
            limits = self._limits[device] = find_limits(self._entries, device)
        return limits

    def allows_bid(self, device: str, packages: Packages) -> bool:
        """Return whether a bid's energy and prices are within its sender's limits."""
        known = self._bids.get(device)
        if known is not None and known[0] is packages:
            return known[1]
        limits = self.limits(device)
        most = limits.price_ueur_per_kwh
        energy_wh, allowed = 0, True
        for package in packages:
            energy_wh += package.energy_wh
            if package.price_ueur_per_kwh > most:
                allowed = False
        allowed = allowed and energy_wh <= limits.buys_wh
        self._bids[device] = packages, allowed
        return allowed

    def apply(self, device: str, judge: str, suspension: Suspension) -> None:
        """Take a judgement: of several judges' the one that begins last counts.

        A device of the site is no judge, whatever its broker lets it publish.
        """
        if self.limits(judge) is not NO_LIMITS:
            return
        if suspension.epoch > self._epoch:
            self._epoch = suspension.epoch
            self.judgements.clear()
        if suspension.epoch < self._epoch or len(self.judgements) >= _MAX_JUDGEMENTS:
            return
        self.judgements.setdefault(device, {})[judge] = suspension

    def suspended(self, device: str, tick: int) -> bool:
        """Return whether a device is suspended in a tick: by the latest judgement that has begun."""
        judgements = self.judgements.get(device)
        if judgements is None:
            return False
        begun = [each for each in judgements.values() if each.since_tick <= tick]
        return bool(begun) and tick < max(begun, key=lambda each: each.order).until_tick
