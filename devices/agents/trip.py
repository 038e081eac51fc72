"""The driving of a vehicle: departure, arrival, stranding; its position and battery at any time."""

from enum import StrEnum
from typing import Final, Protocol

from gridfleet.broker.protocol.messages import Presence
from gridfleet.devices.agents.base import NOTHING, Action, Out
from gridfleet.devices.physics.driving import range_km
from gridfleet.devices.physics.geo import distance_km
from gridfleet.devices.physics.journey import Journey, Place
from gridfleet.devices.physics.vehicle_models import VehicleModel

LOW_CHARGE: Final = 0.30
"""State of charge at which a vehicle looks for a charger."""


class VehicleStatus(StrEnum):
    """What a vehicle is doing."""

    PARKED = "parked"
    DRIVING = "driving"
    HEADING = "heading"
    CHARGING = "charging"
    STRANDED = "stranded"


class TripOwner(Protocol):
    """What a trip needs of its vehicle."""

    latitude: float
    longitude: float

    def plan(self, at_ms: int, action: Action) -> None:
        """Do something at a simulated time."""

    def cancel_plan(self) -> None:
        """Plan nothing."""

    def on_low_battery(self, now_ms: int) -> Out:
        """Act because the state of charge has fallen to LOW_CHARGE."""
        ...

    def on_stranded(self, now_ms: int) -> Out:
        """Act because the battery is empty."""
        ...


class Trip:
    """A vehicle's position, destination, status and battery."""

    __slots__ = ("_vehicle", "destination", "driven_wh", "journey", "model", "status", "stored_wh")

    def __init__(self, vehicle: TripOwner, model: VehicleModel, stored_wh: int) -> None:
        self._vehicle = vehicle
        self.model = model
        self.stored_wh = stored_wh
        self.status = VehicleStatus.PARKED
        self.destination: Place | None = None
        self.journey: Journey | None = None
        self.driven_wh = 0
        """Energy taken for driving in this tick."""

    @property
    def state_of_charge(self) -> float:
        """State of charge, 0 to 1."""
        return self.stored_wh / self.model.capacity_wh

    @property
    def range_km(self) -> float:
        """How far the vehicle can drive with the energy in its battery, in km."""
        return range_km(self.stored_wh, self.model.capacity_wh, self.model.consumption_wh_per_km)

    def distance_km(self, at: Presence) -> float:
        """Return the distance to a device."""
        return distance_km(self._vehicle.latitude, self._vehicle.longitude, at.latitude, at.longitude)

    def advance(self, now_ms: int) -> None:
        """Update position and battery to this time."""
        if self.journey is None:
            return
        vehicle = self._vehicle
        (vehicle.latitude, vehicle.longitude), stored_wh = self.journey.at(now_ms)
        self.driven_wh += self.stored_wh - stored_wh
        self.stored_wh = stored_wh

    def set_out(self, now_ms: int) -> Out:
        """Drive to the destination; plan the arrival, or the time at which the battery is low."""
        if self.destination is None:
            return NOTHING
        self.status = VehicleStatus.DRIVING
        self.journey = journey = self._begin_journey(now_ms, self.destination)
        low_wh = LOW_CHARGE * self.model.capacity_wh
        low_ms = journey.reaches_ms(low_wh) if self.stored_wh > low_wh else None
        arrival_ms = journey.arrival_ms()
        if low_ms is not None and (arrival_ms is None or low_ms < arrival_ms):
            self._vehicle.plan(max(low_ms, now_ms + 1), self._vehicle.on_low_battery)
        else:
            self._plan_arrival(journey, arrival_ms, self._arrive)
        return NOTHING

    def head_for(self, place: Place, now_ms: int, on_arrival: Action) -> None:
        """Drive to a charger; the destination is kept."""
        self.advance(now_ms)
        self.status = VehicleStatus.HEADING
        self.journey = self._begin_journey(now_ms, place)
        self._plan_arrival(self.journey, self.journey.arrival_ms(), on_arrival)

    def replan_arrival(self, now_ms: int) -> None:
        """Plan the arrival again, in place of what was planned for a low battery."""
        if self.journey is not None:
            arrival_ms = self.journey.arrival_ms()
            arrival_ms = None if arrival_ms is None else max(arrival_ms, now_ms + 1)
            self._plan_arrival(self.journey, arrival_ms, self._arrive)

    def resume(self, now_ms: int) -> None:
        """Drive on to the destination; stay parked where there is none or the battery is low."""
        if self.destination is not None and self.stored_wh > LOW_CHARGE * self.model.capacity_wh:
            self.set_out(now_ms)
            return
        self.status = VehicleStatus.PARKED
        self._vehicle.cancel_plan()

    def leave_road(self, now_ms: int) -> None:
        """End the journey here; the status stays as it is."""
        self.advance(now_ms)
        self.journey = None

    def park(self) -> None:
        """Park here, and plan nothing; a stranded vehicle stays stranded."""
        self.journey = None
        self._vehicle.cancel_plan()
        if self.status is not VehicleStatus.STRANDED:
            self.status = VehicleStatus.PARKED

    def _begin_journey(self, now_ms: int, target: Place) -> Journey:
        here = (self._vehicle.latitude, self._vehicle.longitude)
        model = self.model
        return Journey.begin(
            now_ms, here, target, self.stored_wh, model.capacity_wh, model.consumption_wh_per_km
        )

    def _plan_arrival(self, journey: Journey, arrival_ms: int | None, action: Action) -> None:
        """Plan to arrive, or to strand where the battery is empty."""
        if arrival_ms is not None:
            self._vehicle.plan(arrival_ms, action)
        else:
            self._vehicle.plan(journey.reaches_ms(0), self._strand)

    def _arrive(self, now_ms: int) -> Out:
        self.leave_road(now_ms)
        self.destination = None
        self.status = VehicleStatus.PARKED
        return NOTHING

    def _strand(self, now_ms: int) -> Out:
        self.leave_road(now_ms)
        self.status = VehicleStatus.STRANDED
        return self._vehicle.on_stranded(now_ms)
