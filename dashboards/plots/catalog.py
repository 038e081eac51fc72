"""The list of the report's figures: name, title, what it shows, unit, and source columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.figure import Figure

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.figures import batteries, charging, device_map, money, power, vehicle
from gridfleet.dashboards.plots.image_files import inline_svg, save_png
from gridfleet.dashboards.plots.timeline import Timeline, read_timeline
from gridfleet.dashboards.store.database import Store


class Plot(NamedTuple):
    """One figure of the report."""

    name: str
    """File name without its suffix."""
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
        "Energy used, by source, with curtailed energy on top. The line is the demand: the sum of all bids.",
        "kWh per tick",
        "ticks.csv: demand_kwh, generated_kwh, reactor_kwh, imported_kwh, exported_kwh, curtailed_kwh",
        power.consumption_and_generation,
    ),
    Plot(
        "power-difference",
        "Power difference",
        "Wind generation minus demand. Above zero there is a surplus; below zero the reactor supplies energy, "
        "or some demand is not met.",
        "kWh per tick",
        "ticks.csv: generated_kwh, demand_kwh",
        power.power_difference,
    ),
    Plot(
        "reactor-share",
        "Share of the reactor",
        "The reactor's share of the energy bought, in each tick and since the start.",
        "%",
        "ticks.csv: reactor_kwh, sold_kwh",
        power.reactor_share,
    ),
    Plot(
        "sell-price",
        "Market price",
        "Lowest and mean price of the energy sold in each tick. Dashed: the lowest price that chargers bid, "
        "and the lowest price at which the reactor sells.",
        "€/kWh",
        "ticks.csv: lowest_price, mean_price",
        money.sell_price,
    ),
    Plot(
        "chargers-consumers",
        "Bought by consumers and by chargers",
        "Energy bought by households, commerce and farms, and on top of it the energy that chargers stored.",
        "kWh per tick",
        "ledger.csv: consumer, energy_kwh; agents.csv: kind",
        power.chargers_and_consumers,
    ),
    Plot(
        "generation-per-producer",
        "Generation per producer",
        "Mean power of each turbine and of the reactor; turbines differ in line style.",
        "kW",
        "agents.csv: kind, power_kw",
        power.generation_per_producer,
    ),
    Plot(
        "money-per-producer",
        "Earnings per producer",
        "Earnings of each producer since the start.",
        "€",
        "agents.csv: kind, money_eur",
        money.money_per_producer,
    ),
    Plot(
        "stored-total",
        "Energy stored in all chargers",
        "Energy in the buffers of all chargers at the end of each tick.",
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
        "Price, distance and cost of the offers that vehicles accepted. A dot is the mean of a tick, the "
        "line is the mean of the last 3 hours.",
        "€/kWh, km, €",
        "reservations.csv: accepted, price, distance_km, energy_kwh × price",
        charging.accepted_offers,
    ),
    Plot(
        "reservation-outcomes",
        "Charging reservations",
        "Left: how many calls for proposals reached each step. Right: how the chargers' offers ended.",
        "count",
        "reservations.csv: requested, offered, accepted, arrived, released, outcome",
        charging.reservation_outcomes,
    ),
    Plot(
        "vehicle-history",
        "History of one vehicle",
        "The vehicle with the most reservations: state of charge and status, speed, time to its deadline.",
        "%, km/h, h",
        "agents.csv: state_of_charge; store, table vehicles: status, speed_km_h, deadline_ms",
        vehicle.vehicle_history,
    ),
    Plot(
        "map",
        "Map",
        "Last position of every device, with each vehicle's route to its next stop and its destination.",
        "degrees",
        "agents.csv: kind, latitude, longitude; store, table vehicles: next and destination",
        device_map.map_of_devices,
    ),
)


def render_all(store: Store, plots_directory: Path | None = None) -> dict[str, str]:
    """Draw each figure once; return it as SVG by name, and write it as PNG if a directory is given."""
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
