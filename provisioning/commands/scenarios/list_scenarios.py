"""`gridfleet scenario list`: lists the shipped scenarios."""

import argparse
import shutil
import textwrap
from typing import Final

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.terminal import coloured

HELP: Final = "list the shipped scenarios"
DESCRIPTION: Final = "List the shipped scenarios with their purpose, duration and number of devices."
EXAMPLES: Final = ("gridfleet scenario list",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `scenario list`."""
    parser.add_argument("--names", action="store_true", help="print only the names, one per line")


def execute(arguments: argparse.Namespace) -> int:
    """Print the shipped scenarios."""
    from gridfleet.devices.config.scenario import load, shipped
    from gridfleet.provisioning.runs.scenario_summary import devices_text, extent_text

    names = shipped()
    if arguments.names:
        print("\n".join(names))
        return ExitCode.SUCCESS
    width = max(map(len, names)) + 2
    columns = min(shutil.get_terminal_size().columns, 100)
    for name in names:
        scenario = load(name)
        print(coloured(f"{name:<{width}}{scenario.title}", "bold"))
        for text in (scenario.about, extent_text(scenario), devices_text(scenario)):
            print(textwrap.fill(text, columns, initial_indent=" " * width, subsequent_indent=" " * width))
        print()
    print(f"Try one: gridfleet simulate {names[0]}")
    return ExitCode.SUCCESS
