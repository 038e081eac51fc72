"""`gridfleet simulate`: runs a scenario in the deterministic simulation, from its first tick to its report."""

import argparse
from time import monotonic
from typing import Final

from gridfleet.provisioning.cli.arguments import (
    KeyValues,
    add_changes,
    add_liars,
    add_output,
    add_recording,
    add_scenario,
)
from gridfleet.provisioning.cli.progress import Progress, ProgressCallback
from gridfleet.provisioning.cli.progress_bar import slow_step
from gridfleet.provisioning.cli.terminal import is_interactive

HELP: Final = "run a scenario in the deterministic simulation"
DESCRIPTION: Final = (
    "Run a scenario with a virtual clock and an in-memory bus, as fast as possible. The same scenario, seed and\n"
    "version give the same files to the byte. Faults of network and devices can be injected, and devices can lie."
)
EXAMPLES: Final = (
    "gridfleet simulate normal",
    "gridfleet simulate storm --algorithm random --seed 7 --out out/storm-random",
    "gridfleet simulate normal --set vehicles.count=60 settings.turbine_scale=0.5",
    "gridfleet simulate normal --ticks 40 --faults loss=0.05 crash=0.01 --trace out/messages.jsonl",
    "gridfleet simulate normal --ticks 40 --liars household-1=refuse-awards turbine-2=withhold,at:20",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `simulate`."""
    add_scenario(parser)
    add_changes(parser)
    parser.add_argument(
        "--faults",
        action=KeyValues,
        nargs="+",
        default=[],
        const="loss=0.05",
        metavar="key=value",
        help="faults to inject: loss, duplicate, reorder, partition, crash (0 to 1), delay_s, skew_s (s), "
        "down_ticks, keep_state, from_tick, to_tick (default: nothing)",
    )
    add_liars(parser)
    add_output(parser, "out/SCENARIO-TIME")
    add_recording(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the scenario; write the results and print the key figures."""
    from gridfleet.broker.protocol.units import MS_PER_S
    from gridfleet.devices.runtime.network_faults import parse_faults
    from gridfleet.devices.runtime.simulation import Simulation
    from gridfleet.devices.trust.liars.lying_devices import parse_liars
    from gridfleet.provisioning.cli.scenario_options import scenario_from_arguments
    from gridfleet.provisioning.runs.lifecycle import (
        command_manifest,
        finish_recording,
        finish_run,
        run_with_progress,
    )
    from gridfleet.provisioning.runs.live.lowest_price import LowestPrice
    from gridfleet.provisioning.runs.results import open_recording
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    scenario = scenario_from_arguments(arguments)
    faults, liars = parse_faults(arguments.faults), parse_liars(arguments.liars)
    price = LowestPrice()
    skew_ms = round(faults.skew_s * MS_PER_S)
    began_s = monotonic()
    with (
        claim_run_folder(arguments.out, scenario.name, force=arguments.force) as folder,
        open_recording(
            scenario,
            folder.path,
            arguments.trace,
            force=arguments.force,
            exact=not faults.any,
            clock_skew_ms=skew_ms,
        ) as recorded,
    ):
        receivers = (recorded.receive, price.receive) if is_interactive() else (recorded.receive,)
        with slow_step(f"building the devices of {scenario.name}"):
            simulation = Simulation(
                scenario, faults=faults, receivers=receivers, judge=recorded.judgements, liars=liars
            )

        def run(progress: ProgressCallback) -> None:
            clock = simulation.clock
            simulation.run(
                lambda _simulation: progress(Progress(clock.tick, clock.ticks, simulation.now_ms, price.ueur))
            )

        interrupted = run_with_progress(run, scenario.name, folder)
        finish_recording(recorded, folder)
    took = ("simulation", monotonic() - began_s)
    return finish_run(
        folder.path,
        interrupted=interrupted,
        report=arguments.report,
        png=arguments.png,
        took=took,
        manifest=command_manifest(arguments, scenario, faults.model_dump(exclude_defaults=True)),
    )
