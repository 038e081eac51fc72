"""`gridfleet recorder status`: shows the status of a recorder, whether it runs or not."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, Final

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

HELP: Final = "show the status of a recorder"
DESCRIPTION: Final = (
    "Show whether the recorder of a directory runs, how many messages it has received, and the backlog for\n"
    "InfluxDB: number of points, age of the oldest, and rejected points with the reason. Reads files only, so it\n"
    "works at any time. Exits with 1 if there is a problem: not running, not connected, points rejected or dropped."
)
EXAMPLES: Final = ("gridfleet recorder status out/record-germany",)
STALE_S: Final = 35.0
"""A recorder whose status file is older, in seconds, does not run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `recorder`."""
    parser.add_argument("what", choices=("status",), help="status: show the status")
    parser.add_argument("directory", metavar="DIR", help="the directory of `gridfleet record` (its --out)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace) -> int:
    """Print the status."""
    status = read_status(Path(arguments.directory), time.time())
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(_lines(status)))
    return ExitCode.FAILED if status["problems"] else ExitCode.SUCCESS


def read_status(folder: Path, now_s: float) -> dict[str, Any]:
    """Return the status that a recorder has written, with the spool's current state.

    Raises CommandError for a directory without a recorder's status.
    """
    from gridfleet.dashboards.recording.durable.process import SPOOL
    from gridfleet.dashboards.recording.durable.status import STATUS
    from gridfleet.dashboards.telemetry.influx.spool import look

    try:
        status: dict[str, Any] = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CommandError(
            folder, "contains no recorder's status: name the --out directory of `gridfleet record`"
        ) from None
    status["age_s"] = max(now_s - status["time"], 0.0)
    status["running"] = status["age_s"] < STALE_S and _is_running(status["pid"])
    if status["has_spool"]:
        spool = look(folder / SPOOL, now_s)
        status |= {name: value for name, value in spool._asdict().items() if name != "dead_letters"}
        status["dead_letters"] = str(spool.dead_letters) if spool.dead_letters.is_file() else None
    status["problems"] = _problems(status)
    return status


def _problems(status: dict[str, Any]) -> list[str]:
    found = []
    if not status["running"]:
        found.append("the recorder is not running")
    elif not status["connected"]:
        found.append(f"not connected to the broker: {status['trouble']}")
    if status["running"] and status["influx_trouble"]:
        found.append(f"InfluxDB accepts no points: {status['influx_trouble']}")
    if status["rejected"]:
        found.append(f"InfluxDB has rejected {status['rejected']} points: see {status.get('dead_letters')}")
    if status["dropped"]:
        found.append(f"the spool was full: {status['dropped']} points were dropped; a larger one: --spool-mb")
    return found


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


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _age(seconds: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _bytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
