"""The indicators of a stored run."""

import math
from collections.abc import Iterable
from typing import Final

from gridfleet.broker.protocol.units import MS_PER_HOUR, NEUR_PER_EUR, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.dashboards.indicators.definitions import INDICATORS
from gridfleet.dashboards.indicators.fairness import gini, hhi, jain
from gridfleet.dashboards.recording.recorder import PORTS_KEY
from gridfleet.dashboards.store.database import Store

OTHER: Final = "other"
_MS_PER_MINUTE: Final = 60_000
_G_PER_KG: Final = 1000

_ENERGY: Final = "SELECT sum(sold_wh), sum(generated_wh), sum(reactor_wh), sum(curtailed_wh) FROM ticks"
_BY_TICK: Final = "SELECT sum(sold_wh) FROM ticks GROUP BY tick"
_SPAN: Final = "SELECT min(simulated_ms), max(simulated_ms) FROM ticks"
_CONSUMER_KINDS: Final = "SELECT DISTINCT kind FROM agents WHERE role = 'consumer'"
_DEMANDS: Final = "SELECT kind, sum(bid_wh), sum(bought_wh) FROM demands GROUP BY kind"
_WELFARE: Final = (
    "SELECT sum(welfare_neur * 1.0), sum(optimum_neur * 1.0), sum(optimum_neur IS NULL), avg(marginal_price_ueur) "
    "FROM welfare"
)
"""As REAL: a bid of a liar may fill a whole number, and SQLite ends a sum of whole numbers that overflows."""
_SELLERS: Final = (
    "SELECT producer, sum(energy_wh), (SELECT kind FROM agents WHERE agent = producer LIMIT 1) FROM trades "
    "GROUP BY producer ORDER BY producer"
)
_VEHICLES: Final = "SELECT DISTINCT agent FROM agents WHERE role = 'vehicle' ORDER BY agent"
_CHARGED: Final = (
    "SELECT vehicle, sum(energy_wh) FROM reservations WHERE arrived_ms IS NOT NULL GROUP BY vehicle"
)
_OCCUPIED: Final = (
    "SELECT sum(min(coalesce(released_ms, ?1), ?1) - arrived_ms) FROM reservations "
    "WHERE arrived_ms IS NOT NULL"
)
_CALLS: Final = (
    "SELECT vehicle, requested_ms, accepted_ms, outcome FROM reservations "
    "ORDER BY vehicle, requested_ms, call, charger"
)


def indicator_values(store: Store) -> dict[str, float]:
    """Return every indicator in its unit, NaN where there is nothing to take it from."""
    found = {**_demand(store), **_welfare(store), **_energy(store), **_sellers(store), **_charging(store)}
    return {each.name: found[each.name] for each in INDICATORS}


def _energy(store: Store) -> dict[str, float]:
    ((sold, generated, reactor, curtailed),) = store.select(_ENERGY)
    power = [
        energy_wh * MS_PER_HOUR / store.facts().tick_ms / WH_PER_KWH
        for (energy_wh,) in store.select(_BY_TICK)
    ]
    peak = max(power, default=math.nan)
    return {
        "self_sufficiency": 100 * _over((sold or 0) - (reactor or 0), sold),
        "self_consumption": 100 * _over((generated or 0) - (curtailed or 0), generated),
        "curtailment_share": 100 * _over(curtailed, generated),
        "peak_kw": peak,
        "load_factor": 100 * _over(sum(power) / len(power), peak) if power else math.nan,
    }


def _demand(store: Store) -> dict[str, float]:
    kinds = {kind for (kind,) in store.select(_CONSUMER_KINDS)}
    sums = {True: [0, 0], False: [0, 0]}
    for kind, wanted, bought in store.select(_DEMANDS):
        sums[kind in kinds][0] += wanted
        sums[kind in kinds][1] += bought
    (wanted, bought), others = sums[True], sums[False]
    return {
        "unserved_consumers_kwh": (wanted - bought) / WH_PER_KWH,
        "unserved_share_consumers": 100 * _over(wanted - bought, wanted),
        "unserved_others_kwh": (others[0] - others[1]) / WH_PER_KWH,
    }


def _welfare(store: Store) -> dict[str, float]:
    ((welfare, optimum, unknown, marginal),) = store.select(_WELFARE)
    gap = math.nan if unknown or not optimum else 100 * (optimum - welfare) / optimum
    return {
        "marginal_price": _over(marginal, UEUR_PER_EUR),
        "welfare_eur": _over(welfare, NEUR_PER_EUR),
        "welfare_gap": gap,
    }


def _sellers(store: Store) -> dict[str, float]:
    factors = dict(store.facts().emissions_g_per_kwh)
    sellers = list(store.select(_SELLERS))
    grams = sum(
        energy_wh / WH_PER_KWH * factors.get(kind or OTHER, factors.get(OTHER, 0.0))
        for _, energy_wh, kind in sellers
    )
    return {
        "co2_kg": grams / _G_PER_KG if factors and sellers else math.nan,
        "hhi": hhi(energy_wh for _, energy_wh, _ in sellers),
    }


def _charging(store: Store) -> dict[str, float]:
    charged = dict(store.select(_CHARGED))
    energies = [float(charged.get(vehicle, 0)) for (vehicle,) in store.select(_VEHICLES)]
    ((begin_ms, end_ms),) = store.select(_SPAN)
    facts, ports = store.facts(), store.meta(PORTS_KEY, 0)
    utilisation = math.nan
    if begin_ms is not None and ports:
        end_ms += facts.tick_ms
        ((occupied_ms,),) = store.select(_OCCUPIED, (end_ms,))
        utilisation = 100 * (occupied_ms or 0) / (ports * (end_ms - begin_ms))
    waits = waiting_ms(store.select(_CALLS))
    return {
        "jain_vehicles": jain(energies),
        "gini_vehicles": gini(energies),
        "waiting_min": sum(waits) / len(waits) / _MS_PER_MINUTE if waits else math.nan,
        "port_utilisation": utilisation,
    }


def waiting_ms(calls: Iterable[tuple[str, int, int | None, str]]) -> list[int]:
    """Return how long each search took that ended with a charged vehicle, ms.

    `calls` are vehicle, time of the call, time of the acceptance and outcome, in the order of vehicle and time. A
    search begins with the first call after the vehicle has charged.

    >>> waiting_ms([("car", 0, None, "unserved"), ("car", 5, 9, "charged"), ("car", 20, 21, "charged")])
    [9, 1]
    """
    waits: list[int] = []
    searching, since_ms = "", 0
    for vehicle, requested_ms, accepted_ms, outcome in calls:
        if vehicle != searching:
            searching, since_ms = vehicle, requested_ms
        if outcome == "charged" and accepted_ms is not None:
            waits.append(accepted_ms - since_ms)
            searching = ""
    return waits


def _over(value: float | None, divisor: float | None) -> float:
    return math.nan if value is None or not divisor else value / divisor
