"""`gridfleet secrets`: creates and rotates the keys, certificates, passwords and access rules of a site."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_set, whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

HELP: Final = "create or rotate keys, certificates, passwords, access rules"
DESCRIPTION: Final = (
    "Create what a broker and its clients need to log in: an authority and certificates, a password for every\n"
    "device of a scenario, and the access rules. Called again, it adds what is missing and rewrites the access\n"
    "rules; users that are neither in the scenario nor enrolled are locked out. With --rotate, all is replaced.\n"
    "Only you can read the folder, and git ignores it. A running broker loads the changes on SIGHUP."
)
EXAMPLES: Final = (
    "gridfleet secrets secrets",
    "gridfleet secrets secrets --scenario storm --host broker.example 192.0.2.1",
    "gridfleet secrets secrets --rotate",
    "gridfleet secrets secrets --rotate --only charger-07 server",
)
MAX_PROCESSES: Final = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `secrets`."""
    parser.add_argument("directory", metavar="DIR", help="the folder, created if missing")
    parser.add_argument(
        "--scenario",
        default="normal",
        metavar="S",
        help="the scenario with the devices: a shipped one or your own TOML file (default: normal)",
    )
    parser.add_argument(
        "--rotate", action="store_true", help="replace existing secrets and revoke the old ones"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ID",
        help="with --rotate: only these clients; 'server' is the broker's certificate",
    )
    parser.add_argument(
        "--host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further names and addresses of the broker, for its certificate",
    )
    parser.add_argument(
        "--operators",
        nargs="+",
        default=["operator"],
        metavar="NAME",
        help="users who may watch and control (default: operator)",
    )
    parser.add_argument(
        "--viewers",
        nargs="+",
        default=["viewer"],
        metavar="NAME",
        help="users who may only watch (default: viewer)",
    )
    parser.add_argument(
        "--processes",
        type=whole_number(0, MAX_PROCESSES),
        default=1,
        metavar="N",
        help="number of fleet processes: fleet-1 to fleet-N may subscribe to the tick for their devices (default: 1)",
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="each fleet process may also publish for its part of the devices "
        "(`fleet --connection shared --part K/N`)",
    )
    parser.add_argument(
        "--bridged",
        action="store_true",
        help="let another broker of the site connect as `bridge`; it may publish everything for every user",
    )
    add_set(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Create or rotate secrets; print what was done, and never a secret."""
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.site.secrets import SERVER, identities, make_secrets
    from gridfleet.provisioning.site.user_registry import with_enrolled

    if arguments.only and not arguments.rotate:
        raise CommandError("--only", "needs --rotate")
    fleet = Fleet(load(arguments.scenario, arguments.changes))
    folder = SecretsFolder(Path(arguments.directory))
    users = with_enrolled(
        folder,
        identities(
            fleet,
            arguments.operators,
            arguments.viewers,
            processes=arguments.processes,
            shared=arguments.shared,
            bridged=arguments.bridged,
        ),
    )
    names = {user.name for user in users} | {SERVER}
    unknown = set(arguments.only or ()) - names
    if unknown:
        raise CommandError(
            "--only",
            f"{', '.join(sorted(unknown))} is not a user of {fleet.scenario.site}; allowed are {SERVER} and the ids "
            f"of {arguments.scenario}, such as {fleet.ids[0] if fleet.ids else 'clock'}",
        )
    rotate = None if arguments.rotate and not arguments.only else set(arguments.only or ())
    done = make_secrets(
        Path(arguments.directory), fleet.scenario.site, users, rotate=rotate, host_names=arguments.host
    )
    print(done)
    return ExitCode.SUCCESS
