"""The clearing rules that are shipped: pay-as-bid and uniform-price."""

from collections.abc import Sequence
from typing import Final

from gridfleet.devices.market.clearing_rule import ClearingRule, MarketLot

PAY_AS_BID: Final = ClearingRule("pay-as-bid")
"""Each buyer pays its own bid: the discriminatory auction of Bower and Bunn (2001)."""


def marginal_bids(served: Sequence[MarketLot], _unserved: Sequence[MarketLot]) -> list[int]:
    """Return the lowest bid that is served, for everybody.

    This is the uniform-price auction of Bower and Bunn, "Experimental analysis of the efficiency of uniform-price
    versus discriminatory auctions in the England and Wales electricity market", Journal of Economic Dynamics and
    Control 25 (2001) 561-592, from the buyers' side: supplies have no price, so the marginal bid sets it.
    """
    marginal = min((lot.bid for lot in served), default=0)
    return [marginal] * len(served)


def supply_price(_bid: int, price: int) -> int:
    """Return the price of the grid supply: it sells without limit, so it is marginal in every import."""
    return price


UNIFORM_PRICE: Final = ClearingRule("uniform-price", prices=marginal_bids, import_price=supply_price)
"""Everybody who is served in a market pays the lowest bid that is served, and the supply's price for imports."""
