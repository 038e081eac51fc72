"""`gridfleet run`: runs a scenario over a real MQTT broker, from its first tick to its report."""

import argparse
import sys
import time
from contextlib import ExitStack
from typing import Final

from gridfleet.provisioning.cli.arguments import (
    add_changes,
    add_liars,
    add_output,
    add_recording,
    add_scenario,
)
from gridfleet.provisioning.cli.broker_options import (
    REPEATED,
    SCHEMES,
    BrokerUrls,
    add_access,
    add_secrets,
    broker_address,
    credentials_for,
)
from gridfleet.provisioning.cli.clock_options import add_clock_options, clock_options
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.influx_options import add_influx, influx_target
from gridfleet.provisioning.cli.progress import Progress, ProgressCallback

HELP: Final = "run a scenario over a real MQTT broker"
DESCRIPTION: Final = (
    "Start the embedded broker, a fleet in which each device has its own connection, and the recorder; write the\n"
    "report at the end. In lock-step, each tick ends as soon as all devices are ready, and the ledger is the same\n"
    "as in the simulation."
)
EXAMPLES: Final = (
    "gridfleet run",
    "gridfleet run storm --ticks 80",
    "gridfleet run normal --ticks 20 --seconds-per-tick 0.5",
    "gridfleet run normal --console --seconds-per-tick 2",
    "gridfleet run normal --broker mqtt://user:password@broker.example:1883",
    "gridfleet run normal --broker mqtts://broker.example --secrets secrets",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `run`."""
    add_scenario(
        parser, nargs="?", default="normal", help="a shipped scenario or your own TOML file (default: normal)"
    )
    add_changes(parser)
    parser.add_argument(
        "--broker",
        metavar="URL",
        action=BrokerUrls,
        help=f"use this broker, {SCHEMES} (default: start one){REPEATED}",
    )
    add_secrets(parser)
    add_access(parser)
    parser.add_argument(
        "--home-assistant",
        action="store_true",
        help="publish Home Assistant discovery messages for every device",
    )
    add_clock_options(parser)
    parser.add_argument(
        "--console",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="serve the live console for browsers (default: if the output is a terminal)",
    )
    parser.add_argument(
        "--broker-ws",
        metavar="URL",
        help="with --broker and --console: the broker's WebSocket listener, which browsers connect to",
    )
    add_liars(parser)
    add_output(parser, "out/SCENARIO-TIME")
    add_recording(parser)
    add_influx(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the scenario; write the results and print the key figures."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.brokers.embedded import EmbeddedBroker
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.protocol.messages import Mode
    from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
    from gridfleet.dashboards.telemetry.influx.exporter import InfluxExporter
    from gridfleet.devices.runtime.site import SiteRun
    from gridfleet.provisioning.cli.scenario_options import fleet_from_arguments
    from gridfleet.provisioning.cli.terminal import print_message
    from gridfleet.provisioning.commands.live.console import print_console_address
    from gridfleet.provisioning.runs.lifecycle import finish_recording, finish_run, run_with_progress
    from gridfleet.provisioning.runs.live_run import LiveRunFile
    from gridfleet.provisioning.runs.lowest_price import LowestPrice
    from gridfleet.provisioning.runs.results import open_recording
    from gridfleet.provisioning.runs.run_folder import claim_run_folder
    from gridfleet.provisioning.site.register_file import signed_entries

    mode, seconds_per_tick = clock_options(arguments.mode, arguments.seconds_per_tick)
    console = console_wanted(arguments.console, arguments.broker, arguments.broker_ws)
    address = broker_address(arguments) if arguments.broker is not None else None
    credentials = credentials_for(arguments.secrets, address)
    fleet = fleet_from_arguments(arguments)
    scenario = fleet.scenario
    target = influx_target(arguments)
    price = LowestPrice()
    began_s = time.monotonic()
    with ExitStack() as stack:
        folder = stack.enter_context(claim_run_folder(arguments.out, scenario.name, force=arguments.force))
        exact, embedded = mode == Mode.LOCKSTEP, None
        if address is None:
            embedded = stack.enter_context(EmbeddedBroker())
            address = BrokerAddress.parse(embedded.url)
        if console:
            tls = credentials.tls if isinstance(credentials, FileCredentials) else None
            config = ConsoleConfig(
                arguments.broker_ws or address, scenario.site, "open" if tls is None else "login", tls
            )
            server = stack.enter_context(ConsoleServer(config))
            print_console_address(server.url, embedded, lockstep=exact)
        exporter = (
            None
            if target is None
            else stack.enter_context(InfluxExporter(folder.path, target, print_message))
        )
        recorded = stack.enter_context(
            open_recording(
                scenario,
                folder.path,
                arguments.trace,
                force=arguments.force,
                exact=exact,
                sink=None if exporter is None else exporter.add,
                wall_ms=lambda: time.time_ns() // 1_000_000,
            )
        )
        live = LiveRunFile(folder.path, address, scenario.site, login=arguments.secrets is not None)
        stack.enter_context(live)
        site = SiteRun(
            fleet,
            address,
            mode=Mode(mode),
            seconds_per_tick=seconds_per_tick,
            receivers=(recorded.receive, price.receive),
            judge=recorded.judgements,
            credentials=credentials,
            discoverable=arguments.home_assistant,
            on_gap=recorded.note_gap,
            signed=signed_entries(arguments.secrets, fleet, print_message),
        )

        def run(progress: ProgressCallback) -> None:
            clock = site.clock
            site.run(
                lambda _site: progress(Progress(clock.tick, clock.ticks, clock.simulated_ms, price.ueur))
            )

        try:
            interrupted = run_with_progress(run, scenario.name, folder)
        finally:
            finish_recording(recorded, folder)
    return finish_run(
        folder.path,
        interrupted=interrupted,
        report=arguments.report,
        png=arguments.png,
        took=("run", time.monotonic() - began_s),
    )


def console_wanted(option: bool | None, broker: str | None, broker_ws: str | None) -> bool:  # noqa: FBT001 - as given
    """Return whether to serve the console; raise CommandError for --broker-ws without --broker."""
    if broker_ws is not None and broker is None:
        raise CommandError("--broker-ws", "needs --broker: the console finds the run's own broker by itself")
    return sys.stdout.isatty() if option is None else option
