"""Device: one device, whatever its kind; panels that its kind has nothing for say so."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from gridfleet.dashboards.grafana.pages.pins import HARDWARE, INCIDENTS, PLUG, SWITCHES, WIND, last
from gridfleet.dashboards.grafana.vocabulary import theme
from gridfleet.dashboards.grafana.vocabulary.charts import states
from gridfleet.dashboards.grafana.vocabulary.flux import DEVICE, RUN, read, values_of
from gridfleet.dashboards.grafana.vocabulary.maps import Marks, device_map
from gridfleet.dashboards.grafana.vocabulary.page import RUN_CHOICE, SITE_CHOICE, Row, choice, page
from gridfleet.dashboards.grafana.vocabulary.panels import Line, stat, timeseries, words

UID: Final = "gridfleet-device"
NO_BATTERY: Final = "this kind of device has no battery"
NOT_THIS_KIND: Final = "not for this kind of device"
STATES: Final = (
    ("parked", theme.tone("muted")),
    ("driving", theme.tone("imported")),
    ("heading", theme.tone("vehicle")),
    ("charging", theme.tone("charger")),
    ("stranded", theme.tone("reactor")),
)


NOW: Final = (
    words(
        "Kind",
        "What the device is.",
        read("device", "power_w", where=DEVICE).together().then("last()").columns("kind"),
        field="kind",
    ),
    words(
        "State",
        "What it was doing, in its own word, when it gave its last account.",
        last("status").then('rename(columns: {_value: "status"})').columns("status"),
        field="status",
    ),
    words(
        "Figures are",
        "Measured: from real sensors. Simulated: computed.",
        last("measured")
        .then('map(fn: (r) => ({r with source: if r._value then "measured" else "simulated"}))')
        .columns("source"),
        field="source",
    ),
    words(
        "Last account",
        "The tick of its last account in the time shown.",
        last("power_w").then("map(fn: (r) => ({at: int(v: r._time) / 1000000}))"),
        field="at",
        unit=theme.TIME,
    ),
    stat(
        "Power",
        "Mean power over the tick; positive into the grid.",
        theme.POWER,
        read("device", "power_w", where=DEVICE).together("_field").windows().plain(),
    ),
    stat("Balance", "Earned less paid since it came to life.", theme.MONEY, last("balance_eur").plain()),
    stat(
        "Messages refused",
        "Messages that the device would not act upon, since it came to life.",
        theme.COUNT,
        last("refused").plain(),
        colours=theme.thresholds(theme.GOOD, (1, theme.WARN), (100, theme.BAD)),
    ),
)
STATE: Final = states(
    "State",
    "What the device was doing, in its own word.",
    read("device", "status", where=DEVICE).together("_field").windows("last").plain(),
    words=STATES,
)
POWER: Final = timeseries(
    "Power",
    "Mean power over the tick; positive into the grid, negative out of it.",
    theme.POWER,
    read("device", "power_w", where=DEVICE).together("_field").windows().plain(),
    lines=(Line("power_w", "power", "wind"),),
)
ENERGY: Final = timeseries(
    "Energy per tick",
    "Whatever the device generates, wants, buys, sells, gives, draws or drives with.",
    theme.ENERGY,
    read(
        "device", "generated_wh", "sold_wh", "curtailed_wh", "unsettled_wh", "demand_wh", "bought_wh",
        "delivered_wh", "drawn_wh", "driven_wh", "charge_loss_wh", "discharge_loss_wh",
        where=DEVICE,
    ).together("_field").windows().plain(),
    lines=(
        Line("generated_wh", "generated", "wind"),
        Line("sold_wh", "sold", "charger"),
        Line("curtailed_wh", "curtailed", "curtailed"),
        Line("unsettled_wh", "awarded, receipt awaited", "event"),
        Line("demand_wh", "demand", "ink"),
        Line("bought_wh", "bought", "consumer"),
        Line("delivered_wh", "given to vehicles", "vehicle"),
        Line("drawn_wh", "drawn from chargers", "charger"),
        Line("driven_wh", "used for driving", "vehicle"),
        Line("charge_loss_wh", "lost in charging", "muted"),
        Line("discharge_loss_wh", "lost in discharging", "curtailed"),
    ),
    floor=0,
)  # fmt: skip
BATTERY: Final = timeseries(
    "State of charge",
    "Stored energy as a part of what the battery holds.",
    theme.SHARE,
    read("device", "state_of_charge", where=DEVICE).together("_field").windows().plain(),
    lines=(Line("state_of_charge", "state of charge", "charger"),),
    colours=theme.thresholds(theme.BAD, (0.1, theme.WARN), (0.3, theme.GOOD)),
    floor=0,
    empty=NO_BATTERY,
)
MONEY: Final = timeseries(
    "Money",
    "Balance since it came to life, and what it earned and paid in each tick.",
    theme.MONEY,
    read("device", "balance_eur", "earned_eur", "paid_eur", where=DEVICE)
    .together("_field")
    .windows("last")
    .plain(),
    lines=(
        Line("balance_eur", "balance", "ink"),
        Line("earned_eur", "earned in the tick", "charger"),
        Line("paid_eur", "paid in the tick", "consumer"),
    ),
)
PORTS: Final = timeseries(
    "Ports",
    "Ports of a charger, and how many of them are reserved.",
    theme.COUNT,
    read("device", "ports", "ports_reserved", where=DEVICE).together("_field").windows("last").plain(),
    lines=(Line("ports_reserved", "reserved", "vehicle"), Line("ports", "ports", "muted")),
    floor=0,
    empty=NOT_THIS_KIND,
)
SPEED: Final = timeseries(
    "Speed",
    "Of a vehicle, at the end of the tick.",
    theme.SPEED,
    read("device", "speed_km_h", where=DEVICE).together("_field").windows("last").plain(),
    lines=(Line("speed_km_h", "speed", "vehicle"),),
    floor=0,
    empty=NOT_THIS_KIND,
)
REFUSED: Final = timeseries(
    "Messages refused",
    "Messages that the device would not act upon, since it came to life.",
    theme.COUNT,
    read("device", "refused", where=DEVICE).together("_field").windows("last").plain(),
    lines=(Line("refused", "refused", "reactor"),),
    floor=0,
)


def vehicle(title: str, about: str, field: str, unit: str) -> Panel:
    """Return a figure that only a vehicle has."""
    return words(
        title,
        about,
        last(field).then(f'rename(columns: {{_value: "{field}"}})').columns(field),
        field=field,
        unit=unit,
    )


VEHICLE: Final = (
    vehicle("Model", "Of a vehicle.", "model", "none"),
    vehicle("Consumption", "Of a vehicle, by its data sheet.", "consumption_wh_per_km", theme.CONSUMPTION),
    vehicle("Capacity", "Of the battery.", "capacity_wh", theme.ENERGY),
    vehicle("Deadline", "When a vehicle wants to be charged, in simulated time.", "deadline_ms", theme.TIME),
    vehicle("Charger", "Whose port a vehicle has reserved; empty for none.", "charger", "none"),
)
MAP: Final = device_map(
    "Where it is",
    "The device's last place and its path in the time shown; of a vehicle, its next stop and destination too.",
    (
        Marks(
            "here",
            read("device", "latitude", "longitude", where=DEVICE)
            .newest("device")
            .columns("device", "latitude", "longitude"),
            "vehicle",
            8,
        ),
        Marks(
            "next stop",
            read("device", "next_latitude", "next_longitude", where=DEVICE)
            .newest("device")
            .then('rename(columns: {next_latitude: "latitude", next_longitude: "longitude"})')
            .columns("device", "latitude", "longitude"),
            "charger",
            6,
        ),
        Marks(
            "destination",
            read("device", "destination_latitude", "destination_longitude", where=DEVICE)
            .newest("device")
            .then('rename(columns: {destination_latitude: "latitude", destination_longitude: "longitude"})')
            .columns("device", "latitude", "longitude"),
            "ink",
            6,
        ),
    ),
    path=read("device", "latitude", "longitude", where=DEVICE)
    .then('pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")', "group()")
    .columns("latitude", "longitude", "_time")
    .order("_time"),
)


def device() -> Dashboard:
    """Return the page."""
    return page(
        UID,
        "Device",
        "One device: its state, energy, money, battery and way.",
        (
            Row("", 4, NOW),
            Row("", 4, (STATE,)),
            Row("Energy", 8, (POWER, ENERGY, BATTERY)),
            Row("Money and messages", 8, (MONEY, REFUSED)),
            Row("Sensors and switches", 8, (WIND, PLUG, SWITCHES)),
            Row("", 3, HARDWARE),
            Row("", 7, (INCIDENTS,)),
            Row("Charger and vehicle", 4, VEHICLE),
            Row("", 12, (MAP, PORTS, SPEED), (10, 7, 7)),
        ),
        variables=(
            SITE_CHOICE,
            RUN_CHOICE,
            choice("device", "Device", values_of("device", "device", RUN), "The device shown."),
        ),
    )
