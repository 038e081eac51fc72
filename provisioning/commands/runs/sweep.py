"""`gridfleet sweep`: simulates several values of one or more keys over several seeds, in parallel processes."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import (
    add_batch,
    add_output,
    add_scenario,
    add_set,
    add_ticks,
    add_warm_up,
    whole_number,
)
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.terminal import confirm, print_message

if TYPE_CHECKING:
    from gridfleet.provisioning.runs.experiments.sweep import Sweep

HELP: Final = "simulate several values of keys over several seeds"
DESCRIPTION: Final = (
    "Simulate a scenario with every combination of the values of one or more keys, or with a Latin hypercube of\n"
    "them (--sample), and several seeds, in parallel processes. In place of the scenario a TOML file with a table\n"
    "[vary] gives all choices. Print the mean of each key figure over the seeds with its 95 % confidence interval.\n"
    "Writes sweep.csv (and sweep.parquet where pyarrow is installed) with a row for each run, and a plot of the key\n"
    "figures over the first key. Each finished run is in sweep.jsonl at once: --resume goes on after a crash.\n"
    "The intervals are of levels: for the difference of two combinations, subtract the rows of sweep.csv with equal\n"
    "seeds. To see whole scenarios side by side on a page, use `gridfleet compare`."
)
EXAMPLES: Final = (
    "gridfleet sweep normal --vary settings.turbine_scale=0:2:0.5",
    "gridfleet sweep normal --vary vehicles.count=20,40,60 --vary settings.algorithm=best,random --seeds 5",
    "gridfleet sweep normal --vary settings.clearing_rule=pay-as-bid,uniform-price",
    "gridfleet sweep normal --sample 50 --vary settings.turbine_scale=0.2:2.0 --vary vehicles.count=10:60",
    "gridfleet sweep study.toml --out out/study",
    "gridfleet sweep study.toml --resume out/study",
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
        default=[],
        metavar="KEY=VALUES",
        help="a key of the scenario and its values, V1,V2,… or FROM:TO:STEP; with several --vary every combination "
        "is run; with --sample also FROM:TO",
    )
    parser.add_argument(
        "--sample",
        type=whole_number(1, 10_000),
        metavar="N",
        help="run a Latin hypercube of N settings instead of every combination",
    )
    add_batch(parser, None)
    add_warm_up(parser)
    add_ticks(parser)
    add_set(parser)
    parser.add_argument(
        "--yes", action="store_true", help=f"do not ask for confirmation above {ASK_ABOVE_RUNS} runs"
    )
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="go on with a sweep that was interrupted or killed: its finished runs are not repeated",
    )
    add_output(parser, "out/sweep-SCENARIO-TIME")


def execute(arguments: argparse.Namespace) -> int:
    """Run all simulations that are not finished; write and print the results."""
    from gridfleet.provisioning.runs.batch_runner import check_warm_up, finish_batch
    from gridfleet.provisioning.runs.experiments.journal import SweepJournal
    from gridfleet.provisioning.runs.experiments.sweep import Sweep, run_sweep, write_and_print
    from gridfleet.provisioning.runs.experiments.sweep_plan import apply_plan
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    apply_plan(arguments)
    arguments.seeds = arguments.seeds or SEEDS
    if arguments.resume is not None:
        if arguments.out is not None:
            raise CommandError("--resume", "goes on in its own folder: leave out --out")
        arguments.out, arguments.force = arguments.resume, True
    sweep = Sweep(arguments)
    _check_size(sweep, confirmed=arguments.yes)
    sets = sweep.scenarios()
    warm_up = arguments.warm_up or 0
    check_warm_up(warm_up, [each for runs in sets.values() for each in runs])
    name = next(iter(sets.values()))[0].name
    with (
        claim_run_folder(arguments.out, f"sweep-{name}", force=arguments.force, link=LATEST) as folder,
        SweepJournal(folder.path, resume=arguments.resume is not None) as journal,
    ):
        folder.begin()
        measured, interrupted = run_sweep(sets, arguments.jobs, warm_up, journal)
        if measured:
            write_and_print(sweep, measured, folder.path)
        if interrupted:
            print_message(f"To go on, give the same command with --resume {folder.path}")
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
