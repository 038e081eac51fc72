"""A vehicle's confirmed reservation: what it may draw, what the meter shows, and what both sides have booked."""

from dataclasses import dataclass
from typing import NamedTuple

from broker.units import MS_PER_S, cost_neur
from devices.physics.battery import charge_for, drawn_to_fill, stored_from, time_to_draw
from devices.vehicles import VehicleModel


class Booking(NamedTuple):
    """What a meter reading that both sides agree on moved."""

    drawn_wh: int
    gained_wh: int
    cost_neur: int


@dataclass(slots=True)
class Session:
    """Energies at the plug, cumulative. Nothing counts until the charger has answered to it."""

    charger: str
    call: int
    energy_wh: int
    price_ueur_per_kwh: int
    plugged_ms: int | None = None
    stored_wh: int = 0
    """In the battery when it was plugged in."""
    target_wh: int = 0
    reported_wh: int = 0
    metered_wh: int = 0
    releasing: bool = False
    misses: int = 0
    attempts: int = 0

    def is_with(self, charger: str, call: int) -> bool:
        """Tell whether a charger's message about a call is about this reservation."""
        return charger == self.charger and call == self.call

    def plug_in(self, now_ms: int, stored_wh: int, full_wh: int, model: VehicleModel) -> int:
        """Begin to draw up to what was reserved or fills the battery; return the instant at which that is done."""
        self.plugged_ms = now_ms
        self.stored_wh = stored_wh
        self.target_wh = min(self.energy_wh, drawn_to_fill(max(full_wh - stored_wh, 0)))
        seconds = time_to_draw(stored_wh, model.capacity_wh, model.charge_power_w, self.target_wh)
        return now_ms + max(round(seconds * MS_PER_S), 1)

    def reading(self, now_ms: int, model: VehicleModel) -> int:
        """Return the Wh drawn so far."""
        if self.plugged_ms is None:
            return 0
        if self.releasing:
            return self.target_wh
        seconds = (now_ms - self.plugged_ms) / MS_PER_S
        drawn_wh = charge_for(self.stored_wh, model.capacity_wh, model.charge_power_w, seconds)
        return max(min(drawn_wh, self.target_wh), self.metered_wh)

    def book(self, drawn_wh: int) -> Booking:
        """Book a reading, never backwards and never beyond what was reserved."""
        drawn_wh = min(max(drawn_wh, self.metered_wh), self.energy_wh)
        moved_wh = drawn_wh - self.metered_wh
        gained_wh = stored_from(drawn_wh) - stored_from(self.metered_wh)
        self.metered_wh = drawn_wh
        return Booking(moved_wh, gained_wh, cost_neur(moved_wh, self.price_ueur_per_kwh))
