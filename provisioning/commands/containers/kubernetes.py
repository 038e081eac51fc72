"""`gridfleet deploy kubernetes`: writes a site as Kubernetes objects, ready for `kubectl apply`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.arguments import add_scenario, add_set, whole_number
from gridfleet.provisioning.cli.clock_options import seconds
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.deploy.kubernetes.broker import HEADLESS
from gridfleet.provisioning.deploy.kubernetes.site import TOKEN, KubernetesSite
from gridfleet.provisioning.deploy.site_files import (
    emqx_files,
    fleet_passwords,
    mosquitto_conf,
    part_files,
    read_or_make_token,
    site_secrets,
)
from gridfleet.provisioning.site.secret_files import write_secret

if TYPE_CHECKING:
    from gridfleet.broker.access_control import Identity
    from gridfleet.broker.credentials import SecretsFolder

HELP: Final = "write a site as Kubernetes objects"
DESCRIPTION: Final = (
    "Write 00-namespace.yaml, secrets.yaml, which only you can read, and gridfleet.yaml: a broker (EMQX with\n"
    "--nodes, otherwise one Mosquitto), the clock, and the fleet in parts: whole cells where there are enough\n"
    "cells. Called again, it keeps all secrets and updates the rest. Needs Kubernetes 1.31 or later."
)
EXAMPLES: Final = (
    "gridfleet deploy kubernetes normal",
    "gridfleet deploy kubernetes normal --set area.rows=3 area.columns=3 --nodes 3 --parts 3",
)
MAX_PARTS: Final = 1_000
MAX_NODES: Final = 7
MAX_OBJECT_BYTES: Final = 1_048_576
"""The maximum size of a Secret or ConfigMap in bytes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `deploy kubernetes`."""
    add_scenario(parser)
    add_set(parser)
    parser.add_argument(
        "--folder", default="kubernetes", metavar="DIR", help="where to write (default: kubernetes)"
    )
    parser.add_argument(
        "--image", metavar="NAME", help="the container image (default: gridfleet and this version)"
    )
    parser.add_argument(
        "--parts",
        type=whole_number(1, MAX_PARTS),
        metavar="N",
        help="number of fleet processes (default: one per cell)",
    )
    parser.add_argument(
        "--nodes",
        type=whole_number(0, MAX_NODES),
        default=0,
        metavar="N",
        help="number of EMQX nodes (default: 0, one Mosquitto)",
    )
    parser.add_argument(
        "--seconds-per-tick",
        type=seconds,
        default=2.0,
        metavar="X",
        help="duration of a tick in seconds (default: 2)",
    )
    parser.add_argument(
        "--influx", metavar="URL", help="write telemetry to this InfluxDB 2 server (default: none)"
    )
    parser.add_argument("--token-file", metavar="FILE", help="with --influx: file with the token")
    parser.add_argument(
        "--namespace", default="gridfleet", metavar="S", help="the namespace (default: gridfleet)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the files."""
    from gridfleet.devices.config.scenario import load
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.devices.runtime.partitioning import part_of
    from gridfleet.provisioning.cli.version import product_version
    from gridfleet.provisioning.runs.scenario_bundle import scenario_bundle

    folder = Path(arguments.folder)
    fleet = Fleet(load(arguments.scenario, arguments.changes))
    parts = arguments.parts or len(fleet.cells)
    if parts > len(fleet.ids) or not all(part_of(fleet, number, parts) for number in range(1, parts + 1)):
        raise CommandError(
            f"--parts {parts}",
            f"some processes would have none of the {len(fleet.ids)} devices: use fewer parts",
        )
    if (arguments.influx is None) != (arguments.token_file is None):
        raise CommandError(
            "--influx and --token-file", "need each other: the server's address, and the file with its token"
        )
    try:
        token_file = {TOKEN: Path(arguments.token_file).read_bytes()} if arguments.token_file else {}
        done, own, users = site_secrets(folder, fleet, processes=parts)
        site = KubernetesSite(
            namespace=arguments.namespace,
            image=arguments.image or f"gridfleet:{product_version()}",
            parts=parts,
            nodes=arguments.nodes,
            seconds_per_tick=arguments.seconds_per_tick,
            scenario=scenario_bundle(fleet.scenario),
            authority=own.authority.read_bytes(),
            broker=_broker(folder, own, fleet.scenario.site, users, arguments),
            clock={
                "clock.password": own.password_of("clock").read_bytes(),
                own.register.name: own.register.read_bytes(),
            },
            devices=fleet_passwords(own, fleet, parts),
            part_files=part_files(own, fleet, parts),
            recorder={"recorder.password": own.password_of("recorder").read_bytes(), **token_file},
            influx=arguments.influx or "",
        )
        check_sizes(site)
        _write(folder, site)
    except OSError as error:
        problem = f"cannot be used ({error_reason(error)}): name a folder that can be written to"
        raise CommandError(error.filename or folder, problem) from None
    broker = f"{arguments.nodes} EMQX nodes" if arguments.nodes else "Mosquitto"
    print(done)
    print(
        f"Written   {folder}/: {broker}, clock, fleet of {len(fleet.ids)} devices in {parts} part{'s' * (parts > 1)}"
    )
    print(f"Next      kubectl apply --server-side -f {folder}/")
    return ExitCode.SUCCESS


def check_sizes(site: KubernetesSite) -> None:
    """Raise CommandError for files that do not fit into one object."""
    for what, files, remedy in (
        ("the scenario with its weather files", site.scenario, "use fewer or shorter weather files"),
        ("the passwords of all devices", site.devices, "split the devices into several sites"),
        (
            "the broker's users and access rules",
            site.broker,
            "use EMQX (--nodes), whose access rules are shorter",
        ),
    ):
        size = sum(map(len, files.values()))
        if size > MAX_OBJECT_BYTES:
            raise CommandError(
                what, f"are {size} bytes, but one object holds at most {MAX_OBJECT_BYTES}: {remedy}"
            )


def _broker(
    folder: Path, own: "SecretsFolder", site: str, users: "list[Identity]", arguments: argparse.Namespace
) -> dict[str, bytes]:
    """Return the broker's files by name."""
    files = {
        "server.crt": own.certificate.read_bytes(),
        "server.key": own.key.read_bytes(),
        "ca.crt": own.authority.read_bytes(),
    }
    if arguments.nodes:
        cluster = f"{HEADLESS}.{arguments.namespace}.svc.cluster.local"
        return files | emqx_files(
            own, site, users, cluster=cluster, cookie=read_or_make_token(folder / "emqx-cookie")
        )
    return files | {
        "mosquitto.conf": mosquitto_conf(len(users), websockets=False),
        "passwords": own.passwords.read_bytes(),
        "acl": own.acl.read_bytes(),
    }


def _write(folder: Path, site: KubernetesSite) -> None:
    from gridfleet.broker.yaml_text import yaml_documents
    from gridfleet.provisioning.deploy.kubernetes.manifests import (
        namespace_object,
        public_objects,
        secret_objects,
    )

    # kubectl applies the files of a folder in the order of their names: the namespace must come first.
    namespace = yaml_documents([namespace_object(site)])
    (folder / "00-namespace.yaml").write_text(namespace, encoding="utf-8")
    write_secret(folder / "secrets.yaml", yaml_documents(secret_objects(site)).encode())
    (folder / "gridfleet.yaml").write_text(yaml_documents(public_objects(site)), encoding="utf-8")
