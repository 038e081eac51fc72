"""The user registry of a secrets folder: who may log in, with role and cell, and who was enrolled singly.

`gridfleet site init` takes its users from a scenario. Devices that `gridfleet device flash` enrols are in no scenario.
The registry keeps both, so that access rules can be written again without either source.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from gridfleet.broker.access_control import Identity
from gridfleet.broker.credentials import REMEDY, SecretsFolder
from gridfleet.broker.protocol.messages import Role
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.secret_files import read_checked, write_secret

_OLD_NAME: Final = "roll.json"
"""The registry's file name before schema version 2; such a file is not read."""
IN_A_CELL: Final = frozenset(Role) - {Role.CLOCK, Role.GRID_SUPPLY}
"""Roles that belong to a cell; clock and grid supply belong to the whole site."""


@dataclass(frozen=True, slots=True)
class UserRegistry:
    """A site, its users, and the names of the users that were enrolled singly."""

    site: str
    users: tuple[Identity, ...]
    enrolled: tuple[str, ...]

    def find(self, name: str) -> Identity | None:
        """Return the user of that name."""
        return next((user for user in self.users if user.name == name), None)

    def neighbours_by_cell(self) -> dict[str, tuple[str, ...]]:
        """Return the cells in which devices trade, each with its neighbouring cells."""
        return {user.cell: user.neighbours for user in self.users if user.role in IN_A_CELL}


def read_registry(folder: SecretsFolder) -> UserRegistry:
    """Return a folder's user registry; raise CommandError where it is missing or invalid."""
    check_version(folder)
    try:
        return read_checked(
            folder.user_registry,
            UserRegistry,
            "delete it and run `gridfleet site init` again; enrolled devices need `gridfleet device flash` again",
        )
    except FileNotFoundError:
        raise CommandError(
            folder.path, f"is not a secrets folder (it has no {folder.user_registry.name}): {REMEDY}"
        ) from None


def check_version(folder: SecretsFolder) -> None:
    """Raise CommandError for a folder whose registry was written before schema version 2."""
    old = folder.path / _OLD_NAME
    if old.is_file() and not folder.user_registry.is_file():
        raise CommandError(
            old,
            f"is the user registry of an older version, now {folder.user_registry.name}: delete it and run "
            "`gridfleet site init` again; enrolled devices need `gridfleet device flash` again",
        )


def write_registry(folder: SecretsFolder, site: str, users: Iterable[Identity]) -> None:
    """Write who may log in; users that were enrolled before and are among them stay enrolled."""
    if folder.user_registry.is_file():
        registry = replace(read_registry(folder), site=site, users=tuple(users))
    else:
        registry = UserRegistry(site, tuple(users), ())
    write_whole_registry(folder, registry)


def write_whole_registry(folder: SecretsFolder, registry: UserRegistry) -> None:
    """Write a registry atomically."""
    from pydantic import TypeAdapter

    ordered = replace(registry, enrolled=tuple(sorted(registry.enrolled)))
    write_secret(folder.user_registry, TypeAdapter(UserRegistry).dump_json(ordered, indent=1) + b"\n")


def with_enrolled(folder: SecretsFolder, users: Iterable[Identity]) -> list[Identity]:
    """Return the users of a scenario, followed by the enrolled users that are not among them."""
    known = list(users)
    check_version(folder)
    if not folder.user_registry.is_file():
        return known
    registry = read_registry(folder)
    names = {user.name for user in known}
    return [
        *known,
        *(user for user in registry.users if user.name in registry.enrolled and user.name not in names),
    ]
