"""Decides when a turbine's brake is applied: a pure state machine, without pins, clock or messages."""

from enum import StrEnum
from typing import NamedTuple

from gridfleet.devices.config.sensor_tables import BrakeTable
from gridfleet.devices.edge.hardware.anemometer import WindMeasurement


class BrakeCause(StrEnum):
    """Why the brake is applied."""

    STARTED = "started"
    OVER_SPEED = "over-speed"
    SENSOR = "sensor fault"
    AGENT = "agent silent"
    SHUTDOWN = "shut down"
    CALM = "wind has dropped"
    """Why it is released."""


class BrakeDecision(NamedTuple):
    """Whether the brake is to be applied, and why it is applied or was released."""

    applied: bool
    changed: bool
    cause: BrakeCause


class Brake:
    """Applied until the wind has been low for a while; applied at once when it is too high or not known."""

    __slots__ = ("_calm_since_s", "_table", "applied", "cause")

    def __init__(self, table: BrakeTable) -> None:
        self._table = table
        self.applied = True
        self.cause = BrakeCause.STARTED
        self._calm_since_s: float | None = None

    def step(self, now_s: float, wind: WindMeasurement, *, faulty: bool, silent: bool) -> BrakeDecision:
        """Return what to do now; `faulty` is about the anemometer, `silent` about the agent."""
        table = self._table
        calm = not faulty and not silent and wind.now_m_per_s < table.release_below_m_per_s
        if not calm:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        before = self.applied
        if faulty:
            self.applied, self.cause = True, BrakeCause.SENSOR
        elif wind.now_m_per_s > table.above_m_per_s:
            self.applied, self.cause = True, BrakeCause.OVER_SPEED
        elif silent:
            self.applied, self.cause = True, BrakeCause.AGENT
        elif (
            self.applied
            and self._calm_since_s is not None
            and now_s - self._calm_since_s >= table.release_after_s
        ):
            self.applied, self.cause = False, BrakeCause.CALM
        return BrakeDecision(self.applied, self.applied is not before, self.cause)
