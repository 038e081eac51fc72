"""Prices of chargers: strategies by name, the shipped ones and those of installed packages.

- `state-of-charge`, the original system's: 1.01 EUR/kWh less the state of charge. A full charger sells for 0.01 EUR,
  whatever it paid: it loses money wherever energy costs more.
- `cost-plus`: what the energy in its buffer has cost on average, after the losses of charging and discharging, and a
  margin on top.

A package adds a strategy by the entry-point group `gridfleet.charger_pricings`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import UEUR_PER_EUR
from gridfleet.devices.plugins import Registry

OFFER_BASE_UEUR: Final = 1_010_000
"""A vehicle pays 1.01 EUR/kWh less the charger's state of charge (0 to 1)."""
DEFAULT_PRICING: Final = "state-of-charge"


class Stock(NamedTuple):
    """A charger when it makes an offer."""

    stored_wh: int
    capacity_wh: int
    cost_ueur_per_kwh: int
    """What a kWh at the plug has cost on average, losses included; the reactor's price for an empty buffer."""
    margin: float
    """What it wants to earn, as a share of the cost."""


@dataclass(frozen=True, slots=True)
class ChargerPricing:
    """A strategy: its name, and the price in µEUR/kWh for a charger's stock. It must depend on the stock alone.

    >>> flat = ChargerPricing("flat", lambda stock: 400_000)
    >>> flat.price(Stock(150_000, 300_000, 290_000, 0.1))
    400000
    """

    name: str
    price: Callable[[Stock], int]


def _by_state_of_charge(stock: Stock) -> int:
    return OFFER_BASE_UEUR - stock.stored_wh * UEUR_PER_EUR // stock.capacity_wh


def _by_cost(stock: Stock) -> int:
    return -(-stock.cost_ueur_per_kwh * (1000 + round(stock.margin * 1000)) // 1000)


STATE_OF_CHARGE: Final = ChargerPricing(DEFAULT_PRICING, _by_state_of_charge)
COST_PLUS: Final = ChargerPricing("cost-plus", _by_cost)
CHARGER_PRICINGS: Final[Registry[ChargerPricing]] = Registry(
    "gridfleet.charger_pricings",
    "charger pricing",
    ChargerPricing,
    {
        DEFAULT_PRICING: "gridfleet.devices.charging.pricing:STATE_OF_CHARGE",
        "cost-plus": "gridfleet.devices.charging.pricing:COST_PLUS",
    },
)
