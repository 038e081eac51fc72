"""`gridfleet secrets`: every key, certificate, password and right of a site, made and rotated by one command.

Nothing secret is ever printed, logged or given to another program: hashes and certificates are made here.
"""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_set, whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

HELP: Final = "make or rotate the keys, certificates, passwords and rights of a site"
DESCRIPTION: Final = (
    "Make what a broker and its clients need to know each other: an authority and certificates, a password for\n"
    "every device of a scenario, and the rights of each. Called again, it adds what is missing and writes the\n"
    "rights anew; who is neither in the scenario nor enrolled is locked out. With --rotate all is made anew.\n"
    "The folder is readable by you alone and ignored by git; a running broker takes it over on SIGHUP."
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
    parser.add_argument("directory", metavar="DIR", help="the folder, made where it is missing")
    parser.add_argument(
        "--scenario",
        default="normal",
        metavar="S",
        help="whose devices: a shipped scenario or your own TOML file (default: normal)",
    )
    parser.add_argument("--rotate", action="store_true", help="make anew what is there, and revoke the old")
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
        help="further names and addresses under which clients reach the broker",
    )
    parser.add_argument(
        "--operators",
        nargs="+",
        default=["operator"],
        metavar="NAME",
        help="who may steer (default: operator)",
    )
    parser.add_argument(
        "--viewers", nargs="+", default=["viewer"], metavar="NAME", help="who may only look (default: viewer)"
    )
    parser.add_argument(
        "--hosts",
        type=whole_number(0, MAX_PROCESSES),
        default=1,
        metavar="N",
        help="how many processes carry the devices: fleet-1 to fleet-N may hear the tick for them (default: 1)",
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="each of the hosts may also speak for its part of the devices (`fleet --connection shared --part K/N`)",
    )
    parser.add_argument(
        "--bridged",
        action="store_true",
        help="let another broker of the site enter, as `bridge`: it may say everything in everybody's name",
    )
    add_set(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Make or rotate; say what was done, and never a secret."""
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.site.secrets import SERVER, identities, make_secrets
    from gridfleet.provisioning.site.user_registry import with_enrolled

    if arguments.only and not arguments.rotate:
        raise CommandError("--only", "goes with --rotate")
    fleet = Fleet(load(arguments.scenario, arguments.changes))
    folder = SecretsFolder(Path(arguments.directory))
    users = with_enrolled(
        folder,
        identities(
            fleet,
            arguments.operators,
            arguments.viewers,
            hosts=arguments.hosts,
            shared=arguments.shared,
            bridged=arguments.bridged,
        ),
    )
    unknown = set(arguments.only or ()) - {user.name for user in users} - {SERVER}
    if unknown:
        raise CommandError("--only", f"{', '.join(sorted(unknown))} is not in {arguments.scenario}")
    rotated = None if arguments.rotate and not arguments.only else set(arguments.only or ())
    done = make_secrets(
        Path(arguments.directory), fleet.scenario.site, users, rotated=rotated, hosts=arguments.host
    )
    print(done)
    return ExitCode.SUCCESS
