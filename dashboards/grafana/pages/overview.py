"""The page Grid overview: an operator's first look at a site."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import Column, alert_list, table
from gridfleet.dashboards.grafana.builders.flux import ALWAYS, RUN, SITE, Flux, of_roles, read
from gridfleet.dashboards.grafana.builders.page import Row, page, page_link, with_link
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, timeseries
from gridfleet.dashboards.grafana.pages.clock import CLOCK
from gridfleet.dashboards.grafana.pages.queries import (
    last_sums,
    lowest_price,
    mean_price,
    reactor_share,
    tick_sums,
    total_share,
)

UID: Final = "gridfleet-overview"
SHARE: Final = theme.thresholds(theme.GOOD, (0.25, theme.WARN), (0.5, theme.BAD))
SOURCES: Final = ("generated_wh", "reactor_wh", "imported_wh", "curtailed_wh", "demand_wh")

NOW: Final = (
    stat(
        "Demand",
        "Energy that consumers, chargers and storages bid for, per tick of 15 minutes.",
        theme.ENERGY,
        tick_sums("grid", "demand_wh").keep(),
    ),
    stat(
        "Generation",
        "Energy that producers generated and storages sold, per tick of 15 minutes.",
        theme.ENERGY,
        tick_sums("grid", "generated_wh").keep(),
    ),
    stat(
        "Reactor share",
        "The reactor's share of the energy bought in the time range shown.",
        theme.SHARE,
        total_share("grid", "reactor_wh", "sold_wh"),
        thresholds=SHARE,
    ),
    stat(
        "Curtailed",
        "Share of the generation in the time range shown that was not sold.",
        theme.SHARE,
        total_share("grid", "curtailed_wh", "generated_wh"),
    ),
    stat(
        "Mean price",
        "Mean price in the time range shown, weighted by energy.",
        theme.PRICE,
        read("grid", "paid_eur", "sold_wh")
        .then("toFloat()")
        .aggregate()
        .pivot()
        .value("if r.sold_wh == 0.0 then 0.0 else 1000.0 * r.paid_eur / r.sold_wh", "price"),
        decimals=3,
    ),
    stat(
        "Devices online",
        "Devices that are online at the end of the time range shown.",
        theme.COUNT,
        last_sums("fleet", "online").keep(),
    ),
    stat(
        "Devices offline",
        "Devices that were online before and are offline at the end of the time range shown.",
        theme.COUNT,
        last_sums("fleet", "devices", "online").pivot("_time").value("r.devices - r.online", "missing"),
        thresholds=theme.ZERO_IS_GOOD,
    ),
    stat(
        "Invariant breaches",
        "Breaches that the auditor found in the run so far; must be 0.",
        theme.COUNT,
        read("audit", "breaches", where=RUN).then('group(columns: ["invariant"])', "last()").aggregate(),
        thresholds=theme.ZERO_IS_GOOD,
        empty="no audit",
    ),
)

BALANCE: Final = timeseries(
    "Consumption and generation",
    "Energy per tick by source, and the demand as a line. Energy above the demand is curtailed or exported.",
    theme.ENERGY,
    read("grid", *SOURCES)
    .per_tick()
    .aggregate_window()
    .pivot("_time")
    .then("map(fn: (r) => ({r with own_wh: r.generated_wh - r.curtailed_wh}))")
    .keep_columns("_time", "own_wh", "imported_wh", "reactor_wh", "curtailed_wh", "demand_wh"),
    fields=(
        FieldStyle("own_wh", "used in the own cell", "wind"),
        FieldStyle("imported_wh", "from other cells", "imported"),
        FieldStyle("reactor_wh", "reactor", "reactor"),
        FieldStyle("curtailed_wh", "curtailed", "curtailed"),
        FieldStyle("demand_wh", "demand", "ink", unstacked=True),
    ),
    stack=True,
    soft_min=0,
)
DIFFERENCE: Final = timeseries(
    "Power difference",
    "Generation minus demand per tick: a surplus above zero; below zero the reactor supplies energy.",
    theme.ENERGY,
    tick_sums("grid", "difference_wh").keep(),
    fields=(FieldStyle("difference_wh", "generation minus demand", "wind"),),
    thresholds=theme.thresholds(theme.BAD, (0, theme.GOOD)),
)
PRICES: Final = timeseries(
    "Prices",
    "Lowest and mean price of a tick: the lowest of all cells, and the mean weighted by energy.",
    theme.PRICE,
    lowest_price().keep(),
    mean_price(),
    fields=(
        FieldStyle("lowest_price_eur_per_kwh", "lowest", "price"),
        FieldStyle("mean", "mean", "event"),
    ),
    soft_min=0,
)
REACTOR: Final = timeseries(
    "Reactor share",
    "The reactor's share of the energy bought in a tick.",
    theme.SHARE,
    reactor_share(name="reactor"),
    fields=(FieldStyle("reactor", "reactor share", "reactor"),),
    thresholds=SHARE,
    soft_min=0,
)
TOGETHER: Final = (
    FieldStyle(Role.GRID_SUPPLY.value, "reactors", "reactor"),
    FieldStyle(Role.STORAGE.value, "storages", "storage"),
)


def together(field: str, role: Role, fn: str, condition: str = "true") -> Flux:
    """Return the curve of a field's sum over all devices of a role, of the rows that meet a condition."""
    return (
        read("device", field, where=of_roles(role, where=RUN))
        .filter(condition)
        .group("_time")
        .then("sum()")
        .group()
        .aggregate_window(fn)
        .label(f'"{role}"')
    )


EARNED: Final = timeseries(
    "Earnings per producer",
    "Earnings of each producer since it started; of all reactors together, and of all storages less what they paid.",
    theme.MONEY,
    read("device", "balance_eur", where=of_roles(Role.PRODUCER, where=RUN))
    .group("device", "_field")
    .aggregate_window("last")
    .label("r.device"),
    together("balance_eur", Role.GRID_SUPPLY, "last"),
    together("balance_eur", Role.STORAGE, "last"),
    fields=TOGETHER,
    shades_of="wind",
)
GENERATED: Final = timeseries(
    "Generation per producer",
    "Mean power of each producer; of all reactors together, and of all storages while they deliver.",
    theme.POWER,
    read("device", "power_w", where=of_roles(Role.PRODUCER, where=RUN))
    .group("device", "_field")
    .aggregate_window()
    .label("r.device"),
    together("power_w", Role.GRID_SUPPLY, "mean"),
    together("power_w", Role.STORAGE, "mean", "r._value > 0"),
    fields=TOGETHER,
    shades_of="wind",
    stack=True,
    soft_min=0,
)
SPAN_OF_RUN: Final = """reduce(
      identity: {ticks: 0, begin: 9223372036854, end: 0},
      fn: (r, accumulator) => ({
        ticks: if r._value >= accumulator.ticks then r._value + 1 else accumulator.ticks,
        begin: if int(v: r._time) / 1000000 < accumulator.begin then int(v: r._time) / 1000000 else accumulator.begin,
        end: if int(v: r._time) / 1000000 + 900000 > accumulator.end then
          int(v: r._time) / 1000000 + 900000
        else
          accumulator.end,
      }),
    )"""
"""Number of ticks, and the milliseconds at which the first begins and the last ends."""
RUNS: Final = table(
    "Runs",
    "Every run of the site, with its simulated time. Click a run to show it from start to end.",
    read("grid", "tick", where=SITE, time=ALWAYS)
    .then('group(columns: ["run"])', SPAN_OF_RUN, "group()")
    .sort("run", descending=True),
    columns=(
        Column(
            "run",
            "Run",
            link=f"/d/{UID}?${{site:queryparam}}&var-run=${{__value.raw}}"
            "&from=${__data.fields.begin}&to=${__data.fields.end}",
        ),
        Column("ticks", "Ticks", theme.COUNT, 90),
        Column("begin", "Start", theme.TIME, 180),
        Column("end", "End", theme.TIME, 180),
    ),
)
EVENTS: Final = table(
    "Events",
    "Events that explain the curves: storms, changes of settings and algorithm, devices that go offline and return.",
    read("event", "text", where=RUN)
    .then("group()", 'rename(columns: {_time: "at", _value: "text"})')
    .keep_columns("at", "what", "device", "text")
    .sort("at", descending=True),
    columns=(
        Column("at", "Time", theme.TIME, 180),
        Column("what", "Event", width=110),
        Column("device", "Device", width=130, link=page_link("gridfleet-device", device="${__value.raw}")),
        Column("text", "Description"),
    ),
)


def overview() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Grid overview",
        "Demand, generation, prices and earnings of a site, with its alerts. Start here.",
        (
            Row("", 4, NOW),
            Row(
                "Energy",
                9,
                (
                    with_link(BALANCE, "Market", page_link("gridfleet-market")),
                    with_link(DIFFERENCE, "Market", page_link("gridfleet-market")),
                ),
            ),
            Row(
                "Prices and the reactor",
                8,
                (with_link(PRICES, "Market", page_link("gridfleet-market")), REACTOR),
            ),
            Row(
                "Producers",
                8,
                (
                    with_link(GENERATED, "Device", page_link("gridfleet-device")),
                    with_link(EARNED, "Device", page_link("gridfleet-device")),
                ),
            ),
            Row("Clock", 4, CLOCK),
            Row(
                "Events and runs",
                8,
                (
                    with_link(EVENTS, "Health", "/d/gridfleet-health?${site:queryparam}&${run:queryparam}"),
                    RUNS,
                    alert_list("Alerts", "The present state of the alert rules."),
                ),
                (10, 8, 6),
            ),
        ),
    )
