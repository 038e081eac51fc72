"""What containers read, wherever they run: a site's secrets and its broker's configuration, with paths of theirs."""

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
"""The broker's name among the containers, whichever broker it is."""
IGNORE_ALL: Final = "*\n"
"""What git ignores in a site's folder; by this it is known again."""
MOUNT: Final = PurePosixPath("/run/gridfleet")
"""Where a container finds what is its own."""
PORT: Final = 8883
WEBSOCKET_PORT: Final = 9443
STORE: Final = Path("/mosquitto/data")


def site_secrets(
    folder: Path,
    fleet: "Fleet",
    further: "Iterable[Identity]" = (),
    *,
    processes: int,
    hosts: Collection[str] = (),
) -> "tuple[str, SecretsFolder, list[Identity]]":
    """Make the secrets that a folder lacks; return what was done, where they lie, and who may log in.

    `processes` is how many may carry the fleet. The broker's certificate is made once, and anew only for further
    names of its own (`hosts`). Raises CommandError for a folder that holds something else: who reads it changes.
    """
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.provisioning.site.secrets import identities, make_secrets
    from gridfleet.provisioning.site.user_registry import with_enrolled

    ignored = folder / ".gitignore"
    is_ours = ignored.is_file() and ignored.read_text(encoding="utf-8", errors="replace") == IGNORE_ALL
    if folder.is_dir() and any(folder.iterdir()) and not is_ours:
        raise CommandError(folder, "is not empty and holds no site of GridFleet: name another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    ignored.write_text(IGNORE_ALL, encoding="ascii")
    own = SecretsFolder(folder / "secrets")
    users = with_enrolled(own, [*identities(fleet, processes=processes), *further])
    names = {BROKER, *hosts} if hosts or not own.certificate.is_file() else set()
    return make_secrets(own.path, fleet.scenario.site, users, host_names=sorted(names)), own, users


def passwords_of_fleet(own: "SecretsFolder", fleet: "Fleet", processes: int) -> dict[str, bytes]:
    """Return what the processes of a fleet log in with, by file name: its devices' passwords, and their own."""
    from gridfleet.devices.runtime.fleet_process import fleet_process_id

    names = [*fleet.ids, *map(fleet_process_id, range(1, processes + 1))]
    return {own.password_of(name).name: own.password_of(name).read_bytes() for name in names}


def token(path: Path) -> str:
    """Return the secret word of a file; make both where they are missing."""
    if not path.is_file():
        write_secret(path, randomness.token_urlsafe(32).encode())
    return path.read_text(encoding="ascii").strip()


def mosquitto_conf(*, websockets: bool) -> bytes:
    """Return the configuration of a Mosquitto 2.0 whose files lie in the mount."""
    from gridfleet.broker.brokers.mosquitto.config import Access, Listener, Tls, configuration

    mount = Path(MOUNT)
    tls = Tls(mount / "server.crt", mount / "server.key", mount / "ca.crt")
    listeners = [Listener(PORT, "", tls)]
    if websockets:
        listeners.append(Listener(WEBSOCKET_PORT, "", tls, websockets=True))
    return configuration(listeners, Access(mount / "passwords", mount / "acl"), store=STORE).encode()


def emqx_files(
    own: "SecretsFolder", site: str, users: "Sequence[Identity]", *, cluster: Sequence[str] | str, cookie: str
) -> dict[str, bytes]:
    """Return configuration, users and rights for EMQX nodes whose files lie in the mount."""
    from gridfleet.broker.brokers import emqx

    at = [MOUNT / name for name in ("server.crt", "server.key", "ca.crt", "users.csv", "acl.conf")]
    passwords = {user.name: own.password_of(user.name).read_text(encoding="ascii").strip() for user in users}
    return {
        "emqx.conf": emqx.configuration(emqx.Files(*at), cluster=cluster, cookie=cookie).encode(),
        "users.csv": emqx.users(passwords).encode(),
        "acl.conf": emqx.acl(site, users).encode(),
    }
