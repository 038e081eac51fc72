"""Curves over time of one run, for a comparison with other runs."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from gridfleet.broker.protocol.units import MS_PER_HOUR, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.dashboards.plots.axes import rolling
from gridfleet.dashboards.plots.figures.charging import ROLLING_HOURS, accepted
from gridfleet.dashboards.plots.figures.power import per_bin
from gridfleet.dashboards.plots.timeline import Series, read_timeline
from gridfleet.dashboards.store.database import Store


@dataclass(frozen=True, slots=True)
class Curves:
    """Values at the ends of the bins, in hours since the start; NaN where there is none."""

    hours: tuple[float, ...]
    values: dict[str, tuple[float, ...]]


CURVES: Final = (
    ("mean_price", "Mean market price", "€/kWh"),
    ("reactor_kwh", "Sold by the reactor", "kWh per tick"),
    ("stored_kwh", "Stored in chargers", "kWh"),
    ("accepted_price", f"Price of accepted charging offers, mean of {ROLLING_HOURS} h", "€/kWh"),
)
"""Name, title and unit of each curve."""


def curves_of(store: Store) -> Curves:
    """Return the curves of CURVES."""
    timeline = read_timeline(store)
    paid = timeline.read("sum(mean_price_ueur * 1.0 * sold_wh)", "ticks", "mean_price_ueur IS NOT NULL")
    sold = timeline.read("sum(sold_wh * 1.0)", "ticks", "mean_price_ueur IS NOT NULL")
    price = np.divide(paid, sold, out=timeline.empty_series(), where=sold > 0) / UEUR_PER_EUR
    sums = "(SELECT tick, sum(charger_stored_wh) AS stored_wh FROM ticks GROUP BY tick)"
    mean, count = accepted(timeline, "price_ueur")
    width = max(1, round(ROLLING_HOURS * MS_PER_HOUR / timeline.facts.tick_ms / timeline.step))
    values = {
        "mean_price": price,
        "reactor_kwh": per_bin(timeline, "reactor") / WH_PER_KWH,
        "stored_kwh": timeline.read("avg(stored_wh)", sums) / WH_PER_KWH,
        "accepted_price": rolling(mean / UEUR_PER_EUR, count, width),
    }
    return Curves(_plain(timeline.ends - timeline.edges[0]), {name: _plain(v) for name, v in values.items()})


def mean_and_range(runs: list[Curves], name: str) -> tuple[Series, Series, Series, Series]:
    """Return hours, mean, smallest and largest value over runs, as far as the shortest run goes."""
    length = min(len(run.hours) for run in runs)
    stack = np.array([run.values[name][:length] for run in runs]).reshape(len(runs), length)
    known = np.isfinite(stack)
    count = known.sum(axis=0)
    total = np.where(known, stack, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(length, math.nan), where=count > 0)
    low = np.where(count > 0, np.where(known, stack, np.inf).min(axis=0, initial=np.inf), np.nan)
    high = np.where(count > 0, np.where(known, stack, -np.inf).max(axis=0, initial=-np.inf), np.nan)
    return np.array(runs[0].hours[:length]), mean, low, high


def _plain(values: Series) -> tuple[float, ...]:
    return tuple(values.tolist())
