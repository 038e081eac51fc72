"""The roll of a secrets folder: who may log in, with role and cell, and who of them was enrolled one by one.

What `gridfleet secrets` makes follows from a scenario; devices that were flashed are in no scenario. The roll keeps
them, so that rights can be written anew without either source at hand.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gridfleet.broker.access_control import Identity
from gridfleet.broker.credentials import REMEDY, SecretsFolder
from gridfleet.broker.protocol.messages import Kind
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.secret_files import write_secret

_TRADERS: Final = frozenset(Kind) - {Kind.CLOCK, Kind.REACTOR}
"""Those who live in a cell; clock and reactor are the whole site's."""


@dataclass(frozen=True, slots=True)
class UserRegistry:
    """A site, everybody who may log in there, and the names of those enrolled one by one."""

    site: str
    users: tuple[Identity, ...]
    enrolled: tuple[str, ...]

    def find(self, name: str) -> Identity | None:
        """Return who goes by that name."""
        return next((user for user in self.users if user.name == name), None)

    def beside(self) -> dict[str, tuple[str, ...]]:
        """Return the cells in which devices trade, and which cells lie beside each."""
        return {user.cell: user.beside for user in self.users if user.role in _TRADERS}


def read_registry(folder: SecretsFolder) -> UserRegistry:
    """Return a folder's roll; raise CommandError where there is none, or one that nothing of ours wrote."""
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(UserRegistry).validate_json(folder.roll.read_bytes())
    except FileNotFoundError:
        raise CommandError(folder.path, f"holds no secrets with a roll: {REMEDY}") from None
    except ValueError as error:
        words = str(error).splitlines()[1:3] or [str(error)]
        raise CommandError(folder.roll, f"cannot be read ({': '.join(words)}): {REMEDY}") from None


def write_registry(folder: SecretsFolder, site: str, users: Iterable[Identity]) -> None:
    """Write who may log in; who was enrolled before and is still there stays so."""
    enrolled = read_registry(folder).enrolled if folder.roll.is_file() else ()
    write_whole_registry(folder, UserRegistry(site, tuple(users), enrolled))


def write_whole_registry(folder: SecretsFolder, roll: UserRegistry) -> None:
    """Write a roll, all or nothing."""
    from pydantic import TypeAdapter

    sorted_roll = UserRegistry(roll.site, roll.users, tuple(sorted(roll.enrolled)))
    write_secret(folder.roll, TypeAdapter(UserRegistry).dump_json(sorted_roll, indent=1) + b"\n")


def with_enrolled(folder: SecretsFolder, users: Iterable[Identity]) -> list[Identity]:
    """Return the users of a scenario and, after them, those that were enrolled and are not among them."""
    known = list(users)
    if not folder.roll.is_file():
        return known
    roll = read_registry(folder)
    names = {user.name for user in known}
    return [*known, *(user for user in roll.users if user.name in roll.enrolled and user.name not in names)]
