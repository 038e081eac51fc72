"""Entry point of `gridfleet`: runs a command, and turns errors into a message and an exit code.

Each command imports what it needs when it runs, so that help texts appear at once.
"""

import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.install_command import install_command
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.terminal import is_of_output, lose_output, output_lost, print_message
from gridfleet.provisioning.commands.aliases import translated
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.tree import COMMANDS
from gridfleet.provisioning.processes.plugin_warnings import warn_of_plugins

PACKAGES: Final = {
    "cryptography": "cryptography",
    "gpiozero": "gpiozero",
    "grafana_client": "grafana-client",
    "influxdb_client": "influxdb-client",
    "iotcore": "iotcore",
    "matplotlib": "matplotlib",
    "rich": "rich",
    "shtab": "shtab",
    "tomli_w": "tomli-w",
    "websockets": "websockets",
    "yaml": "pyyaml",
}
"""The packages of the extras for users, by import name. Devices need none of them, the image only tomli-w."""
EXECUTE: Final = {path: command.execute for path, command in COMMANDS.items()}
"""The function of each command, by its path."""

BUILD_AGENTS: Final = frozenset(
    ("run", "simulate", "rerun", "compare", "sweep", "site clock", "site fleet", "scenario check")
)
"""The commands that build agents of any kind; `device run` looks at other packages only when its device needs them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage raises SystemExit(2), as argparse does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # names that the terminal cannot encode raise no error
    words, note = translated(sys.argv[1:] if argv is None else argv)
    if note:
        print_message(f"gridfleet: {note}")
    arguments = make_parser().parse_args(words)
    arguments.words = tuple(words)
    if arguments.command is None:
        arguments.help_parser.print_help(sys.stderr)
        return ExitCode.USAGE
    try:
        if arguments.command in BUILD_AGENTS:
            warn_of_plugins()
        code = EXECUTE[arguments.command](arguments)
        return ExitCode.FAILED if code == ExitCode.SUCCESS and output_lost() else code
    except KeyboardInterrupt:
        print_message("gridfleet: interrupted")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001  last resort for a clean message
        if isinstance(error, OSError) and is_of_output(error):
            lose_output(error)
            output_lost()
            return ExitCode.FAILED
        if arguments.debug:
            traceback.print_exception(error)
        code, text = explain(error)
        print_message("\n".join(f"gridfleet: {line}" for line in text.split("\n")))
    return code


def explain(error: Exception) -> tuple[ExitCode, str]:
    """Return the exit code and the message for an error."""
    if isinstance(error, GridFleetError):
        return ExitCode.USAGE, str(error)
    if isinstance(error, ModuleNotFoundError) and (
        package := PACKAGES.get(str(error.name).partition(".")[0])
    ):
        return ExitCode.USAGE, f"the Python package {package} is not installed: {install_command(package)}"
    return ExitCode.FAILED, (
        f"unexpected failure: {type(error).__name__}: {error}\nAdd --debug for the traceback."
    )
