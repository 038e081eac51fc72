"""The status of a recorder, read from the files that it writes."""

import os
from pathlib import Path
from typing import Any, Final

from gridfleet.broker.readers.json_values import checked_object, read_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.dashboards.recording.durable.process import SPOOL
from gridfleet.dashboards.recording.durable.recorder import RUNS
from gridfleet.dashboards.recording.durable.status import STATUS
from gridfleet.dashboards.telemetry.influx.spool import inspect_spool
from gridfleet.provisioning.cli.exit_codes import CommandError

KEYS: Final[dict[str, type | tuple[type, ...]]] = {
    "time": (int, float),
    "pid": int,
    "site": str,
    "run": (str, type(None)),
    "has_spool": bool,
    "connected": bool,
    "offline_reason": str,
    "influx_error": str,
    "received": int,
    "refused": int,
    "redelivered": int,
    "journal_bytes": int,
    "rejected": int,
    "dropped": int,
}
"""The keys that are read of a status file, with their types."""
STALE_S: Final = 35.0
"""A recorder whose status file is older, in seconds, does not run."""


def read_status(folder: Path, now_s: float) -> dict[str, Any]:
    """Return the status that a recorder has written, with the spool's current state.

    Raises CommandError for a directory without a recorder's status.
    """
    try:
        status = checked_object(read_json(folder / STATUS), KEYS, ReadError)
        for counts in ("breaches", "flooding"):  # a recorder of an earlier version wrote none
            status[counts] = _counts(status.get(counts, {}), counts)
    except ReadError as error:
        problem = f"contains no status of a recorder ({STATUS} {error.problem})"
        raise CommandError(
            folder, f"{problem}: name the --out directory of `gridfleet site record`"
        ) from None
    status["age_s"] = max(now_s - status["time"], 0.0)
    status["running"] = status["age_s"] < STALE_S and _is_running(status["pid"])
    if status["has_spool"]:
        spool = inspect_spool(folder / SPOOL, now_s)
        status |= {name: value for name, value in spool._asdict().items() if name != "dead_letters"}
        status["dead_letters"] = str(spool.dead_letters) if spool.dead_letters.is_file() else None
    status["problems"] = [*_problems(status), *_breaches(folder, status)]
    return status


def _counts(value: object, name: str) -> dict[str, int]:
    """Return counts by name; raise ReadError where they are none."""
    if not isinstance(value, dict) or any(type(count) is not int for count in value.values()):
        raise ReadError(f"key {name!r} has no counts")
    return value


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
    remedy = f"gridfleet report {folder / RUNS / (status['run'] or 'RUN')}"
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
    except OverflowError:  # no number of a process
        return False
    return True
