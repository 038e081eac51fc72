"""Queries that several pages share; `where` is the condition in Flux, by default the page's run and cells."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel

from gridfleet.dashboards.grafana.builders.flux import CELLS, DEVICE, Flux, read, share
from gridfleet.dashboards.grafana.builders.panels import text_stat

HOURLY_MEAN: Final = 'aggregateWindow(every: 1h, fn: mean, timeSrc: "_start", createEmpty: false)'


def tick_sums(measurement: str, *fields: str, where: str = CELLS) -> Flux:
    """Return a curve for each field: its sum over all rows of a tick."""
    return read(measurement, *fields, where=where).per_tick().aggregate_window()


def last_sums(measurement: str, *fields: str) -> Flux:
    """Return the sum of each field over all rows of the last tick."""
    return read(measurement, *fields).per_tick().then("last()")


def hourly_means(measurement: str, *fields: str, where: str = CELLS) -> Flux:
    """Return a curve for each field: its mean in each hour."""
    return read(measurement, *fields, where=where).group("_field").then(HOURLY_MEAN)


def mean_price(where: str = CELLS) -> Flux:
    """Return the curve `mean`: the mean price in EUR/kWh, weighted by energy."""
    return (
        read("grid", "paid_eur", "sold_wh", where=where)
        .then("toFloat()")
        .per_tick()
        .aggregate_window("sum")
        .pivot("_time")
        .filter("r.sold_wh > 0.0")
        .series("1000.0 * r.paid_eur / r.sold_wh", "mean")
    )


def lowest_price(where: str = CELLS) -> Flux:
    """Return the curve of the lowest price in EUR/kWh."""
    return read("market", "lowest_price_eur_per_kwh", where=where).per_tick(fn="min").aggregate_window("min")


def reactor_share(where: str = CELLS, *, name: str = "share") -> Flux:
    """Return the curve of the reactor's share of the energy bought in each tick."""
    return (
        read("grid", "reactor_wh", "sold_wh", where=where)
        .per_tick()
        .aggregate_window("sum")
        .pivot("_time")
        .series(share("reactor_wh", "sold_wh"), name)
    )


def total_share(measurement: str, part: str, whole: str, *, where: str = CELLS) -> Flux:
    """Return one field's share of another over the time range shown."""
    return read(measurement, part, whole, where=where).aggregate().pivot().value(share(part, whole), "share")


def device_series(measurement: str, *fields: str, fn: str = "mean") -> Flux:
    """Return a curve for each field of the page's device."""
    return read(measurement, *fields, where=DEVICE).group("_field").aggregate_window(fn).keep()


def last_of_device(field: str) -> Flux:
    """Return the last value of a field of the page's device."""
    return read("device", field, where=DEVICE).group("_field").then("last()")


def device_text(title: str, description: str, field: str, unit: str = "none") -> Panel:
    """Return a panel with the last value of a field of the page's device, as text."""
    query = last_of_device(field).then(f'rename(columns: {{_value: "{field}"}})').keep_columns(field)
    return text_stat(title, description, query, field=field, unit=unit)
