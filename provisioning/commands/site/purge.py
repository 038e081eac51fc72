"""`gridfleet site purge`: clears the retained messages of a finished site from its broker."""

import argparse
import re
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.broker_options import (
    BrokerUrls,
    add_login,
    broker_address,
    credentials_for,
    login_of,
)
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import confirm

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress

HELP: Final = "clear a finished site from its broker"
DESCRIPTION: Final = (
    "Clear all retained messages of a site: ticks, presences, states, settings, and the Home Assistant discovery of\n"
    "its devices. Other sites on the same broker keep theirs. A site with devices online is not purged. With access\n"
    "rules each message is cleared with the login of its sender, so --secrets must be the site's whole folder."
)
EXAMPLES: Final = (
    "gridfleet site purge --site germany --broker mqtt://broker.example:1883",
    "gridfleet site purge --site germany --broker mqtts://broker.example --secrets secrets --yes",
)
SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site purge`."""
    parser.add_argument("--site", required=True, metavar="S", help="the site")
    parser.add_argument(
        "--broker", required=True, metavar="URL", action=BrokerUrls, help="its broker: mqtt://… or mqtts://…"
    )
    add_login(parser, user="viewer")
    parser.add_argument(
        "--force",
        action="store_true",
        help="purge also when devices seem to be online, as after a crash of the broker",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def execute(arguments: argparse.Namespace) -> int:
    """Clear the messages; return 1 when some are left."""
    from gridfleet.broker.protocol.messages import ID_PATTERN
    from gridfleet.provisioning.clients.retained import decoded, presences, read_retained

    site: str = arguments.site
    if re.fullmatch(ID_PATTERN, site) is None:
        raise CommandError(f"--site {site}", "is not an id: up to 48 letters, digits, '_', '.' and '-'")
    address = broker_address(arguments)
    retained = read_retained(address, site, login_of(arguments, address))
    if not retained:
        print(f"{address} has no retained messages of {site}")
        return ExitCode.SUCCESS
    online = sorted(name for name, is_online in presences(decoded(site, retained)).items() if is_online)
    if online and not arguments.force:
        raise CommandError(
            site,
            f"{_names(online)} {'is' if len(online) == 1 else 'are'} online: stop them first, or give --force",
        )
    print(f"Found     {len(retained)} retained messages of {site} on {address}")
    if not arguments.yes:
        confirm(f"Clear all {len(retained)}?", "site purge")
    return _clear(arguments.secrets, address, site, retained)


def _clear(secrets: str | None, address: "BrokerAddress", site: str, retained: dict[str, bytes]) -> int:
    from pathlib import Path

    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.broker.mqtt.client_options import NO_LOGIN
    from gridfleet.provisioning.clients.retained import clear_retained, topics_by_sender

    left: dict[str, int] = {}
    if secrets is None:
        denied = clear_retained(address, {site: list(retained)}, lambda _sender: NO_LOGIN)
    else:
        topics = topics_by_sender(site, retained)
        folder = SecretsFolder(Path(secrets))
        unknown = [sender for sender in topics if not folder.password_of(sender).is_file()]
        left = {sender: len(topics.pop(sender)) for sender in unknown}
        denied = clear_retained(address, topics, credentials_for(secrets, address).login)
    print(f"Cleared   {len(retained) - len(denied) - sum(left.values())}")
    if denied:
        print(f"Left      {len(denied)}, which the broker does not allow: {_names(sorted(denied))}")
    if left:
        print(
            f"Left      {sum(left.values())} of {_names(sorted(left))}: {secrets}/ has no password of theirs; enrol\n"
            "          them again (`gridfleet device enrol`), purge, then revoke them"
        )
    return ExitCode.FAILED if denied or left else ExitCode.SUCCESS


def _names(names: list[str]) -> str:
    """Return names as text, the first few of many."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
