"""Replace macros in a Flux query as Grafana's back end does before it queries InfluxDB.

It replaces `word.timeRangeStart` and so on anywhere, column names included; source: Grafana's InfluxDB data source
(pkg/tsdb/influxdb/flux/macros.go).
"""

import re
from collections.abc import Mapping
from typing import Final

MACRO: Final = re.compile(
    r"[a-zA-Z]+\.(timeRangeStart|timeRangeStop|windowPeriod|bucket|defaultBucket|organization)(?![a-zA-Z])"
)


def expanded(
    text: str,
    *,
    start: str = "2025-06-02T00:00:00Z",
    stop: str = "2025-06-03T06:00:00Z",
    window: str = "15m0s",
    bucket: str = "gridfleet",
) -> str:
    values: Mapping[str, str] = {
        "timeRangeStart": start,
        "timeRangeStop": stop,
        "windowPeriod": window,
        "bucket": f'"{bucket}"',
        "defaultBucket": f'"{bucket}"',
        "organization": '"gridfleet"',
    }
    return MACRO.sub(lambda found: values[found[1]], text)
