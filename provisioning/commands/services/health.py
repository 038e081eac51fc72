"""`gridfleet health`: checks whether a long-running process is healthy, for the health checks of containers."""

import argparse
import os
import time
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_message
from gridfleet.provisioning.processes.heartbeat import ENVIRONMENT, MAX_AGE_S, health_problem

HELP: Final = "check whether a clock, fleet, device or recorder is healthy"
DESCRIPTION: Final = (
    "Exit with 0 if a long-running process responds and all its connections are online, otherwise with 1 and the\n"
    f"reason. Clock, fleet, device and recorder write the file named by {ENVIRONMENT} every 5 s from\n"
    f"their event loop; if it is older than {MAX_AGE_S:.0f} s, the process has ended or hangs."
)
EXAMPLES: Final = ("gridfleet health heartbeat",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `health`."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help=f"the heartbeat file (default: ${ENVIRONMENT})"
    )
    parser.add_argument(
        "--alive",
        action="store_true",
        help="check only that the process responds; a lost broker is no reason to restart it",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Check the heartbeat."""
    name = arguments.file or os.environ.get(ENVIRONMENT)
    if not name:
        raise CommandError(
            "health", f"name the heartbeat file, or set {ENVIRONMENT} to the value that the process has"
        )
    problem = health_problem(Path(name), time.monotonic(), only_alive=arguments.alive)
    if problem:
        print_message(f"unhealthy: {problem}")
        return ExitCode.FAILED
    print("healthy")
    return ExitCode.SUCCESS
