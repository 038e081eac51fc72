"""Enrolment: one device gets a name, a password, a certificate and rights at a site's broker, or loses them."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from gridfleet.broker.access_control import Identity
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.protocol.messages import Kind
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.folder_users import folder_users
from gridfleet.provisioning.site.secrets import make_secrets
from gridfleet.provisioning.site.user_registry import UserRegistry, read_registry, write_whole_registry


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who a device is at the broker: an id, what it is, and where it trades."""

    id: str
    kind: Kind
    cell: str


def check_enrolment(directory: Path, enrolment: Enrolment, site: str | None = None) -> Identity:
    """Return whom the broker is to know; change nothing.

    Raises CommandError for a folder of another site, for a cell that the site does not have, and for an id that
    somebody of another kind or cell goes by.
    """
    roll = read_registry(SecretsFolder(directory))
    if site is not None and site != roll.site:
        raise CommandError(enrolment.id, f"is to join {site!r}, but {directory} is of {roll.site!r}")
    beside = roll.beside()
    if enrolment.cell not in beside:
        cells = ", ".join(sorted(beside))
        raise CommandError(
            enrolment.id, f"is to trade in cell {enrolment.cell!r}, but {roll.site} has {cells}"
        )
    identity = Identity(enrolment.id, enrolment.kind, enrolment.cell, beside[enrolment.cell])
    known = roll.find(enrolment.id)
    if known is not None and (known.role, known.cell) != (identity.role, identity.cell):
        where = f" in {known.cell}" if known.cell else ""
        raise CommandError(enrolment.id, f"is the id of a {known.role}{where} already: choose another id")
    return identity


def enrol(directory: Path, enrolment: Enrolment, site: str | None = None) -> None:
    """Give a device its own password, certificate and rights; one that has them gets new ones.

    Raises CommandError as `check_enrolment`, and for a folder that cannot be written.
    """
    identity = check_enrolment(directory, enrolment, site)
    folder = SecretsFolder(directory)
    roll = read_registry(folder)
    known = roll.find(identity.name)
    users = roll.users if known is not None else (*roll.users, identity)
    rotated = (identity.name,) if known is not None else ()
    make_secrets(directory, roll.site, users, rotated=rotated)
    write_whole_registry(
        folder,
        replace(
            roll,
            users=users,
            enrolled=(*(name for name in roll.enrolled if name != identity.name), identity.name),
        ),
    )


def revoke(directory: Path, name: str) -> UserRegistry:
    """Take from a device all that it could log in with; return who is left.

    Raises CommandError for a name that nobody goes by.
    """
    folder = SecretsFolder(directory)
    roll = read_registry(folder)
    if roll.find(name) is None:
        enrolled = ", ".join(sorted(roll.enrolled)) or "nobody"
        raise CommandError(name, f"is not known at {roll.site}; enrolled are: {enrolled}")
    users = tuple(user for user in roll.users if user.name != name)
    make_secrets(directory, roll.site, users, expelled=(name,))
    left = UserRegistry(roll.site, users, tuple(each for each in roll.enrolled if each != name))
    write_whole_registry(folder, left)
    return left


def reload_brokers(directory: Path) -> str:
    """Have the brokers that run here with these secrets read them again; say whether there were any."""
    found = folder_users(SecretsFolder(directory).brokers)
    for process in found:
        os.kill(process, signal.SIGHUP)
    if not found:
        return (
            "none of these secrets runs on this machine: have yours read them again\n"
            "          (SIGHUP, for example `systemctl reload mosquitto`)"
        )
    return f"reads its users and rights again (process {', '.join(map(str, found))})"
