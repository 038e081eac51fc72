"""`gridfleet scenarios` lists the shipped scenarios; `gridfleet check FILE` validates a scenario file."""

import argparse
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_scenario
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.terminal import coloured

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario

LIST_HELP: Final = "list the shipped scenarios"
LIST_DESCRIPTION: Final = "List the shipped scenarios with their purpose, duration and number of devices."
LIST_EXAMPLES: Final = ("gridfleet scenarios",)
CHECK_HELP: Final = "check a scenario file and print all its keys"
CHECK_DESCRIPTION: Final = (
    "Check a scenario file, and the weather files it names, without running it. Print every key with its value,\n"
    "defaults included, as TOML: a starting point for your own file."
)
CHECK_EXAMPLES: Final = ("gridfleet check storm", "gridfleet check normal > mine.toml")
_KINDS: Final = (
    ("turbines", "turbine"),
    ("households", "household"),
    ("commerce", "shop or office"),
    ("farms", "farm"),
    ("chargers", "charger"),
    ("vehicles", "vehicle"),
    ("reactors", "reactor"),
)
_PLURAL: Final = {"shop or office": "shops and offices"}


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `scenarios`."""
    parser.add_argument("--names", action="store_true", help="print only the names, one per line")


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `check`."""
    add_scenario(parser, metavar="FILE", help="your own TOML file, or a shipped scenario")


def list_scenarios(arguments: argparse.Namespace) -> int:
    """Print the shipped scenarios."""
    from gridfleet.devices.config.scenario import load, shipped

    names = shipped()
    if arguments.names:
        print("\n".join(names))
        return ExitCode.SUCCESS
    width = max(map(len, names)) + 2
    columns = min(shutil.get_terminal_size().columns, 100)
    for name in names:
        scenario = load(name)
        print(coloured(f"{name:<{width}}{scenario.title}", "bold"))
        for text in (scenario.about, extent(scenario), devices(scenario)):
            print(textwrap.fill(text, columns, initial_indent=" " * width, subsequent_indent=" " * width))
        print()
    print(f"Try one: gridfleet simulate {names[0]}")
    return ExitCode.SUCCESS


def check(arguments: argparse.Namespace) -> int:
    """Validate a file and print its content."""
    import tomli_w

    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet

    scenario = load(arguments.scenario)
    Fleet(scenario)  # reads the weather files as well
    for line in (
        f"{scenario.name}: {' '.join(scenario.title.split()) or 'no title'}",
        extent(scenario),
        devices(scenario),
    ):
        print(f"# {line}")
    print("# Every key, defaults included:")
    known = {"folder", "name"} if scenario.name == Path(arguments.scenario).stem else {"folder"}
    print(tomli_w.dumps(scenario.model_dump(exclude=known, exclude_none=True)), end="")
    return ExitCode.SUCCESS


def extent(scenario: "Scenario") -> str:
    """Return duration, cells, weather and events of a scenario as text."""
    area = scenario.area
    cells = area.rows * area.columns
    hours = scenario.ticks / 4
    parts = [
        f"{scenario.ticks} ticks ({hours:g} h) from {scenario.start:%Y-%m-%d %H:%M}",
        f"{cells} cell{'' if cells == 1 else 's'}",
        f"{scenario.weather.source} weather",
    ]
    parts += [f"hour {event.hour:g}: {event.title}" for event in scenario.events]
    return " · ".join(parts)


def devices(scenario: "Scenario") -> str:
    """Return the number of devices of each kind as text."""
    parts = []
    for field, noun in _KINDS:
        count = getattr(scenario, field).count
        if count:
            parts.append(f"{count} {noun if count == 1 else _PLURAL.get(noun, noun + 's')}")
    return " · ".join(parts) if parts else "no devices"
