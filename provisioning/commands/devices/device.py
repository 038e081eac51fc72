"""`gridfleet device check|run|safe`: checks a device file, runs its device, or puts it into safe mode."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_log
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.commands.command import Command
from gridfleet.provisioning.processes.plugin_warnings import warn_of_plugins

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client_options import Credentials
    from gridfleet.devices.config.device_file import DeviceFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments that the three share."""
    parser.add_argument("file", metavar="FILE", help="a device file (TOML)")
    add_log(parser)


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device check`."""
    add_arguments(parser)
    parser.add_argument(
        "--watch",
        action="store_true",
        help="then read the pins, and print what the sensors measure once a second until Ctrl-C; without a broker",
    )


def check(arguments: argparse.Namespace) -> int:
    """Print a summary of a valid device file; raise DeviceFileError for mistakes in it.

    Raises AgentError, ControlError or HardwareError for a device that cannot be built, CommandError for credentials
    of another site.
    """
    from gridfleet.provisioning.site.device_credentials import check_site

    file = _load(arguments)
    check_site(arguments.file, file)
    warn_of_plugins()
    print(f"{file.id}: a {file.kind} of cell {file.cell}, site {file.site}, at {file.broker.url}")
    source = "measured" if file.measured else "simulated"
    print(f"backend {file.backend}: its data is marked as {source}")
    for (table, key), pin in sorted(file.pins(), key=lambda each: each[1]):
        print(f"  GPIO{pin:<3}{table}.{key}")
    for (table, key), channel in sorted(file.channels(), key=lambda each: each[1]):
        print(f"  CH{channel:<5}{table}.{key}")
    if arguments.watch:
        from gridfleet.provisioning.commands.devices.live_readings import watch

        watch(arguments.file, file)
    else:
        from gridfleet.devices.edge.trial import build_once

        print(build_once(file))
    return ExitCode.SUCCESS


def run(arguments: argparse.Namespace) -> int:
    """Run the device until a signal."""
    return _run(_load(arguments), arguments, safe=False)


def safe(arguments: argparse.Namespace) -> int:
    """Keep the device in safe mode until a signal."""
    return _run(_load(arguments), arguments, safe=True)


CHECK: Final = Command(
    "check",
    "check a device file",
    "Read a device file and report every mistake with line, key and remedy. Then build the device, without a\n"
    "broker: its agent, and with backend mock its control loop, which makes one step on mocked pins. With backend\n"
    "gpio nothing is built, and no pin is touched. docs/reference/device-file.md lists every key,\n"
    "docs/explanation/contactor.md explains the charger's safety.",
    ("gridfleet device check turbine.toml", "gridfleet device check turbine-with-anemometer.toml --watch"),
    add_check_arguments,
    check,
)
RUN: Final = Command(
    "run",
    "run the device of a device file",
    "Connect a device to its broker and run it until SIGTERM or Ctrl-C: with real pins (backend gpio), mocked pins\n"
    "(mock) or no pins (synthetic). docs/how-to/devices/run.md describes the backends.",
    ("gridfleet device run turbine.toml",),
    add_arguments,
    run,
)
SAFE: Final = Command(
    "safe",
    "keep a device in safe mode",
    "Safe mode, for an agent that failed repeatedly: open the contactor, apply the brake, stay out of the market,\n"
    "and publish this as the device's status. On a flashed device a systemd unit does this.",
    ("gridfleet device safe turbine.toml",),
    add_arguments,
    safe,
)


def _load(arguments: argparse.Namespace) -> "DeviceFile":
    from gridfleet.devices.edge.lazy_imports import defer_imports

    defer_imports()
    from gridfleet.devices.config.device_file import load

    return load(arguments.file)


def _run(file: "DeviceFile", arguments: argparse.Namespace, *, safe: bool) -> int:
    from gridfleet.devices.edge.device_process import DeviceProcess
    from gridfleet.devices.edge.safe_mode import SafeMode
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import set_up_logs
    from gridfleet.provisioning.processes.device_lock import DeviceLock
    from gridfleet.provisioning.processes.heartbeat import Heartbeat

    warn_of_plugins(only_looked_up=True)
    credentials = _credentials(arguments.file, file)
    set_up_logs(arguments.log, always={"device": file.id})
    program = SafeMode if safe else DeviceProcess
    with (
        Interruption() as interruption,
        Heartbeat.from_environment() as heartbeat,
        DeviceLock(file.site, file.id),
        program(file, credentials=credentials) as running,
    ):
        heartbeat.follow(running.loop)
        running.run(lambda: interruption.requested)
    return ExitCode.SUCCESS


def _credentials(source: str, file: "DeviceFile") -> "Credentials":
    if file.credentials is None:
        from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS

        return ADDRESS_CREDENTIALS
    if not file.address().tls:
        raise CommandError("broker.credentials", "credentials need TLS: change broker.url to mqtts://…")
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.provisioning.site.device_credentials import check_credentials, check_site

    check_site(source, file)
    check_credentials(source, file, file.credentials)
    return FileCredentials(file.credentials, certificates=file.broker.certificate)
