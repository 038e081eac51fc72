"""What each clearing rule asks for, as the auditor understands it: written without the rules' own code.

The auditor knows the shipped rules itself. Those of other packages are given to it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Package

PackageKey = tuple[str, int]
"""Consumer, and index of the package in its bid."""
Bids = Mapping[str, Sequence[Package]]
Supplies = Mapping[str, int]
"""Producer -> Wh."""
SpecifiedPrices = Callable[[int, Bids, Supplies, int | None], Mapping[PackageKey, int]]
"""(tick, bids, supplies, price of the grid supply) -> the price of each package, µEUR/kWh; others cost their bid.

The price of the grid supply is None in the market of a cell. Of an import there are the bid, no supplies, and it.
"""
SpecificationOf = Callable[[str], SpecifiedPrices | None]
"""Name of a clearing rule -> its specification, or None where there is none."""


class Specification(NamedTuple):
    """The specification of a rule, and what of it holds although messages may be lost."""

    prices: SpecifiedPrices
    by_bid: bool = False
    """Whether a price depends on the bid alone, so that it does not matter what a producer has received."""
    one_price: bool = False
    """Whether a producer asks all for one price in a market; energy that was refused is sold at lower bids."""


def pay_as_bid(
    _tick: int, _bids: Bids, _supplies: Supplies, _supply_price: int | None
) -> dict[PackageKey, int]:
    """Each package costs its bid."""
    return {}


def uniform_price(
    _tick: int, bids: Bids, supplies: Supplies, supply_price: int | None
) -> dict[PackageKey, int]:
    """Return one price for all: the bid for the last Wh that the supplies reach; of an import, the supply's price.

    A package that the supplies do not reach costs its bid, which is not higher.
    """
    packages = [
        (package.price_ueur_per_kwh, package.energy_wh, (consumer, package.index))
        for consumer, each in bids.items()
        for package in each
        if package.energy_wh
    ]
    price = supply_price
    if price is None:
        packages.sort(key=lambda package: -package[0])
        supply_wh = sum(supplies.values())
        begins = accumulate((energy_wh for _, energy_wh, _ in packages), initial=0)
        reached = [
            bid for (bid, _, _), begin_wh in zip(packages, begins, strict=False) if begin_wh < supply_wh
        ]
        if not reached:
            return {}
        price = reached[-1]
    return {key: min(price, bid) for bid, _, key in packages}


SHIPPED: Final[Mapping[str, Specification]] = {
    "pay-as-bid": Specification(pay_as_bid, by_bid=True),
    "uniform-price": Specification(uniform_price, one_price=True),
}


def find_specification(name: str, others: SpecificationOf | None) -> Specification | None:
    """Return the specification of a rule: the auditor's own, or that of another package; None without any."""
    if name in SHIPPED:
        return SHIPPED[name]
    prices = None if others is None else others(name)
    return None if prices is None else Specification(prices)
