"""Grid overview: what an operator looks at first."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from gridfleet.dashboards.grafana.pages.clock import CLOCK
from gridfleet.dashboards.grafana.vocabulary import theme
from gridfleet.dashboards.grafana.vocabulary.charts import Column, alarms, table
from gridfleet.dashboards.grafana.vocabulary.flux import ALWAYS, RUN, SITE, read, share
from gridfleet.dashboards.grafana.vocabulary.page import Row, leads_to, linked, page
from gridfleet.dashboards.grafana.vocabulary.panels import Line, stat, timeseries

UID: Final = "gridfleet-overview"
SHARE: Final = theme.thresholds(theme.GOOD, (0.25, theme.WARN), (0.5, theme.BAD))
SOURCES: Final = ("generated_wh", "reactor_wh", "imported_wh", "curtailed_wh", "demand_wh")

NOW: Final = (
    stat(
        "Demand",
        "Energy that consumers and chargers wanted, per tick of 15 minutes.",
        theme.ENERGY,
        read("grid", "demand_wh").per_tick().windows().plain(),
    ),
    stat(
        "Own generation",
        "Energy that the turbines made, per tick of 15 minutes.",
        theme.ENERGY,
        read("grid", "generated_wh").per_tick().windows().plain(),
    ),
    stat(
        "Reactor share",
        "Of all energy bought in the time shown, the part that came from the reactor.",
        theme.SHARE,
        read("grid", "reactor_wh", "sold_wh").total().wide().value(share("reactor_wh", "sold_wh"), "share"),
        colours=SHARE,
    ),
    stat(
        "Curtailed",
        "Of all energy that the turbines made in the time shown, the part that nobody bought.",
        theme.SHARE,
        read("grid", "curtailed_wh", "generated_wh")
        .total()
        .wide()
        .value(share("curtailed_wh", "generated_wh"), "share"),
    ),
    stat(
        "Mean price",
        "Paid for energy in the time shown, weighted by energy.",
        theme.PRICE,
        read("grid", "paid_eur", "sold_wh")
        .then("toFloat()")
        .total()
        .wide()
        .value("if r.sold_wh == 0.0 then 0.0 else 1000.0 * r.paid_eur / r.sold_wh", "price"),
        decimals=3,
    ),
    stat(
        "Devices online",
        "Devices that are online at the end of the time shown.",
        theme.COUNT,
        read("fleet", "online").per_tick().then("last()").plain(),
    ),
    stat(
        "Devices missing",
        "Devices that were born and are not online at the end of the time shown.",
        theme.COUNT,
        read("fleet", "devices", "online")
        .per_tick()
        .then("last()")
        .wide("_time")
        .value("r.devices - r.online", "missing"),
        colours=theme.NONE_IS_GOOD,
    ),
    stat(
        "Invariants breached",
        "Breaches that the auditor found in the run so far; must be 0.",
        theme.COUNT,
        read("audit", "breaches", where=RUN).then('group(columns: ["invariant"])', "last()").total(),
        colours=theme.NONE_IS_GOOD,
        empty="no audit",
    ),
)

BALANCE: Final = timeseries(
    "Consumption and generation",
    "Energy per tick by source, and the demand as a line. What rises above the demand is curtailed or exported.",
    theme.ENERGY,
    read("grid", *SOURCES)
    .per_tick()
    .windows()
    .wide("_time")
    .then("map(fn: (r) => ({r with own_wh: r.generated_wh - r.curtailed_wh}))")
    .columns("_time", "own_wh", "imported_wh", "reactor_wh", "curtailed_wh", "demand_wh"),
    lines=(
        Line("own_wh", "own generation used", "wind"),
        Line("imported_wh", "from other cells", "imported"),
        Line("reactor_wh", "reactor", "reactor"),
        Line("curtailed_wh", "curtailed", "curtailed"),
        Line("demand_wh", "demand", "ink", unstacked=True),
    ),
    stack=True,
    floor=0,
)
DIFFERENCE: Final = timeseries(
    "Power difference",
    "Own generation less demand per tick: above zero there is too much, below it the reactor must help.",
    theme.ENERGY,
    read("grid", "difference_wh").per_tick().windows().plain(),
    lines=(Line("difference_wh", "own generation less demand", "wind"),),
    colours=theme.thresholds(theme.BAD, (0, theme.GOOD)),
)
PRICES: Final = timeseries(
    "Prices",
    "Lowest and mean price of a tick; where cells differ, the lowest of all and the mean by energy bought.",
    theme.PRICE,
    read("market", "lowest_price_eur_per_kwh").per_tick(fn="min").windows("min").plain(),
    read("grid", "paid_eur", "sold_wh")
    .then("toFloat()")
    .per_tick()
    .windows("sum")
    .wide("_time")
    .where("r.sold_wh > 0.0")
    .curve("1000.0 * r.paid_eur / r.sold_wh", "mean"),
    lines=(
        Line("lowest_price_eur_per_kwh", "lowest", "price"),
        Line("mean", "mean", "event"),
    ),
    floor=0,
)
REACTOR: Final = timeseries(
    "Reactor share",
    "Part of the energy bought in a tick that came from the reactor.",
    theme.SHARE,
    read("grid", "reactor_wh", "sold_wh")
    .per_tick()
    .windows("sum")
    .wide("_time")
    .curve(share("reactor_wh", "sold_wh"), "reactor"),
    lines=(Line("reactor", "reactor share", "reactor"),),
    colours=SHARE,
    floor=0,
)
EARNED: Final = timeseries(
    "Money earned per producer",
    "What each turbine and reactor has earned since it came to life.",
    theme.MONEY,
    read("device", "balance_eur", where=f'{RUN} and r.kind == "turbine"')
    .together("device", "_field")
    .windows("last")
    .called("r.device"),
    read("device", "balance_eur", where=f'{RUN} and r.kind == "reactor"')
    .together("_time")
    .then("sum()")
    .together()
    .windows("last")
    .called('"reactor"'),
    lines=(Line("reactor", "reactor", "reactor"),),
    shades_of="wind",
)
GENERATED: Final = timeseries(
    "Generation per producer",
    "Mean power of each turbine and reactor.",
    theme.POWER,
    read("device", "power_w", where=f'{RUN} and r.kind == "turbine"')
    .together("device", "_field")
    .windows()
    .called("r.device"),
    read("device", "power_w", where=f'{RUN} and r.kind == "reactor"')
    .together("_time")
    .then("sum()")
    .together()
    .windows()
    .called('"reactor"'),
    lines=(Line("reactor", "reactor", "reactor"),),
    shades_of="wind",
    stack=True,
    floor=0,
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
    "Every run of the site, with its simulated time. A click shows the run from its beginning to its end.",
    read("grid", "tick", where=SITE, time=ALWAYS)
    .then('group(columns: ["run"])', SPAN_OF_RUN, "group()")
    .order("run", down=True),
    columns=(
        Column(
            "run",
            "Run",
            link=f"/d/{UID}?${{site:queryparam}}&var-run=${{__value.raw}}"
            "&from=${__data.fields.begin}&to=${__data.fields.end}",
        ),
        Column("ticks", "Ticks", theme.COUNT, 90),
        Column("begin", "Begins", theme.TIME, 180),
        Column("end", "Ends", theme.TIME, 180),
    ),
)
EVENTS: Final = table(
    "Events",
    "What explains the curves: storms, changes of settings and algorithm, devices that went and came back.",
    read("event", "text", where=RUN)
    .then("group()", 'rename(columns: {_time: "at", _value: "text"})')
    .columns("at", "what", "device", "text")
    .order("at", down=True),
    columns=(
        Column("at", "Time", theme.TIME, 180),
        Column("what", "Event", width=110),
        Column("device", "Device", width=130, link=leads_to("gridfleet-device", device="${__value.raw}")),
        Column("text", "What happened"),
    ),
)


def overview() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Grid overview",
        "Demand, generation, prices and money of a site, and what is wrong with it. Start here.",
        (
            Row("", 4, NOW),
            Row(
                "Energy",
                9,
                (
                    linked(BALANCE, "Market", leads_to("gridfleet-market")),
                    linked(DIFFERENCE, "Market", leads_to("gridfleet-market")),
                ),
            ),
            Row(
                "Prices and the reactor",
                8,
                (linked(PRICES, "Market", leads_to("gridfleet-market")), REACTOR),
            ),
            Row(
                "Producers",
                8,
                (
                    linked(GENERATED, "Device", leads_to("gridfleet-device")),
                    linked(EARNED, "Device", leads_to("gridfleet-device")),
                ),
            ),
            Row("Clock", 4, CLOCK),
            Row(
                "What happened",
                8,
                (
                    linked(EVENTS, "Health", "/d/gridfleet-health?${site:queryparam}&${run:queryparam}"),
                    RUNS,
                    alarms("Alarms", "The alert rules and what they say now."),
                ),
                (10, 8, 6),
            ),
        ),
    )
