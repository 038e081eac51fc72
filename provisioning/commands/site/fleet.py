"""`gridfleet site fleet`: runs the devices of a scenario, or a part of them, in one process."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_changes, add_liars, add_log, add_scenario, whole_number
from gridfleet.provisioning.cli.broker_options import add_broker, broker_address, credentials_for
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

HELP: Final = "run the devices of a scenario, or a part of them"
DESCRIPTION: Final = (
    "Connect every device of a scenario to a broker and let it trade in the ticks of `gridfleet site clock`, until\n"
    "Ctrl-C. Several processes can each run one part of the devices: whole cells where there are enough,\n"
    "otherwise single devices."
)
EXAMPLES: Final = (
    "gridfleet site fleet normal --broker mqtt://127.0.0.1:1883",
    "gridfleet site fleet normal --broker mqtts://broker.example --secrets secrets --part 2/4",
    "gridfleet site fleet normal --broker mqtt://broker.example --parts 4 --part-locks /run/parts",
    "gridfleet site fleet normal --broker mqtt://127.0.0.1:1883 --connection shared",
)
MAX_PARTS: Final = 10_000
MAX_SKEW_MS: Final = 600_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site fleet`."""
    add_scenario(parser)
    add_changes(parser)
    add_broker(parser)
    parser.add_argument(
        "--part", type=_part, metavar="K/N", help="run only the K-th of N parts (default: all devices)"
    )
    parser.add_argument(
        "--parts", type=whole_number(1, MAX_PARTS), metavar="N", help="with --part-locks: the number of parts"
    )
    parser.add_argument(
        "--part-locks",
        metavar="DIR",
        help="run the first of --parts that no other process runs, by lock files in a directory that all share; "
        "stand by while there is none",
    )
    parser.add_argument(
        "--connection",
        choices=("own", "shared"),
        default="own",
        help="own: one connection per device; shared: one connection for all devices of the part, which costs less "
        "and is for virtual devices only (default: own)",
    )
    parser.add_argument(
        "--home-assistant",
        action="store_true",
        help="publish Home Assistant discovery messages for every device",
    )
    parser.add_argument(
        "--clock-skew-ms",
        type=whole_number(-MAX_SKEW_MS, MAX_SKEW_MS),
        default=0,
        metavar="N",
        help="for tests: milliseconds by which the devices' clocks are ahead of the site's (default: 0)",
    )
    add_liars(parser)
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the devices until a signal."""
    from gridfleet.devices.runtime.fleet_process import ConnectionMode, fleet_process_id, run_devices
    from gridfleet.devices.runtime.partitioning import part_of
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import status_reporter
    from gridfleet.provisioning.cli.scenario_options import fleet_from_arguments
    from gridfleet.provisioning.processes.heartbeat import Heartbeat

    report = status_reporter(arguments.log, "fleet")
    address = broker_address(arguments)
    credentials = credentials_for(arguments.secrets, address)
    _check_parts(arguments)
    fleet = fleet_from_arguments(arguments)
    with Interruption() as interruption, Heartbeat.from_environment() as heartbeat:

        def stand_by() -> bool:
            heartbeat.beat()
            return interruption.requested

        part = _part_to_run(arguments, stand_by, report)
        if part is not None:
            number, parts = part
            ids = part_of(fleet, number, parts)
            if not ids:
                raise CommandError(
                    f"--part {number}/{parts}",
                    f"has no devices: the scenario has {len(fleet.ids)}; use fewer parts",
                )
            mode, process_id = ConnectionMode(arguments.connection), fleet_process_id(number)
            how = (
                "one connection each"
                if mode is ConnectionMode.OWN
                else f"one connection for all, as {process_id}"
            )
            report(f"part {number} of {parts}: {len(ids)} of {len(fleet.ids)} devices, {how}")
            run_devices(
                fleet,
                address,
                ids,
                mode=mode,
                process_id=process_id,
                credentials=credentials,
                discoverable=arguments.home_assistant,
                skew_ms=arguments.clock_skew_ms,
                stop_requested=lambda: interruption.requested,
                report=report,
                on_loop=heartbeat.follow,
            )
    report("all devices are offline")
    return ExitCode.SUCCESS


def _check_parts(arguments: argparse.Namespace) -> None:
    if (arguments.parts is None) != (arguments.part_locks is None):
        raise CommandError(
            "--parts and --part-locks",
            "need each other: the number of parts, and the directory of their lock files",
        )
    if arguments.part is not None and arguments.part_locks is not None:
        raise CommandError(
            "--part", "cannot be combined with --part-locks, which takes a free part: give one of the two"
        )


def _part_to_run(
    arguments: argparse.Namespace, stop_requested: "Callable[[], bool]", report: "Callable[[str], None]"
) -> tuple[int, int] | None:
    """Return number and count of the part that this process runs; None if asked to stop before one was free."""
    from gridfleet.provisioning.processes.partition_lock import PartitionLock

    if arguments.part_locks is None:
        part: tuple[int, int] = arguments.part or (1, 1)
        return part
    number = PartitionLock(Path(arguments.part_locks), arguments.parts).wait(stop_requested, report)
    return None if number is None else (number, arguments.parts)


def _part(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    number, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= parts <= MAX_PARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 2/4, up to {MAX_PARTS}/{MAX_PARTS}")
    return number, parts
