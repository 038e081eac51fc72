"""`gridfleet record`: the recorder of a site as a process of its own, which loses nothing when it is killed."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import add_log, whole_number
from gridfleet.provisioning.cli.broker_options import add_broker, credentials_for
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.influx_options import add_influx, target_of

if TYPE_CHECKING:
    from gridfleet.dashboards.store.rows import RunFacts
    from gridfleet.devices.config.scenario import Scenario

HELP: Final = "record a site: into files, and into InfluxDB where there is one"
DESCRIPTION: Final = (
    "Hear everything that is said on a site and keep it: every run of its clock in a folder of its own under\n"
    "DIR/runs, as `gridfleet run` leaves one, and, with --influx, as telemetry in InfluxDB. The broker is answered\n"
    "only when a message is safe on disk, and keeps what is said while no recorder is there: so neither the death\n"
    "of the recorder nor that of server, broker or network loses anything. Started again, it goes on."
)
EXAMPLES: Final = (
    "gridfleet record normal --broker mqtt://127.0.0.1:1883",
    "gridfleet record normal --broker mqtts://broker.example --secrets secrets",
    "gridfleet record normal --broker … --influx http://127.0.0.1:8086 --token-file influx/recorder.token",
)
OUT: Final = "out/record"
SPOOL_MB: Final = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `record`."""
    parser.add_argument(
        "scenario", nargs="?", metavar="SCENARIO", help="the site's scenario, for its name, title and cells"
    )
    parser.add_argument("--site", metavar="SITE", help="the site (default: the scenario's)")
    add_broker(parser)
    parser.add_argument("--out", metavar="DIR", help=f"directory for the results (default: {OUT}-SITE)")
    parser.add_argument(
        "--id",
        default="recorder",
        metavar="ID",
        help="client id at the broker; two recorders of one site need two (default: recorder)",
    )
    add_influx(parser)
    parser.add_argument(
        "--spool-mb",
        type=whole_number(1, 1 << 20),
        default=SPOOL_MB,
        metavar="N",
        help="most that waits on disk for InfluxDB, in MB; then the oldest is dropped from there "
        f"(default: {SPOOL_MB})",
    )
    add_log(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Record until a signal."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.dashboards.recording.recorder_process import record
    from gridfleet.dashboards.telemetry.influx.client import InfluxWriter
    from gridfleet.devices.config.scenario import load
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.cli.logs import status_reporter
    from gridfleet.provisioning.site.heartbeat import Heartbeat

    report = status_reporter(arguments.log, "record")
    scenario = None if arguments.scenario is None else load(arguments.scenario, [])
    site = arguments.site or (None if scenario is None else scenario.site)
    if site is None:
        raise CommandError("gridfleet record", "name a SCENARIO or a --site SITE")
    address = BrokerAddress.parse(arguments.broker)
    credentials = credentials_for(arguments.secrets, address)
    target = target_of(arguments)
    folder = Path(arguments.out or f"{OUT}-{site}")
    with ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        heartbeat = stack.enter_context(Heartbeat.from_environment())
        write = None if target is None else stack.enter_context(InfluxWriter(target))
        report(f"{site} into {folder}{'' if target is None else f', and into {target!r}'}")
        record(
            folder,
            site,
            address,
            lambda run: facts_of_run(run, site, scenario),
            name=site if scenario is None else scenario.name,
            write=write,
            credentials=credentials,
            client_id=arguments.id,
            most_spool_bytes=arguments.spool_mb << 20,
            asked_to_end=lambda: interruption.requested,
            tell=report,
            watch=heartbeat.follow,
        )
    report("ends, and may be started again")
    return ExitCode.SUCCESS


def facts_of_run(run: str, site: str, scenario: "Scenario | None") -> "RunFacts":
    """Return what is known of a run; without a scenario little more than its name."""
    from gridfleet.dashboards.store.rows import RunFacts
    from gridfleet.provisioning.cli.version import product_version
    from gridfleet.provisioning.runs.results import facts_of

    if scenario is None:
        return RunFacts(site, run, 0, product_version(), 0)
    return facts_of(scenario)
