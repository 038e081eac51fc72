"""The list of the report's figures: name, title, what it shows, unit, and source columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.figure import Figure

from gridfleet.dashboards.plots import style
from gridfleet.dashboards.plots.figures import (
    batteries,
    charging,
    device_map,
    money,
    own_figures,
    power,
    storages,
    vehicle,
)
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
    rows: str = ""
    """The table of the store without whose rows the figure is left out; empty for one that every report has."""


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
        "Generation minus demand. Above zero there is a surplus; below zero the reactor supplies energy, "
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
        "Energy bought, by role",
        "Energy bought by consumers, and on top of it what chargers and storages bought for their batteries.",
        "kWh per tick",
        "ledger.csv: consumer, energy_kwh; store, table agents: role",
        power.bought_by_role,
    ),
    Plot(
        "generation-per-producer",
        "Generation per producer",
        "Mean power that each producer, storage and grid supply delivered: a colour for each role, a line style "
        "for each device.",
        "kW",
        "agents.csv: power_kw; store, table agents: role",
        power.generation_per_producer,
    ),
    Plot(
        "money-per-producer",
        "Earnings per producer",
        "Earnings of each producer since the start; of a storage, less what it paid.",
        "€",
        "agents.csv: money_eur; store, table agents: role",
        money.money_per_producer,
    ),
    Plot(
        "stored-total",
        "Stored energy",
        "Energy in the buffers of all chargers at the end of each tick; where there are storages, theirs on top.",
        "kWh",
        "ticks.csv: charger_stored_kwh; store, table storages: stored_wh",
        batteries.stored_total,
    ),
    Plot(
        "charger-batteries",
        "Battery of each charger",
        "State of charge of each charger's buffer.",
        "%",
        "agents.csv: state_of_charge; store, table agents: role",
        batteries.charger_batteries,
    ),
    Plot(
        "storages",
        "Storages",
        "Each storage's state of charge, and the energy that all storages together sold and bought.",
        "%, kWh per tick",
        "agents.csv: state_of_charge; store, table storages: bought_wh, sold_wh",
        storages.storages,
        rows="storages",
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
        "Left: how many calls for proposals, and reservations of them, reached each step. Right: how the accepted "
        "reservations ended.",
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
        "figures",
        "Figures that devices report of their own",
        "The mean of each figure over the devices of a kind; the band reaches from the smallest to the largest value.",
        "each figure's own",
        "agents.csv: a column for each figure",
        own_figures.own_figures,
        rows="figures",
    ),
    Plot(
        "map",
        "Map",
        "Last position of every device, with each vehicle's route to its next stop and its destination.",
        "degrees",
        "agents.csv: kind, latitude, longitude; store, table agents: role, and table vehicles: next and destination",
        device_map.map_of_devices,
    ),
)


def plots_of(store: Store) -> list[Plot]:
    """Return the figures that the report of a run has."""
    return [plot for plot in PLOTS if not plot.rows or _has_rows(store, plot.rows)]


def _has_rows(store: Store, table: str) -> bool:
    return next(store.select(f"SELECT 1 FROM {table} LIMIT 1"), None) is not None  # noqa: S608  the code's own SQL


def render_all(
    store: Store, plots_directory: Path | None = None, on_progress: Callable[[float], None] | None = None
) -> dict[str, str]:
    """Draw each figure of a run once; return it as SVG by name, and write it as PNG if a directory is given.

    `on_progress` is called before each figure with the share of those that are drawn, from 0 to 1.
    """
    timeline = read_timeline(store)
    found: dict[str, str] = {}
    with style.house_style():
        plots = plots_of(store)
        for plot in plots:
            if on_progress is not None:
                on_progress(len(found) / len(plots))
            figure = plot.draw(timeline)
            found[plot.name] = inline_svg(figure, plot.name, plot.title)
            if plots_directory is not None:
                save_png(figure, plots_directory / f"{plot.name}.png")
    return found
