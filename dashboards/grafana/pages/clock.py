"""The overview's row on the clock: simulated time, phase and pace."""

from typing import Final

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.flux import RUN, read
from gridfleet.dashboards.grafana.builders.panels import stat, text_stat

CLOCK: Final = (
    text_stat(
        "Simulated time",
        "The last simulated time in the time range shown.",
        read("clock", "tick", where=RUN)
        .group()
        .then("last()", "map(fn: (r) => ({at: int(v: r._time) / 1000000}))"),
        field="at",
        unit=theme.TIME,
    ),
    text_stat(
        "Phase",
        "The phase of the last tick: bid, trade, import or settle; cells trade in residual, surplus and exchange.",
        read("clock", "phase", where=RUN)
        .group()
        .then("last()", 'rename(columns: {_value: "phase"})')
        .keep_columns("phase"),
        field="phase",
    ),
    stat(
        "Ticks left",
        "Ticks that remain in this run.",
        theme.COUNT,
        read("clock", "ticks_left", where=RUN).group().then("last()").keep(),
    ),
    stat(
        "Seconds per tick",
        "Real seconds per tick; 0 in lock-step, where a tick takes as long as the slowest device.",
        theme.SECONDS,
        read("clock", "seconds_per_tick", where=RUN).group().then("last()").keep(),
    ),
    text_stat(
        "Algorithm",
        "How vehicles choose a charging offer.",
        read("clock", "algorithm_in_force", where=RUN)
        .group()
        .then("last()", 'rename(columns: {_value: "algorithm"})')
        .keep_columns("algorithm"),
        field="algorithm",
    ),
)
