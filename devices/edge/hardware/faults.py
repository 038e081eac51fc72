"""What can be wrong with a sensor, in the words of states, samples and incidents."""

from enum import StrEnum

from gridfleet.broker.errors import GridFleetError


class Fault(StrEnum):
    """How a sensor fails; `docs/hardware.md` says how each is told and what follows."""

    STUCK = "stuck"
    BOUNCE = "bounce"
    MISSING = "missing"
    OUT_OF_RANGE = "out of range"
    DISCONNECTED = "disconnected"
    OFFSET = "offset"


class HardwareError(GridFleetError, OSError):
    """Pins or buses that cannot be used; the text says which, why, and how to mend it."""
