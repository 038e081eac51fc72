"""Sum up a run in three sentences, and a fourth where there are storages, computed from its rows."""

import math

from gridfleet.broker.protocol.units import MS_PER_HOUR, UEUR_PER_EUR
from gridfleet.dashboards.reports.metrics import metric_values, number_text
from gridfleet.dashboards.reports.summary import summarise
from gridfleet.dashboards.store.database import Store

_QUARTERS = (
    "SELECT avg(CASE WHEN accepted_ms < ? THEN price_ueur END), "
    "avg(CASE WHEN accepted_ms >= ? THEN price_ueur END) "
    "FROM reservations WHERE accepted_ms IS NOT NULL"
)


def summary_sentences(store: Store) -> list[str]:
    """Return sentences as plain text: what was traded, where it came from, how charging went, what storages did."""
    summary = summarise(store)
    if not summary["ticks"]:
        return ["No tick was recorded.", "Nothing was traded.", "No vehicle was charged."]
    found = metric_values(store)
    hours = summary["ticks"] * store.facts().tick_ms / MS_PER_HOUR
    sentences = (
        _trade(summary["counts"]["agents"], summary["cells"], hours, found),
        _origin(found),
        _charging(store, hours, found),
        *_storages(found),
    )
    return [sentence.replace(" €", "\u00a0€").replace(" %", "\u00a0%") for sentence in sentences]


def energy_text(kwh: float) -> str:
    """Return an energy as text in kWh, MWh or GWh, with three or four digits.

    >>> energy_text(12.34), energy_text(35_255)
    ('12.3 kWh', '35.3 MWh')
    """
    for divisor, unit in ((1e6, "GWh"), (1e3, "MWh")):
        if abs(kwh) >= 10 * divisor:
            return f"{number_text(kwh / divisor, 1)} {unit}"
    return f"{number_text(kwh, 0 if abs(kwh) >= 100 else 1)} kWh"


def _trade(agents: dict[str, int], cells: int, hours: float, found: dict[str, float]) -> str:
    who = f"{_count(sum(agents.values()), 'device')} in {_count(cells, 'cell')}"
    span = f"In {number_text(hours, 0 if hours.is_integer() else 2)} hours of simulated time {who}"
    if math.isnan(found["mean_price"]):
        return f"{span} settled no trade."
    return (
        f"{span} traded {energy_text(found['sold_kwh'])} for {number_text(found['paid_eur'], 0)} €, "
        f"at a mean price of {number_text(found['mean_price'], 2)} €/kWh; the lowest price was "
        f"{number_text(found['lowest_price'], 2)} €/kWh."
    )


def _origin(found: dict[str, float]) -> str:
    share = found["reactor_share"]
    if math.isnan(share):
        reactor = "The reactor sold nothing"
    elif share == 0:
        reactor = "The reactor was not needed"
    else:
        reactor = (
            f"The reactor supplied {number_text(share, 1)} % of it ({energy_text(found['reactor_kwh'])})"
        )
    if not found["generated_kwh"]:
        return f"{reactor}; nothing was generated."
    if not found["curtailed_kwh"]:
        return f"{reactor}; all of the {energy_text(found['generated_kwh'])} that producers offered was sold."
    part = 100 * found["curtailed_kwh"] / found["generated_kwh"]
    return (
        f"{reactor}; of the {energy_text(found['generated_kwh'])} that producers offered, "
        f"{number_text(part, 1)} % was not sold and was curtailed."
    )


def _charging(store: Store, hours: float, found: dict[str, float]) -> str:
    full = found["full_after_h"]
    end = energy_text(found["charger_stored_end_kwh"])
    if math.isnan(full):
        buffers = f"The chargers' buffers were never full and held {end} at the end"
    else:
        buffers = f"The chargers' buffers were full after {number_text(full, 1)} h and held {end} at the end"
    if not found["accepted_offers"]:
        return f"{buffers}; no vehicle reserved a charger."
    offers = _count(int(found["accepted_offers"]), "charging offer")
    ends = f"{number_text(found['reservations_charged'], 0)} ended with a charged vehicle"
    begin_ms = store.facts().start_ms
    quarter, last = (begin_ms + round(hours * MS_PER_HOUR * part) for part in (0.25, 0.75))
    ((early, late),) = store.select(_QUARTERS, (quarter, last))
    if early is None or late is None:
        return f"{buffers}; vehicles accepted {offers}, of which {ends}."
    return (
        f"{buffers}; vehicles accepted {offers} ({ends}), at {number_text(early / UEUR_PER_EUR, 2)} €/kWh "
        f"in the first quarter of the run and {number_text(late / UEUR_PER_EUR, 2)} €/kWh in the last."
    )


def _storages(found: dict[str, float]) -> list[str]:
    if "storage_bought_kwh" not in found:
        return []
    bought, sold, stored = (
        energy_text(found[f"storage_{name}_kwh"]) for name in ("bought", "sold", "stored_end")
    )
    return [f"Storages bought {bought}, sold {sold}, and held {stored} at the end."]


def _count(number: int, thing: str) -> str:
    return f"{number_text(number, 0)} {thing}" + ("" if number == 1 else "s")
