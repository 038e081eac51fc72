"""`gridfleet broker`: a broker for a site until Ctrl-C: Mosquitto where it is installed, rumqttd otherwise."""

import argparse
import signal
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Final, Self

from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.broker_options import LOOPBACK
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

HELP: Final = "run a broker for a site until Ctrl-C"
DESCRIPTION: Final = (
    "Start Mosquitto where it is installed, else the rumqttd that comes with GridFleet, and say which it is.\n"
    "With --secrets it speaks TLS, knows every device and lets each do what its kind may do; without, it listens\n"
    "on this machine alone and lets anybody do anything. SIGHUP makes it take over changed secrets."
)
EXAMPLES: Final = (
    "gridfleet broker",
    "gridfleet broker --secrets secrets --host 0.0.0.0 --ws-port 9443 --store broker-data",
    "gridfleet broker --port 1884 --bridge mqtt://127.0.0.1:1883",
)
PORT: Final = 1883
TLS_PORT: Final = 8883
MAX_PORT: Final = 65_535
LACKS: Final = (
    "rumqttd lacks TLS, users and access rights, and forgets retained messages when it ends.\n"
    "It is good for one machine; for a fleet: sudo apt-get install mosquitto"
)
_POLL_S: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `broker`."""
    parser.add_argument("--secrets", metavar="DIR", help="what `gridfleet secrets DIR` made")
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
        help="WebSocket port, for browsers (default: none)",
    )
    parser.add_argument(
        "--store", metavar="DIR", help="where retained messages and sessions outlive the broker"
    )
    parser.add_argument(
        "--certificates", action="store_true", help="let clients log in by certificate instead of password"
    )
    parser.add_argument(
        "--bridge",
        metavar="URL",
        help="share everything with another broker, both ways; one of the two says so. With --secrets, both have them "
        "from the same folder, made with --bridged",
    )
    parser.add_argument(
        "--engine", choices=("mosquitto", "rumqttd"), help="which broker (default: the first that is there)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run a broker until a signal ends it."""
    from gridfleet.broker.brokers.mosquitto.server import INSTALL, find_mosquitto

    engine = arguments.engine or ("mosquitto" if find_mosquitto() else "rumqttd")
    if engine == "mosquitto":
        return _mosquitto(arguments)
    needs = {"--secrets": arguments.secrets, "--store": arguments.store, "--host": arguments.host}
    needs["--bridge"] = arguments.bridge
    for option, value in needs.items():
        if value is not None:
            raise CommandError(option, f"needs Mosquitto: {INSTALL}")
    return _rumqttd(arguments)


def _mosquitto(arguments: argparse.Namespace) -> int:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
    from gridfleet.broker.credentials import REMEDY, SecretsFolder
    from gridfleet.provisioning.site.folder_users import FolderUser

    secrets = Path(arguments.secrets) if arguments.secrets is not None else None
    for option, value in (("--host", arguments.host), ("--certificates", arguments.certificates or None)):
        if secrets is None and value is not None:
            raise CommandError(option, "needs --secrets: without, the broker is for this machine alone")
    if secrets is not None and not SecretsFolder(secrets).acl.is_file():
        raise CommandError(f"--secrets {secrets}", f"holds no secrets: {REMEDY}")
    bridge = BrokerAddress.parse(arguments.bridge) if arguments.bridge is not None else None
    if bridge is not None and secrets is not None and not bridge.tls and bridge.host not in LOOPBACK:
        raise CommandError("--bridge", f"{bridge} is not encrypted: name its mqtts:// address")
    if bridge is not None and secrets is None and bridge.tls:
        raise CommandError("--bridge", f"{bridge} asks for secrets: name them with --secrets")
    port = arguments.port if arguments.port is not None else TLS_PORT if secrets else PORT
    ports = Ports(
        tls=port if secrets else None, plain=None if secrets else port, websockets=arguments.ws_port
    )
    store = Path(arguments.store) if arguments.store is not None else None
    if store is not None:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        _Signals() as signals,
        FolderUser(SecretsFolder(secrets).brokers) if secrets is not None else nullcontext(),
        MosquittoBroker(
            secrets,
            ports,
            host=arguments.host or "127.0.0.1",
            store=store,
            identify=arguments.certificates,
            log=2,
            bridge=bridge,
        ) as broker,
    ):
        print(f"Broker    {broker.url} (Mosquitto)", flush=True)
        if bridge is not None:
            print(f"Bridge    {bridge}", flush=True)
        if broker.ports.websockets is not None:
            print(f"WebSocket port {broker.ports.websockets}", flush=True)
        return signals.wait(lambda: broker.ended, broker.reload)


def _rumqttd(arguments: argparse.Namespace) -> int:
    from gridfleet.broker.brokers.embedded import EmbeddedBroker

    port = arguments.port if arguments.port is not None else PORT
    with _Signals() as signals, EmbeddedBroker(port, ws_port=arguments.ws_port) as broker:
        print(f"Broker    {broker.url} (rumqttd)\n{LACKS}", flush=True)
        return signals.wait(lambda: False, lambda: None)


class _Signals:
    """Context manager: hears Ctrl-C, SIGTERM and SIGHUP, from before the broker starts until after it ends."""

    def __init__(self) -> None:
        self._came: deque[int] = deque()
        self._news = Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[each] = signal.signal(each, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def wait(self, ended: Callable[[], bool], reload: Callable[[], None]) -> int:
        """Wait for the end, reloading on SIGHUP; return the exit code, raise CommandError if nobody asked for it."""
        while not ended():
            self._news.wait(_POLL_S)
            self._news.clear()
            while self._came:
                if self._came.popleft() != signal.SIGHUP:
                    return ExitCode.SUCCESS
                reload()
        raise CommandError("the broker", "has ended by itself; its last words are above")

    def _note(self, number: int, _frame: object) -> None:
        self._came.append(number)
        self._news.set()
