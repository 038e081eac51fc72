"""The summary of a run as one JSON document: totals, counts and the auditor's findings."""

from math import isnan
from typing import Any, Final

from gridfleet.broker.protocol.units import NEUR_PER_EUR, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.indicators.values import indicator_values
from gridfleet.dashboards.store.database import Store

HOLDS: Final = "holds"
BROKEN: Final = "broken"
UNCHECKED: Final = "unchecked"

_TOTALS: Final = (
    "SELECT count(DISTINCT tick), min(tick), max(tick), count(DISTINCT cell), coalesce(sum(demand_wh), 0), "
    "coalesce(sum(generated_wh), 0), coalesce(sum(reactor_wh), 0), coalesce(sum(imported_wh), 0), "
    "coalesce(sum(exported_wh), 0), coalesce(sum(sold_wh), 0), coalesce(sum(curtailed_wh), 0), "
    "min(lowest_price_ueur), coalesce(sum(messages), 0) FROM ticks"
)
_STORED: Final = (
    "SELECT coalesce(sum(charger_stored_wh), 0) FROM ticks WHERE tick = (SELECT max(tick) FROM ticks)"
)
_TRADES: Final = (
    "SELECT count(*), coalesce(sum(energy_wh), 0), coalesce(sum(energy_wh / 1000 * price_ueur), 0), "
    "coalesce(sum(energy_wh % 1000 * price_ueur), 0) FROM trades"
)
_DEMANDS: Final = "SELECT kind, sum(bid_wh), sum(bought_wh) FROM demands GROUP BY kind ORDER BY kind"
_STORAGES: Final = "SELECT sum(bought_wh), sum(sold_wh), sum(loss_wh) FROM storages"
_STORAGE_STORED: Final = "SELECT sum(stored_wh) FROM storages WHERE tick = (SELECT max(tick) FROM storages)"
_KINDS: Final = "SELECT kind, count(DISTINCT agent) FROM agents GROUP BY kind ORDER BY kind"
_OUTCOMES: Final = "SELECT outcome, count(*) FROM reservations GROUP BY outcome ORDER BY outcome"


def verdict(store: Store) -> str:
    """Return holds, broken, or unchecked where no auditor reported."""
    found = store.invariants()
    if not found:
        return UNCHECKED
    return HOLDS if all(invariant.holds for invariant in found) else BROKEN


def summarise(store: Store) -> dict[str, Any]:
    """Return the summary: energies in kWh, money in EUR, prices in EUR/kWh, each named with its unit."""
    facts = store.facts()
    (totals,) = store.select(_TOTALS)
    ticks, first, last, cells, demand, generated, reactor, imported, exported, sold, *others = totals
    curtailed, lowest, messages = others
    ((stored,),) = store.select(_STORED)
    ((trades, traded, thousands, rest),) = store.select(_TRADES)
    paid_neur = thousands * WH_PER_KWH + rest
    return {
        "scenario": facts.scenario,
        "title": facts.title,
        "seed": facts.seed,
        "version": facts.version,
        "ticks": ticks,
        "first_tick": first,
        "last_tick": last,
        "tick_minutes": facts.tick_ms / 60_000,
        "cells": cells,
        "totals": {
            "demand_kwh": _kwh(demand),
            "generated_kwh": _kwh(generated),
            "reactor_kwh": _kwh(reactor),
            "imported_kwh": _kwh(imported),
            "exported_kwh": _kwh(exported),
            "sold_kwh": _kwh(sold),
            "curtailed_kwh": _kwh(curtailed),
            "traded_kwh": _kwh(traded),
            "paid_eur": paid_neur / NEUR_PER_EUR,
            "mean_price_eur_per_kwh": round(paid_neur / traded / UEUR_PER_EUR, 6) if traded else None,
            "lowest_price_eur_per_kwh": None if lowest is None else lowest / UEUR_PER_EUR,
            "reactor_share": round(reactor / sold, 6) if sold else None,
            "charger_stored_kwh": _kwh(stored),
            **_storages(store),
        },
        "indicators": {
            name: None if isnan(value) else round(value, 9) for name, value in indicator_values(store).items()
        },
        "unserved_kwh": {kind: _kwh(wanted - bought) for kind, wanted, bought in store.select(_DEMANDS)},
        "counts": {
            "agents": dict(store.select(_KINDS)),
            "trades": trades,
            "reservations": dict(store.select(_OUTCOMES)),
            "messages": messages,
        },
        "invariants": [
            {
                "name": found.name,
                "what": found.what,
                "checked": found.checked,
                "breaches": found.breaches,
                "holds": found.holds,
            }
            for found in store.invariants()
        ],
        "verdict": verdict(store),
    }


def _storages(store: Store) -> dict[str, float]:
    """Return the totals of the storages; nothing where there is none."""
    ((bought, sold, loss),) = store.select(_STORAGES)
    if bought is None:
        return {}
    ((stored,),) = store.select(_STORAGE_STORED)
    return {
        "storage_bought_kwh": _kwh(bought),
        "storage_sold_kwh": _kwh(sold),
        "storage_loss_kwh": _kwh(loss),
        "storage_stored_kwh": _kwh(stored),
    }


def summary_json(store: Store) -> str:
    """Return summary.json: keys sorted, two spaces, a final line feed."""
    return json_text(summarise(store), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _kwh(energy_wh: int) -> float:
    return energy_wh / WH_PER_KWH
