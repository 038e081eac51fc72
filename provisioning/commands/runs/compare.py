"""`gridfleet compare`: compares scenarios and algorithms over several seeds, in parallel processes."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import (
    add_batch,
    add_liars,
    add_output,
    add_png,
    add_scenario,
    add_set,
    add_ticks,
    add_warm_up,
    algorithm,
)
from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario

HELP: Final = "compare scenarios and algorithms over several seeds"
DESCRIPTION: Final = (
    "Simulate every scenario with every algorithm and several seeds, in parallel processes, and print the mean\n"
    "and standard deviation of each key figure over the seeds, and in words how each set differs from the first,\n"
    "over equal seeds. Writes compare.html, compare.csv, differences.csv, and runs.csv with a row for each run. Use\n"
    "it for whole scenarios and rankings side by side; for the values of any other key, such as a clearing rule,\n"
    "use `gridfleet sweep`. With --liars it prints instead what each lie does to the welfare of all, to the honest\n"
    "and to the liar, with the site's defences and without them, and writes lies.csv."
)
EXAMPLES: Final = (
    "gridfleet compare normal --algorithm best,random",
    "gridfleet compare normal scarce storm --seeds 3 --jobs 2",
    "gridfleet compare normal --ticks 40 --liars turbine-2=steal,at:8 household-1=no-receipt --seeds 3",
)
SEEDS: Final = 5
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
    add_batch(parser, SEEDS)
    add_warm_up(parser)
    add_ticks(parser)
    add_set(parser)
    add_liars(parser)
    add_output(parser, "out/compare-SCENARIOS-TIME")
    add_png(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run all simulations; write and print the comparison."""
    from gridfleet.provisioning.runs.batch_runner import check_warm_up, finish_batch, run_batch
    from gridfleet.provisioning.runs.comparison_table import write_and_print
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    sets = scenario_sets(arguments)
    check_warm_up(arguments.warm_up or 0, [each for runs in sets.values() for each in runs])
    names = list(dict.fromkeys(scenarios[0].name for scenarios in sets.values()))
    name = "-".join(["compare", *names])
    name = name if len(name) <= MAX_NAME_LENGTH else "compare"
    if arguments.liars:
        return _compare_lies(arguments, sets, name)
    with claim_run_folder(arguments.out, name, force=arguments.force, link=LATEST) as folder:
        measured, interrupted = run_batch(sets, arguments.jobs, "compare", arguments.warm_up or 0)
        if measured:
            write_and_print(measured, folder.path, png=arguments.png)
            folder.begin()
    return finish_batch(measured, "compared", interrupted=interrupted)


def _compare_lies(arguments: argparse.Namespace, sets: dict[str, list["Scenario"]], name: str) -> int:
    """Run each lie with defences and without them, and the same runs without it; write and print the table."""
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.devices.trust.liars.lying_devices import check_ticks, parse_liars
    from gridfleet.provisioning.runs.batch_runner import finish_batch, run_all
    from gridfleet.provisioning.runs.lie_effects import compare_lie, table_text, trials_of, write_csv
    from gridfleet.provisioning.runs.results import clear_results, writing_results
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    if len(sets) > 1:
        raise CommandError("--liars", "needs one scenario with one algorithm; compare lies in one at a time")
    liars = parse_liars(arguments.liars)
    scenarios = next(iter(sets.values()))
    check_ticks(liars, scenarios[0].ticks)
    Fleet(scenarios[0], liars=liars)
    trials = trials_of(scenarios, liars)
    with claim_run_folder(arguments.out, name, force=arguments.force, link=LATEST) as folder:
        effects, interrupted = run_all(compare_lie, trials, arguments.jobs, "compare")
        if effects:
            print(table_text(effects), flush=True)
            with writing_results(folder.path, "make room, then compare again"):
                clear_results(folder.path)
                print(f"Table   {write_csv(effects, folder.path)}")
            folder.begin()
    return finish_batch({}, "compared", interrupted=interrupted)


def scenario_sets(arguments: argparse.Namespace) -> dict[str, list["Scenario"]]:
    """Return the scenarios to run by label: each scenario with each algorithm, once per seed."""
    from gridfleet.provisioning.cli.scenario_options import over_seeds, scenario_with_changes

    sets: dict[str, list[Scenario]] = {}
    for name in arguments.scenario:
        for choice in arguments.algorithm or (None,):
            first = scenario_with_changes(name, arguments, algorithm=choice)
            label = first.name if choice is None else f"{first.name} {choice}"
            if label in sets:
                raise CommandError(label, "given twice: name each scenario and each algorithm once")
            sets[label] = over_seeds(first, arguments.seeds)
    return sets


def _algorithms(text: str) -> tuple[str, ...]:
    return tuple(algorithm(word.strip()) for word in text.split(","))
