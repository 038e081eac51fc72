"""`gridfleet rerun`: runs a simulation again from its manifest, and compares the results to the byte."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_message, print_result

HELP: Final = "run a simulation again from its manifest"
DESCRIPTION: Final = (
    "Read manifest.json in the folder of a run of `gridfleet simulate`, run the scenario in force again with its\n"
    "faults and liars, and compare every result with the hash in the manifest. Input files that have changed are\n"
    "named and refused; other versions of the product or of libraries are named. Exits with 1 where a result\n"
    "differs."
)
EXAMPLES: Final = ("gridfleet rerun out/latest", "gridfleet rerun published/manifest.json --out again")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `rerun`."""
    parser.add_argument("run", metavar="DIR", help="the folder of a run, or its manifest.json")
    parser.add_argument("--out", metavar="DIR", help="folder for the results (default: out/SCENARIO-TIME)")
    parser.add_argument("--force", action="store_true", help="replace results in that folder")


def execute(arguments: argparse.Namespace) -> int:
    """Run again and compare; raise CommandError for a manifest that cannot be repeated."""
    from gridfleet.broker.protocol.units import MS_PER_S
    from gridfleet.devices.runtime.network_faults import faults_of
    from gridfleet.devices.runtime.simulation import Simulation
    from gridfleet.devices.trust.liars.lying_devices import parse_liars
    from gridfleet.provisioning.runs.experiments.manifest import (
        file_hash,
        manifest_of,
        read_manifest,
        write_manifest,
    )
    from gridfleet.provisioning.runs.lifecycle import finish_recording, finish_run
    from gridfleet.provisioning.runs.results import open_recording
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    manifest = read_manifest(Path(arguments.run))
    content = manifest.content
    if manifest.command != "simulate":
        line = "gridfleet " + " ".join(map(str, content["command_line"]))
        problem = f"is of a run over a broker, which is not repeated to the byte: run it again with `{line}`"
        raise CommandError(manifest.file, problem)
    if not manifest.results:
        raise CommandError(manifest.file, "is of a run that did not end: run the scenario again")
    changed = manifest.changed_inputs()
    if changed:
        raise CommandError(manifest.file, f"{'; '.join(changed)}: bring the files of the run back")
    for line in manifest.other_versions():
        print_message(f"gridfleet: another version: {line}")
    scenario, faults = manifest.scenario, faults_of(manifest.faults, "faults")
    skew_ms = round(faults.skew_s * MS_PER_S)
    with (
        claim_run_folder(arguments.out, scenario.name, force=arguments.force) as folder,
        open_recording(scenario, folder.path, exact=not faults.any, clock_skew_ms=skew_ms) as recorded,
    ):
        liars = parse_liars(manifest.liars)
        Simulation(
            scenario, faults=faults, receivers=(recorded.receive,), judge=recorded.judgements, liars=liars
        ).run()
        folder.begin()
        finish_recording(recorded, folder)
    finish_run(folder.path, interrupted=False, report=manifest.report)
    again = manifest_of(
        scenario,
        manifest.command,
        content["command_line"],
        overrides=content["overrides"],
        faults=manifest.faults,
        liars=manifest.liars,
    )
    write_manifest(again, folder.path)
    other = [name for name, known in manifest.results.items() if file_hash(folder.path / name) != known]
    if other:
        print_result(f"Differs   {', '.join(other)} of {len(manifest.results)} results")
        return ExitCode.FAILED
    print_result(f"Identical {len(manifest.results)} results, to the byte: {', '.join(manifest.results)}")
    return ExitCode.SUCCESS
