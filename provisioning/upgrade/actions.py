"""What `gridfleet upgrade` does: install, change, go back, settle, show."""

import platform
from collections.abc import Callable
from pathlib import Path

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.upgrade.bundle import Bundle
from gridfleet.provisioning.upgrade.service import UNIT, Service, Systemd
from gridfleet.provisioning.upgrade.version_change import Gate, RealTime, Time, change, settle
from gridfleet.provisioning.upgrade.versions import Versions


def install(versions: Versions, path: Path, gate: Gate, tell: Callable[[str], None] = print) -> int:
    """Install a bundle and change to it; return the exit code."""
    bundle = Bundle.load(path)
    bundle.verify_machine(platform.machine(), ".".join(platform.python_version_tuple()[:2]))
    tell(f"Installing {bundle.label}")
    return upgrade(versions, versions.install(bundle), Systemd(), gate)


def back(versions: Versions, gate: Gate) -> int:
    """Change to the version before; return the exit code."""
    others = [label for label in versions.labels() if label != versions.current]
    if not others:
        raise CommandError("--back", "there is no other version on this device")
    return upgrade(versions, others[0], Systemd(), gate)


def to_good(versions: Versions, tell: Callable[[str], None] = print) -> int:
    """Use the last good version if another is in use, and have the service start it; return the exit code."""
    if settle(versions):
        tell(f"Rollback  to {versions.good}, the last that was healthy")
        Systemd().restart()
    return ExitCode.SUCCESS


def upgrade(
    versions: Versions,
    label: str,
    service: Service,
    gate: Gate,
    clock: Time | None = None,
    tell: Callable[[str], None] = print,
) -> int:
    """Change to a version that is installed; return the exit code."""
    if label == versions.current == versions.good:
        tell(f"In use    {label} already")
        return ExitCode.SUCCESS
    verdict = change(versions, label, service, gate, clock or RealTime(), tell)
    tell(f"In use    {verdict.label}: {verdict.words}")
    if not verdict.healthy:
        tell(f"See why: journalctl --unit {UNIT} --since -10min")
        return ExitCode.FAILED
    for gone in versions.prune():
        tell(f"Deleted   {gone}")
    return ExitCode.SUCCESS


def show(versions: Versions) -> int:
    """Say which versions there are; return the exit code."""
    labels = versions.labels()
    if not labels:
        raise CommandError(
            versions.root, "holds no versions: this machine was not flashed with gridfleet flash"
        )
    for label in labels:
        marks = [
            word
            for word, marked in (("in use", versions.current), ("last good", versions.good))
            if marked == label
        ]
        print(f"{label:24} {', '.join(marks)}".rstrip())
    return ExitCode.SUCCESS
