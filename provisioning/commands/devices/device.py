"""`gridfleet device`: checks a device file, and runs its device."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_log
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client_options import Credentials
    from gridfleet.devices.config.device_file import DeviceFile

HELP: Final = "check a device file, or run its device"
DESCRIPTION: Final = (
    "  check      read a device file and report every mistake with line, key and remedy\n"
    "  run        connect the device to its broker and run it until SIGTERM or Ctrl-C: with real pins (backend\n"
    "             gpio), mocked pins (mock) or no pins (synthetic)\n"
    "  safe       safe mode, for an agent that failed repeatedly: open the contactor, apply the brake, stay out of\n"
    "             the market, and publish this as the device's status\n\n"
    "docs/hardware.md describes the device file, the wiring and the charger's safety."
)
EXAMPLES: Final = (
    "gridfleet device check turbine.toml",
    "gridfleet device run turbine.toml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device`."""
    parser.add_argument("action", choices=("run", "check", "safe"), help="the action, as above")
    parser.add_argument("file", metavar="FILE", help="a device file (TOML)")
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    from gridfleet.devices.edge.lazy_imports import defer_imports

    defer_imports()
    from gridfleet.devices.config.device_file import load

    file = load(arguments.file)
    if arguments.action == "check":
        _print_summary(file)
        return ExitCode.SUCCESS
    return _run(file, arguments.log, safe=arguments.action == "safe")


def _print_summary(file: "DeviceFile") -> None:
    """Print a summary of a valid device file."""
    print(f"{file.id}: a {file.kind} of cell {file.cell}, site {file.site}, at {file.broker.url}")
    source = "measured" if file.measured else "simulated"
    print(f"backend {file.backend}: its data is marked as {source}")
    for (table, key), pin in sorted(file.pins(), key=lambda each: each[1]):
        print(f"  GPIO{pin:<3}{table}.{key}")
    for (table, key), channel in sorted(file.channels(), key=lambda each: each[1]):
        print(f"  CH{channel:<5}{table}.{key}")


def _run(file: "DeviceFile", log: str, *, safe: bool) -> int:
    from gridfleet.devices.edge.device_process import DeviceProcess
    from gridfleet.devices.edge.safe_mode import SafeMode
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import set_up_logs
    from gridfleet.provisioning.processes.heartbeat import Heartbeat

    set_up_logs(log, always={"device": file.id})
    program = SafeMode if safe else DeviceProcess
    with (
        Interruption() as interruption,
        Heartbeat.from_environment() as heartbeat,
        program(file, credentials=_credentials(file)) as running,
    ):
        heartbeat.follow(running.loop)
        running.run(lambda: interruption.requested)
    return ExitCode.SUCCESS


def _credentials(file: "DeviceFile") -> "Credentials":
    if file.credentials is None:
        from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS

        return ADDRESS_CREDENTIALS
    if not file.address().tls:
        raise CommandError("broker.credentials", "credentials need TLS: change broker.url to mqtts://…")
    from gridfleet.broker.credentials import FileCredentials

    return FileCredentials(file.credentials, certificates=file.broker.certificate)
