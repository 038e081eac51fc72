"""`gridfleet upgrade`: another version on a device, and the old one back if the new one does not become healthy."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError

HELP: Final = "install another version on this device, or go back"
DESCRIPTION: Final = (
    "Install a bundle beside the version in use and have the service start it. If it is not healthy in time, or\n"
    "does not stay so, the last good version comes back. Without a bundle, the versions that are here are shown."
)
EXAMPLES: Final = (
    "gridfleet upgrade",
    "sudo gridfleet upgrade bundles/pi64",
    "sudo gridfleet upgrade --rollback",
)
WITHIN_S: Final = 120
"""How long a new version may take to become healthy: a Pi Zero 2 W starts Python slowly."""
STEADY_S: Final = 30
"""How long it must then stay so."""
ROOT: Final = "/opt/gridfleet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `upgrade`."""
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help="a folder that `gridfleet bundle` made")
    parser.add_argument("--rollback", action="store_true", help="go back to the version before")
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
        help=f"seconds in which the new version must become healthy (default: {WITHIN_S})",
    )
    parser.add_argument(
        "--steady",
        type=whole_number(0, 3600),
        default=STEADY_S,
        metavar="S",
        help=f"seconds for which it must then stay so (default: {STEADY_S})",
    )
    parser.add_argument("--root", default=ROOT, metavar="DIR", help=f"(default: {ROOT})")


def execute(arguments: argparse.Namespace) -> int:
    """Upgrade, go back, or show what there is."""
    import os
    from pathlib import Path

    from gridfleet.provisioning.upgrade.actions import install, roll_back, show, use_last_good
    from gridfleet.provisioning.upgrade.version_change import HealthGate
    from gridfleet.provisioning.upgrade.versions import Versions

    versions = Versions(Path(arguments.root))
    if sum([arguments.bundle is not None, arguments.rollback, arguments.use_last_good]) > 1:
        raise CommandError(
            "gridfleet upgrade", "give a bundle, --rollback or --use-last-good, not two of them"
        )
    if arguments.use_last_good:
        return use_last_good(versions)
    if arguments.bundle is None and not arguments.rollback:
        return show(versions)
    if not os.access(versions.root, os.W_OK):
        raise CommandError(versions.root, "belongs to root: sudo gridfleet upgrade …")
    gate = HealthGate(arguments.healthy_within, arguments.steady)
    return (
        roll_back(versions, gate) if arguments.rollback else install(versions, Path(arguments.bundle), gate)
    )
