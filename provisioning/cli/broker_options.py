"""Where a command finds the broker, and how its clients log in there."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client_options import Credentials

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add the broker's address, which must be given, and the folder of secrets."""
    parser.add_argument(
        "--broker", metavar="URL", required=True, help="the site's broker: mqtt://… or mqtts://…"
    )
    add_secrets(parser)


def add_secrets(parser: argparse.ArgumentParser) -> None:
    """Add the folder of secrets."""
    parser.add_argument(
        "--secrets",
        metavar="DIR",
        help="log in, each device, clock or recorder as itself, with what `gridfleet secrets DIR` made",
    )


def credentials_for(secrets: str | None, address: "BrokerAddress | None") -> "Credentials":
    """Return how devices log in; raise CommandError where their passwords would cross a network in the clear."""
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS

    if secrets is None:
        return ADDRESS_CREDENTIALS
    if address is None:
        raise CommandError(
            "--secrets", "goes with --broker mqtts://…, where `gridfleet broker --secrets` runs"
        )
    if not address.tls and address.host not in LOOPBACK:
        raise CommandError("--secrets", f"{address} is not encrypted: name the broker's mqtts:// address")
    return FileCredentials(secrets)
