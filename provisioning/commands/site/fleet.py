"""`gridfleet fleet`: the devices of a scenario, or a part of them, as a process of their own."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_changes, add_log, add_scenario, whole_number
from gridfleet.provisioning.cli.broker_options import add_broker, credentials_for
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

HELP: Final = "run the devices of a scenario, or a part of them, until Ctrl-C"
DESCRIPTION: Final = (
    "Connect every device of a scenario to a broker, each as itself, and let it trade as long as a clock\n"
    "(`gridfleet clock`) tells it to. Several processes share a fleet by parts: whole cells where there are enough,\n"
    "else device by device."
)
EXAMPLES: Final = (
    "gridfleet fleet normal --broker mqtt://127.0.0.1:1883",
    "gridfleet fleet normal --broker mqtts://broker.example --secrets secrets --part 2/4",
    "gridfleet fleet normal --broker mqtt://broker.example --parts 4 --claim /run/parts",
    "gridfleet fleet normal --broker mqtt://127.0.0.1:1883 --connection shared",
)
MAX_PARTS: Final = 10_000
MAX_SKEW_MS: Final = 600_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `fleet`."""
    add_scenario(parser)
    add_changes(parser)
    add_broker(parser)
    parser.add_argument(
        "--part", type=_part, metavar="K/N", help="only the K-th of N parts (default: all devices)"
    )
    parser.add_argument(
        "--parts", type=whole_number(1, MAX_PARTS), metavar="N", help="with --claim: how many parts there are"
    )
    parser.add_argument(
        "--claim",
        metavar="DIR",
        help="take the first of --parts that no other process holds, by a lock file in a directory that all share; "
        "stand by while there is none",
    )
    parser.add_argument(
        "--connection",
        choices=("own", "shared"),
        default="own",
        help="own: every device connects as itself; shared: one connection speaks for all, cheap, and only where "
        "no device of the part is real (default: own)",
    )
    parser.add_argument(
        "--home-assistant",
        action="store_true",
        help="tell Home Assistant, on the same broker, of every device",
    )
    parser.add_argument(
        "--clock-skew-ms",
        type=whole_number(-MAX_SKEW_MS, MAX_SKEW_MS),
        default=0,
        metavar="N",
        help="for tests: by how many milliseconds of the site's time the devices' clocks are ahead (default: 0)",
    )
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Let the devices live until a signal."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.devices.runtime.fleet_process import Connecting, carry_devices, fleet_process_id
    from gridfleet.devices.runtime.partitioning import part_of
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import status_reporter
    from gridfleet.provisioning.cli.scenario_options import scenario_from_arguments
    from gridfleet.provisioning.site.heartbeat import Heartbeat

    report = status_reporter(arguments.log, "fleet")
    address = BrokerAddress.parse(arguments.broker)
    credentials = credentials_for(arguments.secrets, address)
    _check_parts(arguments)
    fleet = Fleet(scenario_from_arguments(arguments))
    with Interruption() as interruption, Heartbeat.from_environment() as heartbeat:

        def stand_by() -> bool:
            heartbeat.beat()
            return interruption.requested

        part = _taken(arguments, stand_by, report)
        if part is not None:
            number, parts = part
            ids = part_of(fleet, number, parts)
            if not ids:
                raise CommandError(
                    f"--part {number}/{parts}", f"has no devices: the scenario has {len(fleet.ids)}"
                )
            connecting, host = Connecting(arguments.connection), fleet_process_id(number)
            how = (
                "each connects as itself"
                if connecting is Connecting.OWN
                else f"all share the connection of {host}"
            )
            report(f"part {number} of {parts}: {len(ids)} of {len(fleet.ids)} devices, {how}")
            carry_devices(
                fleet,
                address,
                ids,
                connecting=connecting,
                host=host,
                credentials=credentials,
                announce=arguments.home_assistant,
                skew_ms=arguments.clock_skew_ms,
                asked_to_end=lambda: interruption.requested,
                tell=report,
                watch=heartbeat.follow,
            )
    report("all devices have said good-bye")
    return ExitCode.SUCCESS


def _check_parts(arguments: argparse.Namespace) -> None:
    if (arguments.parts is None) != (arguments.claim is None):
        raise CommandError("--parts and --claim", "go together: how many parts, and where they are taken")
    if arguments.part is not None and arguments.claim is not None:
        raise CommandError("--part", "names a part, --claim takes a free one: give one of the two")


def _taken(
    arguments: argparse.Namespace, asked_to_end: "Callable[[], bool]", report: "Callable[[str], None]"
) -> tuple[int, int] | None:
    """Return number and count of the part that this process has; None if asked to end before it got one."""
    from gridfleet.provisioning.site.partition_lock import PartitionLock

    if arguments.claim is None:
        part: tuple[int, int] = arguments.part or (1, 1)
        return part
    number = PartitionLock(Path(arguments.claim), arguments.parts).wait(asked_to_end, report)
    return None if number is None else (number, arguments.parts)


def _part(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    number, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= parts <= MAX_PARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 2/4, up to {MAX_PARTS}/{MAX_PARTS}")
    return number, parts
