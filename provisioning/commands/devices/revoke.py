"""`gridfleet device revoke`: locks out an enrolled device."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.broker_options import add_secrets_folder
from gridfleet.provisioning.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.provisioning.clients.offline_presence import Logins

HELP: Final = "lock out an enrolled device"
DESCRIPTION: Final = (
    "Revoke a device's certificate, delete its password, key and access rules, and make the broker on this machine\n"
    "that uses these secrets reload them. The device is disconnected, its retained presence becomes offline, and it\n"
    "cannot log in again."
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
        help="the site's broker, mqtts://…, whose retained presence becomes offline (default: the one on this machine "
        "that uses these secrets)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Revoke one device."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.errors import BrokerError
    from gridfleet.provisioning.clients.offline_presence import publish_offline
    from gridfleet.provisioning.site.enrolment import broker_in_use, reload_brokers, revoke

    directory = Path(arguments.secrets)
    url = arguments.broker or broker_in_use(directory)
    address = None if url is None else BrokerAddress.parse(url)
    problem = "no broker was found: name it with --broker"
    logins, done = None, ""
    if address is not None:
        try:
            logins = _logins(directory, arguments.id, address)
        except BrokerError as error:  # the device loses its rights all the same
            problem = str(error)
    remaining = revoke(directory, arguments.id)
    print(f"Revoked   {arguments.id}; {remaining.site} has {len(remaining.users)} users now")
    reloaded: list[str] = []

    def reload() -> None:
        reloaded.append(reload_brokers(directory))

    if address is not None and logins is not None:
        try:  # while the broker still has the old users
            done = publish_offline(address, remaining.site, arguments.id, logins, reload)
        except BrokerError as error:
            problem = str(error)
    if not reloaded:
        reload()
    print(f"Broker    {reloaded[0]}")
    print(f"Presence  {done or f'as before, because {problem}'}")
    if not done:
        print(
            "          If it is online, enrol the device and revoke it again while its broker can be reached."
        )
    return ExitCode.SUCCESS


def _logins(directory: Path, name: str, address: "BrokerAddress") -> "Logins":
    """Return the logins that are needed before they are deleted; raise BrokerError for one that is missing."""
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.provisioning.cli.broker_options import credentials_for
    from gridfleet.provisioning.clients.offline_presence import VIEWER, Logins

    credentials_for(str(directory), address)  # refuses an address at which the password would be readable
    credentials = FileCredentials(directory, certificates=True)
    return Logins(credentials.login(name), credentials.login(VIEWER))
