"""What a device has of sensors and switches: rows of the page Device."""

from typing import Final

from gridfleet.dashboards.grafana.vocabulary import theme
from gridfleet.dashboards.grafana.vocabulary.charts import Column, table
from gridfleet.dashboards.grafana.vocabulary.flux import ALWAYS, DEVICE, Flux, read
from gridfleet.dashboards.grafana.vocabulary.panels import Line, timeseries, words

NO_SENSORS: Final = "this device has no such sensors, or they said nothing in the time shown"


def last(field: str) -> Flux:
    """Return the last value of a field of the device."""
    return read("device", field, where=DEVICE).together("_field").then("last()")


WIND: Final = timeseries(
    "Wind at the turbine",
    "What its anemometer says, in real time.",
    theme.WIND_SPEED,
    read("sample", "wind_m_per_s", "gust_m_per_s", where=DEVICE).together("_field").windows("max").plain(),
    lines=(Line("gust_m_per_s", "gust", "imported"), Line("wind_m_per_s", "mean", "wind")),
    step="10s",
    floor=0,
    empty=NO_SENSORS,
)
PLUG: Final = timeseries(
    "Current and voltage at the charger",
    "What its sensors say, in real time.",
    theme.CURRENT,
    read("sample", "current_a", "voltage_v", where=DEVICE).together("_field").windows("max").plain(),
    lines=(
        Line("current_a", "current", "charger"),
        Line("voltage_v", "voltage", "muted", unit=theme.VOLTAGE),
    ),
    step="10s",
    floor=0,
    empty=NO_SENSORS,
)
SWITCHES: Final = timeseries(
    "Plug, contactor, brake",
    "1: plug in, contactor closed, brake applied; in real time.",
    theme.COUNT,
    read("sample", "plugged", "contactor_closed", "brake_applied", where=DEVICE)
    .together("_field")
    .windows("last")
    .plain(),
    lines=(
        Line("plugged", "plug in", "vehicle"),
        Line("contactor_closed", "contactor closed", "charger"),
        Line("brake_applied", "brake applied", "reactor"),
    ),
    step="10s",
    floor=0,
    empty=NO_SENSORS,
)
INCIDENTS: Final = table(
    "Switches and sensors",
    "When a switch acted or a sensor failed or recovered, and why; newest first, in real time.",
    read("incident", "reason", where=DEVICE, time=ALWAYS)
    .then("group()", 'rename(columns: {_time: "at", _value: "reason"})')
    .columns("at", "part", "what", "reason")
    .order("at", down=True)
    .then("limit(n: 200)"),
    columns=(
        Column("at", "Time", theme.TIME, 180),
        Column("part", "Part", width=110),
        Column("what", "What", width=100),
        Column("reason", "Why"),
    ),
    empty=NO_SENSORS,
)
HARDWARE: Final = (
    words(
        "Faults",
        "What is wrong with sensors and switches; empty for nothing.",
        last("faults").then('rename(columns: {_value: "faults"})').columns("faults"),
        field="faults",
    ),
    words(
        "Contactor",
        "Of a charger: none where there are no pins.",
        last("contactor").then('rename(columns: {_value: "contactor"})').columns("contactor"),
        field="contactor",
    ),
    words(
        "Opened because",
        "Why a charger's contactor opened last.",
        last("opened_because").then('rename(columns: {_value: "because"})').columns("because"),
        field="because",
    ),
)
