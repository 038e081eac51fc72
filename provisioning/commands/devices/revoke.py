"""`gridfleet device revoke`: locks out an enrolled device."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.broker_options import add_secrets_folder
from gridfleet.provisioning.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client_options import Login

HELP: Final = "lock out an enrolled device"
DESCRIPTION: Final = (
    "Revoke a device's certificate, delete its password, key and access rules, and make the broker on this machine\n"
    "that uses these secrets reload them. The device is disconnected, the site learns that it is offline, its\n"
    "retained messages are cleared, and it cannot log in again."
)
EXAMPLES: Final = (
    "gridfleet device revoke my-charger",
    "gridfleet device revoke my-charger --secrets secrets --broker mqtts://broker.example",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device revoke`."""
    parser.add_argument("id", metavar="ID", help="the device's id")
    add_secrets_folder(parser)
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="the site's broker, mqtts://…, that has the device's retained messages (default: the one on this machine "
        "that uses these secrets)",
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        help="clear what the device has retained on any topic; this user, one that receives everything and that no "
        "program uses now, looks for it (default: presence, state and discovery are cleared)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Revoke one device."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.errors import BrokerError
    from gridfleet.provisioning.clients.offline_presence import end_session
    from gridfleet.provisioning.site.enrolment import broker_in_use, reload_brokers, revoke

    directory = Path(arguments.secrets)
    url = arguments.broker or broker_in_use(directory)
    problem = "no broker was found: name it with --broker"
    session = None
    retained: list[str] = []
    if url is not None:
        address = BrokerAddress.parse(url)
        try:  # the files of the login are about to be deleted
            retained = _retained(directory, arguments.id, address, arguments.user)
            login = _login(directory, arguments.id, address)
            session = partial(end_session, address, arguments.id, login, retained)
        except BrokerError as error:  # the device loses its rights all the same
            problem = str(error)
    remaining = revoke(directory, arguments.id)
    print(f"Revoked   {arguments.id}; {remaining.site} has {len(remaining.users)} users now")
    reloaded: list[str] = []

    def reload() -> None:
        reloaded.append(reload_brokers(directory))

    if session is not None:
        try:
            session(reload)
            problem = ""
        except BrokerError as error:
            problem = str(error)
    if not reloaded:
        reload()
    print(f"Broker    {reloaded[0]}")
    if problem:
        print(f"Presence  not changed: {problem}")
        print(
            "          If it is online, enrol the device and revoke it again while its broker can be reached."
        )
    else:
        print("Presence  offline")
        print(f"Cleared   {len(retained)} retained messages")
    return ExitCode.SUCCESS


def _retained(directory: Path, name: str, address: "BrokerAddress", reader: str | None) -> list[str]:
    """Return the topics of a device's retained messages; raise BrokerError where the reader may not log in."""
    from gridfleet.broker.access_control import retained_topics
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.provisioning.clients.retained import read_retained, topics_by_sender
    from gridfleet.provisioning.site.user_registry import read_registry

    registry = read_registry(SecretsFolder(directory))
    user = registry.find(name)
    known = [] if user is None else [*retained_topics(registry.site, user)]
    if reader is None:
        return known
    found = read_retained(address, registry.site, _login(directory, reader, address))
    return sorted({*known, *topics_by_sender(registry.site, found).get(name, ())})


def _login(directory: Path, name: str, address: "BrokerAddress") -> "Login":
    """Return the login of the device; raise BrokerError where its files are missing."""
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.provisioning.cli.broker_options import credentials_for

    credentials_for(str(directory), address)  # refuses an address at which the password would be readable
    return FileCredentials(directory, certificates=True).login(name)
