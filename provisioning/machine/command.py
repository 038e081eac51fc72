"""`gridfleet upgrade`: another version on a device, and the old one back if the new one does not become healthy."""

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

from provisioning.arguments import whole
from provisioning.exits import CommandError, Exit
from provisioning.machine.bundle import Bundle
from provisioning.machine.change import STEADY_S, WITHIN_S, Gate, RealTime, Time, change, settle
from provisioning.machine.service import UNIT, Service, Systemd
from provisioning.machine.versions import ROOT, Versions

HELP: Final = "install another version on this device, or go back"
DESCRIPTION: Final = (
    "Install a bundle beside the version in use and have the service start it. If it is not healthy in time, or\n"
    "does not stay so, the last good version comes back. Without a bundle, the versions that are here are shown."
)
EXAMPLES: Final = (
    "gridfleet upgrade",
    "sudo gridfleet upgrade bundles/pi64",
    "sudo gridfleet upgrade --back",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `upgrade`."""
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help="a folder that `gridfleet bundle` made")
    parser.add_argument("--back", action="store_true", help="go back to the version before")
    parser.add_argument(
        "--settle",
        action="store_true",
        help="use the last good version, if another is in use (for safe mode)",
    )
    parser.add_argument(
        "--healthy-within",
        type=whole(1, 3600),
        default=int(WITHIN_S),
        metavar="S",
        help=f"seconds in which the new version must become healthy (default: {WITHIN_S:g})",
    )
    parser.add_argument(
        "--steady",
        type=whole(0, 3600),
        default=int(STEADY_S),
        metavar="S",
        help=f"seconds for which it must then stay so (default: {STEADY_S:g})",
    )
    parser.add_argument("--root", default=str(ROOT), metavar="DIR", help=f"(default: {ROOT})")


def execute(arguments: argparse.Namespace) -> int:
    """Upgrade, go back, or show what there is."""
    versions = Versions(Path(arguments.root))
    if sum([arguments.bundle is not None, arguments.back, arguments.settle]) > 1:
        raise CommandError("gridfleet upgrade", "name a bundle, --back or --settle, not two of them")
    if arguments.settle:
        if settle(versions):
            print(f"Rollback  to {versions.good}, the last that was healthy")
            Systemd().restart()
        return Exit.FINE
    if arguments.bundle is None and not arguments.back:
        return _show(versions)
    if os.geteuid() != 0 and not os.access(versions.root, os.W_OK):
        raise CommandError(versions.root, "belongs to root: sudo gridfleet upgrade …")
    gate = Gate(arguments.healthy_within, arguments.steady)
    if arguments.back:
        return upgrade(versions, _before(versions), Systemd(), gate)
    bundle = Bundle.load(Path(arguments.bundle))
    bundle.verify_machine(platform.machine(), ".".join(platform.python_version_tuple()[:2]))
    print(f"Installing {bundle.label}", flush=True)
    return upgrade(versions, versions.install(bundle), Systemd(), gate)


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
        return Exit.FINE
    verdict = change(versions, label, service, gate, clock or RealTime(), tell)
    tell(f"In use    {verdict.label}: {verdict.words}")
    if not verdict.healthy:
        tell(f"See why: journalctl --unit {UNIT} --since -10min")
        return Exit.FAILED
    for gone in versions.prune():
        tell(f"Deleted   {gone}")
    return Exit.FINE


def _before(versions: Versions) -> str:
    others = [label for label in versions.labels() if label != versions.current]
    if not others:
        raise CommandError("--back", "there is no other version on this device")
    return others[0]


def _show(versions: Versions) -> int:
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
    return Exit.FINE
