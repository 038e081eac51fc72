"""Entry point of `gridfleet`: runs a command, and turns errors into a message and an exit code.

Each command imports what it needs when it runs, so that help texts appear at once.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from types import ModuleType
from typing import Any, Final, NamedTuple

from gridfleet.broker.errors import GridFleetError
from gridfleet.provisioning.cli.arguments import HelpFormatter
from gridfleet.provisioning.cli.exit_codes import MEANING, ExitCode
from gridfleet.provisioning.cli.terminal import print_message
from gridfleet.provisioning.commands import completion
from gridfleet.provisioning.commands.containers import compose, kubernetes
from gridfleet.provisioning.commands.devices import bundle, device, doctor, flash, revoke, upgrade
from gridfleet.provisioning.commands.live import console, dashboards, set_control, watch
from gridfleet.provisioning.commands.runs import compare, report, run, scenarios, simulate
from gridfleet.provisioning.commands.site import (
    broker,
    chaos,
    clock,
    fleet,
    health,
    influx,
    record,
    recorder,
    secrets,
)

DESCRIPTION: Final = (
    "GridFleet: a power grid of bargaining devices. Wind turbines, households, charging stations and electric\n"
    "vehicles trade energy over MQTT every 15 simulated minutes; vehicles also reserve charging ports."
)
EXAMPLES: Final = (
    "gridfleet scenarios",
    "gridfleet simulate storm",
    "gridfleet run normal",
)


RUN_PACKAGES: Final = (
    "cryptography",
    "iotcore",
    "matplotlib",
    "rich",
    "shtab",
    "tomli_w",
    "websockets",
    "yaml",
)
"""Packages of the extra [run], by import name. Devices do not need them, nor does the image, except tomli_w."""


class Command(NamedTuple):
    """A command: name, one-line help, description, examples that work, and the functions that define and execute it."""

    name: str
    help: str
    description: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]


def _from(name: str, module: ModuleType) -> Command:
    """Return the command that a module defines."""
    return Command(
        name, module.HELP, module.DESCRIPTION, module.EXAMPLES, module.add_arguments, module.execute
    )


COMMANDS: Final = (
    _from("run", run),
    _from("simulate", simulate),
    _from("compare", compare),
    _from("report", report),
    Command(
        "scenarios",
        scenarios.LIST_HELP,
        scenarios.LIST_DESCRIPTION,
        scenarios.LIST_EXAMPLES,
        scenarios.add_list_arguments,
        scenarios.list_scenarios,
    ),
    Command(
        "check",
        scenarios.CHECK_HELP,
        scenarios.CHECK_DESCRIPTION,
        scenarios.CHECK_EXAMPLES,
        scenarios.add_check_arguments,
        scenarios.check,
    ),
    _from("secrets", secrets),
    _from("broker", broker),
    _from("clock", clock),
    _from("fleet", fleet),
    _from("record", record),
    _from("recorder", recorder),
    _from("influx", influx),
    _from("health", health),
    _from("chaos", chaos),
    _from("console", console),
    _from("watch", watch),
    _from("set", set_control),
    _from("dashboards", dashboards),
    _from("compose", compose),
    _from("kubernetes", kubernetes),
    _from("device", device),
    _from("flash", flash),
    _from("bundle", bundle),
    _from("upgrade", upgrade),
    _from("doctor", doctor),
    _from("revoke", revoke),
    _from("completion", completion),
)

HEADINGS: Final = {
    "run": "scenarios and runs",
    "secrets": "sites of several processes",
    "console": "live view and control",
    "compose": "containers",
    "device": "devices",
    "completion": "shell",
}
"""The headings of the groups in the help, by the first command of each group."""


class _Grouped(HelpFormatter):
    """Shows the commands in groups."""

    def _format_action(self, action: argparse.Action) -> str:
        """Format an action, with the heading above the first command of a group."""
        heading = HEADINGS.get(str(action.metavar))
        text = super()._format_action(action)
        return text if heading is None else f"\n  {heading}:\n{text}"


class _Version(argparse.Action):
    """Prints the version, which is looked up only when it is needed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:  # noqa: ANN401  argparse's own
        """Print the version and exit."""
        from gridfleet.provisioning.cli.version import product_version

        print(f"gridfleet {product_version()}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage raises SystemExit(2), as argparse does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # names that the terminal cannot encode raise no error
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    try:
        code = EXECUTE[arguments.command](arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print_message("gridfleet: interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader, for example head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001  last resort for a clean message
        if arguments.debug:
            traceback.print_exception(error)
        code, text = explain(error)
        print_message("\n".join(f"gridfleet: {line}" for line in text.splitlines()))
    return code


EXECUTE: Final = {command.name: command.execute for command in COMMANDS}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        "gridfleet",
        description=DESCRIPTION,
        epilog=f"{_examples(EXAMPLES)}\n\n{_exit_codes()}\n\n`gridfleet COMMAND --help` explains a command.",
        formatter_class=_Grouped,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    parser.set_defaults(root_parser=parser)  # for `completion`, which needs all commands
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        inner = commands.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            epilog=f"{_examples(command.examples)}\n\n{_exit_codes()}",
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(inner)
        inner.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser


def explain(error: Exception) -> tuple[ExitCode, str]:
    """Return the exit code and the message for an error."""
    if isinstance(error, GridFleetError):
        return ExitCode.USAGE, str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in RUN_PACKAGES:
        return ExitCode.USAGE, (
            f"the Python package {error.name} is not installed: install GridFleet with its extra [run]"
        )
    return ExitCode.FAILED, (
        f"unexpected failure: {type(error).__name__}: {error}\nAdd --debug for the traceback."
    )


def _examples(examples: Sequence[str]) -> str:
    return "\n".join(["examples:" if len(examples) > 1 else "example:", *(f"  {line}" for line in examples)])


def _exit_codes() -> str:
    return "\n".join(["exit codes:", *(f"  {code.value:<5}{text}" for code, text in MEANING.items())])
