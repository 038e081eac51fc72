"""`gridfleet run`: a scenario over a real MQTT broker, from its first tick to its report."""

import argparse
from typing import TYPE_CHECKING, Final

from provisioning.arguments import add_changes, add_output, add_recording, add_scenario
from provisioning.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from broker.messages import Message, Mode
    from devices.scenario import Scenario
    from provisioning.progress import Runner

HELP: Final = "run a fleet over a real MQTT broker"
DESCRIPTION: Final = (
    "Start the embedded broker, a fleet whose every device has a connection of its own, and the recorder; end\n"
    "with the report. In lock-step the ticks go as fast as the slowest device is ready, and the ledger is the\n"
    "same as in the simulation."
)
EXAMPLES: Final = (
    "gridfleet run",
    "gridfleet run storm --ticks 80",
    "gridfleet run normal --ticks 20 --seconds-per-tick 0.5",
    "gridfleet run normal --broker mqtt://user:password@broker.example:1883",
)
MODES: Final = ("lockstep", "scaled", "realtime")
SECONDS_PER_TICK: Final = 1.0
MOST_SECONDS_PER_TICK: Final = 900.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `run`."""
    add_scenario(
        parser, nargs="?", default="normal", help="a shipped scenario or your own TOML file (default: normal)"
    )
    add_changes(parser)
    parser.add_argument(
        "--broker", metavar="URL", help="mqtt://… or mqtts://… of another broker (default: one of its own)"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="lockstep: as fast as all are ready; scaled: --seconds-per-tick; realtime: 15 min per tick "
        "(default: lockstep)",
    )
    parser.add_argument(
        "--seconds-per-tick",
        type=_seconds,
        metavar="X",
        help=f"how long a tick takes in --mode scaled, which it implies (default: {SECONDS_PER_TICK:g})",
    )
    add_output(parser, "out/run-SCENARIO")
    add_recording(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the fleet; write and print what came of it."""
    from broker.address import BrokerAddress
    from provisioning.chosen import chosen_scenario, output_directory
    from provisioning.conduct import conclude, play
    from provisioning.results import recording

    mode, seconds_per_tick = pace(arguments.mode, arguments.seconds_per_tick)
    address = BrokerAddress.parse(arguments.broker) if arguments.broker is not None else None
    scenario = chosen_scenario(arguments)
    directory = output_directory(arguments.out, f"run-{scenario.name}")
    with (
        recording(scenario, directory, arguments.trace) as recorded,
        fleet(scenario, address, mode, seconds_per_tick, recorded.tap) as runner,
    ):
        interrupted = play(runner, scenario.name)
    return conclude(directory, interrupted=interrupted, report=arguments.report)
