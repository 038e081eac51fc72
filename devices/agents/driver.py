"""What every driver does: set out, get on, arrive, or strand; position and battery at any instant.

Its life is a sequence of planned instants, one at a time.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from gridfleet.broker.protocol.messages import Presence
from gridfleet.devices.agents.base import NOTHING, Agent, Out
from gridfleet.devices.physics.driving import range_km
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.physics.journey import Journey, Place
from gridfleet.devices.physics.vehicle_models import VehicleModel

LOW: Final = 0.30
"""State of charge at which it looks for a charger."""


class Status(StrEnum):
    """What a vehicle is doing."""

    PARKED = "parked"
    DRIVING = "driving"
    HEADING = "heading"
    CHARGING = "charging"
    STRANDED = "stranded"


class Driver(Agent):
    """A vehicle in motion or at rest."""

    __slots__ = ("_destination", "_driven_wh", "_journey", "_model", "_next", "_status", "stored_wh")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        model: VehicleModel,
        stored_wh: int,
        label: str = "",
    ) -> None:
        super().__init__(agent_id, cell, latitude, longitude, label)
        self._model = model
        self.stored_wh = stored_wh
        self._status = Status.PARKED
        self._destination: Place | None = None
        self._journey: Journey | None = None
        self._driven_wh = 0
        self._next: Callable[[int], Out] | None = None

    def inherit(self, former: "Driver") -> None:
        """Find the battery as it was left."""
        super().inherit(former)
        self.stored_wh = former.stored_wh

    def _runs_low(self, now_ms: int) -> Out:
        """Act because the battery has come down to LOW."""
        raise NotImplementedError

    def _plan(self, at_ms: int | None, action: Callable[[int], Out] | None) -> None:
        self.event_ms = at_ms
        self._next = action if at_ms is not None else None

    def on_event(self, now_ms: int) -> Out:
        """Do what was planned for this instant."""
        action, self._next, self.event_ms = self._next, None, None
        return action(now_ms) if action is not None else NOTHING

    def _advance(self, now_ms: int) -> None:
        """Bring position and battery up to the instant."""
        if self._journey is None:
            return
        (self.latitude, self.longitude), stored_wh = self._journey.at(now_ms)
        self._driven_wh += self.stored_wh - stored_wh
        self.stored_wh = stored_wh

    def _set_out(self, now_ms: int) -> Out:
        """Drive to the destination; on the way, notice when the battery runs low."""
        if self._destination is None:
            return NOTHING
        self._status = Status.DRIVING
        self._journey = self._begin_journey(now_ms, self._destination)
        low_wh = LOW * self._model.capacity_wh
        low_ms = self._journey.reaches_ms(low_wh) if self.stored_wh > low_wh else None
        arrival_ms = self._journey.arrival_ms()
        if low_ms is not None and (arrival_ms is None or low_ms < arrival_ms):
            self._plan(max(low_ms, now_ms + 1), self._runs_low)
        else:
            self._plan_arrival(arrival_ms, self._arrive)
        return NOTHING

    def _begin_journey(self, now_ms: int, target: Place) -> Journey:
        here = (self.latitude, self.longitude)
        model = self._model
        return Journey.begin(
            now_ms, here, target, self.stored_wh, model.capacity_wh, model.consumption_wh_per_km
        )

    def _plan_arrival(self, arrival_ms: int | None, action: Callable[[int], Out]) -> None:
        """Arrive, or strand where the battery is empty."""
        if arrival_ms is not None:
            self._plan(arrival_ms, action)
        elif self._journey is not None:
            self._plan(self._journey.reaches_ms(0), self._strand)

    def _arrive(self, now_ms: int) -> Out:
        self._advance(now_ms)
        self._journey = None
        self._destination = None
        self._status = Status.PARKED
        return NOTHING

    def _strand(self, now_ms: int) -> Out:
        self._advance(now_ms)
        self._journey = None
        self._status = Status.STRANDED
        return NOTHING

    def _drive_on(self, now_ms: int) -> Out:
        """Go on to the destination, or stay parked where there is none or the battery is too low."""
        if self._destination is not None and self.stored_wh > LOW * self._model.capacity_wh:
            return self._set_out(now_ms)
        self._status = Status.PARKED
        self._plan(None, None)
        return NOTHING

    def _plan_rest(self, now_ms: int) -> None:
        """While it bargains, and if that comes to nothing, it drives on."""
        if self._journey is not None:
            arrival_ms = self._journey.arrival_ms()
            self._plan_arrival(None if arrival_ms is None else max(arrival_ms, now_ms + 1), self._arrive)

    def _distance_to(self, at: Presence) -> float:
        return distance_km(self.latitude, self.longitude, at.latitude, at.longitude)

    def _range_km(self) -> float:
        return range_km(self.stored_wh, self._model.capacity_wh, self._model.consumption_wh_per_km)
