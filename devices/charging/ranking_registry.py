"""The offer rankings by name: the shipped ones, and those that installed packages add."""

from typing import Final

from gridfleet.broker.protocol.messages import Settings
from gridfleet.devices.charging.offer_ranking import OfferRanking
from gridfleet.devices.plugins import Registry

DEFAULT_RANKING: Final = Settings().algorithm
"""What a vehicle uses that does not have the ranking in force."""
_SHIPPED: Final = {
    name: f"gridfleet.devices.charging.shipped_rankings:{name.upper()}"
    for name in ("weighted", "best", "cheapest", "closest", "random")
}
OFFER_RANKINGS: Final[Registry[OfferRanking]] = Registry(
    "gridfleet.offer_rankings", "offer ranking", OfferRanking, _SHIPPED
)
