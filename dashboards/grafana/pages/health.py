"""The page Health: recorder, broker, auditor and fleet.

The recorder's own figures are in real time, and so is this page. Figures in simulated time are shown with their last
value, without a time axis.
"""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import Column, alert_list, bar_chart, bar_gauge, table
from gridfleet.dashboards.grafana.builders.flux import ALWAYS, RUN, SITE, Flux, read
from gridfleet.dashboards.grafana.builders.page import REAL_TIME, RUN_VARIABLE, SITE_VARIABLE, Row, page
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, timeseries

UID: Final = "gridfleet-health"
STEP: Final = "10s"
BACKLOG: Final = theme.thresholds(theme.GOOD, (10_000, theme.WARN), (100_000, theme.BAD))


def recorder(*fields: str) -> Flux:
    """Return the recorder's own figures in the time range shown."""
    return read("recorder", *fields, where=SITE)


def now(field: str) -> Flux:
    """Return the last of the recorder's figures."""
    return recorder(field).group("_field").then("last()").keep()


def rate(*fields: str) -> Flux:
    """Return the growth of counters per second; after a restart they begin at 0."""
    return (
        recorder(*fields)
        .group("_field")
        .then("derivative(unit: 1s, nonNegative: true)")
        .aggregate_window()
        .keep()
    )


SUMS: Final = (
    stat(
        "Broker",
        "Whether the recorder is connected to the broker: 1 or 0.",
        theme.COUNT,
        recorder("connected")
        .group("_field")
        .then("last()", "map(fn: (r) => ({r with connected: if r._value then 1 else 0}))")
        .keep_columns("connected"),
        thresholds=theme.thresholds(theme.BAD, (1, theme.GOOD)),
        empty="no recorder",
    ),
    stat(
        "Last message",
        "Time since the recorder received the last message.",
        theme.SECONDS,
        now("silent_s"),
        thresholds=theme.thresholds(theme.GOOD, (60, theme.WARN), (300, theme.BAD)),
        empty="no recorder",
    ),
    stat(
        "Backlog",
        "Points in the recorder's spool that InfluxDB has not accepted yet.",
        theme.COUNT,
        now("backlog"),
        thresholds=BACKLOG,
        empty="no recorder",
    ),
    stat(
        "Oldest point",
        "Age of the oldest point in the spool.",
        theme.SECONDS,
        now("oldest_s"),
        thresholds=theme.thresholds(theme.GOOD, (60, theme.WARN), (600, theme.BAD)),
        empty="no recorder",
    ),
    stat(
        "Dropped",
        "Points lost because the spool was full; must be 0.",
        theme.COUNT,
        now("dropped"),
        thresholds=theme.ZERO_IS_GOOD,
        empty="no recorder",
    ),
    stat(
        "Dead letters",
        "Points that InfluxDB rejected; the dead-letter file has them, with the reason.",
        theme.COUNT,
        now("rejected"),
        thresholds=theme.ZERO_IS_GOOD,
        empty="no recorder",
    ),
    stat(
        "Invariant breaches",
        "Breaches that the auditor found in the run; must be 0.",
        theme.COUNT,
        read("audit", "breaches", where=RUN, time=ALWAYS)
        .then('group(columns: ["invariant"])', 'sort(columns: ["_time"])', "last()")
        .aggregate(),
        thresholds=theme.ZERO_IS_GOOD,
        empty="no audit",
    ),
)
TRAFFIC: Final = timeseries(
    "Recorder: in and out",
    "Messages received, points made of them, and points accepted by InfluxDB, per second.",
    theme.PER_SECOND,
    rate("received", "points", "sent"),
    fields=(
        FieldStyle("received", "messages received", "wind"),
        FieldStyle("points", "points made", "charger"),
        FieldStyle("sent", "points accepted by InfluxDB", "price"),
    ),
    interval=STEP,
    soft_min=0,
    empty="no recorder",
)
SPOOL: Final = timeseries(
    "Recorder: spool",
    "Points that InfluxDB has not accepted yet, and their size on disk. Both grow while InfluxDB is offline.",
    theme.COUNT,
    recorder("backlog", "backlog_bytes").group("_field").aggregate_window("max").keep(),
    fields=(
        FieldStyle("backlog", "points", "vehicle"),
        FieldStyle("backlog_bytes", "on disk", "muted", unit=theme.BYTES),
    ),
    interval=STEP,
    soft_min=0,
    empty="no recorder",
)
ERRORS: Final = timeseries(
    "Recorder: errors",
    "Failed attempts since the last success, foreign messages, and messages that were delivered again.",
    theme.COUNT,
    recorder("failures", "refused", "redelivered", "connections")
    .group("_field")
    .aggregate_window("max")
    .keep(),
    fields=(
        FieldStyle("failures", "failed attempts to send", "reactor"),
        FieldStyle("refused", "messages ignored", "event"),
        FieldStyle("redelivered", "delivered again", "imported"),
        FieldStyle("connections", "connections to the broker", "muted"),
    ),
    interval=STEP,
    soft_min=0,
    empty="no recorder",
)
MEMORY: Final = timeseries(
    "Recorder: memory",
    "Resident memory of the recorder's process.",
    theme.BYTES,
    recorder("rss_bytes").group("_field").aggregate_window("max").keep(),
    fields=(FieldStyle("rss_bytes", "resident memory", "price"),),
    interval=STEP,
    soft_min=0,
    empty="no recorder",
)
INVARIANTS: Final = table(
    "Invariants",
    "Each invariant of the auditor, how often it was checked in the run, and how often it was breached.",
    read("audit", "checked", "breaches", where=RUN, time=ALWAYS)
    .last("invariant")
    .keep_columns("invariant", "checked", "breaches")
    .sort("breaches", "checked", descending=True),
    columns=(
        Column("invariant", "Invariant"),
        Column("checked", "Checked", theme.COUNT, 110),
        Column("breaches", "Breaches", theme.COUNT, 110, thresholds=theme.ZERO_IS_GOOD),
    ),
    empty="no audit",
)
REJECTS: Final = bar_gauge(
    "Messages ignored by devices",
    "Messages that devices ignored in the run, in total and by reason.",
    theme.COUNT,
    read("device", "refused", where=RUN, time=ALWAYS)
    .then('group(columns: ["device"])', 'sort(columns: ["_time"])', "last()", "group()", "sum()")
    .then('map(fn: (r) => ({name: "all", value: r._value}))'),
    read("rejects", "rejects", where=RUN, time=ALWAYS)
    .then('group(columns: ["cell", "role", "kind", "reason"])', 'sort(columns: ["_time"])', "last()")
    .then('group(columns: ["reason"])', "sum()")
    .then("map(fn: (r) => ({name: r.reason, value: r._value}))", "group()")
    .sort("value", descending=True),
    thresholds=theme.thresholds(theme.GOOD, (1, theme.WARN), (1000, theme.BAD)),
)
LATENESS: Final = """reduce(
      identity: {phases: 0.0, took: 0.0, late: 0.0, worst: 0.0},
      fn: (r, accumulator) => {
        took = if exists r.took_s then r.took_s else 0.0
        late = if exists r.late_s and r.late_s > 0.0 then r.late_s else 0.0

        return {
          phases: accumulator.phases + 1.0,
          took: accumulator.took + took,
          late: accumulator.late + late,
          worst: if late > accumulator.worst then late else accumulator.worst,
        }
      },
    )"""
LATE: Final = bar_chart(
    "Delay of phases",
    "Duration of phases, and the real seconds by which they begin late: mean and highest in the run; 0 in lock-step.",
    theme.SECONDS,
    read("clock", "phase", "took_s", "late_s", where=RUN, time=ALWAYS)
    .then('pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")')
    .then(
        'group(columns: ["phase"])',
        LATENESS,
        "map(fn: (r) => ({phase: r.phase, took: r.took / r.phases, late: r.late / r.phases, worst: r.worst}))",
        "group()",
    )
    .sort("phase"),
    x_field="phase",
    fields=(
        FieldStyle("took", "duration, mean", "muted"),
        FieldStyle("late", "delay, mean", "event"),
        FieldStyle("worst", "delay, highest", "reactor"),
    ),
)
FLEET: Final = table(
    "Fleet",
    "Devices by role and kind at the last tick of the run: known, online, offline, reporting, with real sensors.",
    read("fleet", "devices", "online", "reporting", "with_sensors", where=RUN, time=ALWAYS)
    .then('group(columns: ["cell", "role", "kind", "_field"])', 'sort(columns: ["_time"])', "last()")
    .aggregate("sum", "role", "kind")
    .pivot("role", "kind")
    .then("map(fn: (r) => ({r with missing: r.devices - r.online}))")
    .keep_columns("role", "kind", "devices", "online", "missing", "reporting", "with_sensors")
    .sort("role", "kind"),
    columns=(
        Column("role", "Role", width=100),
        Column("kind", "Kind"),
        Column("devices", "Known", theme.COUNT, 90),
        Column("online", "Online", theme.COUNT, 90),
        Column("missing", "Offline", theme.COUNT, 90, thresholds=theme.ZERO_IS_GOOD),
        Column("reporting", "Reporting", theme.COUNT, 100),
        Column("with_sensors", "Real sensors", theme.COUNT, 110),
    ),
)
SEEN: Final = table(
    "Devices by last report",
    "Simulated time of each device's last report, oldest first: devices that are offline are at the top.",
    read("device", "power_w", where=RUN, time=ALWAYS)
    .then(
        'group(columns: ["cell", "role", "kind", "device"])', 'sort(columns: ["_time"])', "last()", "group()"
    )
    .then('rename(columns: {_time: "seen"})')
    .keep_columns("device", "kind", "cell", "seen")
    .sort("seen", "device"),
    columns=(
        Column(
            "device",
            "Device",
            link="/d/gridfleet-device?${site:queryparam}&${run:queryparam}&var-device=${__value.raw}",
        ),
        Column("kind", "Kind", width=100),
        Column("cell", "Cell", width=120),
        Column("seen", "Last report", theme.TIME, 180),
    ),
)
PRESENCE: Final = table(
    "Devices that went offline and returned",
    "Last wills and births of devices in the run.",
    read("event", "text", where=RUN, time=ALWAYS)
    .then("group()", 'rename(columns: {_time: "at", _value: "text"})')
    .keep_columns("at", "what", "device", "text")
    .sort("at", descending=True)
    .then("limit(n: 200)"),
    columns=(
        Column("at", "Simulated time", theme.TIME, 180),
        Column("what", "Event", width=110),
        Column("device", "Device", width=130),
        Column("text", "Description"),
    ),
)


def health() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Health",
        "Broker, recorder, ignored messages, invariants, clock and fleet. Curves are in real time.",
        (
            Row("", 4, SUMS),
            Row("Recorder", 8, (TRAFFIC, SPOOL)),
            Row("", 7, (ERRORS, MEMORY)),
            Row("The run: invariants and messages", 10, (INVARIANTS, REJECTS, LATE)),
            Row("The run: fleet", 10, (FLEET, SEEN), (12, 12)),
            Row(
                "Events and alerts",
                9,
                (PRESENCE, alert_list("Alerts", "The present state of the alert rules.")),
                (15, 9),
            ),
        ),
        variables=(SITE_VARIABLE, RUN_VARIABLE),
        time_range=REAL_TIME,
    )
