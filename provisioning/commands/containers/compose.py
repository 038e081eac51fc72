"""`gridfleet deploy compose`: prepares the folder that docker-compose.yml mounts: secrets, scenario, data."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.arguments import add_scenario, add_set
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

HELP: Final = "prepare the files that `docker compose up` needs"
DESCRIPTION: Final = (
    "Create the folder that docker-compose.yml mounts, with secrets, the brokers' configuration, the scenario,\n"
    "tokens and data directories, and next to it the file .env with the user id of the containers: yours, or 10001\n"
    "if you are root. Called again, it adds what is missing and updates the rest; secrets stay the same."
)
COMPOSE_FILE: Final = "docker-compose.yml"
EXAMPLES: Final = (
    "gridfleet deploy compose",
    "gridfleet deploy compose storm --set vehicles.count=60 --host broker.example",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `deploy compose`."""
    add_scenario(
        parser, nargs="?", default="normal", help="a shipped scenario or your own TOML file (default: normal)"
    )
    add_set(parser)
    parser.add_argument(
        "--folder", default="containers", metavar="DIR", help="the folder (default: containers)"
    )
    parser.add_argument(
        "--host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further names and addresses of the broker, for clients outside the containers",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Prepare the folder; print what was created, and never a secret."""
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.deploy.compose_folder import prepare_folder

    folder = Path(arguments.folder)
    fleet = Fleet(load(arguments.scenario, arguments.changes))
    try:
        print(prepare_folder(folder, fleet, arguments.host))
    except OSError as error:
        problem = f"cannot be used ({error_reason(error)}): name a folder that can be written to"
        raise CommandError(error.filename or folder, problem) from None
    start = "docker compose --profile fleet --profile observe up --build"
    if (folder.absolute().parent / COMPOSE_FILE).is_file():
        print(f"Next      make dist && {start}")
    else:
        print(
            f"Next      there is no {COMPOSE_FILE} here: call this command in a checkout of GridFleet,\n"
            f"          or copy {folder} and .env beside its {COMPOSE_FILE}; then, there: make dist && {start}"
        )
    return ExitCode.SUCCESS
