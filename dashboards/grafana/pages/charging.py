"""The page Charging: stored energy, reservations, and what vehicles pay, wait and drive for them."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import Column, bar_chart, table
from gridfleet.dashboards.grafana.builders.flux import Flux, of_roles, read, share
from gridfleet.dashboards.grafana.builders.maps import MarkerLayer, device_map
from gridfleet.dashboards.grafana.builders.page import Row, page, page_link
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, timeseries
from gridfleet.dashboards.grafana.pages.queries import hourly_means, last_sums, tick_sums

UID: Final = "gridfleet-charging"
SIZE: Final = "state_of_charge"
CHARGE_THRESHOLDS: Final = theme.thresholds(theme.BAD, (0.1, theme.WARN), (0.5, theme.GOOD))


def positions(role: Role, *fields: str) -> Flux:
    """Return the last positions of the devices of a role, with further columns."""
    return (
        read("device", "latitude", "longitude", *fields, where=of_roles(role))
        .last("device")
        .keep_columns("device", "latitude", "longitude", *fields)
    )


SUMS: Final = (
    stat(
        "Stored",
        "Energy in the chargers' batteries at the end of the time range shown, and as a curve.",
        theme.ENERGY,
        read("charging", "stored_wh").per_tick().aggregate_window("last").keep(),
    ),
    stat(
        "State of charge",
        "Stored energy as a share of the batteries' capacity, at the end of the time range shown.",
        theme.SHARE,
        last_sums("charging", "stored_wh", "capacity_wh")
        .pivot("_time")
        .value(share("stored_wh", "capacity_wh"), "filled"),
        thresholds=CHARGE_THRESHOLDS,
    ),
    stat(
        "Ports reserved",
        "Share of the ports that is reserved at the end of the time range shown.",
        theme.SHARE,
        last_sums("charging", "ports_reserved", "ports")
        .pivot("_time")
        .value(share("ports_reserved", "ports"), "reserved"),
        thresholds=theme.thresholds(theme.GOOD, (0.7, theme.WARN), (0.95, theme.BAD)),
    ),
    stat(
        "Vehicles waiting",
        "Vehicles on their way to a reserved port, at the end of the time range shown.",
        theme.COUNT,
        last_sums("charging", "waiting").keep(),
    ),
    stat(
        "Vehicles stranded",
        "Vehicles with an empty battery on the road, at the end of the time range shown; must be 0.",
        theme.COUNT,
        last_sums("charging", "failed").keep(),
        thresholds=theme.ZERO_IS_GOOD,
    ),
    stat(
        "Offers accepted",
        "In the time range shown.",
        theme.COUNT,
        read("offer", "price_eur_per_kwh").aggregate("count"),
        empty="none yet",
    ),
)
STORED: Final = timeseries(
    "Stored energy",
    "In all chargers, and the capacity of their batteries.",
    theme.ENERGY,
    tick_sums("charging", "stored_wh", "capacity_wh").keep(),
    fields=(FieldStyle("stored_wh", "stored", "charger"), FieldStyle("capacity_wh", "capacity", "muted")),
    soft_min=0,
)
PER_CHARGER: Final = timeseries(
    "Stored energy per charger",
    "In the battery of each charger.",
    theme.ENERGY,
    read("device", "stored_wh", where=of_roles(Role.CHARGER))
    .group("device", "_field")
    .aggregate_window()
    .label("r.device"),
    shades_of="charger",
    soft_min=0,
)
FLOWS: Final = timeseries(
    "Bought and delivered",
    "Energy per tick that chargers bought from producers and delivered to vehicles.",
    theme.ENERGY,
    tick_sums("charging", "bought_wh", "delivered_wh").keep(),
    fields=(
        FieldStyle("bought_wh", "bought", "charger"),
        FieldStyle("delivered_wh", "delivered to vehicles", "vehicle"),
    ),
    soft_min=0,
)
PORTS: Final = timeseries(
    "Ports",
    "Ports of all chargers, and how many of them are reserved.",
    theme.COUNT,
    tick_sums("charging", "ports", "ports_reserved").keep(),
    fields=(FieldStyle("ports_reserved", "reserved", "vehicle"), FieldStyle("ports", "ports", "muted")),
    soft_min=0,
)
MONEY: Final = timeseries(
    "Chargers' earnings and payments",
    "Earned from vehicles and paid to producers, per tick.",
    theme.MONEY,
    tick_sums("charging", "earned_eur", "paid_eur").keep(),
    fields=(
        FieldStyle("earned_eur", "earned from vehicles", "vehicle"),
        FieldStyle("paid_eur", "paid to producers", "wind"),
    ),
    soft_min=0,
)
STATES: Final = timeseries(
    "Vehicles by state",
    "How many vehicles are parked, driving, heading for a charger, charging or stranded.",
    theme.COUNT,
    read("vehicles", "vehicles").per_tick("status").aggregate_window().label("r.status"),
    fields=(
        FieldStyle("parked", "parked", "muted"),
        FieldStyle("driving", "driving", "imported"),
        FieldStyle("heading", "heading for a charger", "vehicle"),
        FieldStyle("charging", "charging", "charger"),
        FieldStyle("stranded", "stranded", "reactor"),
        FieldStyle("other", "other", "ink"),
    ),
    stack=True,
    soft_min=0,
)


def accepted(title: str, description: str, unit: str, field: str, quantity: str) -> Panel:
    """Return the panel of the mean of a field of accepted offers, per hour."""
    return timeseries(
        title,
        description,
        unit,
        read("offer", field)
        .group("_field")
        .then(
            'aggregateWindow(every: 1h, fn: mean, timeSrc: "_start", createEmpty: false)',
        )
        .keep(),
        fields=(FieldStyle(field, "hourly mean", quantity),),
        soft_min=0,
        empty="no offer accepted yet",
    )


OUTCOMES: Final = bar_chart(
    "Outcomes of calls",
    "Calls for proposals by outcome in the time range shown. Open calls have not ended.",
    theme.COUNT,
    read("reservation", "energy_wh")
    .then('group(columns: ["outcome"])', "count()", 'rename(columns: {_value: "calls"})', "group()")
    .keep_columns("outcome", "calls")
    .sort("outcome"),
    x_field="outcome",
    fields=(FieldStyle("calls", "calls", "vehicle"),),
    empty="no call has ended yet",
)
REFUSED: Final = bar_chart(
    "Calls declined, by reason",
    "Calls that chargers declined in the time range shown: no free port, not enough energy, price limit and others.",
    theme.COUNT,
    read("declines", "declines")
    .then('group(columns: ["reason"])', "sum()", 'rename(columns: {_value: "declines"})', "group()")
    .keep_columns("reason", "declines")
    .sort("reason"),
    x_field="reason",
    fields=(FieldStyle("declines", "declined", "reactor"),),
    empty="no charger has declined",
)
TIMES: Final = timeseries(
    "Driving and charging times",
    "Hourly mean of the time to reach the charger, and of the time plugged in.",
    theme.SECONDS,
    hourly_means("reservation", "way_s", "plugged_s").keep(),
    fields=(FieldStyle("way_s", "on the way", "vehicle"), FieldStyle("plugged_s", "plugged in", "charger")),
    soft_min=0,
    empty="no vehicle has charged yet",
)
MAP: Final = device_map(
    "Devices",
    "Last position of every device. Marks of devices with a battery grow with their state of charge.",
    (
        MarkerLayer("producers", positions(Role.PRODUCER, "power_w"), "wind", 7),
        MarkerLayer("reactors", positions(Role.GRID_SUPPLY, "power_w"), "reactor", 9),
        MarkerLayer("consumers", positions(Role.CONSUMER, "power_w"), "consumer", 6),
        MarkerLayer("storages", positions(Role.STORAGE, SIZE), "storage", 6, SIZE),
        MarkerLayer("chargers", positions(Role.CHARGER, SIZE), "charger", 5, SIZE),
        MarkerLayer("vehicles", positions(Role.VEHICLE, SIZE), "vehicle", 4, SIZE),
    ),
)
CHARGERS: Final = table(
    "Chargers",
    "Each charger at the end of the time range shown. Click it to open its page.",
    read(
        "device", "state_of_charge", "stored_wh", "ports", "ports_reserved", "balance_eur",
        where=of_roles(Role.CHARGER),
    )
    .last("device")
    .keep_columns("device", "state_of_charge", "stored_wh", "ports", "ports_reserved", "balance_eur")
    .sort("device"),
    columns=(
        Column("device", "Charger", link=page_link("gridfleet-device", device="${__value.raw}")),
        Column("state_of_charge", "Charge", theme.SHARE, 80, thresholds=CHARGE_THRESHOLDS),
        Column("stored_wh", "Stored", theme.ENERGY, 100),
        Column("ports", "Ports", theme.COUNT, 70),
        Column("ports_reserved", "Reserved", theme.COUNT, 90),
        Column("balance_eur", "Balance", theme.MONEY, 100),
    ),
)  # fmt: skip


def charging() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Charging",
        "Stored energy, ports, reservations and their outcomes, and a map of all devices.",
        (
            Row("", 4, SUMS),
            Row("Map", 15, (MAP, CHARGERS), (13, 11)),
            Row("Energy", 8, (STORED, PER_CHARGER, FLOWS)),
            Row(
                "Accepted offers",
                8,
                (
                    accepted("Price", "Price agreed.", theme.PRICE, "price_eur_per_kwh", "price"),
                    accepted(
                        "Distance",
                        "From the vehicle to the charger.",
                        theme.DISTANCE,
                        "distance_km",
                        "vehicle",
                    ),
                    accepted(
                        "Cost", "Energy reserved at the price agreed.", theme.MONEY, "cost_eur", "charger"
                    ),
                ),
            ),
            Row("Reservations", 8, (OUTCOMES, REFUSED, TIMES)),
            Row("Ports, vehicles, earnings", 8, (PORTS, STATES, MONEY)),
        ),
    )
