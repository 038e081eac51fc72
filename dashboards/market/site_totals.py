"""Totals of one tick's market over the whole site, from accounts and receipts alone."""

from dataclasses import dataclass

from gridfleet.broker.protocol.messages import ChargerState, ConsumerState, ProducerState
from gridfleet.broker.protocol.units import UEUR_PER_EUR
from gridfleet.dashboards.market.aggregate import MarketAggregate


@dataclass(frozen=True, slots=True)
class SiteTotals:
    """Energies of one tick in Wh, by who generated or bought them, and the prices paid."""

    wind_wh: int = 0
    reactor_wh: int = 0
    demand_wh: int = 0
    """Energy that consumers wanted; chargers left out."""
    consumers_wh: int = 0
    chargers_wh: int = 0
    stored_wh: int = 0
    """Energy in the chargers' batteries."""
    mean_price_eur_per_kwh: float | None = None
    lowest_price_eur_per_kwh: float | None = None


def site_totals(market: MarketAggregate) -> SiteTotals:
    """Return the totals of a tick as far as its messages have arrived."""
    wind_wh = reactor_wh = demand_wh = consumers_wh = chargers_wh = stored_wh = 0
    for state in market.states.values():
        match state:
            case ProducerState(role="producer"):
                wind_wh += state.generated_wh
            case ProducerState():
                reactor_wh += state.sold_wh
            case ConsumerState():
                consumers_wh += state.bought_wh
                demand_wh += state.demand_wh
            case ChargerState():
                chargers_wh += state.bought_wh
                stored_wh += state.stored_wh
            case _:
                pass
    sold = market.receipt_totals()
    lowest = sold.lowest_ueur_per_kwh
    return SiteTotals(
        wind_wh,
        reactor_wh,
        demand_wh,
        consumers_wh,
        chargers_wh,
        stored_wh,
        sold.cost_neur / sold.energy_wh / UEUR_PER_EUR if sold.energy_wh else None,
        None if lowest is None else lowest / UEUR_PER_EUR,
    )
