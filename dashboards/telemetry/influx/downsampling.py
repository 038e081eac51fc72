"""The Flux tasks that aggregate the raw bucket over 15 minutes and over days, written from the telemetry table.

`make reference` writes them into `flux/`. A task computes every window
of its range completely again, so late or repeated points give the same values.
"""

from pathlib import Path
from typing import Final, NamedTuple

from gridfleet.dashboards.telemetry.table import MEASUREMENTS
from gridfleet.dashboards.telemetry.table.fields import Aggregation

FOLDER: Final = Path(__file__).with_name("flux")
ORG: Final = "gridfleet"
RAW: Final = "gridfleet"


class Task(NamedTuple):
    """A task: how often it runs, its windows, how far back it reads, and the bucket it writes to."""

    name: str
    every: str
    window: str
    look_back: str
    bucket: str
    keep_days: int
    """How long that bucket keeps them; 0 means forever."""


QUARTERS: Final = Task("gridfleet-15m", "15m", "15m", "6h", "gridfleet_15m", 3 * 366)
DAYS: Final = Task("gridfleet-1d", "1h", "1d", "3d", "gridfleet_1d", 0)
TASKS: Final = (QUARTERS, DAYS)


def flux_text(task: Task, *, org: str = ORG, raw: str = RAW, prefix: str | None = None) -> str:
    """Return a task's Flux; `prefix` begins the names of the aggregated buckets instead of that of the raw one."""
    into = task.bucket if prefix is None else task.bucket.replace(RAW, prefix)
    parts = [
        f"// {task.window} windows of {raw}, into {into}. Written from dashboards/telemetry/table.",
        'import "date"',
        "",
        f'option task = {{name: "{task.name}", every: {task.every}, offset: 5m}}',
        "",
        f"begin = date.truncate(t: -{task.look_back}, unit: {task.window})",
        f'points = from(bucket: "{raw}") |> range(start: begin)',
    ]
    for fold in Aggregation:
        names = sorted(
            {field.name for each in MEASUREMENTS for field in each.fields if field.aggregation is fold}
        )
        listed = ",\n".join(f'    "{name}"' for name in names)
        parts += [
            "",
            f"{fold.value}s = [\n{listed},\n]",
            "",
            "points",
            f"    |> filter(fn: (r) => contains(value: r._field, set: {fold.value}s))",
            "    |> aggregateWindow(",
            f'        every: {task.window}, fn: {fold.value}, createEmpty: false, timeSrc: "_start",',
            "    )",
            f'    |> to(bucket: "{into}", org: "{org}")',
        ]
    return "\n".join(parts) + "\n"


def path_of(task: Task) -> Path:
    """Return the file of a task."""
    return FOLDER / file_name(task)


def file_name(task: Task) -> str:
    """Return the name of a task's file in `flux/`."""
    return f"{task.name}.flux"
