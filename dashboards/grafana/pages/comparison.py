"""The page Scenario comparison: two runs, or two algorithms, in the same panels."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.flux import SITE, Flux, read, share, values_of
from gridfleet.dashboards.grafana.builders.page import RUNS, SITE_VARIABLE, Row, page, query_variable
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, timeseries

UID: Final = "gridfleet-comparison"
SIDES: Final = ("a", "b")
LINES: Final = (FieldStyle("A", "${run_a}", "run-a"), FieldStyle("B", "${run_b}", "run-b"))
HOURLY_MEAN: Final = 'aggregateWindow(every: 1h, fn: mean, timeSrc: "_start", createEmpty: false)'


def run(side: str) -> str:
    """Return the condition that a row is of one of the two runs."""
    return f'{SITE} and r.run == "${{run_{side}}}"'


def run_and_algorithm(side: str) -> str:
    """Return the condition that a row is of one of the two runs and algorithms."""
    return f"{run(side)} and r.algorithm =~ /^${{algorithm_{side}:regex}}$/"


def chart_of_both(
    title: str, description: str, unit: str, query: Callable[[str], Flux], *, empty: str = "not in these runs"
) -> Panel:
    """Return a panel with a curve for each of the two."""
    return timeseries(
        title,
        description,
        unit,
        *(query(run_and_algorithm(side)).label(f'"{side.upper()}"') for side in SIDES),
        fields=LINES,
        soft_min=0,
        empty=empty,
    )


def figures_of_both(
    title: str, description: str, unit: str, query: Callable[[str], Flux], *, decimals: int | None = None
) -> Panel:
    """Return a panel with one number for each of the two."""
    return stat(
        title,
        description,
        unit,
        *(
            query(run_and_algorithm(side)).then(f"map(fn: (r) => ({{{side.upper()}: r._value}}))", "group()")
            for side in SIDES
        ),
        fields=LINES,
        decimals=decimals,
    )


def per_tick(field: str) -> Callable[[str], Flux]:
    """Return the query of a field of the energy balance, added up over the cells."""
    return lambda side: read("grid", field, where=side).per_tick().aggregate_window()


def mean_price(side: str) -> Flux:
    """Return the mean price, weighted by energy."""
    return (
        read("grid", "paid_eur", "sold_wh", where=side)
        .then("toFloat()")
        .per_tick()
        .aggregate_window("sum")
        .pivot("_time")
        .filter("r.sold_wh > 0.0")
        .series("1000.0 * r.paid_eur / r.sold_wh", "price")
    )


def reactor_share(side: str) -> Flux:
    """Return the reactor's part of what was bought in each tick."""
    return (
        read("grid", "reactor_wh", "sold_wh", where=side)
        .per_tick()
        .aggregate_window("sum")
        .pivot("_time")
        .series(share("reactor_wh", "sold_wh"), "share")
    )


def hourly_offers(field: str) -> Callable[[str], Flux]:
    """Return the mean of a field of accepted offers by the hour."""
    return lambda side: read("offer", field, where=side).group("_field").then(HOURLY_MEAN)


def share_of_total(part: str, whole: str) -> Callable[[str], Flux]:
    """Return one field's part of another in all the time shown."""
    return lambda side: (
        read("grid", part, whole, where=side).aggregate().pivot().value(share(part, whole), "share")
    )


def paid(side: str) -> Flux:
    """Return what was paid for energy."""
    return read("grid", "paid_eur", where=side).aggregate()


def offers_figure(field: str, fn: str) -> Callable[[str], Flux]:
    """Return one figure of all accepted offers."""
    return lambda side: read("offer", field, where=side).aggregate(fn)


SUMS: Final = (
    figures_of_both(
        "Reactor share", "Share of the energy bought.", theme.SHARE, share_of_total("reactor_wh", "sold_wh")
    ),
    figures_of_both(
        "Curtailed",
        "Share of the wind generation that was not sold.",
        theme.SHARE,
        share_of_total("curtailed_wh", "generated_wh"),
    ),
    figures_of_both("Paid", "For energy, by consumers and chargers.", theme.MONEY, paid),
    figures_of_both(
        "Offers accepted", "By vehicles.", theme.COUNT, offers_figure("price_eur_per_kwh", "count")
    ),
    figures_of_both(
        "Price of accepted offers",
        "Mean.",
        theme.PRICE,
        offers_figure("price_eur_per_kwh", "mean"),
        decimals=3,
    ),
    figures_of_both(
        "Distance of accepted offers",
        "Mean.",
        theme.DISTANCE,
        offers_figure("distance_km", "mean"),
        decimals=0,
    ),
    figures_of_both("Cost of accepted offers", "Mean.", theme.MONEY, offers_figure("cost_eur", "mean")),
)


def comparison() -> Dashboard:
    """Return the page."""
    algorithms = values_of("algorithm", "grid", SITE)
    return page(
        UID,
        "Scenario comparison",
        "Two runs, or two algorithms, over the same simulated time. Choose A and B at the top.",
        (
            Row("", 6, SUMS),
            Row(
                "Energy",
                8,
                (
                    chart_of_both("Demand", "Energy per tick.", theme.ENERGY, per_tick("demand_wh")),
                    chart_of_both(
                        "Wind generation", "Energy per tick.", theme.ENERGY, per_tick("generated_wh")
                    ),
                    chart_of_both(
                        "Curtailed",
                        "Energy per tick that was not sold.",
                        theme.ENERGY,
                        per_tick("curtailed_wh"),
                    ),
                ),
            ),
            Row(
                "Prices and the reactor",
                8,
                (
                    chart_of_both(
                        "Lowest price",
                        "Lowest price paid in a tick.",
                        theme.PRICE,
                        lambda side: (
                            read("market", "lowest_price_eur_per_kwh", where=side)
                            .per_tick(fn="min")
                            .aggregate_window("min")
                        ),
                    ),
                    chart_of_both("Mean price", "Weighted by energy.", theme.PRICE, mean_price),
                    chart_of_both(
                        "Reactor share", "Share of the energy bought in a tick.", theme.SHARE, reactor_share
                    ),
                ),
            ),
            Row(
                "Accepted charging offers",
                8,
                (
                    chart_of_both("Price", "Hourly mean.", theme.PRICE, hourly_offers("price_eur_per_kwh")),
                    chart_of_both("Distance", "Hourly mean.", theme.DISTANCE, hourly_offers("distance_km")),
                    chart_of_both("Cost", "Hourly mean.", theme.MONEY, hourly_offers("cost_eur")),
                ),
            ),
            Row(
                "Charging",
                8,
                (
                    chart_of_both(
                        "Stored energy",
                        "In all chargers.",
                        theme.ENERGY,
                        lambda side: read("charging", "stored_wh", where=side).per_tick().aggregate_window(),
                    ),
                    chart_of_both(
                        "Ports reserved",
                        "Of all chargers.",
                        theme.COUNT,
                        lambda side: (
                            read("charging", "ports_reserved", where=side).per_tick().aggregate_window()
                        ),
                    ),
                    chart_of_both(
                        "Vehicles waiting",
                        "On their way to a reserved port.",
                        theme.COUNT,
                        lambda side: read("charging", "waiting", where=side).per_tick().aggregate_window(),
                    ),
                ),
            ),
        ),
        variables=(
            SITE_VARIABLE,
            query_variable("run_a", "Run A", RUNS, "The first run."),
            query_variable(
                "algorithm_a", "Algorithm A", algorithms, "How vehicles choose an offer.", multiple=True
            ),
            query_variable("run_b", "Run B", RUNS, "The second run; the same run to compare algorithms."),
            query_variable(
                "algorithm_b", "Algorithm B", algorithms, "How vehicles choose an offer.", multiple=True
            ),
        ),
        annotated_runs=(("A: ", run("a")), ("B: ", run("b"))),
    )
