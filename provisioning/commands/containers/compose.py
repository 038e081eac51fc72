"""`gridfleet compose`: the folder that docker-compose.yml mounts: secrets, configurations, the scenario, data."""

import argparse
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.arguments import add_scenario, add_set
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.deploy.site_files import (
    BROKER,
    MOUNT,
    PORT,
    emqx_files,
    fleet_passwords,
    mosquitto_conf,
    read_or_make_token,
    site_secrets,
)
from gridfleet.provisioning.site.secret_files import write_secret

if TYPE_CHECKING:
    from gridfleet.broker.access_control import Identity
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.devices.runtime.fleet import Fleet

HELP: Final = "prepare all that `docker compose up` needs"
DESCRIPTION: Final = (
    "Make the folder that docker-compose.yml mounts: secrets, the brokers' configurations, the scenario, tokens,\n"
    "and places for data; and the file .env beside it, which says whom the containers run as: you, or 10001 when\n"
    "you are root. Called again, it adds what is missing and brings the rest up to date; no secret changes."
)
EXAMPLES: Final = (
    "gridfleet compose",
    "gridfleet compose storm --set vehicles.count=60 --host broker.example",
)
NODES: Final = ("emqx-1", "emqx-2")
SINGLE: Final = ("single-turbine", "single-charger")
"""Devices that are processes of their own, besides those of the scenario."""
FLEETS: Final = 16
"""How many processes may share the fleet, each hearing the tick once for all its devices; more may, at a cost."""
TOKENS: Final = ("influxdb-token", "influxdb-password", "grafana-password")
DATA: Final = ("mosquitto", *NODES, "recorder", "influxdb", "grafana")
NO_LOGIN: Final = 10_001
"""Whom the containers run as when root prepares them; the image's own user."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `compose`."""
    add_scenario(
        parser, nargs="?", default="normal", help="a shipped scenario or your own TOML file (default: normal)"
    )
    add_set(parser)
    parser.add_argument(
        "--folder", default="containers", metavar="DIR", help="the folder (default: containers)"
    )
    parser.add_argument(
        "--host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further names and addresses under which clients outside reach the broker",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Prepare; say what was made, and never a secret."""
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet

    folder = Path(arguments.folder)
    fleet = Fleet(load(arguments.scenario, arguments.changes))
    try:
        print(prepare(folder, fleet, arguments.host))
    except OSError as error:
        raise CommandError(error.filename or folder, f"cannot be used ({error_reason(error)})") from None
    print("Next      docker compose --profile fleet --profile observe up --build")
    return ExitCode.SUCCESS


def prepare(folder: Path, fleet: "Fleet", hosts: Collection[str] = ()) -> str:
    """Make the folder or bring it up to date; return what to say of it."""
    from gridfleet.provisioning.runs.scenario_bundle import scenario_bundle

    said, secrets, users = site_secrets(folder, fleet, singles(fleet), processes=FLEETS, hosts=hosts)
    site = fleet.scenario.site
    scenario = _made(folder / "site")
    for name, content in scenario_bundle(fleet.scenario).items():
        (scenario / name).write_bytes(content)
    _own_secrets(secrets, _made(folder / "fleet"), fleet_passwords(secrets, fleet, FLEETS))
    for name in TOKENS:
        read_or_make_token(folder / name)
    (folder / "mosquitto.conf").write_bytes(mosquitto_conf(websockets=True))
    cluster = [f"emqx@{node}.gridfleet" for node in NODES]
    cookie = read_or_make_token(folder / "emqx-cookie")
    for name, content in emqx_files(secrets, site, users, cluster=cluster, cookie=cookie).items():
        write_secret(_made(folder / "emqx") / name, content)
    _device_files(_made(folder / "devices"), fleet)
    _made(folder / "tokens")  # filled by `gridfleet influx setup`, in a container
    for name in DATA:
        _made(folder / "data" / name)
    owner = _owner(folder)
    _environment(folder.parent / ".env", {"GRIDFLEET_UID": owner[0], "GRIDFLEET_GID": owner[1]})
    return f"{said}\nPrepared  {folder}/ and {folder.parent / '.env'}"


def singles(fleet: "Fleet") -> "list[Identity]":
    """Return who the single devices are: a turbine and a charging station of the first cell."""
    from gridfleet.broker.access_control import Identity
    from gridfleet.broker.protocol.messages import Kind

    cell = fleet.cells[0]
    return [
        Identity(name, kind, cell.name, cell.neighbours)
        for name, kind in zip(SINGLE, (Kind.TURBINE, Kind.CHARGER), strict=True)
    ]


def _made(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _own_secrets(secrets: "SecretsFolder", target: Path, passwords: dict[str, bytes]) -> None:
    """Give a process the passwords that are its own and nobody else's."""
    from gridfleet.broker.credentials import SecretsFolder

    own = SecretsFolder(target)
    for old in _made(own.clients).iterdir():
        if old.name not in passwords:
            old.unlink()
    for name, content in passwords.items():
        write_secret(own.clients / name, content)
    own.authority.write_bytes(secrets.authority.read_bytes())


def _device_files(directory: Path, fleet: "Fleet") -> None:
    """Write a file for each single device, unless there is one: it is yours to change."""
    from gridfleet.provisioning.runs.toml_text import toml_text

    cell = fleet.cells[0]
    south, north, west, east = cell.area
    for who in singles(fleet):
        path = directory / f"{who.name}.toml"
        if path.exists():
            continue
        document = {
            "id": who.name,
            "kind": str(who.role),
            "site": fleet.scenario.site,
            "cell": cell.name,
            "neighbours": list(cell.neighbours),
            "place": [round((south + north) / 2, 6), round((west + east) / 2, 6)],
            "backend": "synthetic",
            **({"reactor": next(iter(fleet.ids))} if fleet.scenario.reactors.count else {}),
            "broker": {"url": f"mqtts://{BROKER}:{PORT}", "credentials": str(MOUNT)},
        }
        path.write_text(toml_text(document), encoding="utf-8")


def _owner(folder: Path) -> tuple[int, int]:
    """Return whom the containers run as; give them the folder where root has made it."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NO_LOGIN, NO_LOGIN, follow_symlinks=False)
    return NO_LOGIN, NO_LOGIN


def _environment(path: Path, values: dict[str, object]) -> None:
    """Set variables in the file that docker compose reads, and leave others as they are."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in values]
    text = "\n".join([*kept, *(f"{name}={value}" for name, value in values.items())])
    path.write_text(text + "\n", encoding="utf-8")
