"""`gridfleet compare`: scenarios and algorithms side by side, over several seeds, in parallel processes."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import (
    MAX_SEED,
    add_output,
    add_scenario,
    add_set,
    add_ticks,
    algorithm,
    whole_number,
)
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_message

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario

HELP: Final = "compare scenarios and algorithms over several seeds"
DESCRIPTION: Final = (
    "Simulate every scenario with every algorithm and several seeds, in parallel processes, and show the\n"
    "means side by side with their standard deviation over the seeds. Writes compare.html, compare.csv, PNGs."
)
EXAMPLES: Final = (
    "gridfleet compare normal --algorithm best,random",
    "gridfleet compare normal scarce storm --seeds 3 --jobs 2",
)
SEEDS: Final = 5
MAX_SEEDS: Final = 10_000
LONGEST_NAME: Final = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `compare`."""
    add_scenario(parser, nargs="+", help="shipped scenarios or your own TOML files")
    parser.add_argument(
        "--algorithm",
        type=_algorithms,
        default=(),
        metavar="A,B",
        help="how vehicles choose a charger, several with commas (default: each scenario's own)",
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(1, MAX_SEEDS),
        default=SEEDS,
        metavar="N",
        help="how many seeds, counted up from the scenario's (default: %(default)s)",
    )
    add_ticks(parser)
    add_set(parser)
    parser.add_argument(
        "--jobs",
        type=whole_number(1, 1024),
        metavar="N",
        help="processes at a time (default: one per processor)",
    )
    add_output(parser, "out/compare-SCENARIOS")


def execute(arguments: argparse.Namespace) -> int:
    """Run all; write and print the comparison."""
    from gridfleet.provisioning.cli.scenario_options import output_directory
    from gridfleet.provisioning.runs.batch_runner import run_batch, write_and_print

    sets = scenario_sets(arguments)
    names = list(dict.fromkeys(scenarios[0].name for scenarios in sets.values()))
    name = "-".join(["compare", *names])
    directory = output_directory(arguments.out, name if len(name) <= LONGEST_NAME else "compare")
    measured, interrupted = run_batch(sets, arguments.jobs)
    if measured:
        write_and_print(measured, directory)
    if interrupted:
        ended = "only the runs that had ended are compared" if measured else "no run had ended yet"
        print_message(f"Interrupted: {ended}.")
        return ExitCode.INTERRUPTED
    breached = [(label, each) for label, runs in measured.items() for each in runs if each.breached]
    for label, each in breached:
        print_message(f"gridfleet: {label}, seed {each.result.seed}: breached {', '.join(each.breached)}")
    return ExitCode.BREACHED if breached else ExitCode.SUCCESS


def scenario_sets(arguments: argparse.Namespace) -> dict[str, list["Scenario"]]:
    """Return what is to be run, by label: each scenario with each algorithm, once per seed."""
    from gridfleet.provisioning.cli.scenario_options import scenario_with_changes

    sets: dict[str, list[Scenario]] = {}
    for name in arguments.scenario:
        for choice in arguments.algorithm or (None,):
            first = scenario_with_changes(name, arguments, seed=None, algorithm=choice)
            if first.seed + arguments.seeds - 1 > MAX_SEED:
                raise CommandError(
                    "--seeds", f"counts beyond the last seed, {MAX_SEED}; begin with a lower one"
                )
            label = first.name if choice is None else f"{first.name} {choice}"
            if label in sets:
                raise CommandError(
                    label, "named twice; give each scenario, by its name, and each algorithm once"
                )
            sets[label] = [
                first.model_copy(update={"seed": first.seed + offset}) for offset in range(arguments.seeds)
            ]
    return sets


def _algorithms(text: str) -> tuple[str, ...]:
    return tuple(algorithm(word.strip()) for word in text.split(","))
