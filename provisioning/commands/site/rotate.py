"""`gridfleet site rotate`: replaces the secrets of a site, or of some of its clients, and revokes the old ones."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.commands.site.user_options import add_directory, add_users, users_of

HELP: Final = "replace secrets and revoke the old ones"
DESCRIPTION: Final = (
    "Replace all secrets of a site, its authority included, and revoke the old ones; with --only those of some\n"
    "clients, or the broker's certificate. The users stay the same, unless --scenario names a scenario to take them\n"
    "from. A broker on this machine loads the changes at once, another on SIGHUP. Processes that read this folder\n"
    "log in with their new secrets by themselves; copy their new files to devices elsewhere."
)
EXAMPLES: Final = (
    "gridfleet site rotate",
    "gridfleet site rotate --only charger-07 server",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site rotate`."""
    add_directory(parser)
    parser.add_argument(
        "--only", nargs="+", metavar="ID", help="only these clients; 'server' is the broker's certificate"
    )
    add_users(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Rotate secrets; print what was done, and never a secret."""
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.provisioning.site.enrolment import reload_brokers
    from gridfleet.provisioning.site.secrets import SERVER, make_secrets
    from gridfleet.provisioning.site.user_registry import read_registry

    directory = Path(arguments.directory)
    if arguments.scenario is None:
        read_registry(SecretsFolder(directory))  # a folder without users is an error, not a new site
    site, users, registrations = users_of(arguments)
    unknown = set(arguments.only or ()) - {user.name for user in users} - {SERVER}
    if unknown:
        raise CommandError(
            "--only",
            f"{', '.join(sorted(unknown))} is not a user of {site}; allowed are {SERVER} and its users, such as "
            f"{users[-1].name if users else 'clock'}",
        )
    rotate = set(arguments.only) if arguments.only else None
    print(
        make_secrets(
            directory, site, users, rotate=rotate, host_names=arguments.host, registrations=registrations
        )
    )
    print(f"Broker    {reload_brokers(directory)}")
    return ExitCode.SUCCESS
