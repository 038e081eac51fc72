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


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add --broker, which is required, and --secrets."""
    parser.add_argument(
        "--broker", metavar="URL", required=True, help="the site's broker: mqtt://… or mqtts://…"
    )
    add_secrets(parser)


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
        help="the site's broker, mqtt://… or mqtts://… (default: that of the run in progress in out/latest, else "
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
    if not address.tls and address.host not in LOOPBACK:
        raise CommandError("--secrets", f"{address} is not encrypted: use the broker's mqtts:// address")
    return FileCredentials(secrets)
