"""The faults of sensors, as states, samples and incidents name them."""

from enum import StrEnum

from gridfleet.broker.errors import GridFleetError


class SensorFault(StrEnum):
    """How a sensor fails; `docs/reference/hardware.md` describes how each is detected and what follows."""

    STUCK = "stuck"
    BOUNCE = "bounce"
    MISSING = "missing"
    OUT_OF_RANGE = "out of range"
    DISCONNECTED = "disconnected"
    OFFSET = "offset"


class ControlError(GridFleetError, ValueError):
    """A control loop does what none may; the text names what is wrong and what is allowed."""


class HardwareError(GridFleetError, OSError):
    """Pins or buses that cannot be used; the text says which, why, and gives a remedy."""
