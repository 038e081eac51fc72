"""A vehicle's call for proposals: collect the offers, then accept one after the other until one is confirmed."""

from collections.abc import Callable
from typing import Final

from gridfleet.broker.protocol.messages import Accept, Call, Offer
from gridfleet.devices.charging.offer_ranking import Candidate
from gridfleet.devices.physics.battery import stored_from

MIN_GAIN_WH: Final = 500
"""The least energy that an accepted offer must add to the battery, after the energy of the way there."""


class Negotiation:
    """One call: collects offers until every called charger has answered or a timeout, then tries them one by one."""

    __slots__ = ("call", "neighbours_called", "offers", "pending", "ranked", "trying")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.pending: set[str] = set()
        """Chargers that were called and have not answered yet."""
        self.neighbours_called = False
        self.offers: dict[str, Offer] = {}
        self.ranked: list[Candidate] | None = None
        """The offers that are still to be tried, the best first; None while offers are collected."""
        self.trying: Candidate | None = None

    def collect_from(self, chargers: set[str]) -> None:
        """Begin to collect offers from these chargers."""
        self.pending = chargers
        self.ranked = None
        self.trying = None
        self.offers.clear()

    @property
    def collecting(self) -> bool:
        """Whether offers are still being collected."""
        return self.ranked is None

    def note_answer(self, charger: str, offer: Offer | None) -> bool:
        """Note a charger's offer, or None for a refusal; return whether that was the last missing answer."""
        if charger not in self.pending:
            return False
        self.pending.discard(charger)
        if offer is not None:
            self.offers[charger] = offer
        return not self.pending

    def candidates(
        self,
        distance_km: Callable[[str], float],
        driving_energy_wh: Callable[[float], float | None],
        fee_limit_neur: int,
    ) -> list[Candidate]:
        """Return the offers worth ranking: within the limits of price and fee, in reach, with a gain for the battery.

        `distance_km` gives the distance to a charger, `driving_energy_wh` the energy for a distance, or None.
        """
        found: list[Candidate] = []
        for charger, offer in self.offers.items():
            charger_km = distance_km(charger)
            way_wh = driving_energy_wh(charger_km)
            if way_wh is None or offer.price_ueur_per_kwh > self.call.limit_ueur_per_kwh:
                continue
            if offer.no_show_fee_neur > fee_limit_neur:
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
        """Do not try this charger's offer."""
        if self.ranked is not None:
            self.ranked = [each for each in self.ranked if each.charger != charger]

    def accept_next(self, now_ms: int) -> Accept | None:
        """Return the acceptance of the best offer not yet tried, or None when there is none left."""
        if not self.ranked:
            self.trying = None
            return None
        self.trying = self.ranked.pop(0)
        return Accept(self.call.call, now_ms, self.trying.charger)
