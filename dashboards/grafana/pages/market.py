"""The page Market: bids, sales, prices, and the messages needed for them."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import bar_chart, bar_gauge
from gridfleet.dashboards.grafana.builders.flux import of_roles, read
from gridfleet.dashboards.grafana.builders.page import Row, page
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, timeseries
from gridfleet.dashboards.grafana.pages.queries import lowest_price, mean_price, tick_sums, total_share

UID: Final = "gridfleet-market"
NO_STORAGE: Final = "this run has no storage"

SUMS: Final = (
    stat(
        "Energy bought",
        "By consumers and chargers, in the time range shown.",
        theme.ENERGY,
        read("grid", "sold_wh").aggregate(),
    ),
    stat(
        "Paid", "For this energy, in the time range shown.", theme.MONEY, read("grid", "paid_eur").aggregate()
    ),
    stat(
        "Lowest price",
        "Lowest price paid in the time range shown.",
        theme.PRICE,
        read("market", "lowest_price_eur_per_kwh").aggregate("min"),
        decimals=3,
    ),
    stat(
        "Highest price",
        "Highest price paid in the time range shown.",
        theme.PRICE,
        read("market", "highest_price_eur_per_kwh").aggregate("max"),
        decimals=3,
    ),
    stat(
        "Awards refused",
        "Share of the awards that the buyer took only in part: two producers had sold to the same bid.",
        theme.SHARE,
        total_share("market", "refusals", "awards"),
        thresholds=theme.thresholds(theme.GOOD, (0.01, theme.WARN), (0.05, theme.BAD)),
    ),
    stat(
        "Highest number of rounds",
        "Highest number of awards from one producer to one buyer in a tick; 1 without faults.",
        theme.COUNT,
        read("market", "rounds").aggregate("max"),
        thresholds=theme.thresholds(theme.GOOD, (3, theme.WARN), (6, theme.BAD)),
    ),
)
MERIT: Final = bar_chart(
    "Merit order",
    "Energy bid for in each price band in the time range shown, and who sold it; the highest bids are served first.",
    theme.ENERGY,
    read("merit", "bid_wh", "sold_wh", "reactor_wh")
    .aggregate("sum", "band")
    .pivot("band")
    .sort("band", descending=True),
    x_field="band",
    fields=(
        FieldStyle("bid_wh", "bid for", "consumer"),
        FieldStyle("sold_wh", "sold by turbines", "wind"),
        FieldStyle("reactor_wh", "sold by the reactor", "reactor"),
    ),
)
PRICES: Final = timeseries(
    "Prices",
    "Lowest, mean and highest price of a tick; the mean is weighted by energy.",
    theme.PRICE,
    lowest_price().keep(),
    read("market", "highest_price_eur_per_kwh").per_tick(fn="max").aggregate_window("max").keep(),
    mean_price(),
    fields=(
        FieldStyle("lowest_price_eur_per_kwh", "lowest", "price"),
        FieldStyle("mean", "mean", "event"),
        FieldStyle("highest_price_eur_per_kwh", "highest", "muted"),
    ),
    soft_min=0,
)
BY_CELL: Final = timeseries(
    "Mean price by cell",
    "The mean price of each cell, weighted by energy.",
    theme.PRICE,
    read("market", "mean_price_eur_per_kwh").group("cell", "_field").aggregate_window().label("r.cell"),
    shades_of="price",
    soft_min=0,
)
AWARDS: Final = timeseries(
    "Awards and refusals",
    "Counts per tick. Refusals and awards without a receipt are rare unless messages are lost.",
    theme.COUNT,
    tick_sums("market", "awards", "trades", "requests", "refusals", "unanswered").keep(),
    fields=(
        FieldStyle("awards", "awards", "wind"),
        FieldStyle("trades", "trades", "charger"),
        FieldStyle("requests", "requests to the reactor", "reactor"),
        FieldStyle("refusals", "refusals", "event"),
        FieldStyle("unanswered", "awards without receipt", "muted"),
    ),
    soft_min=0,
)
ROUNDS: Final = timeseries(
    "Rounds",
    "Highest number of awards from one producer to one buyer in a tick; later rounds sell refused energy again.",
    theme.COUNT,
    read("market", "rounds").per_tick(fn="max").aggregate_window("max").keep(),
    fields=(FieldStyle("rounds", "rounds", "wind"),),
    soft_min=0,
)
BIDS: Final = timeseries(
    "Bids",
    "Bids that are not empty, and their packages, per tick.",
    theme.COUNT,
    tick_sums("market", "bids", "packages").keep(),
    fields=(FieldStyle("bids", "bids", "consumer"), FieldStyle("packages", "packages", "charger")),
    soft_min=0,
)
MESSAGES: Final = timeseries(
    "Messages by type",
    "Messages that devices published, per tick.",
    theme.COUNT,
    read("messages", "messages").per_tick("message_type").aggregate_window().label("r.message_type"),
    shades_of="imported",
    stack=True,
    soft_min=0,
)
BUYERS: Final = timeseries(
    "Energy bought, by role",
    "Energy per tick that consumers bought, and that chargers and storages bought for their batteries.",
    theme.ENERGY,
    read("device", "bought_wh", where=of_roles(Role.CONSUMER, Role.CHARGER, Role.STORAGE))
    .per_tick("role")
    .aggregate_window()
    .label("r.role"),
    fields=(
        FieldStyle(Role.CONSUMER.value, "consumers", "consumer"),
        FieldStyle(Role.CHARGER.value, "chargers", "charger"),
        FieldStyle(Role.STORAGE.value, "storages", "storage"),
    ),
    stack=True,
    soft_min=0,
)
STORAGES: Final = timeseries(
    "Stored energy per storage",
    "In the battery of each storage.",
    theme.ENERGY,
    read("device", "stored_wh", where=of_roles(Role.STORAGE))
    .group("device", "_field")
    .aggregate_window()
    .label("r.device"),
    shades_of="storage",
    soft_min=0,
    empty=NO_STORAGE,
)
STORAGE_FLOWS: Final = timeseries(
    "Bought and sold by storages",
    "Energy per tick of all storages.",
    theme.ENERGY,
    tick_sums("device", "bought_wh", "sold_wh", where=of_roles(Role.STORAGE)).keep(),
    fields=(FieldStyle("bought_wh", "bought", "consumer"), FieldStyle("sold_wh", "sold", "storage")),
    soft_min=0,
    empty=NO_STORAGE,
)
STORAGE_MONEY: Final = timeseries(
    "Storages' earnings and payments",
    "Earned and paid by all storages, per tick.",
    theme.MONEY,
    tick_sums("device", "earned_eur", "paid_eur", where=of_roles(Role.STORAGE)).keep(),
    fields=(FieldStyle("earned_eur", "earned", "storage"), FieldStyle("paid_eur", "paid", "consumer")),
    soft_min=0,
    empty=NO_STORAGE,
)
IMPORTED: Final = timeseries(
    "Imports and exports by cell",
    "Energy per tick that a cell bought from its neighbours, above zero, and sold to them, below.",
    theme.ENERGY,
    read("grid", "imported_wh").per_tick("cell").aggregate_window().label('"in: " + r.cell'),
    read("grid", "exported_wh")
    .per_tick("cell")
    .aggregate_window()
    .then("map(fn: (r) => ({r with _value: -1.0 * r._value}))")
    .label('"out: " + r.cell'),
    shades_of="imported",
)
NET: Final = bar_gauge(
    "Net import by cell",
    "Energy bought from neighbouring cells minus energy sold to them, in the time range shown.",
    theme.ENERGY,
    read("grid", "imported_wh", "exported_wh")
    .aggregate("sum", "cell")
    .pivot("cell")
    .then("map(fn: (r) => ({name: r.cell, value: r.imported_wh - r.exported_wh}))")
    .sort("value", descending=True),
    quantity="imported",
)


def market() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Market",
        "Merit order, prices, awards and refusals, and the exchange between cells.",
        (
            Row("", 4, SUMS),
            Row("Prices", 9, (MERIT, PRICES)),
            Row("Energy", 8, (BUYERS, BY_CELL)),
            Row("Storages", 8, (STORAGES, STORAGE_FLOWS, STORAGE_MONEY)),
            Row("Awards and bids", 8, (AWARDS, BIDS, ROUNDS)),
            Row("Between cells", 8, (IMPORTED, NET), (16, 8)),
            Row("Messages", 8, (MESSAGES,)),
        ),
    )
