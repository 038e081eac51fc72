"""`gridfleet site status`: shows who is online at a site and the status of its recorder."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridfleet.broker.errors import printable
from gridfleet.broker.readers.json_values import json_text
from gridfleet.provisioning.cli.broker_options import (
    DEFAULT_SITE,
    BrokerUrls,
    add_login,
    broker_address,
    login_of,
)
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridfleet.provisioning.clients.site_status import SiteStatus

HELP: Final = "show who is online, the tick, and the recorder"
DESCRIPTION: Final = (
    "With --broker, show what the retained messages say about a site: clock, tick, and which devices are online.\n"
    "With DIR, show the recorder of that directory: whether it runs, how many messages it has received, and the\n"
    "backlog for InfluxDB: number of points, age of the oldest, and rejected points with the reason; and what the\n"
    "auditor found in the present run; this reads files only. Exits with 1 if there is a problem: clock or devices\n"
    "offline, recorder not running or not connected, points rejected or dropped, an invariant breached."
)
EXAMPLES: Final = (
    "gridfleet site status out/record-germany",
    "gridfleet site status --broker mqtt://broker.example:1883 --devices",
    "gridfleet site status out/record-germany --broker mqtts://broker.example --secrets secrets",
)
SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site status`."""
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="the directory of `gridfleet site record` (its --out)"
    )
    parser.add_argument(
        "--broker", metavar="URL", action=BrokerUrls, help="the site's broker: mqtt://… or mqtts://…"
    )
    parser.add_argument(
        "--site", default=DEFAULT_SITE, metavar="S", help=f"with --broker: the site (default: {DEFAULT_SITE})"
    )
    add_login(parser, user="viewer")
    parser.add_argument(
        "--devices",
        action="store_true",
        help="with --broker: list each device with its role, its kind and whether it is online",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace) -> int:
    """Print the status; return 1 when there is a problem."""
    from gridfleet.provisioning.clients.site_status import read_site
    from gridfleet.provisioning.processes.recorder_status import read_status

    if arguments.devices and arguments.broker is None:
        raise CommandError("--devices", "needs --broker URL: the broker knows the devices")
    if arguments.directory is None and arguments.broker is None:
        raise CommandError("site status", "needs --broker URL, the directory of a recorder, or both")
    recorder: dict[str, Any] = {}
    if arguments.directory is not None:
        recorder = read_status(Path(arguments.directory), time.time())
    site: SiteStatus | None = None
    if arguments.broker is not None:
        address = broker_address(arguments)
        site = read_site(address, arguments.site, login_of(arguments, address))
    problems = [*(site.problems if site else ()), *recorder.get("problems", ())]
    if arguments.json:
        live = {"live": site.as_dict()} if site else {}
        print(json_text({**recorder, **live, "problems": problems}, indent=2))
    else:
        devices = _device_lines(site) if site and arguments.devices else ()
        lines = [*(_site_lines(site) if site else ()), *devices, *(_lines(recorder) if recorder else ())]
        print("\n".join([*lines, *(f"Problem   {problem}" for problem in problems)]))
    return ExitCode.FAILED if problems else ExitCode.SUCCESS


def _site_lines(status: "SiteStatus") -> list[str]:
    from gridfleet.dashboards.console.phase_steps import step_text

    tick = status.tick
    if tick is None:
        when = "no tick"
    else:
        paused = ", paused" if tick.paused else ""
        ticks = f"tick {tick.count_text}"
        when = f"{ticks}, phase {step_text(tick.phase)}, mode {tick.mode}{paused}"
    if status.finished:
        when += ", the run has ended"
    lines = [
        f"Site      {status.site}, {when}, clock {'online' if status.clock_online else 'offline'}",
        f"Online    {len(status.online)} of {len(status.online) + len(status.offline)} devices",
    ]
    if status.offline:
        more = len(status.offline) - SHOWN
        lines.append(
            f"Offline   {', '.join(status.offline[:SHOWN])}{f' and {more} more' if more > 0 else ''}"
        )
    return lines


def _device_lines(status: "SiteStatus") -> list[str]:
    """Return one line for each device, in columns."""
    rows = [("id", "role", "kind", "")]
    rows += [
        (each.id, each.role, printable(each.kind), "online" if each.online else "offline")
        for each in status.devices
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    ]


def _lines(status: dict[str, Any]) -> list[str]:
    state = f"process {status['pid']}" if status["running"] else f"not running since {_age(status['age_s'])}"
    received, refused, redelivered = status["received"], status["refused"], status["redelivered"]
    counts = f"{received} messages, {refused} refused, {redelivered} delivered twice"
    lines = [
        f"Recorder  {status['site']}, {state}",
        f"Run       {status['run'] or 'none yet'}",
        f"Received  {counts}",
        f"Journal   {_bytes(status['journal_bytes'])}",
        f"Audit     breaches in this run: {sum(status['breaches'].values())}",
    ]
    for sender, ignored in sorted(status["flooding"].items(), key=lambda each: -each[1])[:SHOWN]:
        lines.append(f"Flood     {ignored} messages of {sender} beyond its quota were ignored")
    if status["has_spool"]:
        oldest = f", the oldest {_age(status['oldest_s'])} old" if status["backlog"] else ""
        lines += [
            f"Backlog   {status['backlog']} points, {_bytes(status['backlog_bytes'])}{oldest}",
            f"InfluxDB  {status['sent']} points sent, {status['rejected']} rejected, {status['dropped']} dropped",
        ]
        if status["dead_letters"]:
            lines.append(f"Rejected  {status['dead_letters']}")
    else:
        lines.append("InfluxDB  not used")
    return lines


def _age(seconds: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _bytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
