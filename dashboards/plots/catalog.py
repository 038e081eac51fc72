"""The list of figures: what each is called, what it shows, in which unit, and from which columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.figure import Figure

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.figures import batteries, charging, country, money, power, vehicle
from gridfleet.dashboards.plots.image_files import inline_svg, save_png
from gridfleet.dashboards.plots.timeline import Timeline, read_timeline
from gridfleet.dashboards.store.database import Store


class Plot(NamedTuple):
    """One figure of the report."""

    name: str
    """File name without its ending."""
    title: str
    shows: str
    unit: str
    source: str
    """Files and columns of the export that hold the same figures."""
    draw: Callable[[Timeline], Figure]


PLOTS: Final = (
    Plot(
        "consumption-generation",
        "Consumption and generation",
        "Energy used, by where it came from; curtailed energy above it; the line is what all bids asked for.",
        "kWh per tick",
        "ticks.csv: demand_kwh, generated_kwh, reactor_kwh, imported_kwh, exported_kwh, curtailed_kwh",
        power.consumption_and_generation,
    ),
    Plot(
        "power-difference",
        "Power difference",
        "Own generation less demand. Above zero there is more than anybody asks for; below it somebody goes "
        "short or the reactor helps.",
        "kWh per tick",
        "ticks.csv: generated_kwh, demand_kwh",
        power.power_difference,
    ),
    Plot(
        "reactor-share",
        "Share of the reactor",
        "How much of the energy bought came from the reactor, in each tick and since the start.",
        "%",
        "ticks.csv: reactor_kwh, sold_kwh",
        power.reactor_share,
    ),
    Plot(
        "sell-price",
        "Sell price",
        "Lowest and mean price of the energy sold in each tick. Dashed: the least that chargers bid, and the "
        "price from which the reactor sells.",
        "EUR/kWh",
        "ticks.csv: lowest_price, mean_price",
        money.sell_price,
    ),
    Plot(
        "chargers-consumers",
        "Bought by consumers and by chargers",
        "What households, commerce and farms bought, and on top of it what chargers put into their buffers.",
        "kWh per tick",
        "ledger.csv: consumer, energy_kwh; agents.csv: kind",
        power.chargers_and_consumers,
    ),
    Plot(
        "generation-per-producer",
        "Generation per producer",
        "Mean power of each turbine and of the reactor; turbines differ by their dashes.",
        "kW",
        "agents.csv: kind, power_kw",
        power.generation_per_producer,
    ),
    Plot(
        "money-per-producer",
        "Money earned per producer",
        "What each producer has earned since the start.",
        "EUR",
        "agents.csv: kind, money_eur",
        money.money_per_producer,
    ),
    Plot(
        "stored-total",
        "Energy in all chargers together",
        "The buffers of all chargers, when each tick ends.",
        "kWh",
        "ticks.csv: charger_stored_kwh",
        batteries.stored_total,
    ),
    Plot(
        "charger-batteries",
        "Battery of each charger",
        "State of charge of each charger's buffer.",
        "%",
        "agents.csv: kind, state_of_charge",
        batteries.charger_batteries,
    ),
    Plot(
        "accepted-offers",
        "Accepted charging offers",
        "Price, distance and cost of the offers that vehicles accepted; a dot is the mean of a tick, the "
        "line that of the last 3 hours.",
        "EUR/kWh, km, EUR",
        "reservations.csv: accepted, price, distance_km, energy_kwh × price",
        charging.accepted_offers,
    ),
    Plot(
        "reservation-outcomes",
        "Charging reservations",
        "Left, how many calls for proposals reached each step; right, how the offers of chargers ended.",
        "count",
        "reservations.csv: requested, offered, accepted, arrived, released, outcome",
        charging.reservation_outcomes,
    ),
    Plot(
        "vehicle-story",
        "One vehicle's story",
        "The vehicle with most reservations: state of charge and status, speed, time to its deadline.",
        "%, km/h, h",
        "agents.csv: state_of_charge; store, table vehicles: status, speed_km_h, deadline_ms",
        vehicle.vehicle_story,
    ),
    Plot(
        "map",
        "Map",
        "All agents where they were last seen, with each vehicle's way to its next stop and its destination.",
        "degrees",
        "agents.csv: kind, latitude, longitude; store, table vehicles: next and destination",
        country.map_of_agents,
    ),
)


def render_all(store: Store, plots_directory: Path | None = None) -> dict[str, str]:
    """Build each figure once; return it as SVG for a page, by name, and write it as PNG where asked to."""
    timeline = read_timeline(store)
    found = {}
    with style.house_style():
        for plot in PLOTS:
            figure = plot.draw(timeline)
            if plots_directory is not None:
                save_png(figure, plots_directory / f"{plot.name}.png")
            else:
                figure.draw_without_rendering()
            found[plot.name] = inline_svg(figure, plot.name, plot.title)
    return found
