"""The page Device: one device of any kind; panels that do not apply to its role say so."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import state_timeline
from gridfleet.dashboards.grafana.builders.flux import DEVICE, RUN, read, values_of
from gridfleet.dashboards.grafana.builders.maps import MarkerLayer, device_map
from gridfleet.dashboards.grafana.builders.page import RUN_VARIABLE, SITE_VARIABLE, Row, page, query_variable
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, stat, text_stat, timeseries
from gridfleet.dashboards.grafana.pages.hardware import HARDWARE, INCIDENTS, PLUG, SWITCHES, WIND
from gridfleet.dashboards.grafana.pages.queries import device_series, device_text, last_of_device

UID: Final = "gridfleet-device"
NO_BATTERY: Final = "this device has no battery"
NOT_THIS_ROLE: Final = "not for devices of this role"
STATES: Final = (
    ("parked", theme.colour("muted")),
    ("driving", theme.colour("imported")),
    ("heading", theme.colour("vehicle")),
    ("charging", theme.colour("charger")),
    ("stranded", theme.colour("reactor")),
)


NOW: Final = (
    text_stat(
        "Kind",
        "The kind of device: a name that its package has chosen.",
        read("device", "power_w", where=DEVICE).group().then("last()").keep_columns("kind"),
        field="kind",
    ),
    text_stat(
        "Role",
        "What it may publish and receive, and what its account states.",
        read("device", "power_w", where=DEVICE).group().then("last()").keep_columns("role"),
        field="role",
    ),
    device_text("State", "The status in its last report.", "status"),
    text_stat(
        "Data source",
        "Measured by real sensors, or simulated.",
        last_of_device("measured")
        .then('map(fn: (r) => ({r with source: if r._value then "measured" else "simulated"}))')
        .keep_columns("source"),
        field="source",
    ),
    text_stat(
        "Last report",
        "The simulated time of its last report in the time range shown.",
        last_of_device("power_w").then("map(fn: (r) => ({at: int(v: r._time) / 1000000}))"),
        field="at",
        unit=theme.TIME,
    ),
    stat(
        "Power",
        "Mean power over the tick; positive into the grid.",
        theme.POWER,
        device_series("device", "power_w"),
    ),
    stat(
        "Balance",
        "Earnings minus payments since the device started.",
        theme.MONEY,
        last_of_device("balance_eur").keep(),
    ),
    stat(
        "Messages ignored",
        "Messages that the device has ignored since it started.",
        theme.COUNT,
        last_of_device("refused").keep(),
        thresholds=theme.thresholds(theme.GOOD, (1, theme.WARN), (100, theme.BAD)),
    ),
)
STATE: Final = state_timeline(
    "State",
    "The status that the device reports.",
    device_series("device", "status", fn="last"),
    state_colours=STATES,
)
POWER: Final = timeseries(
    "Power",
    "Mean power over the tick; positive into the grid, negative out of it.",
    theme.POWER,
    device_series("device", "power_w"),
    fields=(FieldStyle("power_w", "power", "wind"),),
)
ENERGY: Final = timeseries(
    "Energy per tick",
    "Energy that the device generates, bids for, buys, sells, delivers, draws or drives with.",
    theme.ENERGY,
    device_series("device", "generated_wh", "sold_wh", "curtailed_wh", "unsettled_wh", "announced_wh", "demand_wh",
        "bought_wh", "delivered_wh", "drawn_wh", "driven_wh", "charge_loss_wh", "discharge_loss_wh"),
    fields=(
        FieldStyle("generated_wh", "generated", "wind"),
        FieldStyle("sold_wh", "sold", "charger"),
        FieldStyle("curtailed_wh", "curtailed", "curtailed"),
        FieldStyle("unsettled_wh", "awarded, receipt pending", "event"),
        FieldStyle("announced_wh", "announced", "storage"),
        FieldStyle("demand_wh", "demand", "ink"),
        FieldStyle("bought_wh", "bought", "consumer"),
        FieldStyle("delivered_wh", "delivered to vehicles", "vehicle"),
        FieldStyle("drawn_wh", "drawn from chargers", "charger"),
        FieldStyle("driven_wh", "used for driving", "vehicle"),
        FieldStyle("charge_loss_wh", "lost in charging", "muted"),
        FieldStyle("discharge_loss_wh", "lost in discharging", "curtailed"),
    ),
    soft_min=0,
)  # fmt: skip
BATTERY: Final = timeseries(
    "State of charge",
    "Stored energy as a share of the battery's capacity.",
    theme.SHARE,
    device_series("device", "state_of_charge"),
    fields=(FieldStyle("state_of_charge", "state of charge", "charger"),),
    thresholds=theme.thresholds(theme.BAD, (0.1, theme.WARN), (0.3, theme.GOOD)),
    soft_min=0,
    empty=NO_BATTERY,
)
FIGURES: Final = timeseries(
    "Figures of its own",
    "What devices of this kind report beside the account of their role, each in its own unit.",
    "none",
    read("figure", "value", where=DEVICE)
    .group("figure", "unit", "_field")
    .aggregate_window()
    .label('if r.unit == "1" then r.figure else r.figure + ", " + r.unit'),
    shades_of="imported",
    empty="this kind of device reports no figures of its own",
)
MONEY: Final = timeseries(
    "Money",
    "Balance since the device started, and earnings and payments in each tick.",
    theme.MONEY,
    device_series("device", "balance_eur", "earned_eur", "paid_eur", fn="last"),
    fields=(
        FieldStyle("balance_eur", "balance", "ink"),
        FieldStyle("earned_eur", "earned in the tick", "charger"),
        FieldStyle("paid_eur", "paid in the tick", "consumer"),
    ),
)
PORTS: Final = timeseries(
    "Ports",
    "Ports of a charger, and how many of them are reserved.",
    theme.COUNT,
    device_series("device", "ports", "ports_reserved", fn="last"),
    fields=(FieldStyle("ports_reserved", "reserved", "vehicle"), FieldStyle("ports", "ports", "muted")),
    soft_min=0,
    empty=NOT_THIS_ROLE,
)
SPEED: Final = timeseries(
    "Speed",
    "Speed of a vehicle at the end of the tick.",
    theme.SPEED,
    device_series("device", "speed_km_h", fn="last"),
    fields=(FieldStyle("speed_km_h", "speed", "vehicle"),),
    soft_min=0,
    empty=NOT_THIS_ROLE,
)
REFUSED: Final = timeseries(
    "Messages ignored",
    "Messages that the device has ignored since it started.",
    theme.COUNT,
    device_series("device", "refused", fn="last"),
    fields=(FieldStyle("refused", "ignored", "reactor"),),
    soft_min=0,
)


VEHICLE: Final = (
    device_text("Model", "Model of a vehicle.", "model"),
    device_text(
        "Consumption",
        "Consumption of a vehicle, from its data sheet.",
        "consumption_wh_per_km",
        theme.CONSUMPTION,
    ),
    device_text("Capacity", "Capacity of the battery.", "capacity_wh", theme.ENERGY),
    device_text("Deadline", "Simulated time by which a vehicle must be charged.", "deadline_ms", theme.TIME),
    device_text("Charger", "The charger that a vehicle has reserved; empty if none.", "charger"),
)
MAP: Final = device_map(
    "Position",
    "Last position, and path in the time range shown; of a vehicle also next stop and destination.",
    (
        MarkerLayer(
            "here",
            read("device", "latitude", "longitude", where=DEVICE)
            .last("device")
            .keep_columns("device", "latitude", "longitude"),
            "vehicle",
            8,
        ),
        MarkerLayer(
            "next stop",
            read("device", "next_latitude", "next_longitude", where=DEVICE)
            .last("device")
            .then('rename(columns: {next_latitude: "latitude", next_longitude: "longitude"})')
            .keep_columns("device", "latitude", "longitude"),
            "charger",
            6,
        ),
        MarkerLayer(
            "destination",
            read("device", "destination_latitude", "destination_longitude", where=DEVICE)
            .last("device")
            .then('rename(columns: {destination_latitude: "latitude", destination_longitude: "longitude"})')
            .keep_columns("device", "latitude", "longitude"),
            "ink",
            6,
        ),
    ),
    path=read("device", "latitude", "longitude", where=DEVICE)
    .then('pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")', "group()")
    .keep_columns("latitude", "longitude", "_time")
    .sort("_time"),
)


def device() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Device",
        "One device: its state, energy, money, battery and route.",
        (
            Row("", 4, NOW),
            Row("", 4, (STATE,)),
            Row("Energy", 8, (POWER, ENERGY, BATTERY)),
            Row("Money, messages and figures of its own", 8, (MONEY, REFUSED, FIGURES)),
            Row("Sensors and switches", 8, (WIND, PLUG, SWITCHES)),
            Row("", 3, HARDWARE),
            Row("", 7, (INCIDENTS,)),
            Row("Charger and vehicle", 4, VEHICLE),
            Row("", 12, (MAP, PORTS, SPEED), (10, 7, 7)),
        ),
        variables=(
            SITE_VARIABLE,
            RUN_VARIABLE,
            query_variable("device", "Device", values_of("device", "device", RUN), "The device to show."),
        ),
    )
