"""`gridfleet kubernetes`: a site as Kubernetes objects, to be applied as they are."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.arguments import add_scenario, add_set, whole_number
from gridfleet.provisioning.cli.clock_options import seconds
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.deploy.kubernetes.broker import HEADLESS
from gridfleet.provisioning.deploy.kubernetes.manifests import public_objects, secret_objects
from gridfleet.provisioning.deploy.kubernetes.site import TOKEN, KubernetesSite
from gridfleet.provisioning.deploy.site_files import (
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

HELP: Final = "write a site as Kubernetes objects"
DESCRIPTION: Final = (
    "Write secrets.yaml, which only you can read, and gridfleet.yaml: a broker (EMQX with --nodes, else one\n"
    "Mosquitto), the clock, and the fleet in parts, whole cells where there are enough. Called again, it keeps\n"
    "all secrets and brings the rest up to date. Kubernetes 1.31 or later."
)
EXAMPLES: Final = (
    "gridfleet kubernetes normal",
    "gridfleet kubernetes normal --set area.rows=3 area.columns=3 --nodes 3 --parts 3",
)
MAX_PARTS: Final = 1_000
MAX_NODES: Final = 7
MAX_OBJECT_BYTES: Final = 1_048_576
"""What Kubernetes holds in one Secret or ConfigMap, in bytes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `kubernetes`."""
    add_scenario(parser)
    add_set(parser)
    parser.add_argument(
        "--folder", default="kubernetes", metavar="DIR", help="where to write (default: kubernetes)"
    )
    parser.add_argument("--image", metavar="NAME", help="the image (default: gridfleet and this version)")
    parser.add_argument(
        "--parts",
        type=whole_number(1, MAX_PARTS),
        metavar="N",
        help="how many processes share the fleet (default: one for each cell)",
    )
    parser.add_argument(
        "--nodes",
        type=whole_number(0, MAX_NODES),
        default=0,
        metavar="N",
        help="how many EMQX nodes (default: none)",
    )
    parser.add_argument(
        "--seconds-per-tick",
        type=seconds,
        default=2.0,
        metavar="X",
        help="how long a tick takes (default: 2)",
    )
    parser.add_argument(
        "--influx", metavar="URL", help="send telemetry to this InfluxDB 2 server (default: none)"
    )
    parser.add_argument("--token-file", metavar="FILE", help="with --influx: the file with its token")
    parser.add_argument("--namespace", default="gridfleet", metavar="S", help="(default: gridfleet)")


def execute(arguments: argparse.Namespace) -> int:
    """Write the two files."""
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
            f"--parts {parts}", f"some of {parts} processes would have none of the {len(fleet.ids)} devices"
        )
    if (arguments.influx is None) != (arguments.token_file is None):
        raise CommandError(
            "--influx and --token-file", "go together: where the server is, and how to log in there"
        )
    try:
        token_file = {TOKEN: Path(arguments.token_file).read_bytes()} if arguments.token_file else {}
        said, own, users = site_secrets(folder, fleet, processes=parts)
        site = KubernetesSite(
            namespace=arguments.namespace,
            image=arguments.image or f"gridfleet:{product_version()}",
            parts=parts,
            nodes=arguments.nodes,
            seconds_per_tick=arguments.seconds_per_tick,
            scenario=scenario_bundle(fleet.scenario),
            authority=own.authority.read_bytes(),
            broker=_broker(folder, own, fleet.scenario.site, users, arguments),
            clock={"clock.password": own.password_of("clock").read_bytes()},
            devices=fleet_passwords(own, fleet, parts),
            recorder={"recorder.password": own.password_of("recorder").read_bytes(), **token_file},
            influx=arguments.influx or "",
        )
        check_sizes(site)
        _write(folder, site)
    except OSError as error:
        raise CommandError(error.filename or folder, f"cannot be used ({error_reason(error)})") from None
    broker = f"{arguments.nodes} EMQX nodes" if arguments.nodes else "Mosquitto"
    print(said)
    print(
        f"Written   {folder}/: {broker}, clock, fleet of {len(fleet.ids)} devices in {parts} part{'s' * (parts > 1)}"
    )
    print(f"Next      kubectl apply --server-side -f {folder}/")
    return ExitCode.SUCCESS


def check_sizes(site: KubernetesSite) -> None:
    """Raise CommandError for what does not fit into one object."""
    for what, files in (
        ("the scenario with its weather files", site.scenario),
        ("the passwords of all devices", site.devices),
        ("the broker's users and rights", site.broker),
    ):
        size = sum(map(len, files.values()))
        if size > MAX_OBJECT_BYTES:
            mend = "divide it into sites, or take --nodes for EMQX, whose rules are shorter"
            raise CommandError(
                what, f"are {size} bytes, and Kubernetes holds {MAX_OBJECT_BYTES} in one object: {mend}"
            )


def _broker(
    folder: Path, own: "SecretsFolder", site: str, users: "list[Identity]", arguments: argparse.Namespace
) -> dict[str, bytes]:
    """Return what the broker reads."""
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
        "mosquitto.conf": mosquitto_conf(websockets=False),
        "passwords": own.passwords.read_bytes(),
        "acl": own.acl.read_bytes(),
    }


def _write(folder: Path, site: KubernetesSite) -> None:
    from gridfleet.broker.yaml_text import yaml_documents

    write_secret(folder / "secrets.yaml", yaml_documents(secret_objects(site)).encode())
    (folder / "gridfleet.yaml").write_text(yaml_documents(public_objects(site)), encoding="utf-8")
