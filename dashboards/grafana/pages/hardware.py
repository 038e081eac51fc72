"""Sensors and switches of a device: rows of the page Device."""

from typing import Final

from gridfleet.dashboards.grafana.builders import theme
from gridfleet.dashboards.grafana.builders.charts import Column, table
from gridfleet.dashboards.grafana.builders.flux import ALWAYS, DEVICE, Flux, read
from gridfleet.dashboards.grafana.builders.panels import FieldStyle, text_stat, timeseries

NO_SENSORS: Final = "this device has no such sensors, or they reported nothing in the time range shown"


def last(field: str) -> Flux:
    """Return the last value of a field of the device."""
    return read("device", field, where=DEVICE).group("_field").then("last()")


WIND: Final = timeseries(
    "Wind at the turbine",
    "Readings of its anemometer, in real time.",
    theme.WIND_SPEED,
    read("sample", "wind_m_per_s", "gust_m_per_s", where=DEVICE)
    .group("_field")
    .aggregate_window("max")
    .keep(),
    fields=(FieldStyle("gust_m_per_s", "gust", "imported"), FieldStyle("wind_m_per_s", "mean", "wind")),
    interval="10s",
    soft_min=0,
    empty=NO_SENSORS,
)
PLUG: Final = timeseries(
    "Current and voltage at the charger",
    "Readings of its sensors, in real time.",
    theme.CURRENT,
    read("sample", "current_a", "voltage_v", where=DEVICE).group("_field").aggregate_window("max").keep(),
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
    read("sample", "plugged", "contactor_closed", "brake_applied", where=DEVICE)
    .group("_field")
    .aggregate_window("last")
    .keep(),
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
    text_stat(
        "Faults",
        "Faults of sensors and switches; empty if there are none.",
        last("faults").then('rename(columns: {_value: "faults"})').keep_columns("faults"),
        field="faults",
    ),
    text_stat(
        "Contactor",
        "State of a charger's contactor; none without hardware pins.",
        last("contactor").then('rename(columns: {_value: "contactor"})').keep_columns("contactor"),
        field="contactor",
    ),
    text_stat(
        "Contactor opened because",
        "The reason why a charger's contactor last opened.",
        last("opened_because").then('rename(columns: {_value: "because"})').keep_columns("because"),
        field="because",
    ),
)
