"""A clearing rule for GridFleet: the price halfway between the lowest bid that is served and the highest that is not.

This is the k-double auction with k = 1/2 (Chatterjee and Samuelson, "Bargaining under incomplete information",
Operations Research 31, 1983): every price between those two bids clears the market, and the rule takes the middle.
Supplies have no price of their own, so 0 stands for the bid that is not served where all are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gridfleet import ClearingRule, Package


def midpoint_prices(served: Sequence[Any], unserved: Sequence[Any]) -> list[int]:
    """Return the same price for every lot that is served, in whole µEUR/kWh, rounded down."""
    lowest_served = min((lot.bid for lot in served), default=0)
    highest_unserved = max((lot.bid for lot in unserved), default=0)
    return [(lowest_served + highest_unserved) // 2] * len(served)


def import_price(bid: int, supply_price: int) -> int:
    """Return the middle between what the buyer bids and what the grid supply asks for."""
    return (bid + supply_price) // 2


def specification(
    _tick: int, bids: Mapping[str, Sequence[Package]], supplies: Mapping[str, int], supply_price: int | None
) -> dict[tuple[str, int], int]:
    """Return what each package must cost, for the auditor; written without the functions above.

    A price clears the market if what is bid above it fits into the supply, and what is bid at it or above fills it.
    """
    packages = [
        (consumer, package.index, package.price_ueur_per_kwh, package.energy_wh)
        for consumer, each in bids.items()
        for package in each
        if package.energy_wh
    ]
    if supply_price is not None:
        return {
            (consumer, index): bid - (bid - supply_price + 1) // 2 for consumer, index, bid, _ in packages
        }
    supply_wh = sum(supplies.values())
    levels = {bid for _, _, bid, _ in packages}

    def demand_wh(above: int) -> int:
        return sum(energy_wh for _, _, bid, energy_wh in packages if bid > above)

    top = min((bid for bid in levels if demand_wh(bid) < supply_wh), default=0)
    bottom = max((bid for bid in levels if demand_wh(bid - 1) > supply_wh), default=0)
    price = bottom + (top - bottom) // 2
    return {(consumer, index): min(price, bid) for consumer, index, bid, _ in packages}


MIDPOINT_PRICE = ClearingRule(
    "midpoint-price", prices=midpoint_prices, import_price=import_price, specification=specification
)
