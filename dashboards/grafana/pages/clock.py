"""The clock's row of the overview: simulated time, phase and pace."""

from typing import Final

from gridfleet.dashboards.grafana.vocabulary import theme
from gridfleet.dashboards.grafana.vocabulary.flux import RUN, read
from gridfleet.dashboards.grafana.vocabulary.panels import stat, words

CLOCK: Final = (
    words(
        "Simulated time",
        "The last instant heard of in the time shown.",
        read("clock", "tick", where=RUN)
        .together()
        .then("last()", "map(fn: (r) => ({at: int(v: r._time) / 1000000}))"),
        field="at",
        unit=theme.TIME,
    ),
    words(
        "Phase",
        "The phase of the tick that was last heard of.",
        read("clock", "phase", where=RUN)
        .together()
        .then("last()", 'rename(columns: {_value: "phase"})')
        .columns("phase"),
        field="phase",
    ),
    stat(
        "Ticks left",
        "Ticks still to run after this one.",
        theme.COUNT,
        read("clock", "ticks_left", where=RUN).together().then("last()").plain(),
    ),
    stat(
        "Seconds per tick",
        "Real seconds that a tick takes; 0 in lock-step, where it takes as long as the slowest device.",
        theme.SECONDS,
        read("clock", "seconds_per_tick", where=RUN).together().then("last()").plain(),
    ),
    words(
        "Algorithm",
        "How vehicles choose among charging offers.",
        read("clock", "algorithm_in_force", where=RUN)
        .together()
        .then("last()", 'rename(columns: {_value: "algorithm"})')
        .columns("algorithm"),
        field="algorithm",
    ),
)
