"""`gridfleet site broker`: runs a site's broker until Ctrl-C: Mosquitto where it is installed, otherwise rumqttd."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.broker_options import LOOPBACK
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.interrupt import ReloadSignals

HELP: Final = "run a broker for a site until Ctrl-C"
DESCRIPTION: Final = (
    "Start Mosquitto where it is installed, otherwise the rumqttd that comes with GridFleet, and print which. With\n"
    "--secrets it requires TLS and a login, and enforces the access rules; without, it listens on this machine only\n"
    "and accepts every client. SIGHUP makes it load changed secrets."
)
EXAMPLES: Final = (
    "gridfleet site broker",
    "gridfleet site broker --secrets secrets --host 0.0.0.0 --ws-port 9443 --store broker-data",
    "gridfleet site broker --port 1884 --bridge mqtt://127.0.0.1:1883",
)
EVERY_INTERFACE: Final = ("0.0.0.0", "::", "")  # noqa: S104 - compared only
PORT: Final = 1883
TLS_PORT: Final = 8883
MAX_PORT: Final = 65_535
NO_QUOTA: Final = (
    "Quotas    not at the broker, only at receivers: without a C compiler (sudo apt-get install gcc libc6-dev)\n"
    "          one device can flood it"
)
RUMQTTD_LIMITS: Final = (
    "rumqttd has no TLS, users or access rules, and loses retained messages when it stops.\n"
    "Use it on one machine only; for a network: sudo apt-get install mosquitto"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site broker`."""
    parser.add_argument(
        "--secrets", metavar="DIR", help="the secrets folder, made by `gridfleet site init DIR`"
    )
    parser.add_argument(
        "--host", metavar="ADDRESS", help="address to listen on with --secrets (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, MAX_PORT),
        metavar="N",
        help=f"port, 0 for a free one (default: {TLS_PORT} with --secrets, else {PORT})",
    )
    parser.add_argument(
        "--ws-port",
        type=whole_number(0, MAX_PORT),
        metavar="N",
        help="port for MQTT over WebSocket, for browsers (default: none)",
    )
    parser.add_argument(
        "--store", metavar="DIR", help="folder in which retained messages and sessions survive a restart"
    )
    parser.add_argument(
        "--certificates", action="store_true", help="clients log in by certificate instead of password"
    )
    parser.add_argument(
        "--bridge",
        metavar="URL",
        help="exchange all messages with another broker; give this option to one of the two. With --secrets, both "
        "use the same secrets, made with `gridfleet site init --bridged`",
    )
    parser.add_argument(
        "--engine", choices=("mosquitto", "rumqttd"), help="broker software (default: Mosquitto if installed)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run a broker until a signal stops it."""
    from gridfleet.broker.brokers.mosquitto.server import INSTALL, find_mosquitto

    engine = arguments.engine or ("mosquitto" if find_mosquitto() else "rumqttd")
    if engine == "mosquitto":
        return _mosquitto(arguments)
    for option in ("secrets", "store", "host", "bridge"):
        if getattr(arguments, option) is not None:
            raise CommandError(f"--{option}", f"needs Mosquitto: {INSTALL}")
    return _rumqttd(arguments)


def _mosquitto(arguments: argparse.Namespace) -> int:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
    from gridfleet.broker.credentials import REMEDY, SecretsFolder
    from gridfleet.provisioning.processes.folder_users import FolderUser
    from gridfleet.provisioning.site.user_registry import check_version

    secrets = Path(arguments.secrets) if arguments.secrets is not None else None
    for option, value in (("--host", arguments.host), ("--certificates", arguments.certificates or None)):
        if secrets is None and value is not None:
            raise CommandError(option, "needs --secrets: without, the broker listens on this machine only")
    if secrets is not None:
        if not SecretsFolder(secrets).acl.is_file():
            raise CommandError(f"--secrets {secrets}", f"is not a secrets folder: {REMEDY}")
        check_version(SecretsFolder(secrets))
    bridge = BrokerAddress.parse(arguments.bridge) if arguments.bridge is not None else None
    if bridge is not None and secrets is not None and not bridge.tls and bridge.host not in LOOPBACK:
        raise CommandError("--bridge", f"{bridge} is not encrypted: use its mqtts:// address")
    if bridge is not None and secrets is None and bridge.tls:
        raise CommandError("--bridge", f"{bridge} requires a login: give the secrets folder with --secrets")
    port = arguments.port if arguments.port is not None else TLS_PORT if secrets else PORT
    ports = Ports(
        tls=port if secrets else None, plain=None if secrets else port, websockets=arguments.ws_port
    )
    store = Path(arguments.store) if arguments.store is not None else None
    if store is not None:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        ReloadSignals() as signals,
        FolderUser(None if secrets is None else SecretsFolder(secrets).brokers) as user,
        MosquittoBroker(
            secrets,
            ports,
            host=arguments.host or "127.0.0.1",
            store=store,
            client_certificates=arguments.certificates,
            log=2,
            bridge=bridge,
        ) as broker,
    ):
        user.note(broker.url)
        outer = _outer_addresses(secrets, arguments.host, broker.ports.tls)
        lines = [
            f"Broker    {broker.url} (Mosquitto)",
            *outer,
            *([NO_QUOTA] if secrets is not None and not broker.has_quota else []),
            *([f"Bridge    {bridge}"] if bridge is not None else []),
            *([f"WebSocket port {broker.ports.websockets}"] if broker.ports.websockets is not None else []),
        ]
        print("\n".join(lines), flush=True)
        return _wait(signals, lambda: broker.ended, broker.reload)


def _outer_addresses(secrets: Path | None, host: str | None, port: int | None) -> Iterator[str]:
    """Yield at which addresses other machines reach a broker that listens on every interface, by its certificate."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.credentials import SecretsFolder
    from gridfleet.provisioning.site.certificates import host_names

    if secrets is None or port is None or host not in EVERY_INTERFACE:
        return
    for name in host_names(SecretsFolder(secrets).certificate):
        if name not in LOOPBACK:
            yield f"          {BrokerAddress(name, port, tls=True)} from other machines"
    yield "          These names are in its certificate; for others: gridfleet site init DIR --host NAME"


def _rumqttd(arguments: argparse.Namespace) -> int:
    from gridfleet.broker.brokers.embedded import EmbeddedBroker

    port = arguments.port if arguments.port is not None else PORT
    with ReloadSignals() as signals, EmbeddedBroker(port, ws_port=arguments.ws_port) as broker:
        print(f"Broker    {broker.url} (rumqttd)\n{RUMQTTD_LIMITS}", flush=True)
        return _wait(signals, lambda: False, lambda: None)


def _wait(signals: ReloadSignals, ended: Callable[[], bool], reload: Callable[[], None]) -> int:
    """Reload on SIGHUP until a signal stops the broker; raise CommandError when it has stopped by itself."""
    if not signals.wait(ended, reload):
        raise CommandError("the broker", "has stopped unexpectedly: see its log above")
    return ExitCode.SUCCESS
