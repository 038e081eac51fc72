"""`gridfleet broker check`: tries whether a broker can serve a site."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.broker_options import (
    DEFAULT_SITE,
    add_broker,
    broker_address,
    credentials_for,
)
from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "try whether a broker can serve a site"
DESCRIPTION: Final = (
    "Connect to a broker, of yours or `gridfleet site broker`, and try what a site needs: TLS, login, MQTT version,\n"
    "QoS 1, subscriptions, retained messages, packet size, sessions, expiry, last wills and, with --secrets, the\n"
    "access rules of devices and fleet processes. Of a cluster each node is tried against each other one. Each\n"
    "problem has a remedy. Nothing is left on the broker, and nothing is published while a device of the site is\n"
    "online. Exits with 1 if a check fails."
)
EXAMPLES: Final = (
    "gridfleet broker check --broker mqtt://127.0.0.1:1883",
    "gridfleet broker check --broker mqtts://broker.example --secrets secrets",
    "gridfleet broker check --broker mqtt://node-1 --broker mqtt://node-2",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `broker check`."""
    add_broker(parser)
    parser.add_argument(
        "--site", metavar="S", help=f"the site (default: that of the secrets folder, else {DEFAULT_SITE})"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the checks; print one line for each result."""
    from pathlib import Path

    from gridfleet.broker.credentials import FileCredentials, SecretsFolder
    from gridfleet.provisioning.doctor.report import print_diagnoses
    from gridfleet.provisioning.doctor.site_broker import check_site_broker
    from gridfleet.provisioning.site.user_registry import read_registry

    address = broker_address(arguments)
    found = credentials_for(arguments.secrets, address)
    credentials = found if isinstance(found, FileCredentials) else None
    registry = read_registry(SecretsFolder(Path(arguments.secrets))) if credentials is not None else None
    site = arguments.site or (registry.site if registry is not None else DEFAULT_SITE)
    succeeded = print_diagnoses(check_site_broker(address, site, credentials, registry))
    return ExitCode.SUCCESS if succeeded else ExitCode.FAILED
