"""Options for the users of a secrets folder: those of a scenario, or those that the folder has already."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gridfleet.provisioning.cli.arguments import add_set, whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.broker.access_control import Identity
    from gridfleet.broker.protocol.messages import Registration

DEFAULT_SCENARIO: Final = "normal"
DEFAULT_SECRETS: Final = "secrets"
MAX_PROCESSES: Final = 1_000
_OPTIONS: Final = {
    "--operators": "operators",
    "--viewers": "viewers",
    "--processes": "processes",
    "--shared": "shared",
    "--bridged": "bridged",
    "--home-assistant": "home_assistant",
    "--set": "changes",
}
"""The options that need a scenario, with the names of their values."""


def add_directory(parser: argparse.ArgumentParser, note: str = "") -> None:
    """Add the positional argument that names the secrets folder, by default `secrets`."""
    parser.add_argument(
        "directory",
        nargs="?",
        default=DEFAULT_SECRETS,
        metavar="DIR",
        help=f"the site's secrets folder{note} (default: {DEFAULT_SECRETS})",
    )


def add_users(parser: argparse.ArgumentParser) -> None:
    """Add --host and the options that choose the users."""
    parser.add_argument(
        "--host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further names and addresses of the broker, for its certificate",
    )
    group = parser.add_argument_group("users")
    group.add_argument(
        "--scenario",
        metavar="S",
        help="the scenario with the devices: a shipped one or your own TOML file (default: the users that the folder "
        f"has; for a new folder {DEFAULT_SCENARIO})",
    )
    group.add_argument(
        "--operators", nargs="+", metavar="NAME", help="users who may watch and control (default: operator)"
    )
    group.add_argument(
        "--viewers", nargs="+", metavar="NAME", help="users who may only watch (default: viewer)"
    )
    group.add_argument(
        "--processes",
        type=whole_number(0, MAX_PROCESSES),
        metavar="N",
        help="number of fleet processes: fleet-1 to fleet-N may subscribe to the tick for their devices (default: 1)",
    )
    group.add_argument(
        "--shared",
        action="store_true",
        help="each fleet process may also publish for its part of the devices "
        "(`site fleet --connection shared --part K/N`)",
    )
    group.add_argument(
        "--bridged",
        action="store_true",
        help="let another broker of the site connect as `bridge`; it may publish everything for every user",
    )
    group.add_argument(
        "--home-assistant",
        action="store_true",
        help="let each device publish its own Home Assistant discovery message (`run` and `site fleet` "
        "--home-assistant); without it no device may",
    )
    add_set(group)


class SiteUsers(NamedTuple):
    """Who may log in at a site, and the register of its devices."""

    site: str
    users: "list[Identity]"
    registrations: "dict[str, Registration]"
    """The entries of the scenario's groups and of the devices enrolled singly."""


def users_of(arguments: argparse.Namespace) -> SiteUsers:
    """Return the site and its users: those of the scenario and those enrolled singly, or all that the folder has.

    Raises CommandError for an existing folder with options that need --scenario, without which it would be unclear
    who is locked out.
    """
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.devices.runtime.registrations import registrations_of
    from gridfleet.provisioning.site.register_file import read_register
    from gridfleet.provisioning.site.secrets import identities
    from gridfleet.provisioning.site.user_registry import read_registry, with_enrolled

    folder = SecretsFolder(Path(arguments.directory))
    if arguments.scenario is None and folder.user_registry.is_file():
        for option, name in _OPTIONS.items():
            if getattr(arguments, name) not in (None, False, []):
                raise CommandError(
                    option,
                    f"needs --scenario: {folder.path} has users already; without both they stay the same",
                )
        registry = read_registry(folder)
        return SiteUsers(registry.site, list(registry.users), read_register(folder))
    fleet = Fleet(load(arguments.scenario or DEFAULT_SCENARIO, arguments.changes))
    users = identities(
        fleet,
        arguments.operators or ("operator",),
        arguments.viewers or ("viewer",),
        processes=1 if arguments.processes is None else arguments.processes,
        shared=arguments.shared,
        bridged=arguments.bridged,
        discovery=arguments.home_assistant,
    )
    enrolled = {name: entry for name, entry in read_register(folder).items() if not entry.devices}
    return SiteUsers(
        fleet.scenario.site, with_enrolled(folder, users), registrations_of(fleet.scenario) | enrolled
    )
