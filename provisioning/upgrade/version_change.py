"""Changes the version under health control: a version that does not become healthy is rolled back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from gridfleet.provisioning.upgrade.service import Service, ServiceStatus
from gridfleet.provisioning.upgrade.versions import Versions

_POLL_S: Final = 1.0


class WaitClock(Protocol):
    """A clock that can sleep; tests use one that does not wait."""

    def now_s(self) -> float:
        """Return seconds since an arbitrary start."""

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""


class MonotonicClock:
    """The monotonic clock of this machine."""

    def now_s(self) -> float:
        """Return seconds since the machine started."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """Result of a change of version."""

    healthy: bool
    label: str
    """The version in use afterwards."""
    reason: str


@dataclass(frozen=True, slots=True)
class HealthGate:
    """When a version counts as healthy."""

    within_s: float
    """Seconds until it must be ready."""
    steady_s: float
    """Seconds that it must then stay ready, in one process."""

    def wait(self, service: Service, clock: WaitClock) -> tuple[bool, str]:
        """Watch a service until it is healthy or too late; return whether it is healthy, and the reason as text."""
        deadline_s = clock.now_s() + self.within_s
        ready_s: float | None = None
        pid = 0
        status: ServiceStatus
        while True:
            status = service.status()
            now_s = clock.now_s()
            if status.ready and (ready_s is None or status.pid != pid):
                ready_s, pid = now_s, status.pid
            if not status.ready:
                ready_s = None
            if ready_s is not None and now_s - ready_s >= self.steady_s:
                return True, f"healthy for {self.steady_s:g} s"
            if now_s >= deadline_s and (ready_s is None or ready_s > deadline_s):
                return False, f"not healthy within {self.within_s:g} s: {status.text}"
            clock.sleep(_POLL_S)


def change_version(
    versions: Versions,
    label: str,
    service: Service,
    gate: HealthGate,
    clock: WaitClock,
    report: Callable[[str], None],
) -> UpgradeResult:
    """Start a version, and return to the last good one where it does not become healthy."""
    before = versions.good or versions.current
    versions.use(label)
    report(f"Started   {label}; it has {gate.within_s:g} s to become healthy")
    service.restart()
    healthy, reason = gate.wait(service, clock)
    if healthy and versions.current == label:  # safe mode may have rolled back meanwhile
        versions.mark_good(label)
        return UpgradeResult(healthy=True, label=label, reason=reason)
    if healthy:
        failure = f"{label} failed; safe mode rolled it back"
        return UpgradeResult(healthy=False, label=versions.current or "", reason=failure)
    if before is None or before == label:
        failure = f"{reason}; there is no other version to roll back to"
        return UpgradeResult(healthy=False, label=label, reason=failure)
    report(f"Rollback  {label} is {reason}; back to {before}")
    return _roll_back(versions, before, service, gate, clock, reason)


def _roll_back(
    versions: Versions, label: str, service: Service, gate: HealthGate, clock: WaitClock, cause: str
) -> UpgradeResult:
    """Start an earlier version again; return whether it is healthy."""
    versions.use(label)
    service.restart()
    healthy, reason = gate.wait(service, clock)
    if healthy:
        versions.mark_good(label)
    return UpgradeResult(healthy=False, label=label, reason=f"{cause}; {label} is {reason}")


def restore_good(versions: Versions) -> bool:
    """Make the last good version the current one, without a restart; return whether another was in use.

    For safe mode: a power cut during an upgrade leaves the new version in use, and it may crash.
    """
    good = versions.good
    if good is None or versions.current == good:
        return False
    versions.use(good)
    return True
