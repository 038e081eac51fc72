"""`gridfleet scenario show`: prints every key of a scenario with its value, as TOML."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_scenario
from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "print all keys of a scenario with their values"
DESCRIPTION: Final = (
    "Check a scenario, and the weather files it names, and print every key with its value, defaults included, as\n"
    "TOML: a starting point for your own file."
)
EXAMPLES: Final = ("gridfleet scenario show storm", "gridfleet scenario show normal > mine.toml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `scenario show`."""
    add_scenario(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print the content of a valid scenario; raise ScenarioError for mistakes in it."""
    import tomli_w

    from gridfleet.provisioning.runs.scenario_summary import checked_scenario, devices_text, extent_text

    scenario = checked_scenario(arguments.scenario)
    for line in (
        f"{scenario.name}: {' '.join(scenario.title.split()) or 'no title'}",
        extent_text(scenario),
        devices_text(scenario),
    ):
        print(f"# {line}")
    print("# Every key, defaults included:")
    known = {"folder", "name"} if scenario.name == Path(arguments.scenario).stem else {"folder"}
    print(tomli_w.dumps(scenario.model_dump(exclude=known, exclude_none=True)), end="")
    return ExitCode.SUCCESS
