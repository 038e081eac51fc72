"""`gridfleet health`: whether a long-running process is well, for the health checks of containers."""

import argparse
import os
import time
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_message
from gridfleet.provisioning.site.heartbeat import ENVIRONMENT, MAX_AGE_S, health_problem

HELP: Final = "tell whether a clock, fleet, device or recorder is well"
DESCRIPTION: Final = (
    "End with 0 when a long-running process is alive and all its connections are online, else with 1 and the\n"
    f"reason. Clock, fleet, device and recorder write the file named by {ENVIRONMENT} every 5 s\n"
    f"from their own loop; one that is older than {MAX_AGE_S:.0f} s is that of a process that hangs or has ended."
)
EXAMPLES: Final = ("gridfleet health heartbeat",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `health`."""
    parser.add_argument("file", nargs="?", metavar="FILE", help=f"the file (default: ${ENVIRONMENT})")
    parser.add_argument(
        "--alive",
        action="store_true",
        help="ask only whether it lives: one that is cut off from its broker need not be restarted",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Judge the heartbeat."""
    name = arguments.file or os.environ.get(ENVIRONMENT)
    if not name:
        raise CommandError("health", f"name the file, or set {ENVIRONMENT} as the process has it")
    wrong = health_problem(Path(name), time.monotonic(), only_alive=arguments.alive)
    if wrong:
        print_message(f"unhealthy: {wrong}")
        return ExitCode.FAILED
    print("healthy")
    return ExitCode.SUCCESS
