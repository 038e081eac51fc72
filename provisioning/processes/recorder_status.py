"""The status of a recorder, read from the files that it writes."""

import json
import os
from pathlib import Path
from typing import Any, Final

from gridfleet.dashboards.recording.durable.process import SPOOL
from gridfleet.dashboards.recording.durable.recorder import RUNS
from gridfleet.dashboards.recording.durable.status import STATUS
from gridfleet.dashboards.telemetry.influx.spool import inspect_spool
from gridfleet.provisioning.cli.exit_codes import CommandError

STALE_S: Final = 35.0
"""A recorder whose status file is older, in seconds, does not run."""


def read_status(folder: Path, now_s: float) -> dict[str, Any]:
    """Return the status that a recorder has written, with the spool's current state.

    Raises CommandError for a directory without a recorder's status.
    """
    try:
        status: dict[str, Any] = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CommandError(
            folder, "contains no recorder's status: name the --out directory of `gridfleet site record`"
        ) from None
    status["age_s"] = max(now_s - status["time"], 0.0)
    status["running"] = status["age_s"] < STALE_S and _is_running(status["pid"])
    if status["has_spool"]:
        spool = inspect_spool(folder / SPOOL, now_s)
        status |= {name: value for name, value in spool._asdict().items() if name != "dead_letters"}
        status["dead_letters"] = str(spool.dead_letters) if spool.dead_letters.is_file() else None
    status.setdefault("breaches", {})  # a recorder of an earlier version wrote none
    status.setdefault("flooding", {})
    status["problems"] = [*_problems(status), *_breaches(folder, status)]
    return status


def _problems(status: dict[str, Any]) -> list[str]:
    found = []
    if not status["running"]:
        found.append("the recorder is not running")
    elif not status["connected"]:
        found.append(f"not connected to the broker: {status['offline_reason']}")
    if status["running"] and status["influx_error"]:
        found.append(f"InfluxDB accepts no points: {status['influx_error']}")
    if status["rejected"]:
        found.append(f"InfluxDB has rejected {status['rejected']} points: see {status.get('dead_letters')}")
    if status["dropped"]:
        found.append(f"the spool was full: {status['dropped']} points were dropped; a larger one: --spool-mb")
    return found


def _breaches(folder: Path, status: dict[str, Any]) -> list[str]:
    remedy = f"gridfleet report {folder / RUNS / status['run']}"
    return [
        f"the auditor found {count} breach{'es' if count > 1 else ''} of the invariant {name!r}: {remedy}"
        for name, count in status["breaches"].items()
    ]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs as another user
        return True
    return True
