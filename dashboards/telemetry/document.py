"""`docs/telemetry.md`, written from the telemetry table.

`python -m gridfleet.dashboards.telemetry.document` prints it.
"""

import sys
from typing import Final

from gridfleet.dashboards.telemetry.table import MEASUREMENTS, TAGS, Measurement

HEAD: Final = """\
# Telemetry
What the recorder makes of the messages of a site: points for InfluxDB, each with measurement, tags, fields and time.
This page is written from `dashboards/telemetry/table.py` and a test holds the two equal:

    .venv/bin/python -m gridfleet.dashboards.telemetry.document > docs/telemetry.md

How points get to InfluxDB without loss, which buckets there are and what each token may do is in
[recording.md](recording.md).

**Time.** A run of a day must look like a day however fast it went, so points bear simulated time: the scenario's local
standard time, written as if it were UTC (set Grafana's time zone to UTC). Where the clock is in real-time mode, points
of `gridfleet record` and `gridfleet run` bear the time of day instead: that of the beginning of the tick, and of
what happens within it. The recorder's own health, and what devices measure, always bears real time.

**No duplicates.** A point is named by its measurement, tags and time, and each of these follows from the messages
alone. So the same messages heard again – after a crash, or when a batch is sent twice because the answer was
lost – make the same points, and these take the place of the former. A receipt that comes late corrects its
tick's points in the same way.

**Bounded tags.** A device cannot make series by what it says: words that are free in the messages (states, reasons) are
tags only if they are in a closed list, else `other`.

**Whole numbers.** Energy is in whole Wh and exact; money and prices are EUR and EUR/kWh, as floats, for reading. Exact
books are in the local store.
"""


def document() -> str:
    """Return the page."""
    parts = [HEAD, "## Tags\n| tag | values |\n| --- | --- |"]
    parts.extend(f"| `{name}` | {what} |" for name, what in TAGS.items())
    parts.append("\n## Measurements\n| measurement | one point for each | what |\n| --- | --- | --- |")
    parts.extend(f"| [`{each.name}`](#{each.name}) | {_each(each)} | {each.what} |" for each in MEASUREMENTS)
    parts.extend(map(_section, MEASUREMENTS))
    return "\n".join(parts) + "\n"


def _each(measurement: Measurement) -> str:
    return ", ".join(measurement.tags)


def _section(measurement: Measurement) -> str:
    lines = [
        f"\n## {measurement.name}",
        f"{measurement.what[0].upper()}{measurement.what[1:]}.",
        "",
        f"Time: {measurement.time.value}. Tags: {', '.join(f'`{tag}`' for tag in measurement.tags)}.",
        "",
        "| field | type | unit | over longer times | what |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines.extend(
        f"| `{field.name}` | {field.type.value} | {field.unit or '–'} | {field.fold.value} | {field.what} |"
        for field in measurement.fields
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(document())
