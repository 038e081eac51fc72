"""Options for the broker's address and for how clients log in there."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client_options import Credentials, Login

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
DEFAULT_BROKER: Final = "mqtt://127.0.0.1:1883"
DEFAULT_SITE: Final = "germany"
CONNECT_TIMEOUT_S: Final = 5.0
"""Seconds that `watch` and `set` wait for a broker."""


class BrokerUrls(argparse.Action):
    """Joins the URLs of a repeated --broker: the addresses of one broker, such as the nodes of a cluster."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,  # noqa: ARG002 - argparse's signature
    ) -> None:
        """Add one URL to those before it."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, f"{before},{values}" if before else str(values))


SCHEMES: Final = "mqtt://…, mqtts://…, ws://… or wss://…"
REPEATED: Final = "; give it again for each further node of a cluster: a client that loses one tries the next"


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add --broker, which is required, --secrets, --ca and --login-file."""
    parser.add_argument(
        "--broker",
        metavar="URL",
        required=True,
        action=BrokerUrls,
        help=f"the site's broker: {SCHEMES}{REPEATED}",
    )
    add_secrets(parser)
    add_access(parser)


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add --ca and --login-file, for a broker that GridFleet has no secrets folder of."""
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="trust the authorities in this PEM file instead of those of the system",
    )
    parser.add_argument(
        "--login-file",
        metavar="FILE",
        help="log in with the user name in the first line of this file and the password in the second",
    )


def broker_address(arguments: argparse.Namespace) -> "BrokerAddress":
    """Return the address that --broker, --ca and --login-file give.

    Raises BrokerError for a URL, and CommandError for a file that cannot be used.
    """
    from gridfleet.broker.address import BrokerAddress

    address = BrokerAddress.parse(arguments.broker)
    if arguments.ca is not None:
        if not any(each.tls for each in address.all):
            raise CommandError("--ca", f"goes with mqtts:// or wss://: {address} is not encrypted")
        address = address.with_ca(arguments.ca)
    if arguments.login_file is not None:
        address = address.with_login(*_login_in(arguments.login_file))
    return address


def _login_in(file: str) -> tuple[str, str]:
    """Return user name and password from a file."""
    from pathlib import Path

    from gridfleet.broker.errors import error_reason

    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise CommandError(f"--login-file {file}", f"cannot be read ({error_reason(error)})") from None
    if len(lines) < 2 or not lines[0].strip():
        raise CommandError(
            f"--login-file {file}", "has the user name in its first line and the password in its second"
        )
    return lines[0].strip(), lines[1]


def add_secrets(parser: argparse.ArgumentParser) -> None:
    """Add --secrets for processes that log in as devices, clock or recorder."""
    parser.add_argument(
        "--secrets",
        metavar="DIR",
        help="log in with the credentials in DIR, made by `gridfleet site init DIR`: each client under its own id",
    )


def add_secrets_folder(parser: argparse.ArgumentParser) -> None:
    """Add --secrets for commands that enrol or revoke devices."""
    parser.add_argument(
        "--secrets",
        default="secrets",
        metavar="DIR",
        help="the site's secrets folder (default: secrets)",
    )


def add_running_site(parser: argparse.ArgumentParser, user: str) -> None:
    """Add --broker, --run, --site, --secrets and --as, for commands that watch or control a running site.

    `user` is the default of --as.
    """
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--broker",
        metavar="URL",
        action=BrokerUrls,
        help=f"the site's broker, {SCHEMES} (default: that of the run in progress in out/latest, else "
        f"{DEFAULT_BROKER})",
    )
    add_run(where)
    add_site(parser)
    add_login(parser, user)


def add_login(parser: argparse.ArgumentParser, user: str) -> None:
    """Add --secrets and --as; `user` is the default of --as."""
    parser.add_argument(
        "--secrets",
        metavar="DIR",
        help="log in with the credentials in DIR, made by `gridfleet site init DIR`, and trust its authority",
    )
    parser.add_argument(
        "--as",
        dest="user",
        default=user,
        metavar="NAME",
        help="with --secrets: the user to log in as; a client that uses the name already is disconnected "
        "(default: %(default)s)",
    )
    add_access(parser)


def add_run(parser: argparse._ActionsContainer) -> None:
    """Add --run."""
    parser.add_argument(
        "--run", metavar="DIR", help="the run in progress in this folder (default: out/latest)"
    )


def add_site(parser: argparse.ArgumentParser) -> None:
    """Add --site."""
    parser.add_argument(
        "--site", metavar="S", help=f"the site (default: that of the run in progress, else {DEFAULT_SITE})"
    )


def login_of(arguments: argparse.Namespace, address: "BrokerAddress") -> "Login":
    """Return how to log in to a running site; raise CommandError where the password would not be encrypted."""
    from gridfleet.broker.mqtt.client_options import NO_LOGIN

    if arguments.secrets is None:
        return NO_LOGIN
    return credentials_for(arguments.secrets, address).login(arguments.user)


def credentials_for(secrets: str | None, address: "BrokerAddress | None") -> "Credentials":
    """Return how clients log in; raise CommandError where their passwords would not be encrypted on the network."""
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS

    if secrets is None:
        return ADDRESS_CREDENTIALS
    if address is None:
        raise CommandError(
            "--secrets", "needs --broker mqtts://…, the address of a `gridfleet site broker --secrets DIR`"
        )
    for each in address.all:
        if not each.tls and each.host not in LOOPBACK:
            raise CommandError("--secrets", f"{each} is not encrypted: use the broker's mqtts:// address")
    return FileCredentials(secrets)
