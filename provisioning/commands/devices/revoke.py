"""`gridfleet device revoke`: locks out an enrolled device."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.broker_options import add_secrets_folder
from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "lock out an enrolled device"
DESCRIPTION: Final = (
    "Revoke a device's certificate, delete its password, key and access rules, and make the broker on this machine\n"
    "that uses these secrets reload them. The device is disconnected and cannot log in again."
)
EXAMPLES: Final = (
    "gridfleet device revoke my-charger",
    "gridfleet device revoke my-charger --secrets secrets",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device revoke`."""
    parser.add_argument("id", metavar="ID", help="the device's id")
    add_secrets_folder(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Revoke one device."""
    from gridfleet.provisioning.site.enrolment import reload_brokers, revoke

    directory = Path(arguments.secrets)
    remaining = revoke(directory, arguments.id)
    print(f"Revoked   {arguments.id}; {remaining.site} has {len(remaining.users)} users now")
    print(f"Broker    {reload_brokers(directory)}")
    return ExitCode.SUCCESS
