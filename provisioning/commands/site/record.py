"""`gridfleet site record`: runs a site's recorder as a process of its own, which loses no message when it is killed."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_log, whole_number
from gridfleet.provisioning.cli.broker_options import add_broker, broker_address, credentials_for
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.influx_options import add_influx, influx_target

if TYPE_CHECKING:
    from gridfleet.dashboards.store.rows import RunFacts
    from gridfleet.devices.config.scenario import Scenario

HELP: Final = "record a site into files, and optionally into InfluxDB"
DESCRIPTION: Final = (
    "Record all messages of a site: each run of its clock in a directory under DIR/runs, like that of\n"
    "`gridfleet run`, and with --influx as telemetry in InfluxDB. A message is acknowledged only when it is stored\n"
    "on disk, and the broker queues messages while the recorder is offline. So nothing is lost when recorder,\n"
    "InfluxDB, broker or network fail. Started again, the recorder continues."
)
EXAMPLES: Final = (
    "gridfleet site record normal --broker mqtt://127.0.0.1:1883",
    "gridfleet site record normal --broker mqtts://broker.example --secrets secrets",
    "gridfleet site record normal --broker … --influx http://127.0.0.1:8086 --token-file influx/recorder.token",
)
OUT: Final = "out/record"
SPOOL_MB: Final = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site record`."""
    parser.add_argument(
        "scenario",
        nargs="?",
        metavar="SCENARIO",
        help="the site's scenario, which gives name, title and cells",
    )
    parser.add_argument("--site", metavar="SITE", help="the site (default: the scenario's)")
    add_broker(parser)
    parser.add_argument("--out", metavar="DIR", help=f"directory for the results (default: {OUT}-SITE)")
    parser.add_argument(
        "--id",
        default="recorder",
        metavar="ID",
        help="client id at the broker; each recorder of a site needs its own (default: recorder)",
    )
    add_influx(parser)
    parser.add_argument(
        "--spool-mb",
        type=whole_number(1, 1 << 20),
        default=SPOOL_MB,
        metavar="N",
        help="maximum size of the spool for InfluxDB in MB; when it is full, the oldest points are dropped "
        f"(default: {SPOOL_MB})",
    )
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Record until a signal."""
    from gridfleet.dashboards.recording.durable.process import record
    from gridfleet.dashboards.telemetry.influx.client import InfluxWriter
    from gridfleet.dashboards.telemetry.influx.server_check import check_server
    from gridfleet.devices.config.scenario import load
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import status_reporter
    from gridfleet.provisioning.processes.heartbeat import Heartbeat
    from gridfleet.provisioning.runs.results import specification_of

    report = status_reporter(arguments.log, "record")
    scenario = None if arguments.scenario is None else load(arguments.scenario, [])
    site = arguments.site or (None if scenario is None else scenario.site)
    if site is None:
        raise CommandError("site record", "needs a SCENARIO or --site SITE")
    address = broker_address(arguments)
    credentials = credentials_for(arguments.secrets, address)
    target = influx_target(arguments)
    folder = Path(arguments.out or f"{OUT}-{site}")
    with ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        heartbeat = stack.enter_context(Heartbeat.from_environment())
        write = None if target is None else stack.enter_context(InfluxWriter(target))
        if write is not None and not (found := check_server(write)).holds:
            report(f"{target!r} accepts no points yet, which wait in the spool:\n{found.table()}")
        report(f"recording {site} into {folder}{'' if target is None else f' and {target!r}'}")
        record(
            folder,
            site,
            address,
            lambda run: facts_of_run(run, site, scenario),
            name=site if scenario is None else scenario.name,
            write=write,
            credentials=credentials,
            client_id=arguments.id,
            max_spool_bytes=arguments.spool_mb << 20,
            specification_of=specification_of,
            stop_requested=lambda: interruption.requested,
            report=report,
            on_loop=heartbeat.follow,
        )
    report("stopped; start it again to continue")
    return ExitCode.SUCCESS


def facts_of_run(run: str, site: str, scenario: "Scenario | None") -> "RunFacts":
    """Return the facts of a run; without a scenario little more than its name."""
    from gridfleet.dashboards.store.rows import RunFacts
    from gridfleet.provisioning.cli.version import product_version
    from gridfleet.provisioning.runs.results import facts_of

    if scenario is None:
        return RunFacts(site, run, 0, product_version(), 0)
    return facts_of(scenario)
