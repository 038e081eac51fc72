"""`gridfleet scenario check`: validates a scenario file, and answers in one line."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_scenario
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.terminal import print_message

HELP: Final = "check a scenario file without running it"
DESCRIPTION: Final = (
    "Check a scenario file, and the weather files it names, without running it. Every mistake is reported with its\n"
    "line, key and what is allowed. A valid file is summarised in one line, with the size of its simulation within\n"
    "a factor of two (messages, time, memory, files), and a line for each station of its weather files: how often\n"
    "it has a value, how much of the run it covers, and its longest hole. What this machine cannot carry is warned\n"
    "of before it is built."
)
EXAMPLES: Final = ("gridfleet scenario check storm",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `scenario check`."""
    add_scenario(parser, metavar="FILE", help="your own TOML file, or a shipped scenario")


def execute(arguments: argparse.Namespace) -> int:
    """Print a line for a valid scenario and one for each station; raise ScenarioError for mistakes in it."""
    from gridfleet.devices.config.run_size import run_size
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.weather.of_scenario import coverage_texts
    from gridfleet.provisioning.runs.scenario_summary import check_fleet, devices_text, warning_texts

    scenario = load(arguments.scenario)
    size = run_size(scenario)
    heavy = size.warnings(Path())
    if heavy:  # what follows may take minutes
        print_message("\n".join(f"{scenario.name} {line}" for line in heavy))
    check_fleet(scenario)
    print(f"{scenario.name} is valid: {scenario.ticks} ticks · {devices_text(scenario)}")
    print(f"  size: {size.text()}")
    for line in warning_texts(scenario):
        print(f"  warning: {line}")
    for line in coverage_texts(scenario):
        print(f"  {line}")
    return ExitCode.SUCCESS
