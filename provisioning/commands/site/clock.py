"""`gridfleet site clock`: runs the clock of a site as a separate process."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import MAX_TICKS, add_changes, add_log, add_scenario, whole_number
from gridfleet.provisioning.cli.broker_options import add_broker, broker_address, credentials_for
from gridfleet.provisioning.cli.clock_options import add_clock_options, clock_options
from gridfleet.provisioning.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario

HELP: Final = "run the clock of a site; its devices run in other processes"
DESCRIPTION: Final = (
    "Publish the ticks and phases of a site until stopped, or for --ticks. The clock starts when all devices of\n"
    "the scenario are online, or after --wait. A clock that is started again after a failure continues with\n"
    "the tick that the broker retained, in the same mode and with the same settings. A site has one clock: of two,\n"
    "the one that began later ends with an error."
)
EXAMPLES: Final = (
    "gridfleet site clock normal --broker mqtt://127.0.0.1:1883 --seconds-per-tick 2",
    "gridfleet site clock normal --broker mqtts://broker.example --secrets secrets --mode realtime",
    "gridfleet site clock normal --broker mqtt://127.0.0.1:1883 --seconds-per-tick 2 --ticks 96",
)
ENDLESS: Final = "endless"
WAIT_S: Final = 60
MAX_WAIT_S: Final = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site clock`."""
    add_scenario(parser)
    add_changes(parser, ticks=False)
    parser.add_argument(
        "--ticks",
        type=_ticks_or_endless,
        metavar="N",
        help=f"number of ticks of 15 simulated minutes, or {ENDLESS}: until the clock is stopped (default: that of "
        f"--set ticks=N; else {ENDLESS}, or with recorded weather the scenario's, for which the weather lasts)",
    )
    add_broker(parser)
    add_clock_options(parser)
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="begin a new run even if the broker has retained a tick of an unfinished one",
    )
    parser.add_argument(
        "--wait",
        type=whole_number(0, MAX_WAIT_S),
        default=WAIT_S,
        metavar="S",
        help=f"seconds to wait for devices before a new run begins without the missing ones (default: {WAIT_S})",
    )
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the clock until the last tick, or until a signal."""
    from pathlib import Path

    from gridfleet.broker.protocol.messages import Mode
    from gridfleet.devices.runtime.clock_process import new_epoch, nobody, run_clock
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import status_reporter
    from gridfleet.provisioning.cli.scenario_options import scenario_from_arguments
    from gridfleet.provisioning.doctor.capabilities import preflight
    from gridfleet.provisioning.processes.heartbeat import Heartbeat
    from gridfleet.provisioning.site.register_file import EnrolledDevices, signed_entries

    report = status_reporter(arguments.log, "clock")
    mode, seconds_per_tick = clock_options(arguments.mode, arguments.seconds_per_tick)
    address = broker_address(arguments)
    credentials = credentials_for(arguments.secrets, address)
    is_given = bool(arguments.ticks) or any(
        change.partition("=")[0] == "ticks" for change in arguments.changes
    )
    if arguments.ticks == 0:
        arguments.ticks = None
    fleet = Fleet(scenario_from_arguments(arguments))
    ticks = _ticks(fleet.scenario, is_given=is_given)
    has_register = fleet.register is not None and arguments.secrets is not None
    enrolled = EnrolledDevices(Path(arguments.secrets)) if has_register else nobody
    signed = signed_entries(arguments.secrets, fleet, report)

    def try_broker() -> None:
        if arguments.secrets is None:
            preflight(address, Mode(mode), report, processes=True)

    with Interruption() as interruption, Heartbeat.from_environment() as heartbeat:
        finished = run_clock(
            fleet,
            fleet.clock(Mode(mode), seconds_per_tick, ticks, epoch=new_epoch(), signed=signed),
            address,
            credentials=credentials,
            fresh=arguments.fresh,
            wait_s=arguments.wait,
            stop_requested=lambda: interruption.requested,
            report=report,
            on_loop=heartbeat.follow,
            enrolled=enrolled,
            try_broker=try_broker,
        )
    report("the last tick is finished" if finished else "stopped; start it again to continue")
    return ExitCode.SUCCESS


def _ticks_or_endless(text: str) -> int:
    """Convert the text of --ticks to a number; 0 stands for a run without an end."""
    return 0 if text == ENDLESS else whole_number(1, MAX_TICKS)(text)


def _ticks(scenario: "Scenario", *, is_given: bool) -> int:
    """Return how many ticks the clock publishes: without an end, unless a number is given or the weather ends."""
    from gridfleet.broker.protocol.messages import ENDLESS_TICKS

    ends = is_given or scenario.weather.source != "synthetic"
    return scenario.ticks if ends else ENDLESS_TICKS
