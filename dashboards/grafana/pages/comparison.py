"""The page Scenario comparison: two runs, or two algorithms, in the same panels."""

from functools import partial
from typing import Final, Protocol

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.flux import SITE, Flux, read, values_of
from gridfleet.dashboards.grafana.builders.page import RUNS, SITE_VARIABLE, Row, page, query_variable
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, timeseries
from gridfleet.dashboards.grafana.pages.queries import (
    hourly_means,
    lowest_price,
    mean_price,
    reactor_share,
    tick_sums,
    total_share,
)

UID: Final = "gridfleet-comparison"
SIDES: Final = ("a", "b")
LINES: Final = (FieldStyle("A", "${run_a}", "run-a"), FieldStyle("B", "${run_b}", "run-b"))


class Query(Protocol):
    """Returns a query for the rows that meet a condition."""

    def __call__(self, *, where: str) -> Flux:
        """Return the query; `where` is a condition in Flux."""


def run(side: str) -> str:
    """Return the condition that a row is of one of the two runs."""
    return f'{SITE} and r.run == "${{run_{side}}}"'


def run_and_algorithm(side: str) -> str:
    """Return the condition that a row is of one of the two runs and algorithms."""
    return f"{run(side)} and r.algorithm =~ /^${{algorithm_{side}:regex}}$/"


def chart_of_both(
    title: str, description: str, unit: str, query: Query, *, empty: str = "not in these runs"
) -> Panel:
    """Return a panel with a curve for each of the two."""
    return timeseries(
        title,
        description,
        unit,
        *(query(where=run_and_algorithm(side)).label(f'"{side.upper()}"') for side in SIDES),
        fields=LINES,
        soft_min=0,
        empty=empty,
    )


def figures_of_both(
    title: str, description: str, unit: str, query: Query, *, decimals: int | None = None
) -> Panel:
    """Return a panel with one number for each of the two."""
    return stat(
        title,
        description,
        unit,
        *(
            query(where=run_and_algorithm(side)).then(
                f"map(fn: (r) => ({{{side.upper()}: r._value}}))", "group()"
            )
            for side in SIDES
        ),
        fields=LINES,
        decimals=decimals,
    )


def offers_figure(field: str, fn: str) -> Query:
    """Return the query of one figure of all accepted offers."""
    return lambda where: read("offer", field, where=where).aggregate(fn)


SUMS: Final = (
    figures_of_both(
        "Reactor share",
        "Share of the energy bought.",
        theme.SHARE,
        partial(total_share, "grid", "reactor_wh", "sold_wh"),
    ),
    figures_of_both(
        "Curtailed",
        "Share of the wind generation that was not sold.",
        theme.SHARE,
        partial(total_share, "grid", "curtailed_wh", "generated_wh"),
    ),
    figures_of_both(
        "Paid",
        "For energy, by consumers and chargers.",
        theme.MONEY,
        lambda where: read("grid", "paid_eur", where=where).aggregate(),
    ),
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
                    chart_of_both(
                        "Demand", "Energy per tick.", theme.ENERGY, partial(tick_sums, "grid", "demand_wh")
                    ),
                    chart_of_both(
                        "Wind generation",
                        "Energy per tick.",
                        theme.ENERGY,
                        partial(tick_sums, "grid", "generated_wh"),
                    ),
                    chart_of_both(
                        "Curtailed",
                        "Energy per tick that was not sold.",
                        theme.ENERGY,
                        partial(tick_sums, "grid", "curtailed_wh"),
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
                        lowest_price,
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
                    chart_of_both(
                        "Price",
                        "Hourly mean.",
                        theme.PRICE,
                        partial(hourly_means, "offer", "price_eur_per_kwh"),
                    ),
                    chart_of_both(
                        "Distance",
                        "Hourly mean.",
                        theme.DISTANCE,
                        partial(hourly_means, "offer", "distance_km"),
                    ),
                    chart_of_both(
                        "Cost", "Hourly mean.", theme.MONEY, partial(hourly_means, "offer", "cost_eur")
                    ),
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
                        partial(tick_sums, "charging", "stored_wh"),
                    ),
                    chart_of_both(
                        "Ports reserved",
                        "Of all chargers.",
                        theme.COUNT,
                        partial(tick_sums, "charging", "ports_reserved"),
                    ),
                    chart_of_both(
                        "Vehicles waiting",
                        "On their way to a reserved port.",
                        theme.COUNT,
                        partial(tick_sums, "charging", "waiting"),
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
