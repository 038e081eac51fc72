"""Writes `docs/reference/telemetry.md` from the telemetry table.

`python -m gridfleet.dashboards.telemetry.document` prints the page.
"""

import sys
from typing import Final

from gridfleet.dashboards.telemetry.table import MEASUREMENTS
from gridfleet.dashboards.telemetry.table.fields import Measurement
from gridfleet.dashboards.telemetry.tags import TAGS

HEAD: Final = """\
# Telemetry
The recorder turns the messages of a site into points for InfluxDB, each with measurement, tags, fields and time.
This page is generated from `dashboards/telemetry/table`; a test checks that the two are equal:

    make reference

[Recording](../how-to/site/record.md) describes how points get to InfluxDB without loss, the buckets, and the tokens.

**Time.** A simulated day must look like a day however fast it ran, so points have simulated time: the scenario's local
standard time, written as if it were UTC (set Grafana's time zone to UTC). With a clock in real-time mode, points of
`gridfleet site record` and `gridfleet run` have the time of day instead: of the beginning of the tick, or of the event
within it. The recorder's own health and the readings of sensors always have real time.

**No duplicates.** A point is identified by its measurement, tags and time, and each of these follows from the messages
alone. So messages that are received again, after a crash or when a batch is sent twice because the answer was
lost, make the same points, and these replace the former ones. A late receipt corrects the points of its tick in
the same way.

**Bounded tags.** No device can create series at will: values that are free text in the messages (statuses, reasons)
become tags only if they are in a closed list, else `other`.

**Whole numbers.** Energy is in whole Wh and exact; money and prices are EUR and EUR/kWh, as floats, for reading. The
exact ledger is in the local store.
"""


def document() -> str:
    """Return the page."""
    parts = [HEAD, "## Tags\n| tag | values |\n| --- | --- |"]
    parts.extend(f"| `{name}` | {what} |" for name, what in TAGS.items())
    parts.append("\n## Measurements\n| measurement | one point for each | description |\n| --- | --- | --- |")
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
        "| field | type | unit | aggregation | description |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines.extend(
        f"| `{field.name}` | {field.type.value} | {field.unit or '–'} | {field.aggregation.value} | {field.what} |"
        for field in measurement.fields
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(document())
