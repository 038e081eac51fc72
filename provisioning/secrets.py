"""`gridfleet secrets`: every key, certificate, password and right of a site, made and rotated by one command.

Nothing secret is ever printed, logged or given to another program: hashes and certificates are made here.
"""

import argparse
import base64
import hashlib
import os
import secrets
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioning.arguments import add_set, whole
from provisioning.exits import CommandError, Exit

if TYPE_CHECKING:
    from broker.keyring import Folder
    from broker.rights import Identity
    from devices.fleet import Fleet
    from provisioning.certificates import Authority, Issued

HELP: Final = "make or rotate the keys, certificates, passwords and rights of a site"
DESCRIPTION: Final = (
    "Make what a broker and its clients need to know each other: an authority and certificates, a password for\n"
    "every device of a scenario, and the rights of each. Called again, it adds what is missing and writes the\n"
    "rights anew; who is neither in the scenario nor enrolled is locked out. With --rotate all is made anew.\n"
    "The folder is readable by you alone and ignored by git; a running broker takes it over on SIGHUP."
)
EXAMPLES: Final = (
    "gridfleet secrets secrets",
    "gridfleet secrets secrets --scenario storm --host broker.example 192.0.2.1",
    "gridfleet secrets secrets --rotate",
    "gridfleet secrets secrets --rotate --only charger-07 server",
)
SERVER: Final = "server"
"""What --only calls the broker's certificate."""
MOST_HOSTS: Final = 1_000
ITERATIONS: Final = 101
"""As mosquitto_passwd: a password here is 256 random bits, which no number of iterations makes safer."""
_SALT_BYTES: Final = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `secrets`."""
    parser.add_argument("directory", metavar="DIR", help="the folder, made where it is missing")
    parser.add_argument(
        "--scenario",
        default="normal",
        metavar="S",
        help="whose devices: a shipped scenario or your own TOML file (default: normal)",
    )
    parser.add_argument("--rotate", action="store_true", help="make anew what is there, and revoke the old")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ID",
        help=f"with --rotate: only these clients; '{SERVER}' is the broker's certificate",
    )
    parser.add_argument(
        "--host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further names and addresses under which clients reach the broker",
    )
    parser.add_argument(
        "--operators",
        nargs="+",
        default=["operator"],
        metavar="NAME",
        help="who may steer (default: operator)",
    )
    parser.add_argument(
        "--viewers", nargs="+", default=["viewer"], metavar="NAME", help="who may only look (default: viewer)"
    )
    parser.add_argument(
        "--hosts",
        type=whole(0, MOST_HOSTS),
        default=1,
        metavar="N",
        help="how many processes carry the devices: fleet-1 to fleet-N may hear the tick for them (default: 1)",
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="each of the hosts may also speak for its part of the devices (`fleet --connection shared --part K/N`)",
    )
    parser.add_argument(
        "--bridged",
        action="store_true",
        help="let another broker of the site enter, as `bridge`: it may say everything in everybody's name",
    )
    add_set(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Make or rotate; say what was done, and never a secret."""
    from broker.keyring import Folder
    from devices.fleet import Fleet
    from devices.scenario import load
    from provisioning.roll import with_enrolled

    if arguments.only and not arguments.rotate:
        raise CommandError("--only", "goes with --rotate")
    fleet = Fleet(load(arguments.scenario, arguments.changes))
    folder = Folder(Path(arguments.directory))
    users = with_enrolled(
        folder,
        identities(
            fleet,
            arguments.operators,
            arguments.viewers,
            hosts=arguments.hosts,
            shared=arguments.shared,
            bridged=arguments.bridged,
        ),
    )
    unknown = set(arguments.only or ()) - {user.name for user in users} - {SERVER}
    if unknown:
        raise CommandError("--only", f"{', '.join(sorted(unknown))} is not in {arguments.scenario}")
    rotated = None if arguments.rotate and not arguments.only else set(arguments.only or ())
    done = make_secrets(
        Path(arguments.directory), fleet.scenario.site, users, rotated=rotated, hosts=arguments.host
    )
    print(done)
    return Exit.FINE


def identities(
    fleet: "Fleet",
    operators: Iterable[str] = ("operator",),
    viewers: Iterable[str] = ("viewer",),
    *,
    hosts: int = 0,
    shared: bool = False,
    bridged: bool = False,
) -> "list[Identity]":
    """Return everybody who may log in at a fleet's broker; with `shared`, hosts speak for a part of it each."""
    from broker.messages import Kind
    from broker.rights import BRIDGE, Guest, Identity
    from broker.topics import CLOCK_ID
    from devices.host import host_name
    from devices.parts import part_of

    beside = {cell.name: cell.neighbours for cell in fleet.cells}
    devices = {
        each.id: Identity(each.id, each.kind, each.cell, beside.get(each.cell, ())) for each in fleet.agents()
    }
    parts = [part_of(fleet, number, hosts) if shared else [] for number in range(1, hosts + 1)]
    return [
        Identity(CLOCK_ID, Kind.CLOCK, "site"),
        Identity(Guest.RECORDER.value, Guest.RECORDER),
        *(Identity(name, Guest.OPERATOR) for name in operators),
        *(Identity(name, Guest.VIEWER) for name in viewers),
        *([Identity(BRIDGE, Guest.BRIDGE)] if bridged else []),
        *(
            Identity(host_name(number), Guest.HOST, devices=tuple(devices[each] for each in part))
            for number, part in enumerate(parts, start=1)
        ),
        *devices.values(),
    ]


def make_secrets(
    directory: Path,
    site: str,
    users: "Iterable[Identity]",
    *,
    rotated: Collection[str] | None = (),
    hosts: Collection[str] = (),
    expelled: Collection[str] = (),
) -> str:
    """Make what is missing and rotate the clients named in `rotated` (None: everything); say what was done.

    The certificates of `expelled` are revoked and all that they log in with is deleted.
    Raises CommandError for a folder that is somebody else's, or that cannot be written.
    """
    from broker.keyring import Folder
    from broker.rights import acl
    from provisioning.roll import write_roll

    folder = Folder(directory)
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
        write_roll(folder, site, users)
        write_secret(folder.revoked, authority.revocations(revoked))
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        raise CommandError(error.filename or directory, f"cannot be used ({problem})") from None
    gone = len(hashes) - len(users)
    locked_out = f"; {gone} locked out" if gone else ""
    return f"Secrets   {directory}/: {len(users)} users of {site}, {made} with new secrets{locked_out}"


def mosquitto_hash(password: str, salt: bytes | None = None) -> str:
    """Return a password's hash as Mosquitto 2 keeps it: PBKDF2 with SHA-512."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read, all or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


def _prepare(folder: "Folder") -> None:
    path = folder.path
    if path.is_dir() and any(path.iterdir()) and not folder.authority.is_file():
        raise CommandError(path, "is not empty and holds no secrets of GridFleet: name another folder")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    folder.clients.mkdir(mode=0o700, exist_ok=True)
    folder.clients.chmod(0o700)
    (path / ".gitignore").write_text("*\n", encoding="ascii")


def _authority(folder: "Folder", site: str, *, anew: bool) -> "tuple[Authority, set[int]]":
    """Return the authority and the certificates that it has revoked."""
    from provisioning.certificates import Authority, Issued, revoked_in

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
    folder: "Folder",
    authority: "Authority",
    name: str,
    hashes: dict[str, str],
    revoked: set[int],
    *,
    anew: bool,
) -> bool:
    """Give a client what it lacks, or everything anew; tell whether that was anything."""
    from provisioning.certificates import serial_of

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


def _expel(folder: "Folder", name: str, revoked: set[int]) -> None:
    """Revoke a client's certificate and delete its files, keys first."""
    from provisioning.certificates import serial_of

    certificate = folder.certificate_of(name)
    if certificate.is_file():
        revoked.add(serial_of(certificate.read_bytes()))
    for path in (folder.key_of(name), folder.password_of(name), certificate):
        path.unlink(missing_ok=True)


def _forget_others(folder: "Folder", names: Collection[str]) -> None:
    """Delete the files of clients that are locked out, so that none comes back with its old password."""
    for path in folder.clients.iterdir():
        if path.stem not in names:
            path.unlink()


def _keep(certificate: Path, key: Path, issued: "Issued") -> None:
    write_secret(key, issued.key)
    write_secret(certificate, issued.certificate)


def _hashes(folder: "Folder") -> dict[str, str]:
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
