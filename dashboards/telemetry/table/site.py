"""Measurements of a whole site: messages, clock, events, audit, and the health of its recorder."""

from typing import Final

from gridfleet.dashboards.telemetry.table.fields import (
    RUN_TAGS,
    TICK,
    Aggregation,
    Measurement,
    PointTime,
    count,
    flag,
    number,
    text,
)

MESSAGES: Final = Measurement(
    "messages",
    "messages received during a tick, by message type, of the devices of a cell",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "message_type"),
    (count("messages", "received between the beginning of the tick and the next"),),
)
DECLINES: Final = Measurement(
    "declines",
    "refusals of chargers to vehicles during a tick",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "reason"),
    (count("declines", "received between the beginning of the tick and the next"),),
)
REJECTS: Final = Measurement(
    "rejects",
    "messages that devices refused, by reason, added up over the devices of a cell, by role and kind",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "role", "kind", "reason"),
    (count("rejects", "since the devices started", Aggregation.LAST),),
)
CLOCK: Final = Measurement(
    "clock",
    "the clock when a phase begins, with the settings in force",
    PointTime.INSTANT,
    RUN_TAGS,
    (
        TICK,
        text("phase", "bid, trade, residual, surplus, exchange, import or settle"),
        text("mode", "lockstep, scaled or realtime"),
        flag("paused", "whether the clock is paused"),
        number("seconds_per_tick", "s", "real seconds a tick takes; 0 in lock-step"),
        count("ticks_left", "ticks still to run after this one", Aggregation.LAST),
        count("absent", "devices that missed the last deadline", Aggregation.MEAN),
        number(
            "took_s", "s", "real seconds since the phase before began; none for the first, or after a pause"
        ),
        number("late_s", "s", "of them, beyond the planned duration; none in lock-step", Aggregation.MAX),
        text("scenario", "name of the scenario; empty where the recorder does not know it"),
        text("algorithm_in_force", "how vehicles choose a charger"),
        number("consumer_scale", "1", "multiplies demand"),
        number("vehicle_scale", "1", "multiplies driving"),
        number("turbine_scale", "1", "multiplies generation"),
        number("wind_scale", "1", "multiplies wind speed"),
        text("note", "the scenario's note on the current settings"),
    ),
)
EVENT: Final = Measurement(
    "event",
    "an event that explains the curves; dashboards show it as an annotation",
    PointTime.INSTANT,
    (*RUN_TAGS, "what", "device"),
    (text("text", "description of the event"), TICK),
)
AUDIT: Final = Measurement(
    "audit",
    "the auditor's invariants: checks and breaches up to that tick",
    PointTime.TICK,
    (*RUN_TAGS, "invariant"),
    (
        count("checked", "checks since the run began", Aggregation.LAST),
        count("breaches", "of them, breaches", Aggregation.LAST),
    ),
)
RECORDER: Final = Measurement(
    "recorder",
    "the recorder's own health, every few real seconds",
    PointTime.WALL,
    ("site",),
    (
        flag("connected", "whether it is connected to the broker"),
        count(
            "connections",
            "connections to the broker since it started; more than 1: it reconnected",
            Aggregation.LAST,
        ),
        count("received", "messages received since it started", Aggregation.LAST),
        count("refused", "of them, refused: foreign or invalid topic or payload", Aggregation.LAST),
        count("redelivered", "of them, dropped because they were stored before", Aggregation.LAST),
        number("silent_s", "s", "since the last message", Aggregation.MAX),
        count("points", "points made since it started", Aggregation.LAST),
        count("backlog", "points in the spool that the server has not accepted yet", Aggregation.MAX),
        count("backlog_bytes", "of the spool on disk", Aggregation.MAX, "byte"),
        number(
            "oldest_s", "s", "how long the oldest point has been in the spool; 0 for none", Aggregation.MAX
        ),
        count("sent", "points accepted by the server since the spool was created", Aggregation.LAST),
        count(
            "rejected", "points rejected by the server and written to the dead-letter file", Aggregation.LAST
        ),
        count("dropped", "points dropped because the spool was full", Aggregation.LAST),
        count("failures", "failed attempts to send since the last success", Aggregation.MAX),
        count("rss_bytes", "resident memory of the recorder process", Aggregation.MAX, "byte"),
    ),
)
LIVE_STATUS: Final = Measurement(
    "live_status",
    "the state of the current run, every few real seconds; alert rules read this",
    PointTime.WALL,
    RUN_TAGS,
    (
        count("simulated_ms", "simulated time of the last tick counted, since 1970", Aggregation.LAST, "ms"),
        count("devices", "devices known by a birth message", Aggregation.LAST),
        count("online", "of them, online", Aggregation.MEAN),
        count("missing", "of them, offline", Aggregation.MAX),
        count("faulty", "devices with a fault in their last account", Aggregation.MAX),
        count("suspended", "suspended devices, with which nobody deals", Aggregation.MAX),
        count("breaches", "breaches of invariants in the run", Aggregation.LAST),
        number(
            "reactor_share", "0–1", "part of the energy bought in the last 16 ticks that the reactor sold"
        ),
    ),
)
