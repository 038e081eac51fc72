"""The key figures of a run, each with its unit and where it comes from."""

import math
from collections.abc import Container
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_HOUR, NEUR_PER_EUR, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.dashboards.indicators.definitions import INDICATORS
from gridfleet.dashboards.indicators.values import indicator_values
from gridfleet.dashboards.store.database import Store


class Metric(NamedTuple):
    """A key figure: name, title, unit as in files, decimals that matter, and the columns it comes from."""

    name: str
    title: str
    unit: str
    places: int
    source: str


METRICS: Final = (
    Metric("sold_kwh", "Energy bought", "kWh", 1, "ticks.csv: sold_kwh"),
    Metric("generated_kwh", "Generated", "kWh", 1, "ticks.csv: generated_kwh"),
    Metric("curtailed_kwh", "Curtailed", "kWh", 1, "ticks.csv: curtailed_kwh"),
    Metric("reactor_kwh", "Sold by the reactor", "kWh", 1, "ticks.csv: reactor_kwh"),
    Metric("reactor_share", "Share of the reactor", "%", 1, "ticks.csv: reactor_kwh / sold_kwh"),
    Metric("paid_eur", "Paid for energy", "EUR", 2, "ledger.csv: energy_kwh × price_eur_per_kwh"),
    Metric("mean_price", "Mean price, weighted by energy", "EUR/kWh", 3, "ledger.csv: price_eur_per_kwh"),
    Metric("lowest_price", "Lowest price", "EUR/kWh", 3, "ticks.csv: lowest_price"),
    Metric("charger_stored_mean_kwh", "Stored in chargers, mean", "kWh", 1, "ticks.csv: charger_stored_kwh"),
    Metric(
        "charger_stored_end_kwh", "Stored in chargers at the end", "kWh", 1, "ticks.csv: charger_stored_kwh"
    ),
    Metric("full_after_h", "Chargers 95 % full on average, after", "h", 2, "agents.csv: state_of_charge"),
    Metric("accepted_offers", "Charging offers accepted", "", 0, "reservations.csv: accepted"),
    Metric("accepted_price", "Price of accepted offers, mean", "EUR/kWh", 3, "reservations.csv: price"),
    Metric(
        "accepted_distance_km", "Distance of accepted offers, mean", "km", 1, "reservations.csv: distance_km"
    ),
    Metric(
        "accepted_cost_eur", "Cost of accepted offers, mean", "EUR", 2, "reservations.csv: energy_kwh × price"
    ),
    Metric(
        "reservations_charged",
        "Reservations that ended with a charged vehicle",
        "",
        0,
        "reservations.csv: outcome",
    ),
    Metric(
        "reservations_failed",
        "Accepted reservations that ended otherwise",
        "",
        0,
        "reservations.csv: accepted, outcome",
    ),
    Metric(
        "stranded_vehicles",
        "Vehicles that were stranded",
        "",
        0,
        "store, table vehicles: status, stored_wh",
    ),
    Metric("trades", "Trades settled", "", 0, "ledger.csv: rows"),
    Metric("messages", "Messages", "", 0, "ticks.csv: messages"),
    *(Metric(each.name, each.title, each.unit, each.places, each.source) for each in INDICATORS),
)
"""Those of every run; the last ones are the indicators of docs/indicators.md."""
STORAGE_METRICS: Final = (
    Metric("storage_bought_kwh", "Bought by storages", "kWh", 1, "store, table storages: bought_wh"),
    Metric("storage_sold_kwh", "Sold by storages", "kWh", 1, "store, table storages: sold_wh"),
    Metric("storage_loss_kwh", "Lost in storages", "kWh", 1, "store, table storages: loss_wh"),
    Metric(
        "storage_stored_mean_kwh", "Stored in storages, mean", "kWh", 1, "store, table storages: stored_wh"
    ),
    Metric(
        "storage_stored_end_kwh",
        "Stored in storages at the end",
        "kWh",
        1,
        "store, table storages: stored_wh",
    ),
)
"""Those of a run with storages; a run without any does not have them."""

METRIC_BY_NAME: Final = {metric.name: metric for metric in (*METRICS, *STORAGE_METRICS)}
FULL: Final = 0.95
"""Mean state of charge at which the chargers count as full."""

_TICKS: Final = (
    "SELECT sum(sold_wh), sum(generated_wh), sum(curtailed_wh), sum(reactor_wh), min(lowest_price_ueur), "
    "sum(messages), sum(charger_stored_wh) * 1.0 / count(DISTINCT tick), min(tick) FROM ticks"
)
_STORED: Final = "SELECT sum(charger_stored_wh) FROM ticks WHERE tick = (SELECT max(tick) FROM ticks)"
_TRADES: Final = "SELECT count(*), sum(energy_wh), sum(energy_wh * 1.0 * price_ueur) FROM trades"
_FULL: Final = (
    "SELECT min(tick) FROM (SELECT tick FROM agents WHERE role = 'charger' "
    "GROUP BY tick HAVING avg(state_of_charge) >= ?)"
)
_ACCEPTED: Final = (
    "SELECT count(*), avg(price_ueur), avg(distance_km), avg(energy_wh * 1.0 * price_ueur), "
    "sum(outcome = 'charged'), sum(outcome NOT IN ('charged', 'open')) "
    "FROM reservations WHERE accepted_ms IS NOT NULL"
)
_STRANDED: Final = "SELECT count(DISTINCT vehicle) FROM vehicles WHERE status = 'stranded' OR stored_wh <= 0"


_STORAGES: Final = (
    "SELECT sum(bought_wh), sum(sold_wh), sum(loss_wh), sum(stored_wh) * 1.0 / count(DISTINCT tick) "
    "FROM storages"
)
_STORAGE_STORED: Final = "SELECT sum(stored_wh) FROM storages WHERE tick = (SELECT max(tick) FROM storages)"


def metrics_of(names: Container[str]) -> list[Metric]:
    """Return METRICS, and of STORAGE_METRICS those with these names."""
    return [*METRICS, *(metric for metric in STORAGE_METRICS if metric.name in names)]


def metric_values(store: Store) -> dict[str, float]:
    """Return every metric of METRICS in its unit, NaN where there is nothing to take it from; and those of storages."""
    ((sold, generated, curtailed, reactor, lowest, messages, stored, first_tick),) = store.select(_TICKS)
    ((stored_end,),) = store.select(_STORED)
    ((trades, traded, paid),) = store.select(_TRADES)
    ((full_tick,),) = store.select(_FULL, (FULL,))
    ((accepted, price, distance, cost, charged, failed),) = store.select(_ACCEPTED)
    ((stranded,),) = store.select(_STRANDED)
    hours_per_tick = store.facts().tick_ms / MS_PER_HOUR
    return {
        "sold_kwh": _over(sold, WH_PER_KWH),
        "generated_kwh": _over(generated, WH_PER_KWH),
        "curtailed_kwh": _over(curtailed, WH_PER_KWH),
        "reactor_kwh": _over(reactor, WH_PER_KWH),
        "reactor_share": 100 * _over(reactor, sold),
        "paid_eur": _over(paid, NEUR_PER_EUR),
        "mean_price": _over(paid, (traded or 0) * UEUR_PER_EUR),
        "lowest_price": _over(lowest, UEUR_PER_EUR),
        "charger_stored_mean_kwh": _over(stored, WH_PER_KWH),
        "charger_stored_end_kwh": _over(stored_end, WH_PER_KWH),
        "full_after_h": math.nan
        if full_tick is None
        else (full_tick - (first_tick or 0) + 1) * hours_per_tick,
        "accepted_offers": float(accepted),
        "accepted_price": _over(price, UEUR_PER_EUR),
        "accepted_distance_km": _over(distance, 1),
        "accepted_cost_eur": _over(cost, NEUR_PER_EUR),
        "reservations_charged": float(charged or 0),
        "reservations_failed": float(failed or 0),
        "stranded_vehicles": float(stranded),
        "trades": float(trades),
        "messages": float(messages or 0),
        **indicator_values(store),
        **_storage_values(store),
    }


def _storage_values(store: Store) -> dict[str, float]:
    """Return every metric of STORAGE_METRICS; nothing where there is no storage."""
    ((bought, sold, loss, stored),) = store.select(_STORAGES)
    if bought is None:
        return {}
    ((stored_end,),) = store.select(_STORAGE_STORED)
    return {
        "storage_bought_kwh": bought / WH_PER_KWH,
        "storage_sold_kwh": sold / WH_PER_KWH,
        "storage_loss_kwh": loss / WH_PER_KWH,
        "storage_stored_mean_kwh": stored / WH_PER_KWH,
        "storage_stored_end_kwh": stored_end / WH_PER_KWH,
    }


def number_text(value: float, places: int) -> str:
    """Return a number as text, with narrow spaces between thousands; a dash for NaN.

    >>> number_text(-1234567.891, 1).replace("\u202f", " ")
    '−1 234 567.9'
    """
    return "–" if math.isnan(value) else f"{value:,.{places}f}".replace(",", "\u202f").replace("-", "−")


def page_unit(unit: str) -> str:
    """Return a unit as pages show it: € where files have EUR, count for numbers without a unit.

    >>> page_unit("EUR/kWh"), page_unit("")
    ('€/kWh', 'count')
    """
    return unit.replace("EUR", "€") or "count"


def _over(value: float | None, divisor: float | None) -> float:
    return math.nan if value is None or not divisor else value / divisor
