"""`gridfleet device`: runs one device of a device file, or says what is wrong with the file."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_log
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client_options import Credentials
    from gridfleet.devices.config.device_file import DeviceFile

HELP: Final = "run one device of a device file, on a Raspberry Pi's pins or without any"
DESCRIPTION: Final = (
    "`check` reads a device file and names every mistake with line, key and mend. `run` connects the device to its\n"
    "broker and runs it until SIGTERM or Ctrl-C: with its pins (backend gpio), with mocked ones (mock), or with\n"
    "none (synthetic). `safe` opens the contactor, applies the brake, stays out of the market and says so: for an\n"
    "agent that failed again and again. docs/hardware.md has the file, the wiring and the safety of the charger."
)
EXAMPLES: Final = (
    "gridfleet device check turbine.toml",
    "gridfleet device run turbine.toml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device`."""
    parser.add_argument("action", choices=("run", "check", "safe"), help="what to do")
    parser.add_argument("file", metavar="FILE", help="a device file (TOML)")
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Check, run, or keep safe."""
    from gridfleet.devices.edge.lazy_imports import later

    later()
    from gridfleet.devices.config.device_file import load

    file = load(arguments.file)
    if arguments.action == "check":
        _print_summary(file)
        return ExitCode.SUCCESS
    return _run(file, arguments.log, safe=arguments.action == "safe")


def _print_summary(file: "DeviceFile") -> None:
    """Say what the file is, once it is known to be right."""
    print(f"{file.id}: a {file.kind} of cell {file.cell}, site {file.site}, at {file.broker.url}")
    truth = "measured" if file.measured else "simulated"
    print(f"backend {file.backend}: everything it says is marked as {truth}")
    for (table, key), pin in sorted(file.pins(), key=lambda each: each[1]):
        print(f"  GPIO{pin:<3}{table}.{key}")
    for (table, key), channel in sorted(file.channels(), key=lambda each: each[1]):
        print(f"  CH{channel:<5}{table}.{key}")


def _run(file: "DeviceFile", log: str, *, safe: bool) -> int:
    from gridfleet.devices.edge.device_process import Running
    from gridfleet.devices.edge.safe_mode import SafeMode
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import set_up_logs
    from gridfleet.provisioning.site.heartbeat import Heartbeat

    set_up_logs(log, always={"device": file.id})
    program = SafeMode if safe else Running
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
        raise CommandError(
            "broker.credentials", "secrets go over TLS only: let broker.url begin with mqtts://"
        )
    from gridfleet.broker.credentials import FileCredentials

    return FileCredentials(file.credentials, certificates=file.broker.certificate)
