"""`gridfleet revoke`: a device that was enrolled may not log in any more."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "take a device's password, certificate and rights away"
DESCRIPTION: Final = (
    "Revoke the certificate of a device, delete its password, key and rights, and have the broker that runs here\n"
    "with these secrets read them again: the device is thrown out, and cannot come back."
)
EXAMPLES: Final = ("gridfleet revoke charger-01", "gridfleet revoke charger-01 --secrets secrets")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `revoke`."""
    parser.add_argument("id", metavar="ID", help="the device")
    add_secrets(parser)


def add_secrets(parser: argparse.ArgumentParser) -> None:
    """Add where the site's secrets lie."""
    parser.add_argument(
        "--secrets",
        default="secrets",
        metavar="DIR",
        help="what `gridfleet secrets DIR` made (default: secrets)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Revoke one device."""
    from gridfleet.provisioning.site.enrolment import reload_brokers, revoke

    directory = Path(arguments.secrets)
    left = revoke(directory, arguments.id)
    print(f"Revoked   {arguments.id}; {len(left.users)} users of {left.site} are left")
    print(f"Broker    {reload_brokers(directory)}")
    return ExitCode.SUCCESS
