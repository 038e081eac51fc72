"""`gridfleet run`: runs a scenario over a real MQTT broker, from its first tick to its report."""

import argparse
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

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
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.influx_options import add_influx, influx_target
from gridfleet.provisioning.cli.progress import Progress, ProgressCallback
from gridfleet.provisioning.runs.live.page_options import add_page_options

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.devices.runtime.site import SiteRun
    from gridfleet.provisioning.runs.live.live_page import LivePage, Watched
    from gridfleet.provisioning.runs.live.lowest_price import LowestPrice

HELP: Final = "run a scenario over a real MQTT broker"
DESCRIPTION: Final = (
    "Start the embedded broker, a fleet in which each device has its own connection, and the recorder; write the\n"
    "report at the end. In lock-step, each tick ends as soon as all devices are ready, and the ledger is the same\n"
    "as in the simulation. On a terminal the live page comes first: the run waits until somebody opens it, 15 s at\n"
    "most, then a tick takes at least 0.7 s, and the page stays after the end."
)
EXAMPLES: Final = (
    "gridfleet run",
    "gridfleet run --fast",
    "gridfleet run storm --ticks 80",
    "gridfleet run normal --ticks 20 --seconds-per-tick 0.5",
    "gridfleet run normal --console --seconds-per-tick 2 --stay 60",
    "gridfleet run normal --broker mqtt://user:password@broker.example:1883",
    "gridfleet run normal --broker mqtts://broker.example --secrets secrets",
)

WATCHED_S: Final = 0.7
"""Real seconds of a tick, at least, when somebody may watch."""


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
        "--fast",
        action="store_true",
        help="lock-step at full speed, without waiting for a viewer (default: if the output is no terminal)",
    )
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
    add_page_options(parser)
    add_liars(parser)
    add_output(parser, "out/SCENARIO-TIME")
    add_recording(parser)
    add_influx(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the scenario; write the results, print the key figures, and keep the page as long as it is wanted."""
    from gridfleet.provisioning.cli.scenario_options import fleet_from_arguments
    from gridfleet.provisioning.runs.live.live_page import LivePage

    clock_options(arguments.mode, arguments.seconds_per_tick)
    if arguments.fast and arguments.mode not in {None, "lockstep"}:
        raise CommandError("--fast", f"is lock-step at full speed: leave out --mode {arguments.mode}")
    if arguments.fast and arguments.seconds_per_tick is not None:
        raise CommandError("--fast", "is lock-step at full speed: leave out --seconds-per-tick")
    address = broker_address(arguments) if arguments.broker is not None else None
    credentials_for(arguments.secrets, address)
    scenario = fleet_from_arguments(arguments).scenario
    if not console_wanted(arguments.console, arguments.broker, arguments.broker_ws):
        return _run_once(arguments, None)
    on_terminal = sys.stdout.isatty()
    stay_s = arguments.stay if arguments.stay is not None else None if on_terminal else 0.0
    again = arguments.out is None and stay_s != 0
    needs_login = arguments.secrets is not None or (address is not None and address.username is not None)
    with LivePage(
        scenario.site, port=arguments.port, again=again, browser=arguments.browser, needs_login=needs_login
    ) as page:
        while True:
            code = _run_once(arguments, page)
            if code == ExitCode.INTERRUPTED or not page.stay(stay_s):
                return code


def _run_once(arguments: argparse.Namespace, page: "LivePage | None") -> int:
    """Run the scenario once, and show it on a page; return the exit code."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.brokers.embedded import EmbeddedBroker
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.protocol.messages import Mode
    from gridfleet.dashboards.telemetry.influx.exporter import InfluxExporter
    from gridfleet.devices.runtime.site import SiteRun
    from gridfleet.provisioning.cli.scenario_options import fleet_from_arguments
    from gridfleet.provisioning.cli.terminal import print_message
    from gridfleet.provisioning.runs.lifecycle import (
        command_manifest,
        finish_recording,
        finish_run,
        run_with_progress,
    )
    from gridfleet.provisioning.runs.live.lowest_price import LowestPrice
    from gridfleet.provisioning.runs.live_run import LiveRunFile
    from gridfleet.provisioning.runs.results import open_recording
    from gridfleet.provisioning.runs.run_folder import claim_run_folder
    from gridfleet.provisioning.site.register_file import signed_entries

    mode, seconds_per_tick = clock_options(arguments.mode, arguments.seconds_per_tick)
    fleet = fleet_from_arguments(arguments)
    address = _checked_address(arguments, mode, fleet)
    credentials = credentials_for(arguments.secrets, address)
    scenario = fleet.scenario
    target = influx_target(arguments)
    price = LowestPrice()
    with ExitStack() as stack:
        folder = stack.enter_context(claim_run_folder(arguments.out, scenario.name, force=arguments.force))
        exact, embedded = mode == Mode.LOCKSTEP, None
        if address is None:
            embedded = stack.enter_context(EmbeddedBroker())
            address = BrokerAddress.parse(embedded.url)
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
        watched = None
        if page is not None:
            tls = credentials.tls if isinstance(credentials, FileCredentials) else None
            title = scenario.title or scenario.name
            watched = page.begin(arguments.broker_ws or address, title, scenario.ticks, folder.path, tls)
            page.print_address(embedded)
        slowed = watched is not None and _is_slowed(arguments)
        live = LiveRunFile(folder.path, address, scenario.site, login=arguments.secrets is not None)
        stack.enter_context(live)
        site = SiteRun(
            fleet,
            address,
            mode=Mode(mode),
            seconds_per_tick=seconds_per_tick,
            least_seconds_per_tick=WATCHED_S if slowed else 0.0,
            receivers=(recorded.receive, price.receive, *([] if watched is None else [watched.receive])),
            judge=recorded.judgements,
            credentials=credentials,
            discoverable=arguments.home_assistant,
            on_gap=recorded.note_gap,
            signed=signed_entries(arguments.secrets, fleet, print_message),
        )

        def run(progress: ProgressCallback) -> None:
            _drive(site, price, progress, page, watched, wait=slowed)

        began_s = time.monotonic()
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
        page=page,
        manifest=command_manifest(arguments, scenario),
    )


def _drive(
    site: "SiteRun",
    price: "LowestPrice",
    progress: ProgressCallback,
    page: "LivePage | None",
    watched: "Watched | None",
    *,
    wait: bool,
) -> None:
    """Run a site to its end, or until `progress` returns False; with `wait`, first wait for a viewer."""
    clock = site.clock

    def go_on() -> bool:
        goes_on = progress(Progress(max(clock.tick, 0), clock.ticks, clock.simulated_ms, price.ueur))
        if watched is not None and not goes_on:
            watched.over = True
        return goes_on

    if page is not None:
        page.start_run(go_on, wait=wait)
    site.run(lambda _site: go_on())


def _is_slowed(arguments: argparse.Namespace) -> bool:
    """Whether a run waits for a viewer, and its ticks take a time that one can watch."""
    chosen = arguments.fast or arguments.mode is not None or arguments.seconds_per_tick is not None
    return not chosen and sys.stdout.isatty()


def _checked_address(arguments: argparse.Namespace, mode: str, fleet: "Fleet") -> "BrokerAddress | None":
    """Return the address of --broker; None without --broker.

    Where no access rules forbid it, the broker is tried, and what former fleets have left there is cleared.
    """
    from gridfleet.broker.protocol.messages import Mode
    from gridfleet.provisioning.cli.terminal import print_message
    from gridfleet.provisioning.clients.orphans import clear_orphans
    from gridfleet.provisioning.doctor.capabilities import preflight

    if arguments.broker is None:
        return None
    address = broker_address(arguments)
    if arguments.secrets is None:
        preflight(address, Mode(mode), print_message)
        clear_orphans(address, fleet.scenario.site, fleet.ids)
    return address


def console_wanted(option: bool | None, broker: str | None, broker_ws: str | None) -> bool:  # noqa: FBT001 - as given
    """Return whether to serve the console; raise CommandError for --broker-ws without --broker."""
    if broker_ws is not None and broker is None:
        raise CommandError("--broker-ws", "needs --broker: the console finds the run's own broker by itself")
    return sys.stdout.isatty() if option is None else option
