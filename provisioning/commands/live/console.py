"""`gridfleet console`: serves the live console for any broker; `gridfleet run` serves it for its own."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.broker_options import DEFAULT_BROKER, DEFAULT_SITE, add_run, add_site
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_message

HELP: Final = "serve the live console of a running site, for browsers"
DESCRIPTION: Final = (
    "Serve the console's page until Ctrl-C. The page connects to the broker by MQTT over WebSocket. Where the\n"
    "broker requires a login, the page asks for name and password, and the broker's access rules decide who may\n"
    "change settings. `gridfleet run` serves the console by itself."
)
EXAMPLES: Final = (
    "gridfleet console",
    "gridfleet console --broker mqtt://broker.example:1883",
    "gridfleet console --broker mqtts://broker.example --secrets secrets",
    "gridfleet console --broker-ws wss://broker.example:9443 --site germany --login --port 8080",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `console`."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--broker-ws",
        metavar="URL",
        help="the broker's WebSocket listener, ws://… or wss://…, as browsers reach it",
    )
    where.add_argument(
        "--broker",
        metavar="URL",
        help="a broker without a WebSocket listener, mqtt://… or mqtts://…: this server relays the bytes "
        f"(default: that of the run in progress in out/latest, else {DEFAULT_BROKER})",
    )
    add_run(where)
    add_site(parser)
    parser.add_argument(
        "--secrets",
        metavar="DIR",
        help="with --broker mqtts://…: trust the authority DIR/ca.crt, made by `gridfleet site init DIR`",
    )
    parser.add_argument(
        "--login",
        action="store_true",
        help="ask for name and password at once, not only when the broker rejects a login",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="address to listen on (default: 127.0.0.1, this machine)",
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, 65_535),
        default=0,
        metavar="P",
        help="port to listen on (default: a free one)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM."""
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.dashboards.console.http_server import LOOPBACK
    from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.clients.running_site import running_site

    if arguments.secrets is not None and not (arguments.broker or "").startswith("mqtts://"):
        raise CommandError(
            "--secrets",
            "needs --broker mqtts://…; with --broker-ws the browser decides which certificates it trusts",
        )
    if arguments.broker_ws is None:
        broker, site = running_site(arguments)
    else:
        broker, site = arguments.broker_ws, arguments.site or DEFAULT_SITE
    tls = FileCredentials(arguments.secrets).tls if arguments.secrets is not None else None
    login = arguments.login or tls is not None
    config = ConsoleConfig(broker, site, "login" if login else "open", tls)
    if login and arguments.host not in LOOPBACK:
        print_message(
            "gridfleet console: the page is served by plain HTTP: passwords entered there can be read on the network.\n"
            "Serve it on this machine only, or put a web server with TLS in front of it."
        )
    with (
        Interruption() as interruption,
        ConsoleServer(config, host=arguments.host, port=arguments.port) as server,
    ):
        print(f"Console   {server.url} (Ctrl-C to stop)", flush=True)
        interruption.wait()
    return ExitCode.SUCCESS
