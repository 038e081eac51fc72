"""Sensors and switches of a device: rows of the page Device."""

from typing import Final

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import Column, table
from gridfleet.dashboards.grafana.builders.flux import ALWAYS, DEVICE, read
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, text_stat, timeseries
from gridfleet.dashboards.grafana.pages.queries import device_series, device_text, last_of_device

NO_SENSORS: Final = "this device has no such sensors, or they reported nothing in the time range shown"


WIND: Final = timeseries(
    "Wind at the turbine",
    "Readings of its anemometer, in real time.",
    theme.WIND_SPEED,
    device_series("sample", "wind_m_per_s", "gust_m_per_s", fn="max"),
    fields=(FieldStyle("gust_m_per_s", "gust", "imported"), FieldStyle("wind_m_per_s", "mean", "wind")),
    interval="10s",
    soft_min=0,
    empty=NO_SENSORS,
)
PLUG: Final = timeseries(
    "Current and voltage at the charger",
    "Readings of its sensors, in real time.",
    theme.CURRENT,
    device_series("sample", "current_a", "voltage_v", fn="max"),
    fields=(
        FieldStyle("current_a", "current", "charger"),
        FieldStyle("voltage_v", "voltage", "muted", unit=theme.VOLTAGE),
    ),
    interval="10s",
    soft_min=0,
    empty=NO_SENSORS,
)
SWITCHES: Final = timeseries(
    "Plug, contactor, brake",
    "1: plug in, contactor closed, brake applied; in real time.",
    theme.COUNT,
    device_series("sample", "plugged", "contactor_closed", "brake_applied", fn="last"),
    fields=(
        FieldStyle("plugged", "plug in", "vehicle"),
        FieldStyle("contactor_closed", "contactor closed", "charger"),
        FieldStyle("brake_applied", "brake applied", "reactor"),
    ),
    interval="10s",
    soft_min=0,
    empty=NO_SENSORS,
)
INCIDENTS: Final = table(
    "Switches and sensors",
    "Switches that acted and sensors that failed or recovered, with the reason; newest first, in real time.",
    read("incident", "reason", where=DEVICE, time=ALWAYS)
    .then("group()", 'rename(columns: {_time: "at", _value: "reason"})')
    .keep_columns("at", "part", "what", "reason")
    .sort("at", descending=True)
    .then("limit(n: 200)"),
    columns=(
        Column("at", "Time", theme.TIME, 180),
        Column("part", "Part", width=110),
        Column("what", "Event", width=100),
        Column("reason", "Reason"),
    ),
    empty=NO_SENSORS,
)
HARDWARE: Final = (
    device_text("Faults", "Faults of sensors and switches; empty if there are none.", "faults"),
    device_text("Contactor", "State of a charger's contactor; none without hardware pins.", "contactor"),
    text_stat(
        "Contactor opened because",
        "The reason why a charger's contactor last opened.",
        last_of_device("opened_because").then('rename(columns: {_value: "because"})').keep_columns("because"),
        field="because",
    ),
)
