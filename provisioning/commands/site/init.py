"""`gridfleet site init`: makes the secrets folder of a site: keys, certificates, passwords and access rules."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.commands.site.user_options import add_directory, add_users, users_of

HELP: Final = "make keys, certificates, passwords, access rules"
DESCRIPTION: Final = (
    "Make what a broker and its clients need to log in: an authority and certificates, a password for every device\n"
    "of a scenario, and the access rules. Called again, it adds what is missing; with --scenario it also takes the\n"
    "users from there, and users that are neither in the scenario nor enrolled are locked out. Only you can read\n"
    "the folder, and git ignores it. A running broker loads the changes on SIGHUP."
)
EXAMPLES: Final = (
    "gridfleet site init",
    "gridfleet site init --scenario storm --host broker.example 192.0.2.1",
    "gridfleet site init --processes 4",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site init`."""
    add_directory(parser, ", created if missing")
    add_users(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Make what is missing; print what was done, and never a secret."""
    from gridfleet.provisioning.site.secrets import make_secrets

    site, users, registrations = users_of(arguments)
    print(
        make_secrets(
            Path(arguments.directory), site, users, host_names=arguments.host, registrations=registrations
        )
    )
    return ExitCode.SUCCESS
