"""Measurements of the market: energy balance, prices and merit order of each cell."""

from typing import Final

from gridfleet.dashboards.telemetry.table.fields import (
    CELL_TAGS,
    RUN_TAGS,
    TICK,
    Aggregation,
    Measurement,
    PointTime,
    count,
    eur,
    price,
    wh,
)

GRID: Final = Measurement(
    "grid",
    "a cell's energy balance of a tick: generated + reactor + imported = sold + exported + curtailed",
    PointTime.TICK,
    CELL_TAGS,
    (
        TICK,
        wh("demand_wh", "energy demanded"),
        wh("generated_wh", "own generation, without the reactor; and sold from storages"),
        wh("reactor_wh", "bought from the reactor"),
        wh("imported_wh", "bought from other cells"),
        wh("exported_wh", "sold to other cells"),
        wh("sold_wh", "bought by the cell's consumers, chargers and storages"),
        wh("curtailed_wh", "generated and not sold"),
        wh(
            "difference_wh",
            "generated less demand: the balance before trade between cells and with the reactor",
        ),
        eur("paid_eur", "paid by the cell's consumers, chargers and storages"),
        wh(
            "charger_stored_wh",
            "energy in the buffers of the cell's chargers when the tick ends",
            Aggregation.LAST,
        ),
        count("messages", "messages of its devices about market, reservations and accounts"),
    ),
)
MARKET: Final = Measurement(
    "market",
    "a cell's market in a tick, by the cell of the buyer",
    PointTime.TICK,
    CELL_TAGS,
    (
        price(
            "lowest_price_eur_per_kwh", "lowest price paid; no value where nothing was sold", Aggregation.MIN
        ),
        price("mean_price_eur_per_kwh", "price paid, mean by energy; no value where nothing was sold"),
        price(
            "highest_price_eur_per_kwh",
            "highest price paid; no value where nothing was sold",
            Aggregation.MAX,
        ),
        count("bids", "bids with packages"),
        count("packages", "packages bid for"),
        wh("bid_wh", "energy bid for"),
        count("requests", "requests to the reactor"),
        count("awards", "awards to the cell's buyers"),
        count("trades", "packages or parts of them sold"),
        count("refusals", "awards of which the receipt took less than was awarded"),
        count("unanswered", "awards without a receipt so far"),
        wh("refused_wh", "energy that receipts did not take"),
        count("rounds", "most awards that one buyer got of one producer, one per round", Aggregation.MAX),
    ),
)
MERIT: Final = Measurement(
    "merit",
    "merit order of a cell in a tick: what was bid for and what was sold in each price band; bands without bids are 0",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "band"),
    (
        wh("bid_wh", "energy bid for at a price in the band"),
        wh("sold_wh", "of it, sold by producers of the own or another cell"),
        wh("reactor_wh", "of it, sold by the reactor"),
    ),
)
