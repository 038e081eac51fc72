"""`gridfleet doctor`: looks over a device, line by line, and says what to do."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.terminal import coloured

if TYPE_CHECKING:
    from gridfleet.provisioning.doctor.finding import Finding

HELP: Final = "look over a device: pins, clock, broker, rights, disk, heat; each line says what to do"
DESCRIPTION: Final = (
    "Look at this machine and, with a device file, at all that the device needs: secrets, pins and SPI bus, the\n"
    "way to its broker, TLS, login and access rules, which are tried. On a flashed Pi the file is found by itself.\n"
    "Ends with 1 if anything fails."
)
EXAMPLES: Final = ("gridfleet doctor", "gridfleet doctor charger-01.toml")
FILE: Final = "/etc/gridfleet/device.toml"
_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `doctor`."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help=f"a device file (default: {FILE}, if it is there)"
    )
    parser.add_argument("--offline", action="store_true", help="leave the broker alone")


def execute(arguments: argparse.Namespace) -> int:
    """Look, and tell line by line."""
    failed = False
    for finding in findings(arguments):
        failed = failed or finding.grade == "fail"
        print(line(finding), flush=True)
    return ExitCode.FAILED if failed else ExitCode.SUCCESS


def findings(arguments: argparse.Namespace) -> "Iterator[Finding]":
    """Yield everything there is to say, as it is found out."""
    from pathlib import Path

    from gridfleet.provisioning.doctor.finding import Finding, Grade
    from gridfleet.provisioning.doctor.machine import Machine, is_running, look_at_machine

    machine = Machine()
    yield from look_at_machine(machine)
    path = Path(arguments.file or FILE)
    if arguments.file is None and not path.is_file():
        yield Finding("device file", Grade.WARN, f"{FILE} is not there", "name one: gridfleet doctor FILE")
        return
    from gridfleet.devices.config.device_file import DeviceFileError, load
    from gridfleet.provisioning.doctor.broker import look_at_broker
    from gridfleet.provisioning.doctor.device import look_at_device

    try:
        device = load(path)
    except DeviceFileError as error:
        yield Finding("device file", Grade.FAIL, str(error), "mend the lines named")
        return
    yield from look_at_device(device, machine)
    if not arguments.offline:
        yield from look_at_broker(device, running=is_running(machine))


def line(finding: "Finding") -> str:
    """Return a finding as people read it."""
    grade = coloured(f"{finding.grade:<5}", _COLOURS[str(finding.grade)])
    text = f"{grade} {finding.what:<18} {finding.words}"
    return f"{text}\n      {'':<18} → {finding.remedy}" if finding.remedy else text
