"""A vehicle's call for proposals: collect the offers, then accept one after the other until one is confirmed."""

from collections.abc import Callable
from typing import Final

from gridfleet.broker.protocol.messages import Accept, Call, Offer
from gridfleet.devices.charging.offer_ranking import Candidate
from gridfleet.devices.physics.battery import stored_from

MIN_GAIN_WH: Final = 500
"""An offer is worth accepting only if the battery gains at least this, less the energy of the way there."""


class Negotiation:
    """One call: it collects offers until every charger asked has answered or the timeout, then tries one by one."""

    __slots__ = ("asked", "call", "neighbours_called", "offers", "ranked", "trying")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.asked: set[str] = set()
        self.neighbours_called = False
        self.offers: dict[str, Offer] = {}
        self.ranked: list[Candidate] | None = None
        self.trying: Candidate | None = None

    def collect_from(self, asked: set[str]) -> None:
        """Begin to collect offers from these chargers."""
        self.asked = asked
        self.ranked = None
        self.trying = None
        self.offers.clear()

    @property
    def collecting(self) -> bool:
        """Whether offers are still being collected."""
        return self.ranked is None

    def answered(self, charger: str, offer: Offer | None) -> bool:
        """Note a charger's offer, or None for a refusal; return whether it was the last answer missing."""
        if charger not in self.asked:
            return False
        self.asked.discard(charger)
        if offer is not None:
            self.offers[charger] = offer
        return not self.asked

    def candidates(
        self, distance_km: Callable[[str], float], driving_energy_wh: Callable[[float], float | None]
    ) -> list[Candidate]:
        """Return the offers worth ranking: within the price limit, within reach, and with a gain for the battery.

        `distance_km` gives the distance to a charger, `driving_energy_wh` the energy for a distance, or None.
        """
        found: list[Candidate] = []
        for charger, offer in self.offers.items():
            charger_km = distance_km(charger)
            way_wh = driving_energy_wh(charger_km)
            if way_wh is None or offer.price_ueur_per_kwh > self.call.limit_ueur_per_kwh:
                continue
            if stored_from(offer.energy_wh) - way_wh < MIN_GAIN_WH:
                continue
            needed_wh = self.call.energy_wh + round(way_wh)
            found.append(Candidate(charger, charger_km, offer.energy_wh, offer.price_ueur_per_kwh, needed_wh))
        return found

    def is_trying(self, charger: str) -> bool:
        """Whether this charger's offer was accepted and is not confirmed yet."""
        return self.trying is not None and self.trying.charger == charger

    def forget(self, charger: str) -> None:
        """Do not try this charger any more."""
        if self.ranked is not None:
            self.ranked = [each for each in self.ranked if each.charger != charger]

    def accept_next(self, now_ms: int) -> tuple[str, Accept] | None:
        """Return charger and acceptance of the best offer not yet tried, or None when there is none left."""
        if not self.ranked:
            self.trying = None
            return None
        self.trying = self.ranked.pop(0)
        return self.trying.charger, Accept(self.call.call, now_ms)
