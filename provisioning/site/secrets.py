"""The secrets of a site: every key, certificate, password and access rule, made and rotated in one folder.

Nothing secret is ever printed, logged or given to another program: hashes and certificates are made here.
"""

import base64
import hashlib
import secrets
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.access_control import BRIDGE, ClientRole, Identity, acl
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.errors import error_reason
from gridfleet.broker.protocol.messages import Kind
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.secret_files import write_secret
from gridfleet.provisioning.site.user_registry import write_registry

if TYPE_CHECKING:
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.site.certificates import Authority, Issued

SERVER: Final = "server"
"""What --only calls the broker's certificate."""
ITERATIONS: Final = 101
"""As mosquitto_passwd: a password here is 256 random bits, which no number of iterations makes safer."""
_SALT_BYTES: Final = 12


def identities(
    fleet: "Fleet",
    operators: Iterable[str] = ("operator",),
    viewers: Iterable[str] = ("viewer",),
    *,
    hosts: int = 0,
    shared: bool = False,
    bridged: bool = False,
) -> list[Identity]:
    """Return everybody who may log in at a fleet's broker; with `shared`, hosts speak for a part of it each."""
    from gridfleet.devices.runtime.fleet_process import fleet_process_id
    from gridfleet.devices.runtime.partitioning import part_of

    beside = {cell.name: cell.neighbours for cell in fleet.cells}
    devices = {
        each.id: Identity(each.id, each.kind, each.cell, beside.get(each.cell, ())) for each in fleet.agents()
    }
    parts = [part_of(fleet, number, hosts) if shared else [] for number in range(1, hosts + 1)]
    return [
        Identity(CLOCK_ID, Kind.CLOCK, "site"),
        Identity(ClientRole.RECORDER.value, ClientRole.RECORDER),
        *(Identity(name, ClientRole.OPERATOR) for name in operators),
        *(Identity(name, ClientRole.VIEWER) for name in viewers),
        *([Identity(BRIDGE, ClientRole.BRIDGE)] if bridged else []),
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
    rotated: Collection[str] | None = (),
    hosts: Collection[str] = (),
    expelled: Collection[str] = (),
) -> str:
    """Make what is missing and rotate the clients named in `rotated` (None: everything); say what was done.

    The certificates of `expelled` are revoked and all that they log in with is deleted.
    Raises CommandError for a folder that is somebody else's, or that cannot be written.
    """
    folder = SecretsFolder(directory)
    users = list(users)
    try:
        _prepare(folder)
        authority, revoked = _authority(folder, site, anew=rotated is None)
        named = {user.name for user in users} | {SERVER} if authority.is_new else set(rotated or ())
        if SERVER in named or hosts or not folder.certificate.is_file():
            _keep(folder.certificate, folder.key, authority.server(_hosts(hosts)))
        hashes = _hashes(folder)
        made = 0
        for user in users:
            made += _client(folder, authority, user.name, hashes, revoked, anew=user.name in named)
        for name in expelled:
            _expel(folder, name, revoked)
        if rotated is None:
            _forget_others(folder, {user.name for user in users})
        lines = (f"{user.name}:{hashes[user.name]}\n" for user in users)
        write_secret(folder.passwords, "".join(lines).encode())
        write_secret(folder.rights, acl(site, users).encode())
        write_registry(folder, site, users)
        write_secret(folder.revoked, authority.revocations(revoked))
    except OSError as error:
        raise CommandError(error.filename or directory, f"cannot be used ({error_reason(error)})") from None
    gone = len(hashes) - len(users)
    locked_out = f"; {gone} locked out" if gone else ""
    return f"Secrets   {directory}/: {len(users)} users of {site}, {made} with new secrets{locked_out}"


def mosquitto_hash(password: str, salt: bytes | None = None) -> str:
    """Return a password's hash as Mosquitto 2 keeps it: PBKDF2 with SHA-512."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _prepare(folder: SecretsFolder) -> None:
    path = folder.path
    if path.is_dir() and any(path.iterdir()) and not folder.authority.is_file():
        raise CommandError(path, "is not empty and holds no secrets of GridFleet: name another folder")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    folder.clients.mkdir(mode=0o700, exist_ok=True)
    folder.clients.chmod(0o700)
    (path / ".gitignore").write_text("*\n", encoding="ascii")


def _authority(folder: SecretsFolder, site: str, *, anew: bool) -> "tuple[Authority, set[int]]":
    """Return the authority and the certificates that it has revoked."""
    from gridfleet.provisioning.site.certificates import Authority, Issued, revoked_in

    if not anew and folder.authority.is_file():
        try:
            issued = Issued(folder.authority.read_bytes(), folder.authority_key.read_bytes())
            authority = Authority.load(issued)
            revoked = revoked_in(folder.revoked.read_bytes()) if folder.revoked.is_file() else set[int]()
        except ValueError as error:
            raise CommandError(folder.authority, f"{error}: make all secrets anew with --rotate") from None
        return authority, revoked
    authority = Authority.create(site)
    _keep(folder.authority, folder.authority_key, authority.issued)
    return authority, set()


def _client(
    folder: SecretsFolder,
    authority: "Authority",
    name: str,
    hashes: dict[str, str],
    revoked: set[int],
    *,
    anew: bool,
) -> bool:
    """Give a client what it lacks, or everything anew; tell whether that was anything."""
    from gridfleet.provisioning.site.certificates import serial_of

    certificate = folder.certificate_of(name)
    made = False
    if anew or (name not in hashes and not folder.password_of(name).is_file()):
        password = secrets.token_urlsafe(32)
        write_secret(folder.password_of(name), f"{password}\n".encode())
        hashes[name] = mosquitto_hash(password)
        made = True
    elif name not in hashes:
        hashes[name] = mosquitto_hash(folder.password_of(name).read_text(encoding="ascii").strip())
    if anew or not certificate.is_file():
        if certificate.is_file() and not authority.is_new:
            revoked.add(serial_of(certificate.read_bytes()))
        _keep(certificate, folder.key_of(name), authority.client(name))
        made = True
    return made


def _expel(folder: SecretsFolder, name: str, revoked: set[int]) -> None:
    """Revoke a client's certificate and delete its files, keys first."""
    from gridfleet.provisioning.site.certificates import serial_of

    certificate = folder.certificate_of(name)
    if certificate.is_file():
        revoked.add(serial_of(certificate.read_bytes()))
    for path in (folder.key_of(name), folder.password_of(name), certificate):
        path.unlink(missing_ok=True)


def _forget_others(folder: SecretsFolder, names: Collection[str]) -> None:
    """Delete the files of clients that are locked out, so that none comes back with its old password."""
    for path in folder.clients.iterdir():
        if path.stem not in names:
            path.unlink()


def _keep(certificate: Path, key: Path, issued: "Issued") -> None:
    write_secret(key, issued.key)
    write_secret(certificate, issued.certificate)


def _hashes(folder: SecretsFolder) -> dict[str, str]:
    if not folder.passwords.is_file():
        return {}
    lines = folder.passwords.read_text(encoding="ascii").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _hosts(further: Iterable[str]) -> list[str]:
    """Return the names and addresses of this machine, those that were asked for first."""
    known: Mapping[str, None] = dict.fromkeys(
        [*further, socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    )
    return list(known)
