"""`gridfleet site status`: shows the status of a recorder, whether it runs or not."""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "show the status of a recorder"
DESCRIPTION: Final = (
    "Show whether the recorder of a directory runs, how many messages it has received, and the backlog for\n"
    "InfluxDB: number of points, age of the oldest, and rejected points with the reason. Reads files only, so it\n"
    "works at any time. Exits with 1 if there is a problem: not running, not connected, points rejected or dropped."
)
EXAMPLES: Final = ("gridfleet site status out/record-germany",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `site status`."""
    parser.add_argument(
        "directory", metavar="DIR", help="the directory of `gridfleet site record` (its --out)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace) -> int:
    """Print the status."""
    from gridfleet.provisioning.processes.recorder_status import read_status

    status = read_status(Path(arguments.directory), time.time())
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(_lines(status)))
    return ExitCode.FAILED if status["problems"] else ExitCode.SUCCESS


def _lines(status: dict[str, Any]) -> list[str]:
    state = f"process {status['pid']}" if status["running"] else f"not running since {_age(status['age_s'])}"
    received, refused, redelivered = status["received"], status["refused"], status["redelivered"]
    counts = f"{received} messages, {refused} refused, {redelivered} delivered twice"
    lines = [
        f"Recorder  {status['site']}, {state}",
        f"Run       {status['run'] or 'none yet'}",
        f"Received  {counts}",
        f"Journal   {_bytes(status['journal_bytes'])}",
    ]
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
    return [*lines, *(f"Problem   {problem}" for problem in status["problems"])]


def _age(seconds: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _bytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
