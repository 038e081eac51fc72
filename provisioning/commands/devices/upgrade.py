"""`gridfleet device upgrade`: installs a version on a device, and rolls back if it does not become healthy."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError

HELP: Final = "install a version on this device, or roll back"
DESCRIPTION: Final = (
    "Install a bundle next to the version in use and restart the service with it. If it does not become healthy in\n"
    "time, or does not stay healthy, restore the last good version. Without a bundle, list the installed versions."
)
EXAMPLES: Final = (
    "gridfleet device upgrade",
    "sudo gridfleet device upgrade bundles/pi64",
    "sudo gridfleet device upgrade --rollback",
)
WITHIN_S: Final = 120
"""Seconds that a new version may take to become healthy; a Pi Zero 2 W starts Python slowly."""
STEADY_S: Final = 30
"""Seconds for which it must then stay healthy."""
ROOT: Final = "/opt/gridfleet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device upgrade`."""
    parser.add_argument(
        "bundle", nargs="?", metavar="BUNDLE", help="a folder made by `gridfleet device bundle`"
    )
    parser.add_argument("--rollback", action="store_true", help="restore the previous version")
    parser.add_argument(
        "--use-last-good",
        action="store_true",
        help="return to the last good version, if another is in use (for safe mode)",
    )
    parser.add_argument(
        "--healthy-within",
        type=whole_number(1, 3600),
        default=WITHIN_S,
        metavar="S",
        help=f"seconds within which the new version must become healthy (default: {WITHIN_S})",
    )
    parser.add_argument(
        "--steady",
        type=whole_number(0, 3600),
        default=STEADY_S,
        metavar="S",
        help=f"seconds for which it must then stay healthy (default: {STEADY_S})",
    )
    parser.add_argument(
        "--root", default=ROOT, metavar="DIR", help=f"installation directory (default: {ROOT})"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Upgrade, roll back, or list the versions."""
    import os
    from pathlib import Path

    from gridfleet.provisioning.upgrade.actions import install, roll_back, show, use_last_good
    from gridfleet.provisioning.upgrade.version_change import HealthGate
    from gridfleet.provisioning.upgrade.versions import Versions

    versions = Versions(Path(arguments.root))
    if sum([arguments.bundle is not None, arguments.rollback, arguments.use_last_good]) > 1:
        raise CommandError("device upgrade", "give a bundle, --rollback or --use-last-good, not two of them")
    if arguments.use_last_good:
        return use_last_good(versions)
    if arguments.bundle is None and not arguments.rollback:
        return show(versions)
    if not os.access(versions.root, os.W_OK):
        raise CommandError(
            versions.root, "cannot be written: run it as root, sudo gridfleet device upgrade …"
        )
    gate = HealthGate(arguments.healthy_within, arguments.steady)
    return (
        roll_back(versions, gate) if arguments.rollback else install(versions, Path(arguments.bundle), gate)
    )
