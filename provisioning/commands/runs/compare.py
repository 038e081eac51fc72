"""`gridfleet compare`: compares scenarios and algorithms over several seeds, in parallel processes."""

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
    "Simulate every scenario with every algorithm and several seeds, in parallel processes, and print the mean\n"
    "and standard deviation of each metric over the seeds. Writes compare.html, compare.csv and plots as PNG."
)
EXAMPLES: Final = (
    "gridfleet compare normal --algorithm best,random",
    "gridfleet compare normal scarce storm --seeds 3 --jobs 2",
)
SEEDS: Final = 5
MAX_SEEDS: Final = 10_000
MAX_NAME_LENGTH: Final = 60
LATEST: Final = "latest-compare"
"""The link to the newest comparison; `latest` leads to the newest run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `compare`."""
    add_scenario(parser, nargs="+", help="shipped scenarios or your own TOML files")
    parser.add_argument(
        "--algorithm",
        type=_algorithms,
        default=(),
        metavar="A,B",
        help="how vehicles choose a charger; separate several by commas (default: the scenario's)",
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(1, MAX_SEEDS),
        default=SEEDS,
        metavar="N",
        help="number of seeds, counted up from the scenario's seed (default: %(default)s)",
    )
    add_ticks(parser)
    add_set(parser)
    parser.add_argument(
        "--jobs",
        type=whole_number(1, 1024),
        metavar="N",
        help="number of parallel processes (default: one per processor)",
    )
    add_output(parser, "out/compare-SCENARIOS-TIME")


def execute(arguments: argparse.Namespace) -> int:
    """Run all simulations; write and print the comparison."""
    from gridfleet.provisioning.runs.batch_runner import run_batch
    from gridfleet.provisioning.runs.comparison_table import write_and_print
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    sets = scenario_sets(arguments)
    names = list(dict.fromkeys(scenarios[0].name for scenarios in sets.values()))
    name = "-".join(["compare", *names])
    name = name if len(name) <= MAX_NAME_LENGTH else "compare"
    with claim_run_folder(arguments.out, name, force=arguments.force, link=LATEST) as folder:
        measured, interrupted = run_batch(sets, arguments.jobs)
        if measured:
            results = {label: [each.result for each in runs] for label, runs in measured.items()}
            write_and_print(results, folder.path)
            folder.begin()
    if interrupted:
        result = "only the finished runs are compared" if measured else "no run had finished"
        print_message(f"Interrupted: {result}.")
        return ExitCode.INTERRUPTED
    breached = [(label, each) for label, runs in measured.items() for each in runs if each.breached]
    for label, each in breached:
        print_message(f"gridfleet: {label}, seed {each.result.seed}: breached {', '.join(each.breached)}")
    return ExitCode.BREACHED if breached else ExitCode.SUCCESS


def scenario_sets(arguments: argparse.Namespace) -> dict[str, list["Scenario"]]:
    """Return the scenarios to run by label: each scenario with each algorithm, once per seed."""
    from gridfleet.provisioning.cli.scenario_options import scenario_with_changes

    sets: dict[str, list[Scenario]] = {}
    for name in arguments.scenario:
        for choice in arguments.algorithm or (None,):
            first = scenario_with_changes(name, arguments, seed=None, algorithm=choice)
            if first.seed + arguments.seeds - 1 > MAX_SEED:
                raise CommandError(
                    "--seeds",
                    f"goes beyond the highest seed, {MAX_SEED}: begin with a lower one, --set seed=S",
                )
            label = first.name if choice is None else f"{first.name} {choice}"
            if label in sets:
                raise CommandError(label, "given twice: name each scenario and each algorithm once")
            sets[label] = [
                first.model_copy(update={"seed": first.seed + offset}) for offset in range(arguments.seeds)
            ]
    return sets


def _algorithms(text: str) -> tuple[str, ...]:
    return tuple(algorithm(word.strip()) for word in text.split(","))
