"""A charging session of a vehicle: leased energy, meter readings, and what is paid."""

from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_S, cost_neur
from gridfleet.devices.physics.battery import drawn_to_fill, energy_drawn, stored_from, time_to_draw
from gridfleet.devices.physics.vehicle_models import VehicleModel

METER_MARGIN_S: Final = 900
"""The clocks of charger and vehicle may differ by so much."""


class MeterDelta(NamedTuple):
    """Energy drawn since the last meter reading, and what the battery gained of it."""

    drawn_wh: int
    gained_wh: int


@dataclass(slots=True)
class ChargingSession:
    """Cumulative energies at the plug. Drawn energy is stored at once, and paid when the charger confirms it."""

    charger: str
    call: int
    energy_wh: int
    price_ueur_per_kwh: int
    no_show_fee_neur: int = 0
    """The fee that the offer states."""
    lease_end_ms: int = 0
    """Until when the charger keeps port and energy, by the last lease that was received."""
    plugged_ms: int | None = None
    stored_wh: int = 0
    """Energy in the battery when it was plugged in."""
    target_wh: int = 0
    reported_wh: int = 0
    """The last meter reading; the battery has it already, less the loss."""
    settled_wh: int = 0
    """The part of that reading which the charger has confirmed; it is paid."""
    releasing: bool = False
    metered: bool = False
    """Whether the readings come from the charger's own meter."""
    misses: int = 0
    """Ticks in a row without an answer; after the vehicle has left, requests for the bill."""
    attempts: int = 0
    """How often the present report was sent."""
    denied_fee: bool = False
    """Whether it has answered a bill of a fee that it does not owe."""
    left_ms: int = 0
    """When the vehicle left without a bill."""

    def is_with(self, charger: str, call: int) -> bool:
        """Whether a charger's message about a call is about this session."""
        return charger == self.charger and call == self.call

    def plug_in(self, now_ms: int, stored_wh: int, full_wh: int, model: VehicleModel) -> int:
        """Begin to draw; return the time at which the leased energy is drawn or the battery is full."""
        self.plugged_ms = now_ms
        self.stored_wh = stored_wh
        self.target_wh = min(self.energy_wh, drawn_to_fill(max(full_wh - stored_wh, 0)))
        seconds = time_to_draw(stored_wh, model.capacity_wh, model.charge_power_w, self.target_wh)
        return now_ms + max(round(seconds * MS_PER_S), 1)

    def reading(self, now_ms: int, model: VehicleModel) -> int:
        """Return the Wh drawn so far."""
        if self.plugged_ms is None:
            return 0
        if self.metered:
            return self.reported_wh
        if self.releasing:
            return self.target_wh
        seconds = (now_ms - self.plugged_ms) / MS_PER_S
        drawn_wh = energy_drawn(self.stored_wh, model.capacity_wh, model.charge_power_w, seconds)
        return max(min(drawn_wh, self.target_wh), self.reported_wh)

    def read_meter(self, now_ms: int, model: VehicleModel) -> MeterDelta:
        """Read the meter; return what was drawn since the last reading."""
        reading_wh = max(self.reading(now_ms, model), self.reported_wh)
        before_wh, self.reported_wh = self.reported_wh, reading_wh
        return MeterDelta(reading_wh - before_wh, stored_from(reading_wh) - stored_from(before_wh))

    def most_drawn_wh(self, now_ms: int, model: VehicleModel) -> int:
        """Return the most that a meter can have counted by now, Wh: nothing before the vehicle is plugged in.

        Then no more than its largest power gives in that time, with METER_MARGIN_S more, and than its battery takes.
        """
        if self.plugged_ms is None:
            return self.reported_wh
        seconds = (now_ms - self.plugged_ms) / MS_PER_S + METER_MARGIN_S
        power_wh = ceil(model.charge_power_w * seconds / 3600)
        return max(min(power_wh, drawn_to_fill(model.capacity_wh - self.stored_wh)), self.reported_wh)

    def adopt_reading(self, energy_wh: int) -> MeterDelta:
        """Adopt a reading of the charger's own meter; return what was drawn since the last reading."""
        self.metered = True
        reading_wh = min(max(energy_wh, self.reported_wh), self.energy_wh)
        before_wh, self.reported_wh = self.reported_wh, reading_wh
        return MeterDelta(reading_wh - before_wh, stored_from(reading_wh) - stored_from(before_wh))

    def owes_fee(self, amount_neur: int, now_ms: int) -> bool:
        """Whether a fee is owed: as the offer said, without having plugged in, after the lease's end."""
        ended = now_ms + METER_MARGIN_S * MS_PER_S >= self.lease_end_ms
        return 0 < amount_neur <= self.no_show_fee_neur and self.plugged_ms is None and ended

    def settle(self, energy_wh: int) -> int:
        """Settle the energy that both sides agree on, up to what was drawn; return what is due in nEUR."""
        settled_wh = min(max(energy_wh, self.settled_wh), self.reported_wh)
        due_neur = cost_neur(settled_wh - self.settled_wh, self.price_ueur_per_kwh)
        self.settled_wh = settled_wh
        return due_neur
