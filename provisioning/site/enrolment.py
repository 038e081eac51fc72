"""Enrolment of single devices: a device gets a name, a password, a certificate and access rules, or loses them."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from gridfleet.broker.access_control import Identity
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.protocol.messages import Limits, Registration, Role
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.processes.folder_users import folder_users
from gridfleet.provisioning.site.register_file import read_register
from gridfleet.provisioning.site.secrets import make_secrets
from gridfleet.provisioning.site.user_registry import (
    IN_A_CELL,
    UserRegistry,
    read_registry,
    write_whole_registry,
)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A device to enrol: its id, its role, the cell in which it trades, and what others may believe of it."""

    id: str
    role: Role
    cell: str
    limits: Limits | None = None


def check_enrolment(directory: Path, enrolment: Enrolment, site: str | None = None) -> Identity:
    """Return the user that a device becomes; change nothing.

    Raises CommandError for a secrets folder of another site, for a role that belongs to no cell, for a cell that the
    site does not have, and for an id that a user of another role or cell has.
    """
    registry = read_registry(SecretsFolder(directory))
    if enrolment.role not in IN_A_CELL:
        raise CommandError(
            enrolment.id,
            f"a {enrolment.role} belongs to the whole site and cannot be enrolled singly: its scenario makes it a user",
        )
    if site is not None and site != registry.site:
        raise CommandError(
            enrolment.id,
            f"belongs to site {site!r}, but {directory} holds the secrets of {registry.site!r}: "
            "name its own with --secrets",
        )
    if any(user.name.rpartition("-")[0] == enrolment.id for user in registry.users):
        raise CommandError(
            enrolment.id, f"is the beginning of other devices' ids ({enrolment.id}-…): choose another id"
        )
    neighbours = registry.neighbours_by_cell()
    if enrolment.cell not in neighbours:
        cells = ", ".join(sorted(neighbours))
        raise CommandError(
            enrolment.id, f"cell {enrolment.cell!r} does not exist at {registry.site}; allowed are {cells}"
        )
    identity = Identity(enrolment.id, enrolment.role, enrolment.cell, neighbours[enrolment.cell])
    known = registry.find(enrolment.id)
    if known is not None and (known.role, known.cell) != (identity.role, identity.cell):
        where = f" in {known.cell}" if known.cell else ""
        raise CommandError(
            enrolment.id, f"this id already belongs to the {known.role}{where}: choose another id"
        )
    return identity


def enrol(directory: Path, enrolment: Enrolment, site: str | None = None) -> None:
    """Give a device its own password, certificate and access rules; a device that has them gets new ones.

    Raises CommandError as `check_enrolment`, and for a folder that cannot be written.
    """
    identity = check_enrolment(directory, enrolment, site)
    folder = SecretsFolder(directory)
    registry = read_registry(folder)
    known = registry.find(identity.name)
    users = registry.users if known is not None else (*registry.users, identity)
    rotate = (identity.name,) if known is not None else ()
    entries = read_register(folder)
    entries.pop(identity.name, None)
    if enrolment.limits is not None:
        entries[identity.name] = Registration(0, enrolment.limits)
    make_secrets(directory, registry.site, users, rotate=rotate, registrations=entries)
    enrolled = (*(name for name in registry.enrolled if name != identity.name), identity.name)
    write_whole_registry(folder, replace(registry, users=users, enrolled=enrolled))


def revoke(directory: Path, name: str) -> UserRegistry:
    """Revoke a device's certificate, delete its secrets and access rules; return the remaining users.

    Raises CommandError for an unknown name.
    """
    folder = SecretsFolder(directory)
    registry = read_registry(folder)
    if registry.find(name) is None:
        enrolled = ", ".join(sorted(registry.enrolled)) or "none"
        raise CommandError(name, f"is not a user of {registry.site}; enrolled devices: {enrolled}")
    users = tuple(user for user in registry.users if user.name != name)
    make_secrets(directory, registry.site, users, remove=(name,))
    others = tuple(each for each in registry.enrolled if each != name)
    remaining = replace(registry, users=users, enrolled=others)
    write_whole_registry(folder, remaining)
    return remaining


def broker_in_use(directory: Path) -> str | None:
    """Return the address of a broker on this machine that uses these secrets; None where there is none."""
    return next(filter(None, folder_users(SecretsFolder(directory).brokers).values()), None)


def reload_brokers(directory: Path) -> str:
    """Send SIGHUP to the brokers on this machine that use these secrets; return what was done, as text."""
    found = folder_users(SecretsFolder(directory).brokers)
    for process in found:
        os.kill(process, signal.SIGHUP)
    if not found:
        return (
            "no broker on this machine uses these secrets: make yours reload them\n"
            "          (SIGHUP, for example `systemctl reload mosquitto`)"
        )
    return f"reloads users and access rules (process {', '.join(map(str, found))})"
