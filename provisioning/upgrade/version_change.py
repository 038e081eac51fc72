"""A change of version, health-gated: the new one must become healthy and stay so, else the old one comes back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from gridfleet.provisioning.upgrade.service import Service, ServiceStatus
from gridfleet.provisioning.upgrade.versions import Versions

_LOOK_S: Final = 1.0


class Time(Protocol):
    """A clock that can be waited on."""

    def now_s(self) -> float:
        """Return seconds from an arbitrary beginning."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RealTime:
    """The machine's own."""

    def now_s(self) -> float:
        """Return seconds since the machine started."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change."""

    healthy: bool
    label: str
    """The version in use afterwards."""
    words: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What a version must do to count as healthy."""

    within_s: float
    """Seconds in which it must become ready."""
    steady_s: float
    """Seconds for which it must then stay so, in one process."""

    def passed(self, service: Service, clock: Time) -> tuple[bool, str]:
        """Watch a service; return whether it became ready in time and stayed ready in one process, and why not."""
        deadline_s = clock.now_s() + self.within_s
        ready_s: float | None = None
        process = 0
        status: ServiceStatus
        while True:
            status = service.status()
            now_s = clock.now_s()
            if status.ready and (ready_s is None or status.process != process):
                ready_s, process = now_s, status.process
            if not status.ready:
                ready_s = None
            if ready_s is not None and now_s - ready_s >= self.steady_s:
                return True, f"healthy for {self.steady_s:g} s"
            if now_s >= deadline_s and (ready_s is None or ready_s > deadline_s):
                return False, f"not healthy within {self.within_s:g} s: {status.words}"
            clock.sleep(_LOOK_S)


def change(
    versions: Versions, label: str, service: Service, gate: Gate, clock: Time, tell: Callable[[str], None]
) -> Verdict:
    """Have the service run a version; where that does not become healthy, the last good one again."""
    before = versions.good or versions.current
    versions.use(label)
    tell(f"Started   {label}; it has {gate.within_s:g} s to become healthy")
    service.restart()
    healthy, words = gate.passed(service, clock)
    if healthy and versions.current == label:  # safe mode may have gone back to the good one meanwhile
        versions.note_good(label)
        return Verdict(healthy=True, label=label, words=words)
    if healthy:
        return Verdict(healthy=False, label=versions.current or "", words=f"{label} failed and gave way")
    if before is None or before == label:
        return Verdict(healthy=False, label=label, words=f"{words}; there is no other version to go back to")
    tell(f"Rollback  {label} is {words}; back to {before}")
    return go_back(versions, before, service, gate, clock, words)


def go_back(versions: Versions, label: str, service: Service, gate: Gate, clock: Time, why: str) -> Verdict:
    """Have the service run an earlier version again; tell whether that is healthy."""
    versions.use(label)
    service.restart()
    healthy, words = gate.passed(service, clock)
    if healthy:
        versions.note_good(label)
    return Verdict(healthy=False, label=label, words=f"{why}; {label} is {words}")


def settle(versions: Versions) -> bool:
    """Go back to the last good version if another is in use, without a restart; return whether that was so.

    For safe mode: a new version was interrupted by a power cut before it proved good, and crashes since.
    """
    good = versions.good
    if good is None or versions.current == good:
        return False
    versions.use(good)
    return True
