"""What one agent makes of the other devices: it believes nobody beyond the limits of the register.

A lie that it receives itself ends its dealings with the liar for a time; the site's auditor, which receives
everything, may suspend a device for all. Nothing here accuses anybody in public.
"""

from typing import Final

from gridfleet.broker.protocol.messages import Suspension
from gridfleet.devices.trust.announcements import NOTHING_HEARD, Announcements
from gridfleet.devices.trust.register import Register

_NOBODY: Final[dict[str, int]] = {}
"""Stands for an empty dict, of which every agent would need one."""


class Trust:
    """One agent's view of the others: the shared register, and who has lied to itself, until which tick."""

    __slots__ = ("announcements", "enabled", "lied", "register")

    def __init__(self, register: Register, announcements: Announcements = NOTHING_HEARD) -> None:
        """`announcements` are those of its cell."""
        self.register = register
        self.announcements = announcements
        self.enabled = register.enabled
        self.lied = _NOBODY
        """Who has lied to this agent, and before which tick it deals with nobody of them."""

    def clear(self) -> None:
        """Forget who has lied: a new run begins."""
        self.lied = _NOBODY
        self.announcements.clear()

    def note_lie(self, device: str, tick: int) -> None:
        """Have no dealings with a device after this tick, for as long as a suspension lasts."""
        if self.lied is _NOBODY:
            self.lied = {}
        self.lied[device] = tick + 1 + self.register.suspension_ticks

    def judge(self, device: str, judge: str, suspension: Suspension) -> None:
        """Take a judgement of a device; the end of a suspension also ends what this agent holds against it."""
        self.register.apply(device, judge, suspension)
        if suspension.lifts:
            self.lied.pop(device, None)

    def avoids(self, device: str, tick: int) -> bool:
        """Return whether to have no dealings with a device in a tick: it has lied, or is suspended."""
        if not self.lied and not self.register.judgements:
            return False
        until = self.lied.get(device)
        return (until is not None and tick < until) or self.register.suspended(device, tick)

    def without_avoided(self, devices: set[str], tick: int) -> set[str]:
        """Return those of some devices with whom it deals."""
        if not self.lied and not self.register.judgements:
            return devices
        return {device for device in devices if not self.avoids(device, tick)}

    def liars(self, tick: int) -> tuple[str, ...]:
        """Return the devices that have lied to this agent and are still avoided, sorted."""
        return tuple(sorted(name for name, until in self.lied.items() if tick < until))


BELIEVES_ALL: Final = Trust(Register(enabled=False))
"""The trust of an agent that was built without a register."""
