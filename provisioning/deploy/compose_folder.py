"""The folder that docker-compose.yml mounts: secrets, configuration, scenario, tokens and data directories."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

import tomli_w

from gridfleet.broker.access_control import Identity
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.kinds.charger import CHARGER
from gridfleet.devices.kinds.turbine import TURBINE
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.deploy.site_files import (
    BROKER,
    IMAGE_USER,
    MOUNT,
    PORT,
    emqx_files,
    fleet_passwords,
    mosquitto_conf,
    read_or_make_token,
    site_secrets,
)
from gridfleet.provisioning.runs.scenario_bundle import scenario_bundle
from gridfleet.provisioning.site.secret_files import write_secret

NODES: Final = ("emqx-1", "emqx-2")
SINGLE_DEVICES: Final = {"single-turbine": TURBINE, "single-charger": CHARGER}
"""Devices that run in a separate process each, in addition to those of the scenario."""
FLEET_PROCESSES: Final = 16
"""Fleet processes with credentials of their own, which receive the tick once for all their devices."""
TOKENS: Final = ("influxdb-token", "influxdb-password", "grafana-password")
DATA: Final = ("mosquitto", *NODES, "recorder", "influxdb", "grafana")


def prepare_folder(folder: Path, fleet: Fleet, hosts: Collection[str] = ()) -> str:
    """Create or update the folder that docker-compose.yml mounts; return what was done, as text.

    `hosts` are further names and addresses of the broker. Raises OSError for a folder that cannot be written.
    """
    done, secrets, users = site_secrets(
        folder, fleet, single_devices(fleet), processes=FLEET_PROCESSES, hosts=hosts
    )
    site = fleet.scenario.site
    scenario = _created(folder / "site")
    for name, content in scenario_bundle(fleet.scenario).items():
        (scenario / name).write_bytes(content)
    _own_secrets(secrets, _created(folder / "fleet"), fleet_passwords(secrets, fleet, FLEET_PROCESSES))
    for name in TOKENS:
        read_or_make_token(folder / name)
    (folder / "mosquitto.conf").write_bytes(mosquitto_conf(len(users), websockets=True))
    cluster = [f"emqx@{node}.gridfleet" for node in NODES]
    cookie = read_or_make_token(folder / "emqx-cookie")
    for name, content in emqx_files(secrets, site, users, cluster=cluster, cookie=cookie).items():
        write_secret(_created(folder / "emqx") / name, content)
    _device_files(_created(folder / "devices"), fleet)
    _created(folder / "tokens")  # filled by `gridfleet influx setup`, in a container
    for name in DATA:
        _created(folder / "data" / name)
    owner = _owner(folder)
    _environment(folder.parent / ".env", {"GRIDFLEET_UID": owner[0], "GRIDFLEET_GID": owner[1]})
    return f"{done}\nPrepared  {folder}/ and {folder.parent / '.env'}"


def single_devices(fleet: Fleet) -> list[Identity]:
    """Return the users of the single devices: a turbine and a charger in the first cell."""
    cell = fleet.cells[0]
    return [
        Identity(name, agent_type.role, cell.name, cell.neighbours)
        for name, agent_type in SINGLE_DEVICES.items()
    ]


def _created(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _own_secrets(secrets: SecretsFolder, target: Path, passwords: dict[str, bytes]) -> None:
    """Write a process's own passwords to its folder, and delete all others there."""
    own = SecretsFolder(target)
    for old in _created(own.clients).iterdir():
        if old.name not in passwords:
            old.unlink()
    for name, content in passwords.items():
        write_secret(own.clients / name, content)
    own.authority.write_bytes(secrets.authority.read_bytes())


def _device_files(directory: Path, fleet: Fleet) -> None:
    """Write a device file for each single device; keep existing ones, which the user may have changed."""
    cell = fleet.cells[0]
    south, north, west, east = cell.area
    supply = next((name for name in fleet.ids if fleet.role_of(name) is Role.GRID_SUPPLY), None)
    for who in single_devices(fleet):
        path = directory / f"{who.name}.toml"
        if path.exists():
            continue
        document = {
            "id": who.name,
            "kind": SINGLE_DEVICES[who.name].name,
            "site": fleet.scenario.site,
            "cell": cell.name,
            "neighbours": list(cell.neighbours),
            "place": [round((south + north) / 2, 6), round((west + east) / 2, 6)],
            "backend": "synthetic",
            **({"reactor": supply} if supply is not None else {}),
            "broker": {"url": f"mqtts://{BROKER}:{PORT}", "credentials": str(MOUNT)},
        }
        path.write_text(tomli_w.dumps(document), encoding="utf-8")


def _owner(folder: Path) -> tuple[int, int]:
    """Return user and group id of the containers: those of the caller; root gives the folder to the image's user."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, IMAGE_USER, IMAGE_USER, follow_symlinks=False)
    return IMAGE_USER, IMAGE_USER


def _environment(path: Path, values: dict[str, object]) -> None:
    """Set variables in the file that docker compose reads; keep all others."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in values]
    text = "\n".join([*kept, *(f"{name}={value}" for name, value in values.items())])
    path.write_text(text + "\n", encoding="utf-8")
