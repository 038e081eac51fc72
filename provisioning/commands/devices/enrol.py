"""`gridfleet device enrol`: makes the credentials of one device that is not flashed, and writes them to its folder."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.broker_options import add_secrets_folder
from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "make the credentials of one device"
DESCRIPTION: Final = (
    "Enrol the device of a device file at its site: a user with a password of its own, a certificate and access\n"
    "rules. Write what it needs to log in to the folder that broker.credentials of the device file names, or with\n"
    "--out to another, which you then copy there. A broker on this machine that uses these secrets loads the\n"
    "changes at once. Called again, the device gets new credentials and the old ones are revoked. A device that\n"
    "`gridfleet device flash` writes is enrolled already."
)
EXAMPLES: Final = (
    "gridfleet device enrol my-charger.toml",
    "gridfleet device enrol my-charger.toml --out my-charger",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device enrol`."""
    parser.add_argument("file", metavar="FILE", help="the device file (TOML)")
    add_secrets_folder(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for the device's files (default: broker.credentials of the device file)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Enrol one device; print what was done, and never a secret."""
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.config.device_file import load
    from gridfleet.devices.runtime.registrations import limits_of_device
    from gridfleet.provisioning.site.device_credentials import (
        check_login,
        check_target,
        copy_credentials,
        credentials_folder,
    )
    from gridfleet.provisioning.site.enrolment import Enrolment, check_enrolment, enrol, reload_brokers
    from gridfleet.provisioning.site.user_registry import read_registry

    device = load(arguments.file)
    secrets = Path(arguments.secrets)
    check_login(arguments.file, device)
    own = credentials_folder(arguments.file, device)
    folder = Path(arguments.out) if arguments.out is not None else own
    check_target(secrets, folder)
    enrolment = Enrolment(device.id, device.role, device.cell, limits_of_device(device))
    check_enrolment(secrets, enrolment, device.site)
    registry = read_registry(SecretsFolder(secrets))
    again = device.id in registry.enrolled
    in_scenario = registry.find(device.id) is not None and device.id not in registry.enrolled
    enrol(secrets, enrolment, device.site)
    names = copy_credentials(secrets, device, folder)
    print(f"Enrolled  {device.id}: a {device.kind} in {device.cell}, {device.site}")
    print(f"Files     {folder}/: {', '.join(names)}")
    print(f"Broker    {reload_brokers(secrets)}")
    if in_scenario:
        print(f"Note      {device.id} is also a device of the site's scenario: run it in one place only")
    if arguments.out is not None:
        print(f"Next      copy {folder}/ to {own} on the device's machine")
    if again:
        print(
            f"Note      its former credentials are refused from now on. A running {device.id} takes the new ones"
        )
        print("          from its folder by itself; copy them there if it is on another machine")
    print(f"Next      gridfleet device run {arguments.file}")
    return ExitCode.SUCCESS
