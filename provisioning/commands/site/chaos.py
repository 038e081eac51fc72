"""`gridfleet site chaos`: injects planned faults into a site of real processes and checks how it recovers."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.broker.readers.json_values import json_text
from gridfleet.provisioning.cli.arguments import MAX_SEED, add_output, add_scenario, add_set, whole_number
from gridfleet.provisioning.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.chaos.experiment import Outcome
    from gridfleet.provisioning.chaos.plan import Plan

HELP: Final = "inject faults into a site's processes and check its recovery"
DESCRIPTION: Final = (
    "Start a broker, a fleet of several processes and a clock, and inject the faults of a plan: processes killed,\n"
    "suspended or disconnected. Check after each fault that all devices are online again, that the ledgers agree\n"
    "within one tick, that nothing was sold or reserved twice, that the retained tick is current, and that\n"
    "no stale bid was awarded. docs/reference/chaos-plan.md explains plans and checks."
)
EXAMPLES: Final = ("gridfleet site chaos normal --plan short",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site chaos`."""
    add_scenario(parser)
    add_set(parser)
    parser.add_argument(
        "--plan",
        required=True,
        metavar="FILE",
        help="a shipped plan (short, long, skew, liars) or your own TOML file",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, MAX_SEED),
        metavar="S",
        help="seed of the scenario and of the plan's random choices, such as the process to kill (default: the "
        "scenario's)",
    )
    parser.add_argument(
        "--engine",
        choices=("mosquitto", "rumqttd"),
        help="broker software (default: Mosquitto if installed)",
    )
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    add_output(parser, "out/chaos-SCENARIO-TIME")


def execute(arguments: argparse.Namespace) -> int:
    """Run the plan; print its steps and the verdict."""
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.chaos.experiment import Experiment
    from gridfleet.provisioning.chaos.plan import load_plan
    from gridfleet.provisioning.chaos.testbed import Testbed
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.terminal import print_message
    from gridfleet.provisioning.runs.lifecycle import finish_recording
    from gridfleet.provisioning.runs.results import open_recording
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    plan = load_plan(arguments.plan)
    changes = [*plan.changes, *arguments.changes]
    if arguments.seed is not None:
        changes.append(f"seed={arguments.seed}")
    scenario = load(arguments.scenario, changes)
    fleet = Fleet(scenario, liars=[liar.lying for liar in plan.liars])
    _check_devices(arguments.plan, plan, fleet)
    skew_ms = max((round(abs(skew.skew_s) * 1000) for skew in plan.skews), default=0)

    def report(text: str) -> None:
        (print_message if arguments.json else print)(text)

    with (
        Interruption() as interruption,
        claim_run_folder(arguments.out, f"chaos-{scenario.name}", force=arguments.force) as folder,
        open_recording(scenario, folder.path, exact=False, clock_skew_ms=skew_ms) as recorded,
        Testbed(
            arguments.scenario,
            plan,
            fleet,
            folder.path,
            options=["--set", *changes] if changes else [],
            receivers=(recorded.receive,),
            on_gap=recorded.note_gap,
            stop_requested=lambda: interruption.requested,
            judge=recorded.judgements,
            broker=arguments.engine,
        ) as testbed,
    ):
        report(f"Broker    {testbed.broker.url} ({testbed.broker.title})")
        testbed.start()
        folder.begin()
        speed = f"{plan.seconds_per_tick:g} s per tick"
        report(f"Fleet     {len(fleet.ids)} devices in {plan.processes} processes, {speed}")
        experiment = Experiment(
            testbed,
            lambda: recorded.findings,
            seed=scenario.seed,
            report=report,
            on_outcome=lambda outcome: report(_outcome_text(outcome)),
        )
        experiment.run()
        testbed.stop()
        finish_recording(recorded, folder)
    broken = [outcome for outcome in experiment.outcomes if not outcome.holds]
    if arguments.json:
        print(json_text([outcome.as_dict() for outcome in experiment.outcomes], indent=2))
    count, held = len(experiment.outcomes), len(experiment.outcomes) - len(broken)
    report(f"Verdict   {_verdict(plan, held, count)}")
    return ExitCode.BREACHED if broken else ExitCode.SUCCESS


def _check_devices(name: str, plan: "Plan", fleet: "Fleet") -> None:
    """Raise PlanError for a fault of a device that the scenario lacks, and for more processes than devices."""
    from gridfleet.broker.protocol.topics import CLOCK_ID
    from gridfleet.provisioning.chaos.faults import DuplicateId
    from gridfleet.provisioning.chaos.plan import PlanError

    problems = [
        f"faults.{number}.target = {fault.target!r}: {fleet.scenario.name} has no such device"
        for number, fault in enumerate(plan.faults)
        if isinstance(fault, DuplicateId) and fault.target not in {CLOCK_ID, *fleet.ids}
    ]
    if plan.processes > len(fleet.ids):
        problems.append(
            f"processes = {plan.processes}: {fleet.scenario.name} has only {len(fleet.ids)} devices"
        )
    if problems:
        raise PlanError(name, problems)


def _verdict(plan: "Plan", held: int, count: int) -> str:
    if plan.liars:
        return f"withstood {held} of {count} lies"
    return f"recovered cleanly from {held} of {count} faults"


def _outcome_text(outcome: "Outcome") -> str:
    from gridfleet.provisioning.cli.terminal import coloured

    lines = []
    for check in outcome.checks:
        mark = coloured("✔", "green") if check.holds else coloured("✘", "red")
        lines.append(f"           {mark} {check.name:<26} {check.text}")
    return "\n".join(lines)
