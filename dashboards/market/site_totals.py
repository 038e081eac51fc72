"""Totals of one tick's market over the whole site, from accounts and receipts alone."""

from dataclasses import dataclass, replace

from gridfleet.broker.protocol.messages import ChargerState, ConsumerState, ProducerState, State, StorageState
from gridfleet.broker.protocol.units import UEUR_PER_EUR
from gridfleet.dashboards.market.aggregate import MarketAggregate


@dataclass(slots=True)
class SiteTotals:
    """Energies of one tick in Wh, by the role of who generated, bought or sold them, and the prices paid."""

    generated_wh: int = 0
    """What producers generated."""
    grid_supply_wh: int = 0
    """What the grid supply sold."""
    demand_wh: int = 0
    """Energy that consumers wanted; chargers and storages left out."""
    consumers_wh: int = 0
    chargers_wh: int = 0
    storages_bought_wh: int = 0
    storages_sold_wh: int = 0
    stored_wh: int = 0
    """Energy in the batteries of chargers and storages."""
    mean_price_eur_per_kwh: float | None = None
    lowest_price_eur_per_kwh: float | None = None


def site_totals(market: MarketAggregate) -> SiteTotals:
    """Return the totals of a tick as far as its messages have arrived."""
    totals = SiteTotals()
    for state in market.states.values():
        _add(totals, state)
    sold = market.receipt_totals()
    lowest = sold.lowest_ueur_per_kwh
    return replace(
        totals,
        mean_price_eur_per_kwh=sold.cost_neur / sold.energy_wh / UEUR_PER_EUR if sold.energy_wh else None,
        lowest_price_eur_per_kwh=None if lowest is None else lowest / UEUR_PER_EUR,
    )


def _add(totals: SiteTotals, state: State) -> None:
    """Add a device's account to the energies."""
    match state:
        case ProducerState(role="producer"):
            totals.generated_wh += state.generated_wh
        case ProducerState():
            totals.grid_supply_wh += state.sold_wh
        case ConsumerState():
            totals.consumers_wh += state.bought_wh
            totals.demand_wh += state.demand_wh
        case ChargerState():
            totals.chargers_wh += state.bought_wh
            totals.stored_wh += state.stored_wh
        case StorageState():
            totals.storages_bought_wh += state.bought_wh
            totals.storages_sold_wh += state.sold_wh
            totals.stored_wh += state.stored_wh
        case _:
            pass
