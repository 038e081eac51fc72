"""`gridfleet sweep`: simulates several values of one or more keys over several seeds, in parallel processes."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_batch, add_output, add_scenario, add_set, add_ticks
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.terminal import confirm

if TYPE_CHECKING:
    from gridfleet.provisioning.runs.experiments.sweep import Sweep

HELP: Final = "simulate several values of keys over several seeds"
DESCRIPTION: Final = (
    "Simulate a scenario with every combination of the values of one or more keys, and several seeds, in parallel\n"
    "processes. Print the mean of each key figure over the seeds with its 95 % confidence interval. Writes\n"
    "sweep.csv, with a row for each run, and a plot of the key figures over the first key. The intervals are of\n"
    "levels: for the difference of two combinations, subtract the rows of sweep.csv with equal seeds. To see whole\n"
    "scenarios side by side on a page, use `gridfleet compare`."
)
EXAMPLES: Final = (
    "gridfleet sweep normal --vary settings.turbine_scale=0:2:0.5",
    "gridfleet sweep normal --vary vehicles.count=20,40,60 --vary settings.algorithm=best,random --seeds 5",
    "gridfleet sweep normal --vary settings.clearing_rule=pay-as-bid,uniform-price",
)
SEEDS: Final = 3
ASK_ABOVE_RUNS: Final = 200
LATEST: Final = "latest-sweep"
"""The link to the newest sweep; `latest` leads to the newest run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `sweep`."""
    add_scenario(parser)
    parser.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="KEY=VALUES",
        help="a key of the scenario and its values, V1,V2,… or FROM:TO:STEP; with several --vary every combination "
        "is run",
    )
    add_batch(parser, SEEDS)
    add_ticks(parser)
    add_set(parser)
    parser.add_argument(
        "--yes", action="store_true", help=f"do not ask for confirmation above {ASK_ABOVE_RUNS} runs"
    )
    add_output(parser, "out/sweep-SCENARIO-TIME")


def execute(arguments: argparse.Namespace) -> int:
    """Run all simulations; write and print the results."""
    from gridfleet.provisioning.runs.batch_runner import finish_batch, run_batch
    from gridfleet.provisioning.runs.experiments.sweep import Sweep, write_and_print
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    sweep = Sweep(arguments)
    _check_size(sweep, confirmed=arguments.yes)
    sets = sweep.scenarios()
    name = next(iter(sets.values()))[0].name
    with claim_run_folder(arguments.out, f"sweep-{name}", force=arguments.force, link=LATEST) as folder:
        measured, interrupted = run_batch(sets, arguments.jobs, "sweep")
        if measured:
            write_and_print(sweep, measured, folder.path)
            folder.begin()
    return finish_batch(measured, "in the results", interrupted=interrupted)


def _check_size(sweep: "Sweep", *, confirmed: bool) -> None:
    """Ask about a sweep of many runs; raise CommandError for too many, and where nobody can be asked."""
    from gridfleet.provisioning.runs.experiments.sweep import MAX_RUNS

    size = sweep.size_text()
    if sweep.runs > MAX_RUNS:
        raise CommandError("sweep", f"{size}, at most {MAX_RUNS} are allowed: give fewer values or seeds")
    if confirmed or sweep.runs <= ASK_ABOVE_RUNS:
        return
    if not sys.stdin.isatty():
        problem = f"{size}, more than {ASK_ABOVE_RUNS}: confirm with --yes, or give fewer values or seeds"
        raise CommandError("sweep", problem)
    confirm(f"This sweep has {size}. Continue?", "sweep")
