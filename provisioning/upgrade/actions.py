"""The actions of `gridfleet device upgrade`: install, roll back, return to the last good version, list."""

import platform
from collections.abc import Callable
from pathlib import Path

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.upgrade.bundle import Bundle
from gridfleet.provisioning.upgrade.service import UNIT, Service, SystemdService
from gridfleet.provisioning.upgrade.version_change import (
    HealthGate,
    MonotonicClock,
    WaitClock,
    change_version,
    restore_good,
)
from gridfleet.provisioning.upgrade.versions import Versions


def install(versions: Versions, path: Path, gate: HealthGate, report: Callable[[str], None] = print) -> int:
    """Install a bundle and upgrade to it; return the exit code."""
    bundle = Bundle.load(path)
    bundle.verify_machine(platform.machine(), ".".join(platform.python_version_tuple()[:2]))
    report(f"Installing {bundle.label}")
    return upgrade(versions, versions.install(bundle), SystemdService(), gate)


def roll_back(versions: Versions, gate: HealthGate) -> int:
    """Change to the version installed before the current one; return the exit code."""
    previous = [label for label in versions.labels() if label != versions.current]
    if not previous:
        raise CommandError("--rollback", "there is no other version on this device")
    return upgrade(versions, previous[0], SystemdService(), gate)


def use_last_good(versions: Versions, report: Callable[[str], None] = print) -> int:
    """Return to the last good version if another is in use, and restart the service; return the exit code."""
    if restore_good(versions):
        report(f"Rollback  to {versions.good}, the last healthy version")
        SystemdService().restart()
    return ExitCode.SUCCESS


def upgrade(
    versions: Versions,
    label: str,
    service: Service,
    gate: HealthGate,
    clock: WaitClock | None = None,
    report: Callable[[str], None] = print,
) -> int:
    """Change to an installed version under health control; return the exit code."""
    if label == versions.current == versions.good:
        report(f"In use    {label} already")
        return ExitCode.SUCCESS
    result = change_version(versions, label, service, gate, clock or MonotonicClock(), report)
    report(f"In use    {result.label}: {result.reason}")
    if not result.healthy:
        report(f"See why: journalctl --unit {UNIT} --since -10min")
        return ExitCode.FAILED
    for deleted in versions.prune():
        report(f"Deleted   {deleted}")
    return ExitCode.SUCCESS


def show(versions: Versions) -> int:
    """Print the installed versions; return the exit code."""
    labels = versions.labels()
    if not labels:
        raise CommandError(
            versions.root, "has no versions: this machine was not set up by `gridfleet device flash`"
        )
    for label in labels:
        marks = [
            mark
            for mark, marked in (("in use", versions.current), ("last good", versions.good))
            if marked == label
        ]
        print(f"{label:24} {', '.join(marks)}".rstrip())
    return ExitCode.SUCCESS
