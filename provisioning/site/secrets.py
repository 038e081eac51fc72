"""The secrets of a site in one folder: creates and rotates every key, certificate, password and access rule.

No secret is ever printed, logged or passed to another program: this module makes hashes and certificates itself.
"""

import base64
import hashlib
import secrets
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.access_control import BRIDGE_ID, ClientRole, Identity
from gridfleet.broker.brokers.mosquitto.access_rules import access_rules
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.errors import error_reason
from gridfleet.broker.protocol.messages import Registration, Role
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.register_file import of_users, read_register, write_register
from gridfleet.provisioning.site.secret_files import write_secret
from gridfleet.provisioning.site.user_registry import check_version, write_registry

if TYPE_CHECKING:
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.site.certificates import Authority, IssuedCertificate

SERVER: Final = "server"
"""The name of the broker's certificate in --only."""
ITERATIONS: Final = 101
"""As mosquitto_passwd. More would not help, because a password here is 256 random bits."""
_SALT_BYTES: Final = 12


def identities(
    fleet: "Fleet",
    operators: Iterable[str] = ("operator",),
    viewers: Iterable[str] = ("viewer",),
    *,
    processes: int = 0,
    shared: bool = False,
    bridged: bool = False,
    discovery: bool = False,
) -> list[Identity]:
    """Return the users of a fleet's broker, with `processes` fleet processes.

    With `shared`, each fleet process may publish for its part of the devices. With `bridged`, another broker may
    connect. With `discovery`, each device may publish its own Home Assistant discovery message.
    """
    from gridfleet.devices.runtime.fleet_process import fleet_process_id
    from gridfleet.devices.runtime.partitioning import part_of

    neighbours = {cell.name: cell.neighbours for cell in fleet.cells}
    devices = {
        each.id: Identity(each.id, each.role, each.cell, neighbours.get(each.cell, ()), discovery=discovery)
        for each in fleet.agents()
    }
    parts = [part_of(fleet, number, processes) if shared else [] for number in range(1, processes + 1)]
    return [
        Identity(CLOCK_ID, Role.CLOCK, "site", discovery=discovery),
        Identity(ClientRole.RECORDER.value, ClientRole.RECORDER),
        *(Identity(name, ClientRole.OPERATOR) for name in operators),
        *(Identity(name, ClientRole.VIEWER) for name in viewers),
        *([Identity(BRIDGE_ID, ClientRole.BRIDGE)] if bridged else []),
        *(
            Identity(
                fleet_process_id(number), ClientRole.FLEET, devices=tuple(devices[each] for each in part)
            )
            for number, part in enumerate(parts, start=1)
        ),
        *devices.values(),
    ]


def make_secrets(
    directory: Path,
    site: str,
    users: Iterable[Identity],
    *,
    rotate: Collection[str] | None = (),
    host_names: Collection[str] = (),
    remove: Collection[str] = (),
    registrations: Mapping[str, Registration] | None = None,
) -> str:
    """Create missing secrets, rotate those of the clients in `rotate` (None: all); return what was done, as text.

    `host_names` are further names and addresses of the broker for its certificate. The certificates of the clients in
    `remove` are revoked and their files are deleted. `registrations` are the entries of the site's register by device
    or prefix (None: those that the folder has); the authority signs them.
    Raises CommandError for a folder that holds other files, or that cannot be written.
    """
    folder = SecretsFolder(directory)
    users = list(users)
    try:
        _prepare(folder)
        check_version(folder)
        authority, revoked = _authority(folder, site, new=rotate is None)
        renewed = {user.name for user in users} | {SERVER} if authority.is_new else set(rotate or ())
        if SERVER in renewed or host_names or not folder.certificate.is_file():
            _write(folder.certificate, folder.key, authority.server(_host_names(host_names)))
        hashes = _hashes(folder)
        made = 0
        for user in users:
            made += _client(folder, authority, user.name, hashes, revoked, renew=user.name in renewed)
        for name in remove:
            _remove_client(folder, name, revoked)
        if rotate is None:
            _delete_other_clients(folder, {user.name for user in users})
        lines = (f"{user.name}:{hashes[user.name]}\n" for user in users)
        write_secret(folder.passwords, "".join(lines).encode())
        write_secret(folder.acl, access_rules(site, users).encode())
        write_registry(folder, site, users)
        entries = read_register(folder) if registrations is None else registrations
        write_register(folder, site, authority, of_users(entries, (user.name for user in users)))
        write_secret(folder.revoked, authority.revocations(revoked))
    except OSError as error:
        problem = f"cannot be used ({error_reason(error)}): name a folder that can be written to"
        raise CommandError(error.filename or directory, problem) from None
    removed = len(hashes) - len(users)
    locked_out = f"; {removed} locked out" if removed else ""
    return f"Secrets   {directory}/: {len(users)} users of {site}, {made} with new secrets{locked_out}"


def mosquitto_hash(password: str, salt: bytes | None = None) -> str:
    """Return a password's hash in Mosquitto 2's format: PBKDF2 with SHA-512."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _prepare(folder: SecretsFolder) -> None:
    path = folder.path
    if path.is_dir() and any(path.iterdir()) and not folder.authority.is_file():
        raise CommandError(path, "is not empty and is not a secrets folder: name another folder")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    folder.clients.mkdir(mode=0o700, exist_ok=True)
    folder.clients.chmod(0o700)
    (path / ".gitignore").write_text("*\n", encoding="ascii")


def _authority(folder: SecretsFolder, site: str, *, new: bool) -> "tuple[Authority, set[int]]":
    """Return the authority and the serial numbers of the certificates that it has revoked."""
    from gridfleet.provisioning.site.certificates import Authority, IssuedCertificate, revoked_in

    if not new and folder.authority.is_file():
        try:
            issued = IssuedCertificate(folder.authority.read_bytes(), folder.authority_key.read_bytes())
            authority = Authority.load(issued)
            revoked = revoked_in(folder.revoked.read_bytes()) if folder.revoked.is_file() else set[int]()
        except ValueError as error:
            raise CommandError(
                folder.authority, f"{error}: replace all secrets with `gridfleet site rotate`"
            ) from None
        return authority, revoked
    authority = Authority.create(site)
    _write(folder.authority, folder.authority_key, authority.issued)
    return authority, set()


def _client(
    folder: SecretsFolder,
    authority: "Authority",
    name: str,
    hashes: dict[str, str],
    revoked: set[int],
    *,
    renew: bool,
) -> bool:
    """Create the missing secrets of a client, or with `renew` all; return whether any was created."""
    from gridfleet.provisioning.site.certificates import serial_of

    certificate = folder.certificate_of(name)
    made = False
    if renew or (name not in hashes and not folder.password_of(name).is_file()):
        password = secrets.token_urlsafe(32)
        write_secret(folder.password_of(name), f"{password}\n".encode())
        hashes[name] = mosquitto_hash(password)
        made = True
    elif name not in hashes:
        hashes[name] = mosquitto_hash(folder.password_of(name).read_text(encoding="ascii").strip())
    if renew or not certificate.is_file():
        if certificate.is_file() and not authority.is_new:
            revoked.add(serial_of(certificate.read_bytes()))
        _write(certificate, folder.key_of(name), authority.client(name))
        made = True
    return made


def _remove_client(folder: SecretsFolder, name: str, revoked: set[int]) -> None:
    """Revoke a client's certificate and delete its files, keys first."""
    from gridfleet.provisioning.site.certificates import serial_of

    certificate = folder.certificate_of(name)
    if certificate.is_file():
        revoked.add(serial_of(certificate.read_bytes()))
    for path in (folder.key_of(name), folder.password_of(name), certificate):
        path.unlink(missing_ok=True)


def _delete_other_clients(folder: SecretsFolder, names: Collection[str]) -> None:
    """Delete the files of clients that are locked out, so that their old passwords are never used again."""
    for path in folder.clients.iterdir():
        if path.stem not in names:
            path.unlink()


def _write(certificate: Path, key: Path, issued: "IssuedCertificate") -> None:
    write_secret(key, issued.key)
    write_secret(certificate, issued.certificate)


def _hashes(folder: SecretsFolder) -> dict[str, str]:
    if not folder.passwords.is_file():
        return {}
    lines = folder.passwords.read_text(encoding="ascii").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _host_names(further: Iterable[str]) -> list[str]:
    """Return the requested names and addresses, followed by those of this machine."""
    known: Mapping[str, None] = dict.fromkeys(
        [*further, socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    )
    return list(known)
