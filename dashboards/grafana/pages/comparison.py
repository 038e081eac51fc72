"""The page Scenario comparison: two runs, or two algorithms, in the same panels."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.flux import SITE, Flux, read, share, values_of
from gridfleet.dashboards.grafana.builders.page import RUNS, SITE_CHOICE, Row, choice, page
from gridfleet.dashboards.grafana.builders.panels import Line, stat, timeseries

UID: Final = "gridfleet-comparison"
SIDES: Final = ("a", "b")
LINES: Final = (Line("A", "${run_a}", "run-a"), Line("B", "${run_b}", "run-b"))
HOURS: Final = 'aggregateWindow(every: 1h, fn: mean, timeSrc: "_start", createEmpty: false)'


def run(side: str) -> str:
    """Return the condition that a row is of one of the two runs."""
    return f'{SITE} and r.run == "${{run_{side}}}"'


def one(side: str) -> str:
    """Return the condition that a row is of one of the two runs and algorithms."""
    return f"{run(side)} and r.algorithm =~ /^${{algorithm_{side}:regex}}$/"


def both(
    title: str, about: str, unit: str, query: Callable[[str], Flux], *, empty: str = "not in these runs"
) -> Panel:
    """Return a panel with a curve for each of the two."""
    return timeseries(
        title,
        about,
        unit,
        *(query(one(side)).label(f'"{side.upper()}"') for side in SIDES),
        lines=LINES,
        floor=0,
        empty=empty,
    )


def sums(
    title: str, about: str, unit: str, query: Callable[[str], Flux], *, decimals: int | None = None
) -> Panel:
    """Return a panel with one number for each of the two."""
    return stat(
        title,
        about,
        unit,
        *(
            query(one(side)).then(f"map(fn: (r) => ({{{side.upper()}: r._value}}))", "group()")
            for side in SIDES
        ),
        lines=LINES,
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


def offers(field: str) -> Callable[[str], Flux]:
    """Return the mean of a field of accepted offers by the hour."""
    return lambda side: read("offer", field, where=side).group("_field").then(HOURS)


def part(of: str, whole: str) -> Callable[[str], Flux]:
    """Return one field's part of another in all the time shown."""
    return lambda side: (
        read("grid", of, whole, where=side).aggregate().pivot().value(share(of, whole), "share")
    )


def paid(side: str) -> Flux:
    """Return what was paid for energy."""
    return read("grid", "paid_eur", where=side).aggregate()


def of_offers(field: str, fn: str) -> Callable[[str], Flux]:
    """Return one figure of all accepted offers."""
    return lambda side: read("offer", field, where=side).aggregate(fn)


SUMS: Final = (
    sums("Reactor share", "Share of the energy bought.", theme.SHARE, part("reactor_wh", "sold_wh")),
    sums(
        "Curtailed",
        "Share of the wind generation that was not sold.",
        theme.SHARE,
        part("curtailed_wh", "generated_wh"),
    ),
    sums("Paid", "For energy, by consumers and chargers.", theme.MONEY, paid),
    sums("Offers accepted", "By vehicles.", theme.COUNT, of_offers("price_eur_per_kwh", "count")),
    sums(
        "Price of accepted offers", "Mean.", theme.PRICE, of_offers("price_eur_per_kwh", "mean"), decimals=3
    ),
    sums(
        "Distance of accepted offers", "Mean.", theme.DISTANCE, of_offers("distance_km", "mean"), decimals=0
    ),
    sums("Cost of accepted offers", "Mean.", theme.MONEY, of_offers("cost_eur", "mean")),
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
                    both("Demand", "Energy per tick.", theme.ENERGY, per_tick("demand_wh")),
                    both("Wind generation", "Energy per tick.", theme.ENERGY, per_tick("generated_wh")),
                    both(
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
                    both(
                        "Lowest price",
                        "Lowest price paid in a tick.",
                        theme.PRICE,
                        lambda side: (
                            read("market", "lowest_price_eur_per_kwh", where=side)
                            .per_tick(fn="min")
                            .aggregate_window("min")
                        ),
                    ),
                    both("Mean price", "Weighted by energy.", theme.PRICE, mean_price),
                    both(
                        "Reactor share", "Share of the energy bought in a tick.", theme.SHARE, reactor_share
                    ),
                ),
            ),
            Row(
                "Accepted charging offers",
                8,
                (
                    both("Price", "Hourly mean.", theme.PRICE, offers("price_eur_per_kwh")),
                    both("Distance", "Hourly mean.", theme.DISTANCE, offers("distance_km")),
                    both("Cost", "Hourly mean.", theme.MONEY, offers("cost_eur")),
                ),
            ),
            Row(
                "Charging",
                8,
                (
                    both(
                        "Stored energy",
                        "In all chargers.",
                        theme.ENERGY,
                        lambda side: read("charging", "stored_wh", where=side).per_tick().aggregate_window(),
                    ),
                    both(
                        "Ports reserved",
                        "Of all chargers.",
                        theme.COUNT,
                        lambda side: (
                            read("charging", "ports_reserved", where=side).per_tick().aggregate_window()
                        ),
                    ),
                    both(
                        "Vehicles waiting",
                        "On their way to a reserved port.",
                        theme.COUNT,
                        lambda side: read("charging", "waiting", where=side).per_tick().aggregate_window(),
                    ),
                ),
            ),
        ),
        variables=(
            SITE_CHOICE,
            choice("run_a", "Run A", RUNS, "The first run."),
            choice("algorithm_a", "Algorithm A", algorithms, "How vehicles choose an offer.", many=True),
            choice("run_b", "Run B", RUNS, "The second run; the same run to compare algorithms."),
            choice("algorithm_b", "Algorithm B", algorithms, "How vehicles choose an offer.", many=True),
        ),
        annotated=(("A: ", run("a")), ("B: ", run("b"))),
    )
