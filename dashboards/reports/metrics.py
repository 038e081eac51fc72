"""The key figures of a run, each with its unit and where it comes from."""

import math
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_HOUR, NEUR_PER_EUR, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.dashboards.store.database import Store


class Metric(NamedTuple):
    """A figure's name, what it says, its unit, how many decimals matter, and the columns it comes from."""

    name: str
    title: str
    unit: str
    places: int
    source: str


METRICS: Final = (
    Metric("sold_kwh", "Energy bought by consumers and chargers", "kWh", 1, "ticks.csv: sold_kwh"),
    Metric("generated_kwh", "Own generation", "kWh", 1, "ticks.csv: generated_kwh"),
    Metric("curtailed_kwh", "Curtailed", "kWh", 1, "ticks.csv: curtailed_kwh"),
    Metric("reactor_kwh", "From the reactor", "kWh", 1, "ticks.csv: reactor_kwh"),
    Metric("reactor_share", "Share of the reactor", "%", 1, "ticks.csv: reactor_kwh / sold_kwh"),
    Metric("paid_eur", "Paid for energy", "EUR", 2, "ledger.csv: energy_kwh × price_eur_per_kwh"),
    Metric("mean_price", "Mean price, by energy", "EUR/kWh", 3, "ledger.csv: price_eur_per_kwh"),
    Metric("lowest_price", "Lowest price", "EUR/kWh", 3, "ticks.csv: lowest_price"),
    Metric("charger_stored_mean_kwh", "Stored in chargers, mean", "kWh", 1, "ticks.csv: charger_stored_kwh"),
    Metric(
        "charger_stored_end_kwh", "Stored in chargers at the end", "kWh", 1, "ticks.csv: charger_stored_kwh"
    ),
    Metric("full_after_h", "Chargers 95 % full on average after", "h", 2, "agents.csv: state_of_charge"),
    Metric("accepted_offers", "Charging offers accepted", "", 0, "reservations.csv: accepted"),
    Metric("accepted_price", "Price of accepted offers, mean", "EUR/kWh", 3, "reservations.csv: price"),
    Metric(
        "accepted_distance_km", "Distance of accepted offers, mean", "km", 1, "reservations.csv: distance_km"
    ),
    Metric(
        "accepted_cost_eur", "Cost of accepted offers, mean", "EUR", 2, "reservations.csv: energy_kwh × price"
    ),
    Metric("reservations_charged", "Reservations that ended charged", "", 0, "reservations.csv: outcome"),
    Metric(
        "reservations_failed", "Accepted, but ended otherwise", "", 0, "reservations.csv: accepted, outcome"
    ),
    Metric(
        "stranded_vehicles",
        "Vehicles stranded at some time",
        "",
        0,
        "store, table vehicles: status, stored_wh",
    ),
    Metric("trades", "Trades settled", "", 0, "ledger.csv: rows"),
    Metric("messages", "Messages", "", 0, "ticks.csv: messages"),
)

FULL: Final = 0.95
"""Mean state of charge at which the chargers count as full."""

_TICKS: Final = (
    "SELECT sum(sold_wh), sum(generated_wh), sum(curtailed_wh), sum(reactor_wh), min(lowest_price_ueur), "
    "sum(messages), sum(charger_stored_wh) * 1.0 / count(DISTINCT tick), min(tick) FROM ticks"
)
_STORED: Final = "SELECT sum(charger_stored_wh) FROM ticks WHERE tick = (SELECT max(tick) FROM ticks)"
_TRADES: Final = "SELECT count(*), sum(energy_wh), sum(energy_wh * 1.0 * price_ueur) FROM trades"
_FULL: Final = (
    "SELECT min(tick) FROM (SELECT tick FROM agents WHERE kind = 'charger' "
    "GROUP BY tick HAVING avg(state_of_charge) >= ?)"
)
_ACCEPTED: Final = (
    "SELECT count(*), avg(price_ueur), avg(distance_km), avg(energy_wh * 1.0 * price_ueur), "
    "sum(outcome = 'charged'), sum(outcome NOT IN ('charged', 'open')) "
    "FROM reservations WHERE accepted_ms IS NOT NULL"
)
_STRANDED: Final = "SELECT count(DISTINCT vehicle) FROM vehicles WHERE status = 'stranded' OR stored_wh <= 0"


def figures_of(store: Store) -> dict[str, float]:
    """Return every metric of METRICS in its unit; NaN where there is nothing to take it from."""
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
    }


def number_text(value: float, places: int) -> str:
    """Spell a number with narrow spaces between thousands; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:,.{places}f}".replace(",", "\u202f").replace("-", "−")


def _over(value: float | None, divisor: float | None) -> float:
    return math.nan if value is None or not divisor else value / divisor
