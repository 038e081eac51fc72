"""A vehicle's side of a charging reservation: collect offers, take the best that is confirmed."""

from collections.abc import Callable
from typing import Final

from gridfleet.broker.protocol.messages import Accept, Call, Offer
from gridfleet.devices.charging.offer_ranking import Candidate
from gridfleet.devices.physics.battery import stored_from

LEAST_GAIN_WH: Final = 500
"""A charger that leaves the battery less than this fuller than before the way there is not worth it."""


class Negotiation:
    """One call: offers come in until every charger asked has answered or patience ends; then one by one is tried."""

    __slots__ = ("asked", "call", "offers", "queue", "trying", "widened")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.asked: set[str] = set()
        self.widened = False
        self.offers: dict[str, Offer] = {}
        self.queue: list[Candidate] | None = None
        self.trying: Candidate | None = None

    def reopen(self, asked: set[str]) -> None:
        """Collect from these chargers."""
        self.asked = asked
        self.queue = None
        self.trying = None
        self.offers.clear()

    @property
    def collecting(self) -> bool:
        """Whether offers are still collected."""
        return self.queue is None

    def answered(self, charger: str, offer: Offer | None) -> bool:
        """Note an offer or a refusal; tell whether that was the last charger to be heard."""
        if charger not in self.asked:
            return False
        self.asked.discard(charger)
        if offer is not None:
            self.offers[charger] = offer
        return not self.asked

    def candidates(
        self, distance_km: Callable[[str], float], way_wh: Callable[[float], float | None]
    ) -> list[Candidate]:
        """Return the offers worth ranking: affordable, within reach, and fuller after than before."""
        found: list[Candidate] = []
        for charger, offer in self.offers.items():
            away_km = distance_km(charger)
            way = way_wh(away_km)
            if way is None or offer.price_ueur_per_kwh > self.call.limit_ueur_per_kwh:
                continue
            if stored_from(offer.energy_wh) - way < LEAST_GAIN_WH:
                continue
            needed_wh = self.call.energy_wh + round(way)
            found.append(Candidate(charger, away_km, offer.energy_wh, offer.price_ueur_per_kwh, needed_wh))
        return found

    def is_trying(self, charger: str) -> bool:
        """Whether this charger's offer was accepted and is not confirmed yet."""
        return self.trying is not None and self.trying.charger == charger

    def forget(self, charger: str) -> None:
        """Leave a charger out of those still to be tried."""
        if self.queue is not None:
            self.queue = [each for each in self.queue if each.charger != charger]

    def next(self, now_ms: int) -> tuple[str, Accept] | None:
        """Accept the best offer not yet tried, or return None when there is none left."""
        if not self.queue:
            self.trying = None
            return None
        self.trying = self.queue.pop(0)
        return self.trying.charger, Accept(self.call.call, now_ms)
