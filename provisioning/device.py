"""`gridfleet device`: runs one device of a device file, or says what is wrong with the file."""

import argparse
from typing import TYPE_CHECKING, Final

from provisioning.exits import CommandError, Exit

if TYPE_CHECKING:
    from broker.wishes import Credentials
    from devices.device_file import DeviceFile

HELP: Final = "run one device of a device file, on a Raspberry Pi's pins or without any"
DESCRIPTION: Final = (
    "`check` reads a device file and names every mistake with line, key and mend. `run` connects the device to its\n"
    "broker and runs it until SIGTERM or Ctrl-C: with its pins (backend gpio), with mocked ones (mock), or with\n"
    "none (synthetic). docs/hardware.md has the file, the wiring and the safety of the charger."
)
EXAMPLES: Final = (
    "gridfleet device check turbine.toml",
    "gridfleet device run turbine.toml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device`."""
    parser.add_argument("action", choices=("run", "check"), help="run the device, or only check its file")
    parser.add_argument("file", metavar="FILE", help="a device file (TOML)")
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="how to log on standard error (default: text)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Check or run."""
    from devices.lean import later

    later()
    from devices.device_file import load

    file = load(arguments.file)
    if arguments.action == "check":
        _tell(file)
        return Exit.FINE
    return _run(file, arguments.log)


def _tell(file: "DeviceFile") -> None:
    """Say what the file is, once it is known to be right."""
    print(f"{file.id}: a {file.kind} of cell {file.cell}, site {file.site}, at {file.broker.url}")
    truth = "measured" if file.measured else "simulated"
    print(f"backend {file.backend}: everything it says is marked as {truth}")
    for (table, key), pin in sorted(file.pins(), key=lambda each: each[1]):
        print(f"  GPIO{pin:<3}{table}.{key}")
    for (table, key), channel in sorted(file.channels(), key=lambda each: each[1]):
        print(f"  CH{channel:<5}{table}.{key}")


def _run(file: "DeviceFile", log: str) -> int:
    from devices.logs import log_to_stderr
    from devices.running import Running
    from provisioning.interrupt import Interruption

    log_to_stderr(file.id, as_json=log == "json")
    with Interruption() as interruption, Running(file, credentials=_credentials(file)) as running:
        running.run(lambda: interruption.asked)
    return Exit.FINE


def _credentials(file: "DeviceFile") -> "Credentials":
    if file.credentials is None:
        from broker.wishes import ANYBODY

        return ANYBODY
    if not file.address().tls:
        raise CommandError(
            "broker.credentials", "secrets go over TLS only: let broker.url begin with mqtts://"
        )
    from broker.keyring import Keyring

    return Keyring(file.credentials, certificates=file.broker.certificate)
