"""`gridfleet device doctor`: checks a device and prints a remedy for each problem."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridfleet.provisioning.doctor.diagnosis import Diagnosis

HELP: Final = "check a device, its machine and its broker"
DESCRIPTION: Final = (
    "Check this machine and, with a device file, what the device needs: secrets, pins and SPI bus, the connection\n"
    "to its broker, TLS, login and access rules, which are tried out. Each problem has a remedy. On a flashed Pi\n"
    "the device file is found automatically. Exits with 1 if a check fails."
)
EXAMPLES: Final = ("gridfleet device doctor", "gridfleet device doctor my-charger.toml")
FILE: Final = "/etc/gridfleet/device.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device doctor`."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help=f"a device file (default: {FILE}, if it exists)"
    )
    parser.add_argument("--offline", action="store_true", help="skip the checks of the broker")


def execute(arguments: argparse.Namespace) -> int:
    """Run the checks; print one line for each result."""
    from gridfleet.provisioning.doctor.report import print_diagnoses

    return ExitCode.SUCCESS if print_diagnoses(diagnoses(arguments)) else ExitCode.FAILED


def diagnoses(arguments: argparse.Namespace) -> "Iterator[Diagnosis]":
    """Yield each result as soon as it is known."""
    from pathlib import Path

    from gridfleet.provisioning.doctor.diagnosis import Diagnosis, Severity
    from gridfleet.provisioning.doctor.machine import Machine, check_machine, how_it_runs

    machine = Machine()
    yield from check_machine(machine)
    path = Path(arguments.file or FILE)
    if arguments.file is None and not path.is_file():
        yield Diagnosis(
            "device file",
            Severity.WARN,
            f"{FILE} does not exist",
            "give a file: gridfleet device doctor FILE",
        )
        return
    from gridfleet.devices.config.device_file import DeviceFileError, load
    from gridfleet.provisioning.doctor.broker import check_broker
    from gridfleet.provisioning.doctor.device import check_device, check_plugins
    from gridfleet.provisioning.processes.device_lock import runs_on_this_machine

    try:
        device = load(path)
    except DeviceFileError as error:
        yield Diagnosis("device file", Severity.FAIL, str(error), "correct the lines that are named")
        return
    yield from check_device(device, machine)
    yield from check_plugins()
    if not arguments.offline:
        running = how_it_runs(machine)
        if not running and runs_on_this_machine(device.site, device.id):
            running = "the agent runs on this machine, started by hand"
        yield from check_broker(device, running=running)
