"""`gridfleet scenario check`: validates a scenario file, and answers in one line."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.arguments import add_scenario
from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "check a scenario file without running it"
DESCRIPTION: Final = (
    "Check a scenario file, and the weather files it names, without running it. Every mistake is reported with its\n"
    "line, key and what is allowed; a valid file is summarised in one line, with a line for each station of its\n"
    "weather files: how often it has a value, how much of the run it covers, and its longest hole."
)
EXAMPLES: Final = ("gridfleet scenario check storm",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `scenario check`."""
    add_scenario(parser, metavar="FILE", help="your own TOML file, or a shipped scenario")


def execute(arguments: argparse.Namespace) -> int:
    """Print a line for a valid scenario and one for each station; raise ScenarioError for mistakes in it."""
    from gridfleet.devices.weather.of_scenario import coverage_texts
    from gridfleet.provisioning.runs.scenario_summary import checked_scenario, devices_text, warning_texts

    scenario = checked_scenario(arguments.scenario)
    print(f"{scenario.name} is valid: {scenario.ticks} ticks · {devices_text(scenario)}")
    for line in warning_texts(scenario):
        print(f"  warning: {line}")
    for line in coverage_texts(scenario):
        print(f"  {line}")
    return ExitCode.SUCCESS
