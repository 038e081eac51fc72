"""Files for containers of a site, under Compose or Kubernetes: secrets and the broker's configuration."""

import secrets as randomness
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.secret_files import write_secret

if TYPE_CHECKING:
    from gridfleet.broker.access_control import Identity
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.runtime.fleet import Fleet

BROKER: Final = "broker"
"""Host name of the broker in the container network, whichever broker it is."""
IGNORE_ALL: Final = "*\n"
"""Content of .gitignore in a site's folder, which also marks it as ours."""
MOUNT: Final = PurePosixPath("/run/gridfleet")
"""The folder with secrets and configuration in every container."""
PORT: Final = 8883
"""The broker's TLS port in every container."""
WEBSOCKET_PORT: Final = 9443
IMAGE_USER: Final = 10_001
"""User and group id inside GridFleet's image."""
MOSQUITTO_DATA: Final = Path("/mosquitto/data")


def site_secrets(
    folder: Path,
    fleet: "Fleet",
    more_users: "Iterable[Identity]" = (),
    *,
    processes: int,
    hosts: Collection[str] = (),
) -> "tuple[str, SecretsFolder, list[Identity]]":
    """Make the missing secrets of a site; return a report, the secrets folder, and all users of the broker.

    `processes` is the most fleet processes that may log in. The broker's certificate is made once, and made again only
    for more host names (`hosts`). Raises CommandError for a folder with other files in it.
    """
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.runtime.registrations import registrations_of
    from gridfleet.provisioning.site.register_file import read_register
    from gridfleet.provisioning.site.secrets import identities, make_secrets
    from gridfleet.provisioning.site.user_registry import with_enrolled

    gitignore = folder / ".gitignore"
    is_ours = gitignore.is_file() and gitignore.read_text(encoding="utf-8", errors="replace") == IGNORE_ALL
    if folder.is_dir() and any(folder.iterdir()) and not is_ours:
        raise CommandError(folder, "is not empty and has no site of GridFleet: choose another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    gitignore.write_text(IGNORE_ALL, encoding="ascii")
    own = SecretsFolder(folder / "secrets")
    users = with_enrolled(own, [*identities(fleet, processes=processes), *more_users])
    names = {BROKER, *hosts} if hosts or not own.certificate.is_file() else set()
    enrolled = {name: entry for name, entry in read_register(own).items() if not entry.devices}
    done = make_secrets(
        own.path,
        fleet.scenario.site,
        users,
        host_names=sorted(names),
        registrations=registrations_of(fleet.scenario) | enrolled,
    )
    return done, own, users


def fleet_passwords(own: "SecretsFolder", fleet: "Fleet", processes: int) -> dict[str, bytes]:
    """Return the passwords of a fleet's devices and of its processes by file name."""
    from gridfleet.devices.runtime.fleet_process import fleet_process_id

    names = [*fleet.ids, *map(fleet_process_id, range(1, processes + 1))]
    return {own.password_of(name).name: own.password_of(name).read_bytes() for name in names}


def part_files(own: "SecretsFolder", fleet: "Fleet", processes: int) -> dict[int, list[str]]:
    """Return the names of the password files that each fleet process needs: of its devices, and its own."""
    from gridfleet.devices.runtime.fleet_process import fleet_process_id
    from gridfleet.devices.runtime.partitioning import part_of

    return {
        number: [
            own.password_of(name).name
            for name in (*part_of(fleet, number, processes), fleet_process_id(number))
        ]
        for number in range(1, processes + 1)
    }


def read_or_make_token(path: Path) -> str:
    """Return the token in a file; make a random one where the file is missing."""
    if not path.is_file():
        write_secret(path, randomness.token_urlsafe(32).encode())
    return path.read_text(encoding="ascii").strip()


def mosquitto_conf(users: int, *, websockets: bool) -> bytes:
    """Return the configuration of a Mosquitto 2.0 container for so many users, with its files in MOUNT."""
    from gridfleet.broker.brokers.mosquitto.config import Access, Listener, Tls, configuration

    mount = Path(MOUNT)
    tls = Tls(mount / "server.crt", mount / "server.key", mount / "ca.crt")
    listeners = [Listener(PORT, "", tls)]
    if websockets:
        listeners.append(Listener(WEBSOCKET_PORT, "", tls, websockets=True))
    access = Access(mount / "passwords", mount / "acl", users)
    return configuration(listeners, access, store=MOSQUITTO_DATA).encode()


def emqx_files(
    own: "SecretsFolder", site: str, users: "Sequence[Identity]", *, cluster: Sequence[str] | str, cookie: str
) -> dict[str, bytes]:
    """Return configuration, users and access rules of EMQX containers, with their files in MOUNT.

    `cluster` is the list of node names, or a DNS name that resolves to all nodes.
    """
    from gridfleet.broker.brokers import emqx

    paths = [MOUNT / name for name in ("server.crt", "server.key", "ca.crt", "users.csv", "acl.conf")]
    passwords = {user.name: own.password_of(user.name).read_text(encoding="ascii").strip() for user in users}
    return {
        "emqx.conf": emqx.configuration(emqx.Files(*paths), cluster=cluster, cookie=cookie).encode(),
        "users.csv": emqx.users(passwords).encode(),
        "acl.conf": emqx.access_rules(site, users).encode(),
    }
