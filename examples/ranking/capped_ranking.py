"""An offer ranking for GridFleet: the nearest charger, but none that asks for more than a price cap."""

from collections.abc import Sequence
from typing import Any

from gridfleet import OfferRanking

CAP_UEUR_PER_KWH = 300_000
"""0.30 EUR/kWh: a vehicle would rather ask again later than pay more."""


def capped(candidates: Sequence[Any], _weights: object, _rng: object) -> list[Any]:
    """Return the offers at or below the cap, the nearest first; dearer ones are left out, so they are not tried."""
    affordable = [offer for offer in candidates if offer.price_ueur_per_kwh <= CAP_UEUR_PER_KWH]
    return sorted(affordable, key=lambda offer: (offer.distance_km, offer.price_ueur_per_kwh, offer.charger))


CAPPED = OfferRanking("capped", capped)
